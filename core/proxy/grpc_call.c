#include "proxy/grpc_call.h"

#include <math.h>

#include "proxy/exchange_steps.h"

static void count_piece(struct tg_body_stage *stage, struct tg_body_pipe *pipe, struct tg_buffer piece)
{
    struct tg_grpc_call *call = TG_CONTAINER_OF(stage, struct tg_grpc_call, counting);
    tg_grpc_messages_count(&call->messages, tg_buffer_slice(piece));
    tg_body_pipe_emit(pipe, stage, piece);
}

static void pass_end(struct tg_body_stage *stage, struct tg_body_pipe *pipe)
{
    tg_body_pipe_emit_end(pipe, stage);
}

static struct tg_slice without_parameters(struct tg_slice content_type)
{
    const char *end = memchr(content_type.at, ';', content_type.length);
    return end ? tg_slice_trim(tg_slice_of(content_type.at, (size_t)(end - content_type.at))) : content_type;
}

static const struct tg_field *timeout_line(const struct tg_fields *fields)
{
    return tg_fields_find(fields, TG_FIELD_OTHER, TG_SLICE("grpc-timeout"));
}

static bool read_timeout(struct tg_grpc_call *call, const struct tg_fields *fields)
{
    const struct tg_field *line = timeout_line(fields);
    call->timeout = INFINITY;
    if (!line)
        return true;
    return !tg_fields_find_next(fields, line) && tg_grpc_timeout_parse(line->value, &call->timeout);
}

void tg_grpc_call_begin(struct tg_exchange *exchange)
{
    const struct tg_fields *fields = &exchange->request.fields;
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_CONTENT_TYPE, (struct tg_slice){ 0 });
    if (exchange->request.method != TG_METHOD_POST || !line || !tg_grpc_content_type(line->value))
        return;
    struct tg_grpc_call *call = tg_arena_alloc_zeroed(&exchange->arena, sizeof *call);
    exchange->grpc = call;
    if (!call) {
        exchange->client_problem = (struct tg_problem){ 503, "out of memory for a gRPC request" };
        return;
    }
    call->counting.put = count_piece;
    call->counting.end = pass_end;
    call->content_type = without_parameters(line->value);
    tg_body_pipe_add_stage(&exchange->response_pipe, &call->counting);
    if (!read_timeout(call, fields))
        exchange->client_problem = (struct tg_problem){ 400, "a malformed grpc-timeout" };
}

/* --- The request --- */

static void drop_reserved(struct tg_fields *fields)
{
    static const char *const names[] = { "grpc-status", "grpc-message", "grpc-status-details-bin" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tg_fields_remove(fields, TG_FIELD_OTHER, tg_slice_from_string(names[i]));
}

static bool set_timeout(struct tg_exchange *exchange)
{
    char text[TG_GRPC_TIMEOUT_MAX];
    const char *problem;
    if (exchange->total_at == INFINITY)
        return true;
    double left = exchange->total_at - tg_loop_now(exchange->worker->loop);
    return tg_fields_set(&exchange->outgoing.fields, TG_SLICE("grpc-timeout"), tg_grpc_timeout_format(left, text),
                         &problem);
}

bool tg_grpc_call_prepare(struct tg_exchange *exchange)
{
    exchange->outgoing.te_trailers = true;
    drop_reserved(&exchange->outgoing.fields);
    return set_timeout(exchange);
}

bool tg_grpc_call_refresh_timeout(struct tg_exchange *exchange)
{
    return !timeout_line(&exchange->outgoing.fields) || set_timeout(exchange);
}

void tg_grpc_call_take_trailers(struct tg_exchange *exchange)
{
    drop_reserved(&exchange->request_trailers);
}

/* --- What a failure means --- */

/* How a stream ended that upstream had begun to work on ("RST_STREAM error codes" of the specification). */
static enum tg_grpc_status status_of_reason(enum tg_reason reason)
{
    switch (reason) {
    case TG_REASON_CLIENT_LEFT:
    case TG_REASON_CANCELLED: return TG_GRPC_CANCELLED;
    case TG_REASON_TIMEOUT: return TG_GRPC_DEADLINE_EXCEEDED;
    case TG_REASON_STREAM_RESET:
    case TG_REASON_H1_REQUIRED:
    case TG_REASON_INVALID: return TG_GRPC_INTERNAL;
    case TG_REASON_CALM: return TG_GRPC_RESOURCE_EXHAUSTED;
    case TG_REASON_UNTRUSTED: return TG_GRPC_PERMISSION_DENIED;
    default: return TG_GRPC_UNAVAILABLE;
    }
}

/* Our own statuses say more than the same ones would from upstream. */
static enum tg_grpc_status status_of_error(const struct tg_exchange_error *error)
{
    if (error->reason)
        return status_of_reason(error->reason);
    if (strcmp(error->code, "no_upstream") == 0)
        return TG_GRPC_UNAVAILABLE;
    switch (error->status) {
    case 413: return TG_GRPC_RESOURCE_EXHAUSTED;
    case 500: return TG_GRPC_INTERNAL;
    default: return tg_grpc_status_of_http(error->status);
    }
}

/* What a user can report; like the error page it tells nothing about what is behind the gateway. */
static struct tg_slice message_of_error(struct tg_exchange *exchange, int status)
{
    static const struct tg_slice middle = TG_SLICE("; request ");
    struct tg_slice phrase = tg_status_reason(status);
    size_t length = phrase.length + middle.length + sizeof exchange->id;
    char *text = tg_arena_alloc(&exchange->arena, length);
    if (!text)
        return phrase;
    memcpy(text, phrase.at, phrase.length);
    memcpy(text + phrase.length, middle.at, middle.length);
    memcpy(text + phrase.length + middle.length, exchange->id, sizeof exchange->id);
    return tg_slice_of(text, length);
}

static bool add_error(struct tg_exchange *exchange, struct tg_fields *fields, const struct tg_exchange_error *error)
{
    return tg_grpc_add_status(fields, status_of_error(error), message_of_error(exchange, error->status));
}

bool tg_grpc_call_make_answer(struct tg_exchange *exchange)
{
    tg_exchange_reset_response(exchange, 200, TG_FROM_GATEWAY);
    struct tg_fields *fields = &exchange->response.fields;
    return tg_fields_append(fields, TG_FIELD_CONTENT_TYPE, TG_SLICE("content-type"), exchange->grpc->content_type) &&
           add_error(exchange, fields, &exchange->error);
}

/* --- The upstream's response --- */

static bool add_missing(struct tg_exchange *exchange, struct tg_fields *fields)
{
    return tg_grpc_add_status(fields, tg_grpc_status_of_http(exchange->response.status),
                              TG_SLICE("the response came without grpc-status"));
}

static void begin_trailers(struct tg_exchange *exchange)
{
    if (!exchange->has_response_trailers)
        tg_fields_init(&exchange->response_trailers, &exchange->arena);
    exchange->response_trailers.arena = &exchange->arena;
    exchange->has_response_trailers = true;
}

bool tg_grpc_call_complete_head(struct tg_exchange *exchange, bool end)
{
    struct tg_response_head *head = &exchange->response;
    if (exchange->from != TG_FROM_UPSTREAM || tg_grpc_has_status(&head->fields))
        return true;
    if (end)
        return add_missing(exchange, &head->fields);
    if (head->framing == TG_FRAMING_LENGTH && exchange->request.version != TG_HTTP_1_0) {
        head->framing = TG_FRAMING_CHUNKED;
        head->has_content_length = false;
    }
    return true;
}

bool tg_grpc_call_response_ended(struct tg_exchange *exchange)
{
    bool head_is_the_end =
        !exchange->head_sent && !exchange->has_response_trailers && exchange->response_pipe.passed == 0;
    if (exchange->from != TG_FROM_UPSTREAM || head_is_the_end || tg_grpc_has_status(&exchange->response.fields) ||
        (exchange->has_response_trailers && tg_grpc_has_status(&exchange->response_trailers)))
        return true;
    begin_trailers(exchange);
    return add_missing(exchange, &exchange->response_trailers);
}

/* A client of HTTP/1 that doesn't look at trailers would take the end for a good one. */
static bool client_sees_trailers(const struct tg_exchange *exchange)
{
    const struct tg_request_head *request = &exchange->request;
    return request->version == TG_HTTP_2 || (request->version == TG_HTTP_1_1 && request->te_trailers);
}

bool tg_grpc_call_end(struct tg_exchange *exchange, const struct tg_exchange_error *error, enum tg_reason reason)
{
    struct tg_body_pipe *pipe = &exchange->response_pipe;
    if (exchange->state != TG_EXCHANGE_STREAMING || exchange->from != TG_FROM_UPSTREAM || !exchange->client_side ||
        !client_sees_trailers(exchange) || !tg_grpc_fields(&exchange->response.fields) ||
        exchange->response.framing == TG_FRAMING_LENGTH || tg_buffer_queue_length(&pipe->waiting) > 0 || pipe->ended ||
        exchange->response_changed || !tg_grpc_messages_complete(&exchange->grpc->messages))
        return false;
    exchange->has_response_trailers = false; /* of a message that isn't whole */
    begin_trailers(exchange);
    if (!add_error(exchange, &exchange->response_trailers, error))
        return false;
    tg_exchange_drop_upstream(exchange, reason);
    exchange->error = *error;
    exchange->end_reason = reason;
    pipe->failed = false;
    pipe->ended = true;
    return true;
}

int tg_grpc_call_status(const struct tg_exchange *exchange)
{
    int status = tg_grpc_status_in(&exchange->response.fields);
    return status < 0 && exchange->has_response_trailers ? tg_grpc_status_in(&exchange->response_trailers) : status;
}
