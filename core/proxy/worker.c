#include "proxy/worker.h"

#include <math.h>

#include "proxy/snapshot.h"

void tg_worker_be_quiet(struct tg_worker *worker)
{
    void (*quiet)(struct tg_worker *) = worker->quiet;
    worker->quiet = NULL;
    if (quiet)
        quiet(worker);
}

void tg_worker_switch(struct tg_worker *worker, struct tg_lease *lease)
{
    struct tg_lease *old = worker->current;
    worker->current = lease;
    lease->retired = false;
    if (!old || old == lease)
        return;
    old->retired = true;
    if (old->pinned == 0 && old->drained)
        old->drained(old);
}

const struct tg_listener_config *tg_worker_listener(const struct tg_worker *worker, const struct tg_address *address)
{
    const struct tg_snapshot *snapshot = worker->current->snapshot;
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        if (tg_address_equal(&snapshot->listeners[i].address, address))
            return &snapshot->listeners[i];
    }
    return NULL;
}

struct tg_slice tg_worker_listener_name(const struct tg_worker *worker, const struct tg_address *address)
{
    const struct tg_listener_config *listener = tg_worker_listener(worker, address);
    return listener ? listener->name : TG_SLICE("");
}

void tg_worker_quiet_if_drained(struct tg_worker *worker)
{
    static const double look_again = 0.02; /* seconds */
    double now = tg_loop_now(worker->loop);
    if (!worker->draining || worker->exchanges > 0 || !tg_list_empty(&worker->clients))
        return;
    /* A slow reader still gets the rest of its answer. */
    if (tg_loop_has_last_words(worker->loop) && now < worker->drain_until)
        tg_deadline_set(&worker->drain_end, fmin(worker->drain_until, now + look_again));
    else
        tg_worker_be_quiet(worker);
}
