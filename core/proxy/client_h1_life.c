/* Birth, time and end of a client's connection. */
#include <math.h>
#include <stdlib.h>

#include "proxy/client_h1_state.h"

enum { RATE_WINDOW = 10 }; /* seconds */

const struct tg_settings *tg_client_h1_settings(const struct tg_client_h1 *client)
{
    return &client->base.worker->current->snapshot->settings;
}

void tg_client_h1_set_own_time(struct tg_client_h1 *client, double at)
{
    client->own_at = at;
    if (at < client->deadline.at || !client->exchange)
        tg_deadline_set(&client->deadline, at);
}

/* --- How it ends --- */

static void forget(struct tg_client_h1 *client)
{
    struct tg_worker *worker = client->base.worker;
    client->dead = true;
    tg_list_remove(&client->input_task.link);
    tg_deadline_deinit(&client->deadline);
    tg_arena_deinit(&client->discard_arena);
    tg_buffer_queue_deinit(&client->input);
    tg_h1_head_reset(&client->head);
    tg_client_ended(&client->base);
    if (!client->next_turn_posted)
        tg_loop_free_later(worker->loop, client);
}

void tg_client_h1_close_gently(struct tg_client_h1 *client)
{
    tg_stream_linger(client->base.stream);
    forget(client);
}

void tg_client_h1_close_hard(struct tg_client_h1 *client)
{
    tg_stream_reset(client->base.stream);
    forget(client);
}

void tg_client_h1_close(struct tg_client_h1 *client)
{
    tg_stream_close(client->base.stream);
    forget(client);
}

/* --- Time --- */

void tg_client_h1_watch_rate(struct tg_client_h1 *client)
{
    client->window_received = tg_stream_received(client->base.stream);
    client->window_sent = tg_stream_sent(client->base.stream);
    client->window_reads = client->reading == TG_CLIENT_READS_BODY && client->body_open && client->continued;
    client->window_writes = tg_stream_unsent(client->base.stream) > 0;
    bool any = client->window_reads || client->window_writes;
    tg_client_h1_set_own_time(client, any ? tg_loop_now(client->base.worker->loop) + RATE_WINDOW : INFINITY);
}

/* The client sends its body, or takes its answer, too slowly [E01, E02]. */
static void check_rate(struct tg_client_h1 *client)
{
    static const struct tg_problem too_slow = { 408, "the body comes too slowly" };
    double least = client->exchange->route->timeouts.body_rate * RATE_WINDOW;
    uint64_t received = tg_stream_received(client->base.stream) - client->window_received;
    uint64_t sent = tg_stream_sent(client->base.stream) - client->window_sent;
    bool still_reads = client->window_reads && client->reading == TG_CLIENT_READS_BODY && client->body_open;
    if (still_reads && (double)received < least) {
        tg_client_h1_body_is_wrong(client, &too_slow);
        client->own_at = INFINITY;
        return;
    }
    if (client->window_writes && tg_stream_unsent(client->base.stream) > 0 && (double)sent < least) {
        struct tg_exchange *exchange = client->exchange;
        client->exchange = NULL;
        tg_exchange_from_client_left(exchange, TG_REASON_TIMEOUT);
        tg_client_h1_close_hard(client);
        return;
    }
    tg_client_h1_watch_rate(client);
}

static void own_time_is_up(struct tg_client_h1 *client)
{
    static const struct tg_problem slow_head = { 408, "the head did not come in time" };
    client->own_at = INFINITY;
    if (client->exchange && client->reading != TG_CLIENT_TUNNELS)
        check_rate(client);
    else if (client->reading == TG_CLIENT_READS_HEAD && client->head.partial)
        tg_client_h1_reject(client, &slow_head);
    else if (!client->exchange)
        tg_client_h1_close_gently(client);
}

static void expired(struct tg_deadline *deadline)
{
    struct tg_client_h1 *client = TG_CONTAINER_OF(deadline, struct tg_client_h1, deadline);
    double now = tg_loop_now(client->base.worker->loop);
    if (client->own_at <= now)
        own_time_is_up(client);
    if (client->dead)
        return;
    /* The exchange acts on it after this event: the connection lives until then. */
    double next = client->exchange ? tg_exchange_tick(client->exchange) : INFINITY;
    tg_deadline_set(&client->deadline, fmin(client->own_at, next));
}

/* --- Its life --- */

static void on_drained(struct tg_stream *stream)
{
    struct tg_client_h1 *client = tg_stream_owner(stream);
    if (client->exchange)
        tg_exchange_from_client_drained(client->exchange);
    else
        tg_client_h1_wake_input(client); /* a client that takes no answers gets no further ones */
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tg_client_h1 *client = tg_stream_owner(stream);
    (void)end;
    if (client->exchange)
        tg_exchange_from_client_left(client->exchange, TG_REASON_CLIENT_LEFT);
    client->exchange = NULL;
    tg_client_h1_close(client);
}

static const struct tg_stream_ops stream_ops = {
    .on_data = tg_client_h1_on_data,
    .on_eof = tg_client_h1_on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_peer_finished = tg_client_h1_on_peer_finished,
};

static struct tg_client_h1 *client_of(struct tg_client *base)
{
    return TG_CONTAINER_OF(base, struct tg_client_h1, base);
}

static void drain(struct tg_client *base, double idle_until)
{
    struct tg_client_h1 *client = client_of(base);
    if (client->exchange)
        client->close = true;
    else if (!client->head.partial)
        tg_client_h1_set_own_time(client, fmin(client->own_at, idle_until));
}

static void kill(struct tg_client *base)
{
    struct tg_client_h1 *client = client_of(base);
    if (client->exchange)
        tg_exchange_from_client_left(client->exchange, TG_REASON_SHUTDOWN);
    client->exchange = NULL;
    tg_client_h1_close_hard(client);
}

static const struct tg_client_ops client_ops = { .drain = drain, .kill = kill };

bool tg_client_h1_new(struct tg_worker *worker, struct tg_stream *stream, const struct tg_client_info *info,
                      double head_until)
{
    struct tg_client_h1 *client = calloc(1, sizeof *client);
    if (!client)
        return false;
    tg_client_enter(&client->base, &client_ops, worker, stream, info);
    client->side.ops = &tg_client_h1_ops;
    client->side.deadline = &client->deadline;
    client->next_turn.run = tg_client_h1_read_in_next_turn;
    tg_task_init(&client->input_task, tg_client_h1_look_at_input);
    tg_buffer_queue_init(&client->input);
    tg_arena_init(&client->discard_arena);
    tg_deadline_init(&client->deadline, worker->loop, expired);
    tg_stream_set_owner(stream, &stream_ops, client);
    client->turn_budget = TG_CLIENT_REQUESTS_A_TURN;
    client->head_until = head_until;
    tg_client_h1_set_own_time(client, client->head_until);
    return true;
}
