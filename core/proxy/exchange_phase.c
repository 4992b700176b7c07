/* The exchange and its handlers: running a phase, waiting for it, and what handlers may decide. */
#include "proxy/body_call.h"
#include "proxy/exchange_steps.h"

enum { REROUTES_MAX = 5 };

static enum tg_phase_progress progress_of(struct tg_exchange *exchange, enum tg_phase phase, enum tg_hook_result result)
{
    exchange->phase_pending = false;
    switch (result) {
    case TG_HOOK_DONE: return TG_PHASE_DONE;
    case TG_HOOK_ANSWERED: return TG_PHASE_ANSWERED;
    case TG_HOOK_REROUTED: return TG_PHASE_REROUTED;
    case TG_HOOK_PENDING: exchange->phase_pending = true; return TG_PHASE_WAIT;
    case TG_HOOK_FAILED: break;
    }
    exchange->phases_failed |= 1u << phase;
    return TG_PHASE_FAILED;
}

enum tg_phase_progress tg_exchange_run_phase(struct tg_exchange *exchange, enum tg_phase phase)
{
    if (exchange->phase_pending) {
        if (exchange->resumed == TG_HOOK_PENDING)
            return TG_PHASE_WAIT;
        return progress_of(exchange, phase, exchange->resumed);
    }
    const struct tg_hooks *hooks = exchange->worker->hooks;
    if (!exchange->lease || !((exchange->route->phases & ~exchange->phases_failed) >> phase & 1) || !hooks)
        return TG_PHASE_DONE;
    exchange->phase = phase;
    exchange->resumed = TG_HOOK_PENDING;
    return progress_of(exchange, phase, hooks->run(exchange, phase));
}

void tg_exchange_resume(struct tg_exchange *exchange, enum tg_hook_result result)
{
    exchange->resumed = result;
    tg_exchange_wake(exchange);
}

void tg_exchange_cancel_phase(struct tg_exchange *exchange)
{
    if (!exchange->phase_pending)
        return;
    if (exchange->resumed == TG_HOOK_PENDING)
        exchange->worker->hooks->cancel(exchange);
    exchange->phase_pending = false;
}

bool tg_exchange_respond(struct tg_exchange *exchange, int status, struct tg_buffer_queue *body)
{
    if (exchange->head_sent || exchange->state >= TG_EXCHANGE_LOG)
        return false;
    tg_exchange_drop_upstream(exchange, TG_REASON_NONE); /* what it still sends is no part of this answer */
    tg_body_calls_cancel(exchange->request_bodies);
    tg_exchange_reset_response(exchange, status, TG_FROM_SCRIPT);
    exchange->answered = true;
    return !body || tg_buffer_queue_move(&exchange->answer_body, body);
}

void tg_exchange_match_route(struct tg_exchange *exchange)
{
    struct tg_snapshot *snapshot = exchange->lease->snapshot;
    struct tg_route_query query = {
        .listener = exchange->listener,
        .host = exchange->request.authority.host,
        .path = exchange->request.target.path,
        .method = exchange->request.method,
        .method_text = exchange->request.method_text,
    };
    bool path_taken = false;
    struct tg_route *route = tg_router_match(snapshot->router, &query, &exchange->parameters, &path_taken);
    exchange->route = route ? route : &snapshot->none;
    exchange->group = exchange->route->group;
    exchange->half_close = exchange->route->half_close;
    exchange->times.routed = tg_loop_now(exchange->worker->loop);
}

bool tg_exchange_reroute(struct tg_exchange *exchange, struct tg_route *route)
{
    if (exchange->reroutes >= REROUTES_MAX)
        return false;
    exchange->reroutes++;
    if (!route) {
        tg_exchange_match_route(exchange);
        return true;
    }
    exchange->route = route;
    exchange->group = route->group;
    exchange->half_close = route->half_close;
    return true;
}

bool tg_exchange_pending_field(struct tg_exchange *exchange, struct tg_slice name, struct tg_slice value, bool add,
                               const char **problem)
{
    if (!tg_field_line_valid(name, value, problem)) /* what is refused now can't fail when it is applied */
        return false;
    struct tg_pending_field *field = tg_arena_alloc_zeroed(&exchange->arena, sizeof *field);
    *problem = "out of memory";
    if (!field)
        return false;
    field->name = tg_arena_copy(&exchange->arena, name);
    field->value = tg_arena_copy(&exchange->arena, value);
    field->add = add;
    if (!field->name.at || !field->value.at)
        return false;
    if (exchange->pending_last)
        exchange->pending_last->next = field;
    else
        exchange->pending_fields = field;
    exchange->pending_last = field;
    return true;
}

bool tg_exchange_apply_pending_fields(struct tg_exchange *exchange)
{
    const char *problem;
    if (exchange->pending_applied)
        return true;
    exchange->pending_applied = true;
    for (struct tg_pending_field *field = exchange->pending_fields; field; field = field->next) {
        bool done = field->add ? tg_fields_add(&exchange->response.fields, field->name, field->value, &problem)
                               : tg_fields_set(&exchange->response.fields, field->name, field->value, &problem);
        if (!done)
            return false;
    }
    return true;
}

void tg_exchange_unpin(struct tg_exchange *exchange)
{
    struct tg_lease *lease = exchange->lease;
    if (!lease)
        return;
    if (exchange->script)
        exchange->worker->hooks->end(exchange);
    exchange->script = NULL;
    exchange->held = tg_snapshot_ref(lease->snapshot);
    exchange->lease = NULL;
    tg_list_remove(&exchange->lease_link);
    tg_lease_unpin(lease);
}
