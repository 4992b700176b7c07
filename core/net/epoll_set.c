#include "net/watch.h"

#include "net/loop_state.h"

static bool control_set(struct tg_loop *loop, int operation, struct tg_watch *watch, uint32_t interest)
{
    struct epoll_event event = { .events = interest, .data.ptr = watch };
    return epoll_ctl(loop->set, operation, watch->descriptor, &event) == 0;
}

bool tg_watch_start(struct tg_loop *loop, struct tg_watch *watch, uint32_t interest)
{
    watch->interest = interest;
    watch->in_set = control_set(loop, EPOLL_CTL_ADD, watch, interest);
    return watch->in_set;
}

void tg_watch_change(struct tg_loop *loop, struct tg_watch *watch, uint32_t interest)
{
    if (!watch->in_set) {
        (void)!tg_watch_start(loop, watch, interest);
    } else if (watch->interest != interest) {
        control_set(loop, EPOLL_CTL_MOD, watch, interest);
        watch->interest = interest;
    }
}

void tg_watch_stop(struct tg_loop *loop, struct tg_watch *watch)
{
    if (watch->in_set)
        control_set(loop, EPOLL_CTL_DEL, watch, 0);
    watch->in_set = false;
    watch->interest = 0;
}
