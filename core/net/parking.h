/* The set in which idle sockets of the shared pool are watched by one thread (control) while no worker owns them. */
#ifndef TG_NET_PARKING_H
#define TG_NET_PARKING_H

#include "net/stream.h"

struct tg_parking;

/* `stirred` is called in the thread of `loop` when a parked socket became readable, ended or failed: any of these means
 * that it can't be reused. The cookie is what was given to watch; never a pointer (a stale event may come for a socket
 * that was taken meanwhile: the cookie carries slot and generation). One-shot for each watch. */
struct tg_parking *tg_parking_new(struct tg_loop *loop, void (*stirred)(void *context, uint64_t cookie), void *context);
void tg_parking_free(struct tg_parking *parking);
/* Any thread, under the lock of the pool. false: it could not be watched (the caller closes it). */
bool tg_parking_watch(struct tg_parking *parking, struct tg_socket socket, uint64_t cookie)
    __attribute__((warn_unused_result));
void tg_parking_unwatch(struct tg_parking *parking, struct tg_socket socket);

#endif
