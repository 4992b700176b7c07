/* Inside net/: a descriptor in the loop's epoll set. Whoever owns a watch embeds it; the memory stays until the current
 * batch of events is done (tg_loop_free_later), since an event for it may still lie in the batch. */
#ifndef TG_NET_WATCH_H
#define TG_NET_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct tg_loop;

struct tg_watch {
    void (*ready)(struct tg_watch *watch, uint32_t events); /* EPOLL... flags; may end the watch */
    int descriptor;
    uint32_t interest; /* what the set was last told */
    bool in_set;
    bool ended; /* events that still come are ignored */
};

/* false where the system refuses. */
bool tg_watch_start(struct tg_loop *loop, struct tg_watch *watch, uint32_t interest)
    __attribute__((warn_unused_result));
/* No system call where nothing changes. A watch that was taken out of the set comes back. */
void tg_watch_change(struct tg_loop *loop, struct tg_watch *watch, uint32_t interest);
/* Out of the set; the descriptor stays open. */
void tg_watch_stop(struct tg_loop *loop, struct tg_watch *watch);

#endif
