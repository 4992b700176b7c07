#include "run_loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <ev.h>

static const double PATIENCE = 20;

struct wait {
    ev_prepare before_sleep;
    ev_timer patience;
    ev_idle no_sleep;
    struct tg_loop *loop;
    const int *value;
    int target, turns;
    bool late;
};

static void look(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
    (void)ev, (void)revents;
    struct wait *wait = TG_CONTAINER_OF(prepare, struct wait, before_sleep);
    if (wait->value ? *wait->value >= wait->target : wait->turns-- == 0)
        tg_loop_stop(wait->loop);
}

static void give_up(struct ev_loop *ev, ev_timer *timer, int revents)
{
    (void)ev, (void)revents;
    struct wait *wait = TG_CONTAINER_OF(timer, struct wait, patience);
    wait->late = true;
    tg_loop_stop(wait->loop);
}

static void stay_awake(struct ev_loop *ev, ev_idle *idle, int revents)
{
    (void)ev, (void)idle, (void)revents;
}

static void run(struct wait *wait)
{
    struct ev_loop *ev = tg_loop_ev(wait->loop);
    ev_prepare_init(&wait->before_sleep, look);
    ev_set_priority(&wait->before_sleep, EV_MINPRI);
    ev_prepare_start(ev, &wait->before_sleep);
    ev_timer_init(&wait->patience, give_up, PATIENCE, 0);
    ev_timer_start(ev, &wait->patience);
    ev_idle_init(&wait->no_sleep, stay_awake);
    if (!wait->value)
        ev_idle_start(ev, &wait->no_sleep);
    tg_loop_run(wait->loop);
    ev_idle_stop(ev, &wait->no_sleep);
    ev_timer_stop(ev, &wait->patience);
    ev_prepare_stop(ev, &wait->before_sleep);
}

void run_until(struct tg_loop *loop, const int *value, int target)
{
    struct wait wait = { .loop = loop, .value = value, .target = target };
    run(&wait);
    assert_false(wait.late);
}

void run_turns(struct tg_loop *loop, int turns)
{
    struct wait wait = { .loop = loop, .turns = turns };
    run(&wait);
}
