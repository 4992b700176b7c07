/* Time: how long a connection may take to begin, to be idle, to send a header section; and how slowly bodies may go. */
#include <math.h>

#include "proxy/client_h2_state.h"

enum {
    RATE_WINDOW = 10,       /* seconds */
    ROOM = 1024 * 1024,     /* bytes of responses that may wait, by shares */
    ROOM_LEAST = 16 * 1024, /* of a stream */
};

void tg_client_h2_wake_at(struct tg_client_h2 *client, double at)
{
    if (at < client->deadline.at)
        tg_deadline_set(&client->deadline, at);
}

static double now_of(const struct tg_client_h2 *client)
{
    return tg_loop_now(client->base.worker->loop);
}

/* So that what waits for one connection is bounded, not only what waits for each of its streams. */
static void share_room(struct tg_client_h2 *client)
{
    uint32_t streams = client->session.stream_count, share = streams ? ROOM / streams : ROOM;
    client->room = share < ROOM_LEAST ? ROOM_LEAST : share;
}

void tg_client_h2_count_idle(struct tg_client_h2 *client)
{
    share_room(client);
    if (client->dead || client->announced)
        return;
    if (client->session.stream_count > 0) {
        client->idle_at = INFINITY;
        return;
    }
    client->idle_at = now_of(client) + tg_client_h2_settings(client)->timeouts.idle;
    tg_client_h2_wake_at(client, client->idle_at);
}

void tg_client_h2_watch_section(struct tg_client_h2 *client)
{
    const struct tg_client_h2_budget *budget = &client->budget;
    bool inside =
        client->session.section_stream != NULL ||
        (budget->payload_left > 0 && (budget->type == NGHTTP2_HEADERS || budget->type == NGHTTP2_CONTINUATION));
    if (!inside) {
        client->section_until = INFINITY;
    } else if (client->section_until == INFINITY) {
        client->section_until = now_of(client) + tg_client_h2_settings(client)->timeouts.header;
        tg_client_h2_wake_at(client, client->section_until);
    }
}

/* --- Rates --- */

static bool reads(const struct tg_client_h2_stream *stream)
{
    return stream->exchange && stream->has_body && stream->body_open && stream->continued && !stream->tunnel &&
           !stream->h2.received_end && !stream->exchange->grpc;
}

/* Something is there for the client, whose windows have no room. */
static bool writes(const struct tg_client_h2_stream *stream)
{
    return stream->exchange && stream->head_sent && tg_h2_stream_blocked(&stream->h2) &&
           tg_buffer_queue_length(&stream->exchange->response_pipe.waiting) > 0;
}

static bool measure_stream(struct tg_client_h2_stream *stream)
{
    stream->window_received = stream->received;
    stream->window_sent = stream->h2.sent;
    stream->window_reads = reads(stream);
    stream->window_writes = writes(stream);
    return stream->window_reads || stream->window_writes;
}

static struct tg_client_h2_stream *stream_of_link(struct tg_list *link)
{
    return tg_client_h2_stream_of(TG_CONTAINER_OF(link, struct tg_h2_stream, link));
}

void tg_client_h2_watch_rates(struct tg_client_h2 *client)
{
    if (client->window_at < INFINITY || client->dead)
        return;
    struct tg_list *streams = &client->session.streams;
    client->window_sent = tg_stream_sent(client->base.stream);
    client->window_writes = tg_stream_unsent(client->base.stream) > 0;
    bool any = client->window_writes;
    for (struct tg_list *link = streams->next; link != streams; link = link->next)
        any |= measure_stream(stream_of_link(link));
    if (!any)
        return;
    client->window_at = now_of(client) + RATE_WINDOW;
    tg_client_h2_wake_at(client, client->window_at);
}

/* [E01] [E02] [F12] */
static void check_stream(struct tg_client_h2_stream *stream)
{
    static const struct tg_problem too_slow = { 408, "the body comes too slowly" };
    if (!stream->exchange)
        return;
    double least = stream->exchange->route->timeouts.body_rate * RATE_WINDOW;
    double received = (double)(stream->received - stream->window_received);
    double sent = (double)(stream->h2.sent - stream->window_sent);
    if (stream->window_reads && reads(stream) && received < least) {
        stream->has_body = false;
        tg_exchange_from_client_problem(stream->exchange, &too_slow);
    } else if (stream->window_writes && writes(stream) && sent < least) {
        tg_client_h2_stream_left(stream, TG_REASON_TIMEOUT);
        tg_h2_stream_reset(&stream->h2, NGHTTP2_CANCEL);
    }
}

/* false: the client takes nothing at all, and the connection is closed. */
static bool check_rates(struct tg_client_h2 *client)
{
    double least = tg_client_h2_settings(client)->timeouts.body_rate * RATE_WINDOW;
    double sent = (double)(tg_stream_sent(client->base.stream) - client->window_sent);
    struct tg_list *streams = &client->session.streams;
    client->window_at = INFINITY;
    if (client->window_writes && tg_stream_unsent(client->base.stream) > 0 && sent < least) {
        tg_client_h2_close_hard(client, TG_REASON_TIMEOUT);
        return false;
    }
    for (struct tg_list *link = streams->next, *next; link != streams; link = next) {
        next = link->next;
        check_stream(stream_of_link(link));
    }
    tg_client_h2_watch_rates(client);
    return true;
}

/* --- What is due --- */

static bool is_due(double *at, double now)
{
    bool due = *at <= now;
    if (due)
        *at = INFINITY;
    return due;
}

static void own_times(struct tg_client_h2 *client, double now)
{
    if (is_due(&client->window_at, now) && !check_rates(client))
        return;
    if (is_due(&client->section_until, now))
        tg_h2_session_fail(&client->session, NGHTTP2_PROTOCOL_ERROR, "a header section that didn't come in time");
    bool never_began = is_due(&client->first_until, now);
    if (never_began && !client->session.greeted)
        tg_h2_session_fail(&client->session, NGHTTP2_SETTINGS_TIMEOUT, "no preface in time");
    else if (never_began || (is_due(&client->idle_at, now) && client->session.stream_count == 0))
        tg_client_h2_begin_end(client);
    if (is_due(&client->stage_at, now))
        tg_client_h2_end_now(client);
}

static double next_own_time(const struct tg_client_h2 *client)
{
    double next = fmin(client->window_at, client->section_until);
    next = fmin(next, fmin(client->first_until, client->idle_at));
    return fmin(next, client->stage_at);
}

static double tick(struct tg_list *streams, double next)
{
    for (struct tg_list *link = streams->next; link != streams; link = link->next) {
        struct tg_exchange *exchange = stream_of_link(link)->exchange;
        if (exchange)
            next = fmin(next, tg_exchange_tick(exchange));
    }
    return next;
}

void tg_client_h2_expired(struct tg_deadline *deadline)
{
    struct tg_client_h2 *client = TG_CONTAINER_OF(deadline, struct tg_client_h2, deadline);
    own_times(client, now_of(client));
    if (client->dead)
        return;
    double next = tick(&client->session.streams, next_own_time(client));
    tg_deadline_set(deadline, tick(&client->answered, next));
}
