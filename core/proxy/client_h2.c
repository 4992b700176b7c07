/* Birth and end of a client's HTTP/2 connection. */
#include "proxy/client_h2.h"

#include <math.h>
#include <stdlib.h>

#include "proxy/client_h2_state.h"

static const double ping_time = 1; /* seconds between the two GOAWAY where the client doesn't answer the PING */

const struct tg_settings *tg_client_h2_settings(const struct tg_client_h2 *client)
{
    return &client->base.worker->current->snapshot->settings;
}

/* --- How it ends --- */

static void leave_streams(struct tg_client_h2 *client, enum tg_reason reason)
{
    struct tg_list *link;
    while ((link = tg_list_first(&client->session.streams)) != NULL) {
        struct tg_client_h2_stream *stream = tg_client_h2_stream_of(TG_CONTAINER_OF(link, struct tg_h2_stream, link));
        tg_client_h2_stream_left(stream, reason);
        tg_h2_stream_forget(&stream->h2);
        tg_client_h2_stream_settle(stream);
    }
    while ((link = tg_list_first(&client->answered)) != NULL) {
        struct tg_client_h2_stream *stream = tg_client_h2_stream_of(TG_CONTAINER_OF(link, struct tg_h2_stream, link));
        tg_client_h2_stream_left(stream, reason);
        tg_client_h2_stream_settle(stream);
    }
}

static void forget(struct tg_client_h2 *client, enum tg_reason reason)
{
    struct tg_worker *worker = client->base.worker;
    client->dead = true;
    tg_deadline_deinit(&client->deadline);
    leave_streams(client, reason);
    tg_h2_session_free(&client->session);
    tg_buffer_queue_deinit(&client->input);
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_H2_CONNECTIONS_OPEN, -1);
    tg_client_ended(&client->base);
    if (!client->next_turn_posted)
        tg_loop_free_later(worker->loop, client);
}

void tg_client_h2_close_gently(struct tg_client_h2 *client, enum tg_reason reason)
{
    tg_stream_linger(client->base.stream);
    forget(client, reason);
}

void tg_client_h2_close_hard(struct tg_client_h2 *client, enum tg_reason reason)
{
    tg_stream_reset(client->base.stream);
    forget(client, reason);
}

/* What the client has sent in between reaches us before its answer to the PING: it is served [W02]. */
void tg_client_h2_begin_end(struct tg_client_h2 *client)
{
    static const uint8_t mark[8] = "goodbye";
    if (client->announced)
        return;
    client->announced = true;
    client->idle_at = INFINITY;
    tg_h2_session_announce_end(&client->session);
    tg_h2_session_ping(&client->session, mark);
    client->stage_at = tg_loop_now(client->base.worker->loop) + ping_time;
    tg_client_h2_wake_at(client, client->stage_at);
}

void tg_client_h2_end_now(struct tg_client_h2 *client)
{
    if (client->ending)
        return;
    client->announced = client->ending = true;
    client->stage_at = client->idle_at = INFINITY;
    tg_h2_session_end(&client->session);
}

static struct tg_client_h2 *client_of(struct tg_client *base)
{
    return TG_CONTAINER_OF(base, struct tg_client_h2, base);
}

static void drain(struct tg_client *base, double idle_until)
{
    struct tg_client_h2 *client = client_of(base);
    if (client->session.greeted) {
        tg_client_h2_begin_end(client);
        return;
    }
    client->first_until = fmin(client->first_until, idle_until);
    tg_client_h2_wake_at(client, client->first_until);
}

static void kill(struct tg_client *base)
{
    tg_client_h2_close_hard(client_of(base), TG_REASON_SHUTDOWN);
}

static const struct tg_client_ops client_ops = { .drain = drain, .kill = kill };

/* --- What the stream tells --- */

static void on_drained(struct tg_stream *stream)
{
    struct tg_client_h2 *client = tg_stream_owner(stream);
    tg_h2_session_wake(&client->session);
    if (client->paused)
        tg_client_h2_read_on(client);
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tg_client_h2 *client = tg_stream_owner(stream);
    (void)end;
    tg_stream_close(stream);
    forget(client, TG_REASON_CLIENT_LEFT);
}

/* Requests that are whole are answered, unless their route says otherwise; nothing else will come. */
static void on_eof(struct tg_stream *stream)
{
    struct tg_client_h2 *client = tg_stream_owner(stream);
    struct tg_list *streams = &client->session.streams;
    client->eof = true;
    if (client->session.stream_count == 0) {
        tg_client_h2_close_gently(client, TG_REASON_CLIENT_LEFT);
        return;
    }
    for (struct tg_list *link = streams->next; link != streams; link = link->next) {
        struct tg_client_h2_stream *one = tg_client_h2_stream_of(TG_CONTAINER_OF(link, struct tg_h2_stream, link));
        if (!one->h2.received_end) {
            tg_client_h2_stream_left(one, TG_REASON_CLIENT_LEFT);
            tg_h2_stream_reset(&one->h2, NGHTTP2_CANCEL);
        } else if (one->exchange) {
            tg_exchange_from_client_half_close(one->exchange);
        }
    }
    tg_client_h2_end_now(client);
}

static const struct tg_stream_ops stream_ops = {
    .on_data = tg_client_h2_on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

/* --- Birth --- */

static bool begin_session(struct tg_client_h2 *client, struct tg_stream *stream, const struct tg_settings *settings)
{
    struct tg_h2_session_settings session = {
        .streams = settings->h2.streams,
        .window = settings->h2.window,
        .connection_window = settings->h2.connection_window,
        .continuations = settings->h2.continuations,
        .header_list = (uint32_t)settings->limits.head,
        .extended_connect = true,
    };
    return tg_h2_session_init(&client->session, true, &tg_client_h2_session_ops, stream, &session);
}

bool tg_client_h2_new(struct tg_worker *worker, struct tg_stream *stream, const struct tg_client_info *info,
                      double until)
{
    const struct tg_settings *settings = &worker->current->snapshot->settings;
    struct tg_client_h2 *client = calloc(1, sizeof *client);
    if (!client)
        return false;
    if (!begin_session(client, stream, settings)) {
        tg_loop_free_later(worker->loop, client);
        return false;
    }
    tg_client_enter(&client->base, &client_ops, worker, stream, info);
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_H2_CONNECTIONS_OPEN, 1);
    client->streams = settings->h2.streams;
    client->limits = settings->limits;
    tg_client_h2_budget_init(&client->budget, &settings->h2, tg_loop_now(worker->loop));
    client->next_turn.run = tg_client_h2_read_in_next_turn;
    tg_buffer_queue_init(&client->input);
    tg_list_init(&client->answered);
    tg_deadline_init(&client->deadline, worker->loop, tg_client_h2_expired);
    tg_stream_set_owner(stream, &stream_ops, client);
    client->section_until = client->idle_at = client->window_at = client->stage_at = INFINITY;
    client->first_until = until;
    tg_deadline_set(&client->deadline, until);
    return true;
}
