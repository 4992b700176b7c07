/* Inside net/: how the accept thread hands connections to the workers. */
#ifndef TG_NET_ACCEPTOR_PLACE_H
#define TG_NET_ACCEPTOR_PLACE_H

#include "net/acceptor_state.h"

/* The worker for the next connection; NULL where all have `limit`. */
struct tg_accept_place *tg_accept_places_choose(struct tg_acceptor *acceptor, uint32_t limit);
/* The descriptor stays the caller's where this answers false: out of memory. */
bool tg_accept_place_add(struct tg_accept_place *place, int descriptor, struct tg_listener *listener,
                         const struct tg_address *peer) __attribute__((warn_unused_result));
/* Sends on their way what was added. */
void tg_accept_places_post(struct tg_acceptor *acceptor);
/* Whether some batch isn't taken yet. */
bool tg_accept_places_wait(struct tg_acceptor *acceptor);
/* Gives what a worker is too late to take to others, where there are any. */
void tg_accept_places_take_back(struct tg_acceptor *acceptor);
/* At the thread's end: batches still on their way are left to the workers. */
void tg_accept_places_forget(struct tg_acceptor *acceptor);

#endif
