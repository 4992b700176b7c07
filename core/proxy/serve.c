#include "proxy/serve.h"

#include <math.h>

#include "proxy/balance.h"
#include "proxy/client_door.h"
#include "proxy/pool.h"
#include "proxy/request_metrics.h"

/* Whatever still runs is cut: the operator's deadline is over. */
static void drain_is_over(struct tg_deadline *deadline)
{
    struct tg_worker *worker = TG_CONTAINER_OF(deadline, struct tg_worker, drain_end);
    struct tg_list *link;
    if (tg_loop_now(worker->loop) < worker->drain_until) { /* a look in between */
        tg_deadline_set(deadline, worker->drain_until);
        tg_worker_quiet_if_drained(worker);
        return;
    }
    while ((link = tg_list_first(&worker->clients)) != NULL)
        tg_client_kill(link);
    tg_worker_be_quiet(worker); /* a log phase may still wait; nobody else does */
}

bool tg_worker_init(struct tg_worker *worker, struct tg_loop *loop, const struct tg_hooks *hooks,
                    struct tg_log_ring *log)
{
    worker->loop = loop;
    worker->hooks = hooks;
    worker->log = log;
    tg_text_init(&worker->line);
    tg_list_init(&worker->clients);
    tg_deadline_init(&worker->drain_end, loop, drain_is_over);
    worker->pool = tg_pool_new(worker);
    if (!worker->pool)
        return false;
    worker->metrics = tg_request_metrics_new(worker->id);
    worker->connector = tg_pool_connector(worker->pool);
    return true;
}

void tg_worker_deinit(struct tg_worker *worker)
{
    struct tg_list *link;
    tg_deadline_deinit(&worker->drain_end);
    while ((link = tg_list_first(&worker->clients)) != NULL)
        tg_client_kill(link);
    tg_pool_free(worker->pool);
    tg_balance_free(worker->balance);
    tg_text_deinit(&worker->line);
    tg_request_metrics_free(worker->metrics);
    worker->metrics = NULL;
}

void tg_worker_accepted(struct tg_loop *loop, struct tg_stream *stream, struct tg_listener *listener)
{
    struct tg_worker *worker = tg_loop_context(loop);
    if (tg_client_door_open(worker, stream, tg_listener_is_guarded(listener)))
        return;
    tg_stream_close(stream);
    tg_accept_ended(worker->acceptor, &worker->connections);
}

void tg_worker_drain(struct tg_worker *worker, double idle, double deadline)
{
    worker->draining = true;
    worker->drain_idle_until = tg_loop_now(worker->loop) + idle;
    worker->drain_until = deadline;
    tg_worker_quiet_if_drained(worker);
    if (!worker->quiet)
        return;
    for (struct tg_list *link = worker->clients.next; link != &worker->clients; link = link->next)
        tg_client_drain(link, worker->drain_idle_until);
    tg_deadline_set(&worker->drain_end, fmin(deadline, worker->drain_end.at));
}
