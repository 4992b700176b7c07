/* Answers: by a route itself, by the gateway for an error, and the moment at which a response head is committed. */
#include <stdio.h>

#include "proxy/error_page.h"
#include "proxy/exchange_steps.h"
#include "proxy/grpc_call.h"
#include "proxy/reason.h"

void tg_exchange_reset_response(struct tg_exchange *exchange, int status, enum tg_response_from from)
{
    if (exchange->response_bodies || exchange->producer)
        tg_exchange_drop_response_bodies(exchange);
    exchange->response_changed = exchange->answer_loaded = exchange->trailers_due = false;
    exchange->response = (struct tg_response_head){ .status = (uint16_t)status, .version = TG_HTTP_1_1 };
    tg_fields_init(&exchange->response.fields, &exchange->arena);
    exchange->from = from;
    exchange->pending_applied = false;
    exchange->has_response_trailers = false;
    tg_buffer_queue_clear(&exchange->answer_body);
    tg_buffer_queue_clear(&exchange->response_pipe.waiting);
    exchange->response_pipe.ended = exchange->response_pipe.failed = exchange->response_pipe.giver_paused = false;
    exchange->response_pipe.replaced = false;
    exchange->response_pipe.passed = 0;
}

static void fail(struct tg_exchange *exchange, struct tg_exchange_error error)
{
    exchange->error = error;
    if (exchange->head_sent) {
        if (!exchange->grpc || !tg_grpc_call_end(exchange, &error, TG_REASON_INVALID))
            tg_exchange_break_off(exchange, TG_REASON_INVALID);
        return;
    }
    tg_exchange_drop_upstream(exchange, TG_REASON_NONE);
    tg_exchange_cancel_bodies(exchange);
    tg_exchange_reset_response(exchange, error.status, TG_FROM_GATEWAY);
    exchange->state = TG_EXCHANGE_ERROR;
}

void tg_exchange_fail(struct tg_exchange *exchange, int status, const char *code, const char *detail)
{
    fail(exchange, (struct tg_exchange_error){ status, code, detail, TG_REASON_NONE });
}

void tg_exchange_fail_for(struct tg_exchange *exchange, enum tg_reason reason, const char *detail)
{
    fail(exchange, (struct tg_exchange_error){ tg_reason_status(reason), tg_reason_code(reason), detail, reason });
}

static bool answer_with_fields(struct tg_exchange *exchange, const struct tg_route *route)
{
    for (size_t i = 0; i < route->respond_field_count; i++) {
        const struct tg_static_field *field = &route->respond_fields[i];
        if (!tg_fields_append(&exchange->response.fields, tg_field_name_of(field->name), field->name, field->value))
            return false;
    }
    return tg_buffer_queue_append(&exchange->answer_body, route->respond_body);
}

static struct tg_slice with_query(struct tg_exchange *exchange, struct tg_slice location)
{
    const struct tg_target *target = &exchange->request.target;
    if (!target->has_query || memchr(location.at, '?', location.length))
        return location;
    size_t length = location.length + 1 + target->query.length;
    char *text = tg_arena_alloc(&exchange->arena, length);
    if (!text)
        return (struct tg_slice){ NULL, 0 };
    memcpy(text, location.at, location.length);
    text[location.length] = '?';
    if (target->query.length)
        memcpy(text + location.length + 1, target->query.at, target->query.length);
    return tg_slice_of(text, length);
}

/* A template that begins with a parameter can't leave the site: its value has no way to start with "//" [P13]. */
static bool answer_with_redirect(struct tg_exchange *exchange, const struct tg_route *route)
{
    struct tg_slice location;
    if (!tg_route_expand(route->redirect_to, &exchange->parameters, &exchange->arena, &location))
        return false;
    while (location.length > 1 && location.at[0] == '/' && location.at[1] == '/')
        location = tg_slice_from(location, 1);
    location = with_query(exchange, location);
    const char *problem;
    return location.at && tg_fields_set(&exchange->response.fields, TG_SLICE("location"), location, &problem);
}

/* The same request under https; empty when out of memory. */
static struct tg_slice https_location(struct tg_exchange *exchange, uint16_t port)
{
    const struct tg_target *target = &exchange->request.target;
    struct tg_slice host = exchange->request.authority.host, path = target->raw_path;
    char number[8];
    if (path.length == 0 || path.at[0] != '/')
        path = TG_SLICE("/");
    struct tg_slice query = target->has_query ? target->query : TG_SLICE("");
    int digits = port == 443 ? 0 : snprintf(number, sizeof number, ":%u", (unsigned)port);
    size_t room = sizeof "https://" + host.length + sizeof number + path.length + 1 + query.length;
    char *text = tg_arena_alloc(&exchange->arena, room);
    if (!text)
        return (struct tg_slice){ NULL, 0 };
    int length = snprintf(text, room, "https://%.*s%.*s%.*s%s%.*s", (int)host.length, host.at, digits, number,
                          (int)path.length, path.at, target->has_query ? "?" : "", (int)query.length, query.at);
    return tg_slice_of(text, (size_t)length);
}

void tg_exchange_redirect_to_https(struct tg_exchange *exchange, uint16_t port)
{
    exchange->phases_failed = (1u << TG_PHASES) - 1;
    if (exchange->request.authority.host.length == 0) {
        tg_exchange_fail(exchange, 400, "bad_request", "no host to send the client to");
        return;
    }
    struct tg_slice location = https_location(exchange, port);
    tg_exchange_reset_response(exchange, 308, TG_FROM_GATEWAY);
    if (location.at && tg_fields_append(&exchange->response.fields, TG_FIELD_LOCATION, TG_SLICE("location"), location))
        exchange->state = TG_EXCHANGE_RESPONSE;
    else
        tg_exchange_fail(exchange, 503, "overload", "out of memory for a redirect");
}

bool tg_exchange_answer_by_route(struct tg_exchange *exchange)
{
    const struct tg_route *route = exchange->route;
    int status = route->respond_status ? route->respond_status : route->redirect_status;
    if (!status || (exchange->group && exchange->group != route->group))
        return false;
    tg_exchange_reset_response(exchange, status, TG_FROM_GATEWAY);
    bool made = route->respond_status ? answer_with_fields(exchange, route) : answer_with_redirect(exchange, route);
    if (made)
        exchange->state = TG_EXCHANGE_RESPONSE;
    else
        tg_exchange_fail(exchange, 500, "overload", "the route's own answer could not be made");
    return true;
}

bool tg_exchange_make_error_page(struct tg_exchange *exchange)
{
    if (exchange->grpc)
        return tg_grpc_call_make_answer(exchange);
    tg_exchange_reset_response(exchange, exchange->error.status, TG_FROM_GATEWAY);
    return tg_error_page_make(exchange);
}

/* An answer of our own is whole already, unless a function makes it: its body goes into the pipe, its length into the
 * head. */
bool tg_exchange_load_answer(struct tg_exchange *exchange)
{
    struct tg_response_head *head = &exchange->response;
    if (exchange->answer_loaded)
        return true;
    exchange->answer_loaded = true;
    if (exchange->producer) {
        head->framing = TG_FRAMING_CHUNKED;
        return true;
    }
    head->content_length = tg_buffer_queue_length(&exchange->answer_body);
    bool trailers_only = exchange->grpc && head->content_length == 0 && tg_grpc_has_status(&head->fields);
    head->has_content_length = head->status != 204 && head->status != 304 && !trailers_only;
    head->framing = trailers_only ? TG_FRAMING_NONE : TG_FRAMING_LENGTH;
    tg_buffer_queue_clear(&exchange->response_pipe.waiting);
    exchange->response_pipe.failed = false;
    exchange->response_pipe.ended = true;
    return tg_buffer_queue_move(&exchange->response_pipe.waiting, &exchange->answer_body);
}

static void count_response(struct tg_exchange *exchange)
{
    unsigned class = exchange->response.status / 100u;
    if (class >= 1 && class <= 5)
        tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_RESPONSES_1XX + class - 1, 1);
}

static void begin_tunnel(struct tg_exchange *exchange)
{
    exchange->state = TG_EXCHANGE_TUNNEL;
    /* What was the end of a request without a body is now the beginning of a stream. Upstream's direction had no end
     * yet, unless upstream has ended it right behind the 101 [U03]. */
    exchange->request_pipe.ended = exchange->request_taken = false;
    tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_TUNNELS_OPEN, 1);
    exchange->body_wanted = true;
    exchange->client_side->ops->become_tunnel(exchange->client_side);
    exchange->upstream_side->ops->become_tunnel(exchange->upstream_side);
    tg_exchange_wait_for_upstream(exchange, exchange->route->timeouts.tunnel_idle);
}

/* An HTTP/1 client that asks for trailers can only get them behind a chunked body. */
static void make_way_for_trailers(struct tg_exchange *exchange)
{
    struct tg_response_head *head = &exchange->response;
    if (head->framing != TG_FRAMING_LENGTH || exchange->request.version != TG_HTTP_1_1 ||
        !exchange->request.te_trailers)
        return;
    exchange->response_had_length = true;
    head->framing = TG_FRAMING_CHUNKED;
    head->has_content_length = false;
}

static bool is_trailers_only(const struct tg_exchange *exchange, bool whole)
{
    return exchange->grpc && whole && tg_grpc_has_status(&exchange->response.fields);
}

static void commit(struct tg_exchange *exchange)
{
    exchange->head_sent = true;
    exchange->logged_status = exchange->response.status;
    exchange->times.head_sent = tg_loop_now(exchange->worker->loop);
    tg_exchange_forget_replay(exchange);
    count_response(exchange);
}

/* To an extended CONNECT 2xx says that the tunnel stands (RFC 8441 5), which only a 101 of upstream's can mean [U04].
 * true: there is another answer now. */
static bool upgrade_was_passed_over(struct tg_exchange *exchange)
{
    if (exchange->response.status / 100 != 2)
        return false;
    if (exchange->from == TG_FROM_UPSTREAM) {
        tg_exchange_fail(exchange, 502, "upstream_failed", "the upgrade to websocket was answered as another request");
        return true;
    }
    exchange->response.status = 501;
    return false;
}

void tg_exchange_send_response_head(struct tg_exchange *exchange)
{
    if (exchange->request.extended_connect && upgrade_was_passed_over(exchange))
        return;
    struct tg_response_head *head = &exchange->response;
    struct tg_body_pipe *pipe = &exchange->response_pipe;
    if (exchange->from != TG_FROM_UPSTREAM && !tg_exchange_load_answer(exchange)) {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
        return;
    }
    bool tunnel = head->status == 101;
    bool bodyless = tg_response_bodyless(head->status, exchange->request.method);
    if (bodyless && !tunnel)
        tg_buffer_queue_clear(&pipe->waiting);
    bool whole =
        pipe->ended && tg_buffer_queue_length(&pipe->waiting) == 0 && !tg_exchange_has_response_trailers(exchange);
    exchange->trailers_due = tg_exchange_route_has(exchange, TG_PHASE_TRAILERS) &&
                             tg_exchange_wants_trailers(exchange) && !is_trailers_only(exchange, whole);
    if (exchange->trailers_due)
        make_way_for_trailers(exchange);
    bool end = !tunnel && (bodyless || (whole && !exchange->trailers_due));
    if (exchange->grpc && !tg_grpc_call_complete_head(exchange, end)) {
        tg_exchange_break_off(exchange, TG_REASON_OVERLOAD);
        return;
    }
    commit(exchange);
    exchange->state = TG_EXCHANGE_STREAMING;
    exchange->response_taken = end;
    exchange->client_side->ops->send_head(exchange->client_side, head, end);
    if (tunnel)
        begin_tunnel(exchange);
}
