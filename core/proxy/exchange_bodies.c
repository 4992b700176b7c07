/* The exchange and the handlers of its bodies: when they begin, what holds a head back for them, what becomes of the
 * exchange when one fails or answers; bodies that a handler wants whole, or puts another in the place of. */
#include <math.h>

#include "proxy/body_call.h"
#include "proxy/exchange_steps.h"
#include "proxy/grpc_call.h"

static bool has_phase(const struct tg_exchange *exchange, enum tg_phase phase)
{
    return exchange->lease && ((exchange->route->phases & ~exchange->phases_failed) >> phase & 1);
}

/* --- Beginning --- */

/* A tunnel has no body, nor has what asks for one. */
static bool request_can_have_body(const struct tg_exchange *exchange)
{
    return exchange->request.upgrade.length == 0 && !exchange->request.extended_connect;
}

static bool response_can_have_body(const struct tg_exchange *exchange)
{
    return exchange->response.status != 101 &&
           !tg_response_bodyless(exchange->response.status, exchange->request.method);
}

static double declared_request(const struct tg_exchange *exchange)
{
    const struct tg_request_head *head = &exchange->request;
    switch (head->framing) {
    case TG_FRAMING_LENGTH: return (double)head->content_length;
    case TG_FRAMING_NONE: return 0;
    default: return NAN;
    }
}

static double declared_response(const struct tg_exchange *exchange)
{
    const struct tg_response_head *head = &exchange->response;
    return head->framing == TG_FRAMING_LENGTH ? (double)head->content_length : (double)NAN;
}

static bool let_in(struct tg_exchange *exchange, enum tg_phase phase)
{
    bool of_request = phase == TG_PHASE_REQUEST_BODY;
    struct tg_body_call **list = of_request ? &exchange->request_bodies : &exchange->response_bodies;
    struct tg_body_pipe *pipe = of_request ? &exchange->request_pipe : &exchange->response_pipe;
    if (!exchange->worker->hooks->bodies(exchange, phase)) {
        exchange->phases_failed |= 1u << phase;
        tg_exchange_fail(exchange, 500, "script", "no memory for the handlers of a body");
        return true;
    }
    if (!*list)
        return false;
    (*list)->length = of_request ? declared_request(exchange) : declared_response(exchange);
    tg_body_calls_enter(*list, pipe);
    return true;
}

bool tg_exchange_begin_bodies(struct tg_exchange *exchange, enum tg_phase phase)
{
    bool of_request = phase == TG_PHASE_REQUEST_BODY;
    if (!has_phase(exchange, phase))
        return false;
    if (of_request)
        return !exchange->request_bodies && request_can_have_body(exchange) && let_in(exchange, phase);
    if (!response_can_have_body(exchange))
        return false;
    if (exchange->from != TG_FROM_UPSTREAM && !tg_exchange_load_answer(exchange)) {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
        return true;
    }
    return let_in(exchange, phase);
}

static bool let_go_by(const struct tg_body_call *call)
{
    return call->changed || (call->over && !call->failed);
}

bool tg_exchange_bodies_let_go(struct tg_exchange *exchange, struct tg_body_call *list)
{
    bool all = true;
    for (struct tg_body_call *call = list; call; call = call->next) {
        if (!call->started) {
            call->started = true;
            exchange->worker->hooks->body_start(call);
        }
        all = all && let_go_by(call);
        if (!call->begun && !call->over)
            return false; /* the next one sees the head as this one leaves it */
    }
    return all;
}

/* --- What they say --- */

static struct tg_body_call *failed_one(struct tg_body_call *list)
{
    while (list && !list->failed)
        list = list->next;
    return list;
}

static void fail_for(struct tg_exchange *exchange, struct tg_body_call *call)
{
    call->failed = false; /* it was heeded: another may fail after it */
    exchange->phases_failed |= 1u << call->phase;
    tg_exchange_cancel_phase(exchange);
    tg_exchange_fail(exchange, 500, "script",
                     call->phase == TG_PHASE_REQUEST_BODY ? "request_body phase" : "response_body phase");
}

void tg_exchange_heed_bodies(struct tg_exchange *exchange)
{
    bool lost = exchange->bodies_lost, answered = exchange->bodies_answered;
    exchange->bodies_spoke = exchange->bodies_lost = exchange->bodies_answered = false;
    if (exchange->state >= TG_EXCHANGE_LOG)
        return;
    if (answered) {
        tg_exchange_cancel_phase(exchange);
        exchange->state = TG_EXCHANGE_RESPONSE;
        return;
    }
    if (lost) {
        tg_exchange_cancel_phase(exchange);
        tg_exchange_fail_for(exchange, TG_REASON_OVERLOAD, "out of memory for a body");
        return;
    }
    struct tg_body_call *failed = failed_one(exchange->request_bodies);
    failed = failed ? failed : failed_one(exchange->response_bodies);
    failed = failed ? failed : failed_one(exchange->producer);
    if (failed)
        fail_for(exchange, failed);
}

bool tg_exchange_respond_beside(struct tg_exchange *exchange, int status, struct tg_buffer_queue *body)
{
    if (!tg_exchange_respond(exchange, status, body))
        return false;
    exchange->bodies_answered = exchange->bodies_spoke = true;
    tg_exchange_wake(exchange);
    return true;
}

/* A failure has to pass through those that are at work: each may still make something whole of it. */
bool tg_exchange_tell_bodies(struct tg_exchange *exchange, enum tg_reason reason)
{
    struct tg_body_call *inside = exchange->response_bodies;
    if (!inside || exchange->from != TG_FROM_UPSTREAM || exchange->response_pipe.failed)
        return false;
    tg_body_call_fail(inside, reason);
    return true;
}

/* --- Ending --- */

void tg_exchange_cancel_bodies(struct tg_exchange *exchange)
{
    tg_body_calls_cancel(exchange->request_bodies);
    tg_exchange_drop_response_bodies(exchange);
}

void tg_exchange_drop_response_bodies(struct tg_exchange *exchange)
{
    struct tg_grpc_call *grpc = exchange->grpc;
    tg_body_calls_end(exchange->response_bodies);
    tg_body_calls_end(exchange->producer);
    exchange->response_bodies = exchange->producer = NULL;
    exchange->response_pipe.stages = grpc ? &grpc->counting : NULL;
    if (grpc)
        grpc->counting.next = NULL;
}

void tg_exchange_end_bodies(struct tg_exchange *exchange)
{
    tg_body_calls_end(exchange->request_bodies);
    tg_body_calls_end(exchange->response_bodies);
    tg_body_calls_end(exchange->producer);
}

static bool any_at_work(const struct tg_body_call *call)
{
    while (call && call->over)
        call = call->next;
    return call != NULL;
}

bool tg_exchange_has_body_handlers(const struct tg_exchange *exchange)
{
    return exchange->trailers_due || any_at_work(exchange->request_bodies) || any_at_work(exchange->response_bodies) ||
           any_at_work(exchange->producer);
}

bool tg_exchange_reads_response(const struct tg_exchange *exchange)
{
    return exchange->from == TG_FROM_UPSTREAM && !exchange->upstream_failed &&
           (exchange->whole_awaited || any_at_work(exchange->response_bodies));
}

/* --- Bodies that a function makes, and trailers --- */

struct tg_body_call *tg_exchange_produce(struct tg_exchange *exchange, uint32_t use)
{
    struct tg_body_call *call =
        tg_body_call_add(exchange, &exchange->producer, &exchange->response_pipe, TG_PHASE_RESPONSE_BODY, use);
    if (!call)
        return NULL;
    call->produces = call->input_ended = true;
    return call;
}

void tg_exchange_start_producer(struct tg_exchange *exchange)
{
    struct tg_body_call *call = exchange->producer;
    if (!call || call->started || !response_can_have_body(exchange))
        return;
    call->started = true;
    exchange->worker->hooks->body_start(call);
}

bool tg_exchange_wants_trailers(const struct tg_exchange *exchange)
{
    return has_phase(exchange, TG_PHASE_TRAILERS) && response_can_have_body(exchange);
}

/* --- Whole bodies --- */

static enum tg_whole whole(struct tg_exchange *exchange, struct tg_body_pipe *pipe, bool declared, uint64_t length,
                           uint64_t limit)
{
    uint64_t waiting = tg_buffer_queue_length(&pipe->waiting);
    exchange->whole_awaited = false;
    if (pipe->failed)
        return TG_WHOLE_FAILED;
    if (waiting > limit || (declared && !pipe->replaced && length > limit))
        return TG_WHOLE_TOO_LARGE;
    if (pipe->ended)
        return TG_WHOLE_READY;
    if (limit >= pipe->room)
        pipe->room = limit + 1;
    exchange->whole_awaited = true;
    tg_exchange_wake(exchange); /* the giver may be paused */
    return TG_WHOLE_WAIT;
}

enum tg_whole tg_exchange_whole_request(struct tg_exchange *exchange, uint64_t limit)
{
    const struct tg_request_head *head = &exchange->request;
    enum tg_whole state =
        whole(exchange, &exchange->request_pipe, head->framing == TG_FRAMING_LENGTH, head->content_length, limit);
    if (state == TG_WHOLE_WAIT)
        tg_exchange_want_request_body(exchange);
    return state;
}

enum tg_whole tg_exchange_whole_response(struct tg_exchange *exchange, uint64_t limit)
{
    const struct tg_response_head *head = &exchange->response;
    if (exchange->from != TG_FROM_UPSTREAM)
        return tg_buffer_queue_length(&exchange->answer_body) > limit ? TG_WHOLE_TOO_LARGE : TG_WHOLE_READY;
    if (!response_can_have_body(exchange))
        return TG_WHOLE_READY;
    return whole(exchange, &exchange->response_pipe, head->framing == TG_FRAMING_LENGTH, head->content_length, limit);
}

struct tg_slice tg_exchange_whole_bytes(struct tg_exchange *exchange, bool response)
{
    struct tg_buffer_queue *queue = &exchange->request_pipe.waiting;
    if (response)
        queue = exchange->from == TG_FROM_UPSTREAM ? &exchange->response_pipe.waiting : &exchange->answer_body;
    uint64_t length = tg_buffer_queue_length(queue);
    if (length == 0 || (response && !response_can_have_body(exchange)))
        return TG_SLICE("");
    if (tg_buffer_queue_peek(queue).length < length && !tg_body_join_front(queue, length))
        return (struct tg_slice){ NULL, 0 };
    return tg_buffer_slice(tg_buffer_queue_peek(queue));
}

static bool replace(struct tg_body_pipe *pipe, struct tg_slice bytes)
{
    tg_buffer_queue_clear(&pipe->waiting);
    pipe->ended = pipe->replaced = true;
    pipe->failed = false;
    return tg_buffer_queue_append(&pipe->waiting, bytes);
}

/* What the client still sends is read and dropped, unless it asks first. */
bool tg_exchange_replace_request(struct tg_exchange *exchange, struct tg_slice bytes)
{
    struct tg_request_head *head = &exchange->request;
    if (!exchange->client_request_ended && !head->expect_continue)
        tg_exchange_want_request_body(exchange);
    exchange->has_request_trailers = false;
    head->framing = bytes.length || head->framing != TG_FRAMING_NONE ? TG_FRAMING_LENGTH : TG_FRAMING_NONE;
    head->content_length = bytes.length;
    return replace(&exchange->request_pipe, bytes);
}

static bool replace_upstreams(struct tg_exchange *exchange, struct tg_slice bytes)
{
    if (!exchange->upstream_ended) {
        if (exchange->grpc && !tg_grpc_call_response_ended(exchange))
            return false;
        tg_exchange_drop_upstream(exchange, TG_REASON_NONE);
    }
    return replace(&exchange->response_pipe, bytes);
}

bool tg_exchange_replace_response(struct tg_exchange *exchange, struct tg_slice bytes)
{
    struct tg_response_head *head = &exchange->response;
    head->framing = TG_FRAMING_LENGTH;
    head->content_length = bytes.length;
    head->has_content_length = true;
    if (exchange->from == TG_FROM_UPSTREAM)
        return replace_upstreams(exchange, bytes);
    tg_buffer_queue_clear(&exchange->answer_body);
    tg_exchange_drop_response_bodies(exchange); /* a function that would have made it */
    return tg_buffer_queue_append(&exchange->answer_body, bytes);
}

void tg_exchange_want_request_body(struct tg_exchange *exchange)
{
    struct tg_client_side *client = exchange->client_side;
    if (exchange->continue_said || exchange->client_request_ended || !client)
        return;
    exchange->continue_said = true;
    if (exchange->body_wanted && !exchange->request.expect_continue)
        return;
    exchange->body_wanted = true;
    client->ops->want_body(client, true);
}
