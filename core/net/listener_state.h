/* Inside net/: a listening socket. Counted: connections on their way to a worker hold it, so that its memory outlives
 * the close. */
#ifndef TG_NET_LISTENER_STATE_H
#define TG_NET_LISTENER_STATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "net/listener.h"
#include "net/watch.h"

struct tg_listener {
    struct tg_watch watch; /* in the one worker's loop, where there is one; its descriptor is always valid */
    struct tg_acceptor *acceptor;
    struct tg_list link; /* in the acceptor's list */
    struct tg_address address;
    bool inherited;
    _Atomic bool guarded;
    dev_t path_device; /* of a Unix path that we made, so that only our own is removed */
    ino_t path_inode;
    _Atomic uint32_t references;
};

void tg_listener_ref(struct tg_listener *listener);
void tg_listener_unref(struct tg_listener *listener);

#endif
