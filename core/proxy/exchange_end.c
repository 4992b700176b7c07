/* The end of an exchange: in order, or broken off; then the log phase, the access log, and its memory. */
#include <math.h>

#include "proxy/access_log.h"
#include "proxy/exchange_steps.h"
#include "proxy/reason.h"

static void enter_log(struct tg_exchange *exchange)
{
    if (exchange->state == TG_EXCHANGE_TUNNEL)
        tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_TUNNELS_OPEN, -1);
    exchange->state = TG_EXCHANGE_LOG;
    exchange->times.ended = tg_loop_now(exchange->worker->loop);
    exchange->total_at = exchange->wait_until = INFINITY;
    if (tg_exchange_has_bodies(exchange))
        tg_exchange_end_bodies(exchange);
    tg_body_pipe_deinit(&exchange->request_pipe);
    tg_body_pipe_deinit(&exchange->response_pipe);
    tg_buffer_queue_clear(&exchange->answer_body);
    tg_exchange_forget_replay(exchange);
}

void tg_exchange_finish(struct tg_exchange *exchange)
{
    struct tg_upstream_side *upstream = exchange->upstream_side;
    exchange->upstream_side = NULL;
    if (upstream && exchange->upstream_ended && exchange->request_taken)
        upstream->ops->detach(upstream);
    else if (upstream)
        upstream->ops->reset(upstream, TG_REASON_NONE);
    struct tg_client_side *client = exchange->client_side;
    exchange->client_side = NULL;
    if (client)
        client->ops->detach(client);
    enter_log(exchange);
}

void tg_exchange_break_off(struct tg_exchange *exchange, enum tg_reason reason)
{
    tg_exchange_cancel_phase(exchange);
    tg_exchange_drop_upstream(exchange, reason);
    struct tg_client_side *client = exchange->client_side;
    exchange->client_side = NULL;
    exchange->end_reason = reason;
    if (client)
        client->ops->reset(client, reason);
    if (reason == TG_REASON_CLIENT_LEFT)
        tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_CLIENT_ABORTS, 1);
    if (reason == TG_REASON_CLIENT_LEFT || !exchange->head_sent)
        exchange->logged_status = (uint16_t)tg_reason_status(reason);
    enter_log(exchange);
}

void tg_exchange_abort(struct tg_exchange *exchange, enum tg_reason reason)
{
    if (exchange->state < TG_EXCHANGE_LOG)
        tg_exchange_break_off(exchange, reason);
    tg_exchange_wake(exchange);
}

void tg_exchange_close(struct tg_exchange *exchange)
{
    struct tg_worker *worker = exchange->worker;
    tg_access_log_write(exchange);
    tg_list_remove(&exchange->step.link);
    tg_exchange_unpin(exchange);
    if (exchange->peer)
        tg_peer_unref(exchange->peer);
    tg_buffer_queue_deinit(&exchange->answer_body);
    tg_buffer_queue_deinit(&exchange->replay);
    if (exchange->held)
        tg_snapshot_unref(exchange->held);
    tg_tls_facts_unref(exchange->tls);
    worker->exchanges--;
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_REQUESTS_ACTIVE, -1);
    struct tg_arena arena = exchange->arena;
    tg_arena_deinit(&arena);
    tg_worker_quiet_if_drained(worker);
}
