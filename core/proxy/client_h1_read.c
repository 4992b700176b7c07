/* Reading: heads, bodies, and what comes too early. Writing is in client_h1_answer.c, birth, time and end in
 * client_h1_life.c. */
#include <math.h>

#include "proxy/client_h1_state.h"

enum { DISCARD_TIME = 5 }; /* seconds */

void tg_client_h1_pause(struct tg_client_h1 *client)
{
    client->paused = true;
    tg_stream_pause(client->base.stream);
}

static void resume(struct tg_client_h1 *client)
{
    if (!client->paused)
        return;
    client->paused = false;
    tg_stream_resume(client->base.stream);
}

/* --- Heads --- */

static void reject(struct tg_client_h1 *client, struct tg_arena *arena, const struct tg_request_head *head,
                   const struct tg_problem *problem)
{
    client->reading = TG_CLIENT_WAITS;
    client->close = true;
    client->head_sent = false;
    client->version = head->version;
    client->own_at = INFINITY;
    client->exchange =
        tg_exchange_start_rejected(client->base.worker, arena, head, &client->side, &client->base.info, problem);
    if (!client->exchange)
        tg_client_h1_close(client);
}

void tg_client_h1_reject(struct tg_client_h1 *client, const struct tg_problem *problem)
{
    struct tg_arena arena;
    struct tg_request_head head = { .version = TG_HTTP_1_1 };
    tg_arena_init(&arena);
    tg_fields_init(&head.fields, &arena);
    tg_h1_head_reset(&client->head);
    reject(client, &arena, &head, problem);
}

static void begin_answering(struct tg_client_h1 *client, const struct tg_request_head *head)
{
    client->head_sent = false;
    client->version = head->version;
    client->close = !head->keep_alive || client->base.worker->draining;
    client->continued = !head->expect_continue;
    client->discarded = 0;
    client->reading = tg_request_has_body(head) ? TG_CLIENT_READS_BODY : TG_CLIENT_WAITS;
    client->body_open = false;
}

static void start_exchange(struct tg_client_h1 *client, struct tg_arena *arena, struct tg_request_head *head)
{
    begin_answering(client, head);
    enum tg_framing framing = head->framing;
    uint64_t length = head->content_length;
    client->own_at = INFINITY;
    client->exchange = tg_exchange_start(client->base.worker, arena, head, &client->side, &client->base.info);
    if (!client->exchange) {
        tg_client_h1_close(client);
        return;
    }
    client->limits = client->exchange->lease->snapshot->settings.limits;
    tg_h1_body_reader_init(&client->body, framing, length, &client->exchange->arena, &client->limits);
}

/* A whole head: copied into the arena of the exchange to be, so that its slices are stable. */
static void take_head(struct tg_client_h1 *client, struct tg_slice bytes)
{
    struct tg_arena arena;
    struct tg_request_head head = { 0 };
    struct tg_problem problem = { 0 };
    tg_arena_init(&arena);
    struct tg_slice copy = tg_arena_copy(&arena, bytes);
    tg_h1_head_reset(&client->head);
    client->requests++;
    if (!copy.at) {
        tg_arena_deinit(&arena);
        tg_client_h1_close(client);
        return;
    }
    if (tg_h1_parse_request(copy, &tg_client_h1_settings(client)->limits, &arena, &head, &problem))
        start_exchange(client, &arena, &head);
    else
        reject(client, &arena, &head, &problem);
}

/* The head hasn't come whole: it has a time limit of its own, counted from its first byte, or from the accept. */
static void begin_head(struct tg_client_h1 *client)
{
    if (client->head_until == INFINITY) {
        client->head_until = tg_loop_now(client->base.worker->loop) + tg_client_h1_settings(client)->timeouts.header;
        tg_client_h1_set_own_time(client, client->head_until);
    }
}

/* How much of the input was used. */
static size_t read_head(struct tg_client_h1 *client, struct tg_slice input)
{
    struct tg_slice head;
    struct tg_problem problem = { 0 };
    size_t used = input.length;
    switch (tg_h1_head_read(&client->head, input, &tg_client_h1_settings(client)->limits, &head, &used, &problem)) {
    case TG_H1_ERROR: tg_client_h1_reject(client, &problem); return input.length;
    case TG_H1_MORE: begin_head(client); break;
    case TG_H1_DONE:
        client->head_until = INFINITY;
        take_head(client, head);
        break;
    }
    return used;
}

/* --- Bodies --- */

static void body_is_whole(struct tg_client_h1 *client, struct tg_fields *trailers)
{
    bool discarding = client->reading == TG_CLIENT_DISCARDS_BODY;
    client->reading = TG_CLIENT_WAITS;
    client->window_reads = false;
    if (discarding) {
        tg_arena_deinit(&client->discard_arena);
        tg_client_h1_next_request(client);
        return;
    }
    if (client->body.framing == TG_FRAMING_CHUNKED && trailers->count > 0)
        tg_exchange_from_client_trailers(client->exchange, trailers);
    tg_exchange_from_client_end(client->exchange);
}

void tg_client_h1_body_is_wrong(struct tg_client_h1 *client, const struct tg_problem *problem)
{
    client->close = true;
    if (client->reading == TG_CLIENT_DISCARDS_BODY) {
        tg_client_h1_close_gently(client);
        return;
    }
    client->reading = TG_CLIENT_WAITS;
    client->window_reads = false;
    tg_client_h1_pause(client);
    tg_exchange_from_client_problem(client->exchange, problem);
}

static void take_piece(struct tg_client_h1 *client, struct tg_block *block, struct tg_slice data)
{
    if (client->reading == TG_CLIENT_DISCARDS_BODY) {
        client->discarded += data.length;
        if (client->discarded > TG_CLIENT_DISCARD_MAX)
            tg_client_h1_close_gently(client);
        return;
    }
    struct tg_buffer piece = { block, data.at, data.length };
    tg_exchange_from_client_body(client->exchange, tg_buffer_ref(piece));
}

static size_t read_body(struct tg_client_h1 *client, struct tg_block *block, struct tg_slice input)
{
    size_t used = 0;
    struct tg_slice data = { 0 };
    struct tg_fields trailers = { 0 };
    struct tg_problem problem = { 0 };
    if (!client->continued) { /* it didn't wait for our word */
        client->continued = true;
        if (client->reading == TG_CLIENT_READS_BODY)
            tg_client_h1_watch_rate(client);
    }
    switch (tg_h1_body_read(&client->body, input, &used, &data, &trailers, &problem)) {
    case TG_H1_CHUNK_DATA: take_piece(client, block, data); break;
    case TG_H1_CHUNK_END: body_is_whole(client, &trailers); break;
    case TG_H1_CHUNK_ERROR: tg_client_h1_body_is_wrong(client, &problem); return input.length;
    case TG_H1_CHUNK_MORE: return input.length;
    }
    return used;
}

/* --- Input --- */

static bool may_read_on(const struct tg_client_h1 *client)
{
    switch (client->reading) {
    case TG_CLIENT_READS_HEAD:
        return client->turn_budget > 0 && tg_stream_unsent(client->base.stream) < TG_CLIENT_UNSENT_HIGH;
    case TG_CLIENT_READS_BODY:
    case TG_CLIENT_TUNNELS: return client->body_open;
    case TG_CLIENT_DISCARDS_BODY: return true;
    case TG_CLIENT_WAITS: break;
    }
    return false;
}

static void keep_input(struct tg_client_h1 *client, struct tg_buffer rest)
{
    tg_client_h1_pause(client);
    if (!tg_buffer_queue_push(&client->input, tg_buffer_ref(rest)))
        tg_client_h1_close(client);
}

/* With a body in hand whose last byte was taken, its end is noticed without waiting for more. */
static bool at_silent_end_of_body(const struct tg_client_h1 *client)
{
    return (client->reading == TG_CLIENT_READS_BODY || client->reading == TG_CLIENT_DISCARDS_BODY) &&
           client->body.framing == TG_FRAMING_LENGTH && client->body.remaining == 0;
}

static void take_input(struct tg_client_h1 *client, struct tg_buffer data)
{
    while (!client->dead && (data.length > 0 || at_silent_end_of_body(client))) {
        if (!may_read_on(client)) {
            if (data.length > 0)
                keep_input(client, data);
            return;
        }
        size_t used = data.length;
        switch (client->reading) {
        case TG_CLIENT_READS_HEAD:
            client->turn_budget--;
            used = read_head(client, tg_buffer_slice(data));
            break;
        case TG_CLIENT_TUNNELS: tg_exchange_from_client_body(client->exchange, tg_buffer_ref(data)); break;
        default: used = read_body(client, data.block, tg_buffer_slice(data)); break;
        }
        data.at += used;
        data.length -= used;
    }
}

void tg_client_h1_read_in_next_turn(struct tg_message *message, struct tg_loop *loop)
{
    struct tg_client_h1 *client = TG_CONTAINER_OF(message, struct tg_client_h1, next_turn);
    client->next_turn_posted = false;
    if (client->dead) {
        tg_loop_free_later(loop, client);
        return;
    }
    client->turn_budget = TG_CLIENT_REQUESTS_A_TURN;
    tg_client_h1_wake_input(client);
}

static void put_off(struct tg_client_h1 *client)
{
    if (client->next_turn_posted)
        return;
    client->next_turn_posted = true;
    tg_loop_post(client->base.worker->loop, &client->next_turn);
}

void tg_client_h1_look_at_input(struct tg_task *task)
{
    struct tg_client_h1 *client = TG_CONTAINER_OF(task, struct tg_client_h1, input_task);
    while (!client->dead && may_read_on(client) && tg_buffer_queue_length(&client->input) > 0) {
        struct tg_buffer data = tg_buffer_queue_pop(&client->input, SIZE_MAX);
        struct tg_buffer_queue rest = client->input;
        tg_buffer_queue_init(&client->input);
        take_input(client, data);
        tg_buffer_unref(data);
        if (client->dead) {
            tg_buffer_queue_deinit(&rest);
            return;
        }
        if (!tg_buffer_queue_move(&client->input, &rest)) {
            tg_client_h1_close(client);
            return;
        }
    }
    if (client->dead)
        return;
    if (client->reading == TG_CLIENT_READS_HEAD && client->turn_budget == 0)
        put_off(client);
    else if (may_read_on(client))
        resume(client);
}

void tg_client_h1_wake_input(struct tg_client_h1 *client)
{
    tg_loop_defer(client->base.worker->loop, &client->input_task);
}

void tg_client_h1_next_request(struct tg_client_h1 *client)
{
    client->reading = TG_CLIENT_READS_HEAD;
    client->head_until = INFINITY;
    bool more = tg_buffer_queue_length(&client->input) > 0;
    double idle = tg_client_h1_settings(client)->timeouts.idle;
    if (client->base.worker->draining)
        idle = fmax(0, client->base.worker->drain_idle_until - tg_loop_now(client->base.worker->loop));
    if (client->eof && !more) {
        tg_client_h1_close_gently(client);
        return;
    }
    tg_client_h1_set_own_time(client, tg_loop_now(client->base.worker->loop) + idle);
    if (more || client->paused)
        tg_client_h1_wake_input(client);
}

void tg_client_h1_discard_body(struct tg_client_h1 *client)
{
    if (client->body.framing == TG_FRAMING_CHUNKED && client->body.chunked.trailer_length > 0) {
        tg_client_h1_close_gently(client);
        return;
    }
    client->reading = TG_CLIENT_DISCARDS_BODY;
    client->body.chunked.arena = &client->discard_arena;
    client->body.chunked.trailer = NULL;
    client->body.chunked.trailer_capacity = 0;
    tg_client_h1_set_own_time(client, tg_loop_now(client->base.worker->loop) + DISCARD_TIME);
    tg_client_h1_wake_input(client);
}

/* --- What the stream tells --- */

void tg_client_h1_on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_client_h1 *client = tg_stream_owner(stream);
    tg_counters_add(tg_loop_counters(client->base.worker->loop), TG_COUNTER_BYTES_FROM_CLIENTS, (int64_t)data.length);
    if (tg_buffer_queue_length(&client->input) > 0) {
        keep_input(client, data);
        return;
    }
    client->turn_budget = TG_CLIENT_REQUESTS_A_TURN;
    take_input(client, data);
}

void tg_client_h1_on_eof(struct tg_stream *stream)
{
    struct tg_client_h1 *client = tg_stream_owner(stream);
    static const struct tg_problem short_body = { 400, "the body ended before its declared length" };
    client->eof = true;
    switch (client->reading) {
    case TG_CLIENT_READS_HEAD:
        if (tg_buffer_queue_length(&client->input) == 0)
            tg_client_h1_close_gently(client);
        break;
    case TG_CLIENT_DISCARDS_BODY: tg_client_h1_close_gently(client); break;
    case TG_CLIENT_READS_BODY: tg_client_h1_body_is_wrong(client, &short_body); break;
    case TG_CLIENT_WAITS: tg_exchange_from_client_half_close(client->exchange); break;
    case TG_CLIENT_TUNNELS: tg_exchange_from_client_end(client->exchange); break;
    }
}

/* Data may lie before the end: only an exchange that asked for it takes this as leaving. */
void tg_client_h1_on_peer_finished(struct tg_stream *stream)
{
    struct tg_client_h1 *client = tg_stream_owner(stream);
    if (client->reading == TG_CLIENT_WAITS && client->exchange)
        tg_exchange_from_client_half_close(client->exchange);
}
