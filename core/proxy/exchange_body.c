/* The two bodies of an exchange on their way: into the pipe, through its stages, out to the side that takes;
 * back-pressure; what is kept for a replay. */
#include <math.h>

#include "proxy/body_call.h"
#include "proxy/exchange_steps.h"
#include "proxy/grpc_call.h"

/* What the giver has given and nobody has taken; `calls` may be NULL. */
static uint64_t given(const struct tg_body_pipe *pipe, const struct tg_body_call *calls)
{
    return tg_buffer_queue_length(calls ? tg_body_calls_inlet(calls, pipe) : &pipe->waiting);
}

static bool above_high_mark(const struct tg_body_pipe *pipe, const struct tg_body_call *calls)
{
    return given(pipe, calls) >= (pipe->room > TG_PIPE_HIGH ? pipe->room : TG_PIPE_HIGH);
}

static bool below_low_mark(const struct tg_body_pipe *pipe, const struct tg_body_call *calls)
{
    return given(pipe, calls) < (pipe->room > TG_PIPE_HIGH ? pipe->room : TG_PIPE_LOW);
}

/* More has come of a body that a handler wants whole, or its end. */
static void tell_of_whole(struct tg_exchange *exchange)
{
    if (!exchange->whole_awaited)
        return;
    exchange->whole_awaited = false;
    exchange->worker->hooks->whole_ready(exchange);
}

void tg_exchange_from_client_body(struct tg_exchange *exchange, struct tg_buffer piece)
{
    exchange->bytes_in += piece.length;
    if (exchange->request_pipe.failed) { /* answered already */
        tg_buffer_unref(piece);
        return;
    }
    if (exchange->state != TG_EXCHANGE_TUNNEL && exchange->bytes_in > exchange->route->body_limit) {
        exchange->client_problem = (struct tg_problem){ 413, "the body is larger than the limit" };
        exchange->request_pipe.failed = true;
        tg_buffer_unref(piece);
    } else {
        tg_body_pipe_emit(&exchange->request_pipe, NULL, piece);
        if (exchange->request_pipe.failed)
            exchange->client_problem = (struct tg_problem){ 503, "out of memory for the request body" };
        tell_of_whole(exchange);
    }
    tg_exchange_wake(exchange);
}

void tg_exchange_from_client_trailers(struct tg_exchange *exchange, const struct tg_fields *trailers)
{
    if (exchange->request_pipe.replaced)
        return;
    exchange->request_trailers = *trailers;
    exchange->request_trailers.arena = &exchange->arena;
    exchange->has_request_trailers = true;
    if (exchange->grpc)
        tg_grpc_call_take_trailers(exchange);
}

void tg_exchange_from_client_end(struct tg_exchange *exchange)
{
    exchange->client_request_ended = true;
    tg_body_pipe_emit_end(&exchange->request_pipe, NULL);
    tell_of_whole(exchange);
    tg_exchange_wake(exchange);
}

void tg_exchange_from_client_problem(struct tg_exchange *exchange, const struct tg_problem *problem)
{
    exchange->client_problem = *problem;
    exchange->request_pipe.failed = true;
    tg_exchange_wake(exchange);
}

void tg_exchange_from_client_left(struct tg_exchange *exchange, enum tg_reason reason)
{
    exchange->client_side = NULL;
    exchange->client_left = true;
    exchange->end_reason = reason;
    tg_exchange_wake(exchange);
}

void tg_exchange_from_client_half_close(struct tg_exchange *exchange)
{
    if (exchange->half_close == TG_HALF_CLOSE_ABORT)
        exchange->client_left = true;
    tg_exchange_wake(exchange);
}

void tg_exchange_from_client_drained(struct tg_exchange *exchange)
{
    tg_exchange_wake(exchange);
}

void tg_exchange_from_upstream_drained(struct tg_exchange *exchange)
{
    tg_exchange_wake(exchange);
}

void tg_exchange_wait_for_upstream(struct tg_exchange *exchange, double seconds)
{
    exchange->wait_until = tg_loop_now(exchange->worker->loop) + seconds;
    struct tg_client_side *client = exchange->client_side;
    if (client && exchange->wait_until < client->deadline->at)
        tg_deadline_set(client->deadline, exchange->wait_until);
}

double tg_exchange_timeout(double route, double group)
{
    return route < INFINITY ? route : group;
}

/* With a deadline of the client's, that is the limit, unless the route has a word of its own. */
double tg_exchange_first_byte_limit(const struct tg_exchange *exchange)
{
    double own = exchange->route->timeouts.first_byte;
    if (exchange->grpc && exchange->grpc->timeout < INFINITY)
        return own;
    return tg_exchange_timeout(own, exchange->group->timeouts.first_byte);
}

/* A gRPC stream may have nothing to say for minutes, as a tunnel may; that the peers live is for pings to tell. */
double tg_exchange_between_bytes_limit(const struct tg_exchange *exchange)
{
    const struct tg_timeouts *route = &exchange->route->timeouts;
    double group = exchange->group->timeouts.between_bytes;
    return tg_exchange_timeout(route->between_bytes, exchange->grpc ? fmax(group, route->tunnel_idle) : group);
}

/* Silence is counted from the last byte. Setting a later time costs nothing: the timer looks when it fires. */
static void upstream_spoke(struct tg_exchange *exchange)
{
    bool tunnel = exchange->state == TG_EXCHANGE_TUNNEL;
    tg_exchange_wait_for_upstream(exchange, tunnel ? exchange->route->timeouts.tunnel_idle
                                                   : tg_exchange_between_bytes_limit(exchange));
}

/* Nothing of the body has come, since the client waits for upstream's word. */
static bool continue_is_awaited(const struct tg_exchange *exchange)
{
    return exchange->request.expect_continue && !exchange->continue_said && exchange->request_pipe.passed == 0;
}

/* How slowly a body may come is for the client's side to see to; but not with gRPC, whose streams may be silent. */
static void wait_for_client(struct tg_exchange *exchange, bool taken)
{
    if (!exchange->grpc)
        exchange->wait_until = INFINITY;
    else if (taken || exchange->wait_until == INFINITY)
        tg_exchange_wait_for_upstream(exchange, exchange->route->timeouts.tunnel_idle);
}

/* Upstream owes nothing while it takes the body as fast as it comes; it owes progress while bytes wait for it, and an
 * answer once it has everything, or while the client waits to be told to go on. */
static void watch_request_progress(struct tg_exchange *exchange, bool taken)
{
    if (exchange->state != TG_EXCHANGE_AWAITING_HEAD)
        return;
    const struct tg_timeouts *route = &exchange->route->timeouts, *group = &exchange->group->timeouts;
    if (exchange->request_taken)
        tg_exchange_wait_for_upstream(exchange, tg_exchange_first_byte_limit(exchange));
    else if (continue_is_awaited(exchange))
        return;
    else if (tg_buffer_queue_length(&exchange->request_pipe.waiting) == 0)
        wait_for_client(exchange, taken);
    else if (taken || exchange->wait_until == INFINITY)
        tg_exchange_wait_for_upstream(exchange, tg_exchange_timeout(route->send, group->send));
}

/* What a client's connection lets wait for one of its streams, where it has many; INFINITY: it has no word in it, nor
 * where somebody wants the body whole. */
static double room_of_client(const struct tg_exchange *exchange)
{
    const struct tg_client_side *client = exchange->client_side;
    bool bounded = client && client->room && exchange->response_pipe.room == 0;
    return bounded ? (double)*client->room : (double)INFINITY;
}

static bool client_is_full(const struct tg_exchange *exchange)
{
    return (double)tg_buffer_queue_length(&exchange->response_pipe.waiting) >= room_of_client(exchange);
}

static bool client_has_room(const struct tg_exchange *exchange)
{
    return (double)tg_buffer_queue_length(&exchange->response_pipe.waiting) <= room_of_client(exchange) / 2;
}

bool tg_exchange_from_upstream_body(struct tg_exchange *exchange, struct tg_buffer piece)
{
    upstream_spoke(exchange);
    tg_body_pipe_emit(&exchange->response_pipe, NULL, piece);
    if (exchange->response_pipe.failed && !exchange->upstream_failed)
        exchange->upstream_failed = TG_REASON_OVERLOAD;
    tell_of_whole(exchange);
    tg_exchange_wake(exchange);
    if (exchange->response_pipe.giver_paused || !client_is_full(exchange))
        return true;
    exchange->response_pipe.giver_paused = true;
    exchange->wait_until = INFINITY;
    return false;
}

void tg_exchange_from_upstream_trailers(struct tg_exchange *exchange, const struct tg_fields *trailers)
{
    exchange->response_trailers = *trailers;
    exchange->response_trailers.arena = &exchange->arena;
    exchange->has_response_trailers = true;
}

void tg_exchange_from_upstream_end(struct tg_exchange *exchange)
{
    if (exchange->grpc && !tg_grpc_call_response_ended(exchange)) {
        tg_exchange_from_upstream_failed(exchange, TG_REASON_OVERLOAD, "out of memory for grpc-status");
        return;
    }
    exchange->upstream_ended = true;
    if (exchange->state != TG_EXCHANGE_TUNNEL)
        exchange->wait_until = INFINITY;
    tg_body_pipe_emit_end(&exchange->response_pipe, NULL);
    tell_of_whole(exchange);
    tg_exchange_wake(exchange);
}

void tg_exchange_pump_request(struct tg_exchange *exchange)
{
    struct tg_body_pipe *pipe = &exchange->request_pipe;
    struct tg_upstream_side *side = exchange->upstream_side;
    if (side && !exchange->request_taken && (tg_buffer_queue_length(&pipe->waiting) > 0 || pipe->ended))
        side->ops->body_ready(side);
    if (!exchange->request_taken)
        watch_request_progress(exchange, false);
}

static void hold_client_back(struct tg_exchange *exchange)
{
    struct tg_body_pipe *pipe = &exchange->request_pipe;
    struct tg_client_side *client = exchange->client_side;
    if (!client || !exchange->body_wanted)
        return;
    if (!pipe->giver_paused && (pipe->failed || above_high_mark(pipe, exchange->request_bodies))) {
        pipe->giver_paused = true;
        client->ops->pause_body(client);
    } else if (pipe->giver_paused && !pipe->failed && below_low_mark(pipe, exchange->request_bodies)) {
        pipe->giver_paused = false;
        client->ops->resume_body(client);
    }
}

static void hold_upstream_back(struct tg_exchange *exchange)
{
    struct tg_body_pipe *pipe = &exchange->response_pipe;
    struct tg_upstream_side *side = exchange->upstream_side;
    if (!side || exchange->upstream_ended)
        return;
    if (!pipe->giver_paused && (above_high_mark(pipe, exchange->response_bodies) || client_is_full(exchange))) {
        pipe->giver_paused = true;
        exchange->wait_until = INFINITY;
        side->ops->pause_body(side);
    } else if (pipe->giver_paused && below_low_mark(pipe, exchange->response_bodies) && client_has_room(exchange)) {
        pipe->giver_paused = false;
        upstream_spoke(exchange);
        side->ops->resume_body(side);
    }
}

void tg_exchange_pump_response(struct tg_exchange *exchange)
{
    struct tg_body_pipe *pipe = &exchange->response_pipe;
    struct tg_client_side *client = exchange->client_side;
    bool ended = pipe->ended && !exchange->trailers_due;
    if (client && !exchange->response_taken && (tg_buffer_queue_length(&pipe->waiting) > 0 || ended))
        client->ops->body_ready(client);
}

void tg_exchange_hold_givers_back(struct tg_exchange *exchange)
{
    hold_client_back(exchange);
    hold_upstream_back(exchange);
    if (!tg_exchange_has_bodies(exchange))
        return;
    tg_body_calls_let_go_on(exchange->request_bodies);
    tg_body_calls_let_go_on(exchange->response_bodies);
    tg_body_calls_let_go_on(exchange->producer);
}

/* A copy of the references of what goes up, as long as it is little enough. */
static bool remember(struct tg_exchange *exchange, struct tg_buffer piece)
{
    if (!exchange->replayable || exchange->head_sent)
        return true;
    size_t limit = exchange->lease ? exchange->lease->snapshot->settings.replay_limit : 0;
    if (tg_buffer_queue_length(&exchange->replay) + piece.length > limit) {
        tg_exchange_forget_replay(exchange);
        return true;
    }
    return tg_buffer_queue_push(&exchange->replay, tg_buffer_ref(piece));
}

static bool take(struct tg_body_pipe *pipe, struct tg_buffer_queue *to, size_t limit, struct tg_exchange *replay_for)
{
    uint64_t before = tg_buffer_queue_length(to);
    while (tg_buffer_queue_length(&pipe->waiting) > 0) {
        uint64_t taken = tg_buffer_queue_length(to) - before;
        if (taken >= limit)
            break;
        struct tg_buffer piece = tg_buffer_queue_pop(&pipe->waiting, limit - (size_t)taken);
        bool kept = !replay_for || remember(replay_for, piece);
        if (!tg_buffer_queue_push(to, piece) || !kept)
            return false;
    }
    return true;
}

static bool at_end(const struct tg_body_pipe *pipe)
{
    return pipe->ended && !pipe->failed && tg_buffer_queue_length(&pipe->waiting) == 0;
}

bool tg_exchange_take_request(struct tg_exchange *exchange, struct tg_buffer_queue *to, size_t limit, bool *ended,
                              const struct tg_fields **trailers)
{
    bool tunnel = exchange->state == TG_EXCHANGE_TUNNEL;
    uint64_t before = tg_buffer_queue_length(to);
    if (!take(&exchange->request_pipe, to, limit, tunnel ? NULL : exchange))
        return false;
    *ended = at_end(&exchange->request_pipe);
    *trailers = *ended && tg_exchange_has_request_trailers(exchange) ? &exchange->request_trailers : NULL;
    if (*ended && !exchange->request_taken) {
        exchange->request_taken = true;
        tg_exchange_wake(exchange);
    }
    if (tunnel)
        upstream_spoke(exchange);
    else if (*ended || tg_buffer_queue_length(to) > before)
        watch_request_progress(exchange, true);
    return true;
}

bool tg_exchange_take_response(struct tg_exchange *exchange, struct tg_buffer_queue *to, size_t limit, bool *ended,
                               const struct tg_fields **trailers)
{
    uint64_t before = tg_buffer_queue_length(to);
    if (!take(&exchange->response_pipe, to, limit, NULL))
        return false;
    exchange->bytes_out += tg_buffer_queue_length(to) - before;
    *ended = at_end(&exchange->response_pipe) && !exchange->trailers_due;
    *trailers = *ended && tg_exchange_has_response_trailers(exchange) ? &exchange->response_trailers : NULL;
    if (*ended && !exchange->response_taken) {
        exchange->response_taken = true;
        tg_exchange_wake(exchange);
    }
    return true;
}

bool tg_exchange_rewind_request(struct tg_exchange *exchange)
{
    struct tg_buffer_queue *waiting = &exchange->request_pipe.waiting;
    exchange->request_taken = false;
    return tg_buffer_queue_move(&exchange->replay, waiting) && tg_buffer_queue_move(waiting, &exchange->replay);
}

void tg_exchange_forget_replay(struct tg_exchange *exchange)
{
    exchange->replayable = false;
    tg_buffer_queue_clear(&exchange->replay);
}
