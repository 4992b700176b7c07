#include <math.h>

#include "net/loop_state.h"

_Static_assert(sizeof(ev_timer) <= sizeof(((struct tg_deadline *)0)->timer), "the timer fits into its room");

/* libev counts milliseconds: a timer may fire by so much too soon. */
static const double EARLY = 0.001;

static ev_timer *timer_of(struct tg_deadline *deadline)
{
    return (ev_timer *)(void *)deadline->timer;
}

static void arm(struct tg_deadline *deadline)
{
    struct tg_loop *loop = deadline->loop;
    double after = deadline->at - loop->turn_began;
    ev_timer_stop(loop->ev, timer_of(deadline));
    ev_timer_set(timer_of(deadline), after > 0 ? after : 0, 0);
    ev_timer_start(loop->ev, timer_of(deadline));
    deadline->armed_at = deadline->at;
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
    (void)ev, (void)revents;
    struct tg_deadline *deadline = TG_CONTAINER_OF((void *)timer, struct tg_deadline, timer);
    deadline->armed_at = INFINITY;
    if (deadline->at == INFINITY)
        return;
    if (deadline->at > deadline->loop->now + EARLY) {
        arm(deadline);
        return;
    }
    deadline->at = INFINITY;
    deadline->expired(deadline);
}

void tg_deadline_init(struct tg_deadline *deadline, struct tg_loop *loop, void (*expired)(struct tg_deadline *deadline))
{
    *deadline = (struct tg_deadline){ .loop = loop, .at = INFINITY, .armed_at = INFINITY, .expired = expired };
    ev_timer_init(timer_of(deadline), on_timer, 0, 0);
}

void tg_deadline_deinit(struct tg_deadline *deadline)
{
    deadline->at = deadline->armed_at = INFINITY;
    ev_timer_stop(deadline->loop->ev, timer_of(deadline));
}

void tg_deadline_set(struct tg_deadline *deadline, double at)
{
    deadline->at = at;
    if (at < deadline->armed_at)
        arm(deadline);
}

void tg_deadline_clear(struct tg_deadline *deadline)
{
    deadline->at = INFINITY;
}
