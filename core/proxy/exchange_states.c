#include <math.h>

#include "base/random.h"
#include "proxy/body_call.h"
#include "proxy/exchange_steps.h"
#include "proxy/grpc_call.h"

/* Each state has one function, in the order of the life of a request. It answers whether the exchange moved on, so that
 * the next function should run now; false means that it waits for something to happen. */

void tg_exchange_wake(struct tg_exchange *exchange)
{
    tg_loop_defer(exchange->worker->loop, &exchange->step);
}

/* Seconds for the whole request: the route's word, else the upstream's, which has the settings' where it says none. */
static double total_of(const struct tg_exchange *exchange)
{
    const struct tg_group *group = exchange->group;
    double otherwise = group ? group->timeouts.total : exchange->lease->snapshot->settings.timeouts.total;
    return tg_exchange_timeout(exchange->route->timeouts.total, otherwise);
}

/* A handler may have chosen a destination that allows less than the one before. */
static void narrow_total(struct tg_exchange *exchange)
{
    if (!exchange->reroutes && exchange->group == exchange->route->group)
        return;
    double ends = exchange->times.started + total_of(exchange);
    if (ends < exchange->total_at)
        tg_exchange_set_time_left(exchange, ends - tg_loop_now(exchange->worker->loop));
}

static void begin_first_attempt(struct tg_exchange *exchange)
{
    if (tg_exchange_begin_attempt(exchange))
        exchange->state = TG_EXCHANGE_UPSTREAM_REQUEST;
}

/* A body that another was put in the place of comes to its end first, or its client would be answered, and cut off,
 * before it looks. */
static bool still_sends_in_vain(const struct tg_exchange *exchange)
{
    return exchange->request_pipe.replaced && exchange->body_wanted && !exchange->client_request_ended;
}

/* The request phase, then the destination. */
static bool state_request(struct tg_exchange *exchange)
{
    switch (tg_exchange_run_phase(exchange, TG_PHASE_REQUEST)) {
    case TG_PHASE_WAIT: return false;
    case TG_PHASE_REROUTED: return true;
    case TG_PHASE_FAILED: tg_exchange_fail(exchange, 500, "script", "request phase"); return true;
    case TG_PHASE_ANSWERED: exchange->state = TG_EXCHANGE_RESPONSE; return true;
    case TG_PHASE_DONE: break;
    }
    exchange->times.request_done = tg_loop_now(exchange->worker->loop);
    if (exchange->route == &exchange->lease->snapshot->none && !exchange->group) {
        tg_exchange_fail(exchange, 404, "no_route", NULL);
        return true;
    }
    if (tg_exchange_answer_by_route(exchange))
        return true;
    if (!exchange->group) {
        tg_exchange_fail(exchange, 500, "no_upstream", "the route names no upstream and no handler chose one");
        return true;
    }
    narrow_total(exchange);
    exchange->state = TG_EXCHANGE_REQUEST_BODY;
    if (!(tg_exchange_route_has(exchange, TG_PHASE_REQUEST_BODY) &&
          tg_exchange_begin_bodies(exchange, TG_PHASE_REQUEST_BODY)) &&
        !still_sends_in_vain(exchange))
        begin_first_attempt(exchange);
    return true;
}

/* What its handlers write has no length, and trailers need a chunked body. */
static void note_changed_request(struct tg_exchange *exchange)
{
    for (const struct tg_body_call *call = exchange->request_bodies; call; call = call->next)
        exchange->request_changed |= call->changed || (call->begun && tg_exchange_has_request_trailers(exchange));
}

/* Nothing goes to upstream before a handler has said that it takes, or leaves, the body. */
static bool state_request_body(struct tg_exchange *exchange)
{
    bool ready = tg_exchange_bodies_let_go(exchange, exchange->request_bodies) && !still_sends_in_vain(exchange);
    if (!ready || exchange->bodies_spoke)
        return false;
    note_changed_request(exchange);
    begin_first_attempt(exchange);
    return true;
}

static bool state_upstream_request(struct tg_exchange *exchange)
{
    switch (tg_exchange_run_phase(exchange, TG_PHASE_UPSTREAM_REQUEST)) {
    case TG_PHASE_WAIT: return false;
    case TG_PHASE_ANSWERED:
        tg_exchange_drop_upstream(exchange, TG_REASON_NONE);
        exchange->state = TG_EXCHANGE_RESPONSE;
        return true;
    case TG_PHASE_DONE: tg_exchange_connect(exchange, exchange->fresh_wanted); return true;
    default: tg_exchange_fail(exchange, 500, "script", "upstream_request phase"); return true;
    }
}

static bool state_connecting(struct tg_exchange *exchange)
{
    if (exchange->connect_failed) {
        enum tg_reason reason = exchange->connect_failed;
        const char *detail = exchange->upstream_detail;
        exchange->connect_failed = TG_REASON_NONE;
        tg_exchange_attempt_failed(exchange, reason, detail ? detail : "connect");
        return true;
    }
    if (!exchange->connected)
        return false;
    exchange->state = TG_EXCHANGE_AWAITING_HEAD;
    tg_exchange_send_request(exchange);
    return true;
}

static void take_head(struct tg_exchange *exchange)
{
    int status = exchange->response.status;
    if (status == 101 && !exchange->request_taken) /* what is left of the body would become part of the tunnel */
        tg_exchange_attempt_failed(exchange, TG_REASON_INVALID, "101 before the request was whole");
    else if (status != 421 || !tg_exchange_repeat_misdirected(exchange))
        exchange->state = TG_EXCHANGE_UPSTREAM_RESPONSE;
}

static bool state_awaiting_head(struct tg_exchange *exchange)
{
    if (exchange->upstream_head_ready) {
        take_head(exchange);
        return true;
    }
    if (exchange->upstream_failed) {
        enum tg_reason reason = exchange->upstream_failed;
        exchange->upstream_failed = TG_REASON_NONE;
        tg_exchange_attempt_failed(exchange, reason, exchange->upstream_detail);
        return true;
    }
    tg_exchange_pump_request(exchange);
    return false;
}

static bool state_upstream_response(struct tg_exchange *exchange)
{
    switch (tg_exchange_run_phase(exchange, TG_PHASE_UPSTREAM_RESPONSE)) {
    case TG_PHASE_WAIT: tg_exchange_pump_request(exchange); return false;
    case TG_PHASE_ANSWERED: tg_exchange_drop_upstream(exchange, TG_REASON_NONE); break;
    case TG_PHASE_DONE: break;
    default: tg_exchange_fail(exchange, 500, "script", "upstream_response phase"); return true;
    }
    exchange->state = TG_EXCHANGE_RESPONSE;
    return true;
}

static bool state_error(struct tg_exchange *exchange)
{
    switch (tg_exchange_run_phase(exchange, TG_PHASE_ERROR)) {
    case TG_PHASE_WAIT: return false;
    case TG_PHASE_ANSWERED: exchange->state = TG_EXCHANGE_RESPONSE; return true;
    default: break;
    }
    if (!tg_exchange_make_error_page(exchange)) {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
        return true;
    }
    exchange->state = TG_EXCHANGE_RESPONSE;
    return true;
}

static bool state_response(struct tg_exchange *exchange)
{
    if (!tg_exchange_apply_pending_fields(exchange)) {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
        return true;
    }
    switch (tg_exchange_run_phase(exchange, TG_PHASE_RESPONSE)) {
    case TG_PHASE_WAIT: tg_exchange_pump_request(exchange); return false;
    case TG_PHASE_ANSWERED: tg_exchange_drop_upstream(exchange, TG_REASON_NONE); break;
    case TG_PHASE_DONE: break;
    default: tg_exchange_fail(exchange, 500, "script", "response phase"); return true;
    }
    if (exchange->from == TG_FROM_UPSTREAM && exchange->upstream_failed) {
        /* It broke off before anything was committed: an error can still be told as one. */
        tg_exchange_fail_for(exchange, exchange->upstream_failed, exchange->upstream_detail);
    } else if (tg_exchange_apply_pending_fields(exchange)) {
        exchange->state = TG_EXCHANGE_RESPONSE_BODY;
        if (!(tg_exchange_route_has(exchange, TG_PHASE_RESPONSE_BODY) &&
              tg_exchange_begin_bodies(exchange, TG_PHASE_RESPONSE_BODY)))
            tg_exchange_send_response_head(exchange);
    } else {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
    }
    return true;
}

static void note_changed_response(struct tg_exchange *exchange)
{
    struct tg_response_head *head = &exchange->response;
    for (const struct tg_body_call *call = exchange->response_bodies; call; call = call->next)
        exchange->response_changed |= call->changed || (call->begun && tg_exchange_has_response_trailers(exchange));
    if (!exchange->response_changed)
        return;
    exchange->response_had_length = head->framing == TG_FRAMING_LENGTH;
    head->framing = TG_FRAMING_CHUNKED;
    head->has_content_length = false;
}

/* The head waits for the first word of the handlers of the body. */
static bool state_response_body(struct tg_exchange *exchange)
{
    if (exchange->producer)
        tg_exchange_start_producer(exchange);
    tg_exchange_pump_request(exchange);
    bool ready = tg_exchange_bodies_let_go(exchange, exchange->response_bodies);
    if (exchange->bodies_spoke)
        return false;
    if (ready) {
        note_changed_response(exchange);
        tg_exchange_send_response_head(exchange);
    } else if (exchange->upstream_failed && exchange->from == TG_FROM_UPSTREAM && !exchange->response_bodies->begun) {
        tg_exchange_fail_for(exchange, exchange->upstream_failed, exchange->upstream_detail);
    }
    return ready || exchange->state != TG_EXCHANGE_RESPONSE_BODY;
}

/* What came before the failure was passed on first, then the client is cut off [R04, R08]. */
static void response_failed(struct tg_exchange *exchange)
{
    enum tg_reason reason = exchange->upstream_failed;
    struct tg_exchange_error error = { 502, "upstream_failed", exchange->upstream_detail, reason };
    if (exchange->grpc && tg_grpc_call_end(exchange, &error, reason))
        return;
    exchange->error = error;
    tg_exchange_break_off(exchange, reason);
}

/* The phase between the body and its end; false: it has broken the response off. */
static bool trailers_done(struct tg_exchange *exchange)
{
    if (!exchange->has_response_trailers)
        tg_fields_init(&exchange->response_trailers, &exchange->arena);
    exchange->has_response_trailers = true;
    enum tg_phase_progress progress = tg_exchange_run_phase(exchange, TG_PHASE_TRAILERS);
    exchange->trailers_due = progress == TG_PHASE_WAIT;
    if (progress == TG_PHASE_WAIT || progress == TG_PHASE_DONE)
        return true;
    tg_exchange_break_off(exchange, TG_REASON_SCRIPT);
    return false;
}

/* Bodies flow; the end is noticed by the takers of the pipes. */
static bool state_streaming(struct tg_exchange *exchange)
{
    const struct tg_body_pipe *pipe = &exchange->response_pipe;
    if (exchange->producer)
        tg_exchange_start_producer(exchange);
    if (exchange->trailers_due && pipe->ended && !pipe->failed && !trailers_done(exchange))
        return true;
    tg_exchange_pump_response(exchange);
    tg_exchange_pump_request(exchange);
    if (exchange->response_taken) {
        tg_exchange_finish(exchange);
        return true;
    }
    if (exchange->upstream_failed && pipe->failed && tg_buffer_queue_length(&pipe->waiting) == 0) {
        response_failed(exchange);
        return true;
    }
    return false;
}

static bool state_tunnel(struct tg_exchange *exchange)
{
    tg_exchange_pump_response(exchange);
    tg_exchange_pump_request(exchange);
    if (exchange->upstream_failed) {
        tg_exchange_break_off(exchange, exchange->upstream_failed);
        return true;
    }
    if (!exchange->response_taken || !exchange->request_taken)
        return false;
    tg_exchange_finish(exchange);
    return true;
}

static bool state_log(struct tg_exchange *exchange)
{
    if (exchange->lease && tg_exchange_run_phase(exchange, TG_PHASE_LOG) == TG_PHASE_WAIT)
        return false;
    exchange->state = TG_EXCHANGE_OVER;
    return true;
}

static bool (*const states[])(struct tg_exchange *exchange) = {
    [TG_EXCHANGE_REQUEST] = state_request,
    [TG_EXCHANGE_REQUEST_BODY] = state_request_body,
    [TG_EXCHANGE_UPSTREAM_REQUEST] = state_upstream_request,
    [TG_EXCHANGE_CONNECTING] = state_connecting,
    [TG_EXCHANGE_AWAITING_HEAD] = state_awaiting_head,
    [TG_EXCHANGE_UPSTREAM_RESPONSE] = state_upstream_response,
    [TG_EXCHANGE_ERROR] = state_error,
    [TG_EXCHANGE_RESPONSE] = state_response,
    [TG_EXCHANGE_RESPONSE_BODY] = state_response_body,
    [TG_EXCHANGE_STREAMING] = state_streaming,
    [TG_EXCHANGE_TUNNEL] = state_tunnel,
    [TG_EXCHANGE_LOG] = state_log,
};

static const char *code_of(const struct tg_problem *problem)
{
    switch (problem->status) {
    case 408: return "timeout";
    case 413: return "too_large";
    case 421: return "misdirected";
    default: return problem->status < 500 ? "bad_request" : "overload";
    }
}

/* What may happen in any state before the end: the client goes away, or its body turns out to be wrong. */
static void heed_client(struct tg_exchange *exchange)
{
    if (exchange->state >= TG_EXCHANGE_LOG)
        return;
    if (exchange->client_left) {
        tg_exchange_break_off(exchange, exchange->end_reason ? exchange->end_reason : TG_REASON_CLIENT_LEFT);
        return;
    }
    struct tg_problem problem = exchange->client_problem;
    exchange->client_problem = (struct tg_problem){ 0 };
    if (!problem.status)
        return;
    exchange->request_pipe.failed = true;
    bool answer_is_ours = exchange->error.status || (exchange->head_sent && exchange->from != TG_FROM_UPSTREAM);
    if (answer_is_ours) /* which doesn't depend on the body */
        return;
    tg_exchange_cancel_phase(exchange);
    tg_exchange_fail(exchange, problem.status, code_of(&problem), problem.reason);
}

static void heed_time(struct tg_exchange *exchange)
{
    bool total = exchange->total_over;
    if (exchange->state >= TG_EXCHANGE_LOG || (!total && !exchange->wait_over))
        return;
    exchange->total_over = exchange->wait_over = false;
    exchange->total_at = total ? INFINITY : exchange->total_at;
    exchange->wait_until = INFINITY;
    if (!total && tg_exchange_reads_response(exchange)) {
        tg_exchange_from_upstream_failed(exchange, TG_REASON_TIMEOUT, "upstream was silent for too long");
        return;
    }
    const char *detail = total ? "the total time of the request is over" : "upstream was silent for too long";
    struct tg_exchange_error error = { 504, "timeout", detail, TG_REASON_TIMEOUT };
    if (exchange->head_sent) {
        if (!exchange->grpc || !tg_grpc_call_end(exchange, &error, TG_REASON_TIMEOUT))
            tg_exchange_break_off(exchange, TG_REASON_TIMEOUT);
        return;
    }
    tg_exchange_cancel_phase(exchange);
    tg_exchange_drop_upstream(exchange, TG_REASON_TIMEOUT);
    tg_exchange_fail_for(exchange, TG_REASON_TIMEOUT, detail);
}

static void exchange_step(struct tg_task *task)
{
    struct tg_exchange *exchange = TG_CONTAINER_OF(task, struct tg_exchange, step);
    heed_client(exchange);
    heed_time(exchange);
    if (exchange->bodies_spoke)
        tg_exchange_heed_bodies(exchange);
    while (exchange->state != TG_EXCHANGE_OVER && states[exchange->state](exchange))
        ;
    if (exchange->state == TG_EXCHANGE_OVER)
        tg_exchange_close(exchange);
    else if (exchange->state < TG_EXCHANGE_LOG)
        tg_exchange_hold_givers_back(exchange);
}

static void pin(struct tg_exchange *exchange, struct tg_lease *lease)
{
    exchange->lease = lease;
    if (lease) {
        tg_list_append(&lease->exchanges, &exchange->lease_link);
        lease->pinned++;
    }
}

static struct tg_exchange *exchange_new(struct tg_worker *worker, struct tg_arena *arena,
                                        const struct tg_request_head *head, struct tg_client_side *side)
{
    struct tg_exchange *exchange = tg_arena_alloc(arena, sizeof *exchange);
    if (!exchange) {
        tg_arena_deinit(arena);
        return NULL;
    }
    memset(exchange, 0, offsetof(struct tg_exchange, id));
    exchange->arena = *arena;
    exchange->worker = worker;
    exchange->client_side = side;
    exchange->request = *head;
    exchange->request.fields.arena = &exchange->arena;
    exchange->outgoing.upgrade = (struct tg_slice){ NULL, 0 };
    exchange->parameters.count = 0;
    tg_fields_init(&exchange->response.fields, &exchange->arena);
    tg_list_init(&exchange->lease_link);
    tg_task_init(&exchange->step, exchange_step);
    tg_body_pipe_init(&exchange->request_pipe);
    tg_body_pipe_init(&exchange->response_pipe);
    tg_buffer_queue_init(&exchange->answer_body);
    tg_buffer_queue_init(&exchange->replay);
    exchange->replayable = true;
    exchange->total_at = exchange->wait_until = INFINITY;
    exchange->times.started = tg_loop_now(worker->loop);
    tg_random_hex_id(exchange->id);
    pin(exchange, worker->current);
    worker->exchanges++;
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_REQUESTS, 1);
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_REQUESTS_ACTIVE, 1);
    return exchange;
}

/* NULL: the current generation has no such listener. */
static const struct tg_listener_config *identify_client(struct tg_exchange *exchange, const struct tg_client_info *info)
{
    const struct tg_listener_config *listener = tg_worker_listener(exchange->worker, info->local);
    const struct tg_settings *settings = &exchange->lease->snapshot->settings;
    struct tg_slice scheme = info->tls ? TG_SLICE("https") : TG_SLICE("http");
    exchange->peer_address = *info->peer;
    tg_address_ip(info->peer, exchange->peer_ip.bytes);
    exchange->listener = listener ? listener->name : TG_SLICE("");
    exchange->listener_port = tg_address_port(info->local);
    exchange->tls = tg_tls_facts_ref(info->tls);
    tg_client_identify(&exchange->request, &exchange->peer_ip, scheme, &settings->trusted_proxies, &exchange->client);
    return listener;
}

struct tg_exchange *tg_exchange_start(struct tg_worker *worker, struct tg_arena *arena, struct tg_request_head *head,
                                      struct tg_client_side *side, const struct tg_client_info *info)
{
    struct tg_exchange *exchange = exchange_new(worker, arena, head, side);
    if (!exchange)
        return NULL;
    const struct tg_listener_config *listener = identify_client(exchange, info);
    exchange->request_pipe.ended = exchange->client_request_ended = !tg_request_has_body(head);
    tg_exchange_match_route(exchange);
    double total = total_of(exchange);
    if (head->method == TG_METHOD_POST) {
        tg_grpc_call_begin(exchange);
        total = exchange->grpc ? fmin(total, exchange->grpc->timeout) : total;
        exchange->total_over = total <= 0; /* "0S" */
    }
    if (total < INFINITY)
        tg_exchange_set_time_left(exchange, total);
    if (head->framing == TG_FRAMING_LENGTH && head->content_length > exchange->route->body_limit)
        exchange->client_problem = (struct tg_problem){ 413, "the declared body is larger than the limit" };
    if (!tg_tls_facts_allow_host_now(exchange->tls, listener ? listener->tls : NULL, head->authority.host))
        exchange->client_problem = (struct tg_problem){ 421, "a host that this TLS connection isn't for" };
    if (listener && listener->redirect_to_https)
        tg_exchange_redirect_to_https(exchange, listener->redirect_port);
    tg_exchange_wake(exchange);
    return exchange;
}

struct tg_exchange *tg_exchange_start_rejected(struct tg_worker *worker, struct tg_arena *arena,
                                               const struct tg_request_head *head, struct tg_client_side *side,
                                               const struct tg_client_info *info, const struct tg_problem *problem)
{
    struct tg_exchange *exchange = exchange_new(worker, arena, head, side);
    if (!exchange)
        return NULL;
    identify_client(exchange, info);
    exchange->route = &exchange->lease->snapshot->none;
    exchange->request_pipe.ended = exchange->client_request_ended = true;
    exchange->phases_failed = (1u << TG_PHASES) - 1; /* no handler sees a request that isn't one */
    exchange->error = (struct tg_exchange_error){ problem->status, problem->status == 408 ? "timeout" : "bad_request",
                                                  problem->reason, TG_REASON_NONE };
    exchange->state = TG_EXCHANGE_ERROR;
    tg_grpc_call_begin(exchange);
    exchange->client_problem = (struct tg_problem){ 0 }; /* what is wrong with it was said already */
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_REQUESTS_REJECTED, 1);
    tg_exchange_wake(exchange);
    return exchange;
}

void tg_exchange_set_time_left(struct tg_exchange *exchange, double seconds)
{
    exchange->total_at = tg_loop_now(exchange->worker->loop) + seconds;
    if (exchange->client_side)
        tg_deadline_set(exchange->client_side->deadline, fmin(exchange->total_at, exchange->client_side->deadline->at));
}

double tg_exchange_tick(struct tg_exchange *exchange)
{
    double now = tg_loop_now(exchange->worker->loop);
    double next = fmin(exchange->total_at, exchange->wait_until);
    if (exchange->state >= TG_EXCHANGE_LOG || now < next)
        return next;
    exchange->total_over = now >= exchange->total_at;
    exchange->wait_over = now >= exchange->wait_until;
    exchange->wait_until = INFINITY;
    if (exchange->total_over)
        exchange->total_at = INFINITY;
    tg_exchange_wake(exchange);
    return exchange->total_at; /* a handler that hears of upstream's silence may go on */
}
