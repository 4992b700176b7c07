/* The listening sockets of the process, compared with what a generation declares: what stays is not touched, what is
 * new is opened before the switch, what has gone is closed after it. Control's thread. */
#ifndef TG_CONTROL_LISTENER_SET_H
#define TG_CONTROL_LISTENER_SET_H

#include "base/text.h"
#include "net/listener.h"
#include "proxy/snapshot.h"

struct tg_open_listener {
    struct tg_listener *listener;
    struct tg_address configured; /* may have port 0, where the bound one has another */
    bool wanted;                  /* by the generation given last */
    bool accepting;
};

struct tg_listener_set {
    struct tg_open_listener *at;
    size_t count;
};

/* Opens what the snapshot declares and isn't open, and writes into it the addresses as bound (before any worker uses
 * it). False: nothing has changed, and `why` says what to do. */
bool tg_listener_set_open(struct tg_listener_set *set, struct tg_snapshot *snapshot, struct tg_text *why)
    __attribute__((warn_unused_result));
/* After the switch: accepts from what is new; stops with and closes what isn't wanted any more. Connections that wait
 * in the queue of such a listener are still accepted, and those it gave live on. Waits for the acceptor. False: some
 * listener could not be watched; `why` names it. */
bool tg_listener_set_settle(struct tg_listener_set *set, struct tg_acceptor *acceptor, struct tg_text *why)
    __attribute__((warn_unused_result));
/* Stops accepting and closes all. `acceptor` may be NULL where none was made. */
void tg_listener_set_close(struct tg_listener_set *set, struct tg_acceptor *acceptor);

#endif
