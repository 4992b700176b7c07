#include "proxy/upstream_h2.h"

#include <stdlib.h>

#include "proxy/upstream_h2_state.h"

enum {
    UNKNOWN_STREAMS = 100, /* before the peer has said how many it allows */
    LAST_ID = 1 << 30,     /* then a connection is replaced */
    CONTINUATIONS = 8,     /* of small frames, beside the full ones that a header section may need */
    FRAME = 16 * 1024,
};

static const double UNCONFIRMED = 30; /* seconds that the peer's system may leave bytes unconfirmed */

static void end_of_memory(struct tg_upstream_h2 *connection)
{
    tg_list_remove(&connection->change.link);
    tg_deadline_deinit(&connection->timer);
    atomic_fetch_sub_explicit(connection->stream_count ? &connection->peer->active : &connection->peer->idle, 1,
                              memory_order_relaxed);
    tg_peer_unref(connection->peer);
    tg_loop_free_later(connection->worker->loop, connection);
}

static void lose_streams(struct tg_upstream_h2 *connection, enum tg_reason reason, const char *detail)
{
    struct tg_list *link;
    while ((link = tg_list_first(&connection->streams)) != NULL)
        tg_upstream_h2_stream_lose(TG_CONTAINER_OF(link, struct tg_upstream_h2_stream, link), reason, detail);
}

static void close_stream(struct tg_upstream_h2 *connection, bool gently)
{
    connection->session.stream = NULL;
    if (gently)
        tg_stream_linger(connection->stream);
    else
        tg_stream_close(connection->stream);
}

void tg_upstream_h2_end(struct tg_upstream_h2 *connection, enum tg_reason reason, const char *detail, bool gently)
{
    connection->draining = true;
    tg_h2_session_free(&connection->session);
    lose_streams(connection, reason, detail);
    tg_list_remove(&connection->link);
    connection->keeper->gone(connection->keeper, connection);
    close_stream(connection, gently);
    end_of_memory(connection);
}

void tg_upstream_h2_close(struct tg_upstream_h2 *connection)
{
    tg_h2_session_free(&connection->session);
    lose_streams(connection, TG_REASON_SHUTDOWN, NULL);
    tg_list_remove(&connection->link);
    close_stream(connection, false);
    end_of_memory(connection);
}

void tg_upstream_h2_note_change(struct tg_upstream_h2 *connection)
{
    tg_loop_defer(connection->worker->loop, &connection->change);
}

/* A connection without streams is idle, and is kept for so long. */
void tg_upstream_h2_count(struct tg_upstream_h2 *connection, int by)
{
    bool was_idle = connection->stream_count == 0;
    connection->stream_count += (uint32_t)by;
    bool is_idle = connection->stream_count == 0;
    if (was_idle == is_idle)
        return;
    connection->idle_until = tg_loop_now(connection->worker->loop) + connection->idle;
    tg_upstream_h2_set_timer(connection);
    struct tg_peer *peer = connection->peer;
    atomic_fetch_add_explicit(is_idle ? &peer->idle : &peer->active, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(is_idle ? &peer->active : &peer->idle, 1, memory_order_relaxed);
}

/* A connection that takes nothing more ends with its last stream. */
static void change(struct tg_task *task)
{
    struct tg_upstream_h2 *connection = TG_CONTAINER_OF(task, struct tg_upstream_h2, change);
    if (connection->session.greeted)
        connection->facts->streams = tg_h2_session_peer_streams(&connection->session);
    if (nghttp2_session_get_next_stream_id(connection->session.codec) >= LAST_ID)
        connection->draining = true;
    if (connection->draining && connection->stream_count == 0) {
        tg_upstream_h2_end(connection, TG_REASON_NONE, NULL, true);
        return;
    }
    tg_upstream_h2_set_timer(connection);
    connection->keeper->changed(connection->keeper, connection);
}

/* --- what the stream tells --- */

/* Such bytes are no frame that the codec would take. */
static bool is_h1_answer(struct tg_slice data)
{
    struct tg_slice word = TG_SLICE("HTTP/");
    return data.length >= word.length && tg_slice_equal(tg_slice_of(data.at, word.length), word);
}

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_upstream_h2 *connection = tg_stream_owner(stream);
    connection->read_at = tg_loop_now(connection->worker->loop);
    if (!tg_upstream_h2_greeted(connection) && is_h1_answer(tg_buffer_slice(data)))
        tg_upstream_h2_end(connection, TG_REASON_INVALID, "the peer answered in HTTP/1, not in HTTP/2", false);
    else
        tg_h2_session_feed(&connection->session, data);
}

static void on_eof(struct tg_stream *stream)
{
    tg_upstream_h2_end(tg_stream_owner(stream), TG_REASON_CUT, NULL, false);
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end how)
{
    enum tg_reason reason = how == TG_STREAM_ERROR ? TG_REASON_OVERLOAD
                            : how == TG_STREAM_TLS ? TG_REASON_CUT
                                                   : TG_REASON_RESET;
    tg_upstream_h2_end(tg_stream_owner(stream), reason, tg_stream_alert(stream), false);
}

static void on_drained(struct tg_stream *stream)
{
    struct tg_upstream_h2 *connection = tg_stream_owner(stream);
    tg_h2_session_wake(&connection->session);
}

static const struct tg_stream_ops stream_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

/* --- its life --- */

static struct tg_upstream_h2 *connection_new(struct tg_upstream_h2_keeper *keeper, struct tg_worker *worker,
                                             struct tg_peer *peer, struct tg_upstream_h2_facts *facts,
                                             struct tg_stream *stream)
{
    struct tg_upstream_h2 *connection = calloc(1, sizeof *connection);
    size_t head = worker->current->snapshot->settings.limits.head; /* announced; each exchange has its own limits */
    struct tg_h2_session_settings settings = { .window = TG_UPSTREAM_H2_WINDOW,
                                               .connection_window = INT32_MAX,
                                               .continuations = CONTINUATIONS + (uint32_t)(head / FRAME),
                                               .header_list = (uint32_t)head };
    if (!connection ||
        !tg_h2_session_init(&connection->session, false, &tg_upstream_h2_session_ops, stream, &settings)) {
        free(connection);
        return NULL;
    }
    connection->keeper = keeper;
    connection->worker = worker;
    connection->peer = tg_peer_ref(peer);
    connection->facts = facts;
    connection->stream = stream;
    return connection;
}

struct tg_upstream_h2 *tg_upstream_h2_open(struct tg_upstream_h2_keeper *keeper, struct tg_worker *worker,
                                           struct tg_peer *peer, struct tg_upstream_h2_facts *facts,
                                           const struct tg_upstream_h2_terms *terms, struct tg_stream *stream)
{
    /* A worker that is ending has no generation any more. */
    struct tg_upstream_h2 *connection = worker->current ? connection_new(keeper, worker, peer, facts, stream) : NULL;
    if (!connection) {
        tg_stream_close(stream);
        return NULL;
    }
    connection->opened_at = tg_loop_now(worker->loop);
    connection->idle = terms->idle;
    connection->idle_until = connection->opened_at + terms->idle;
    tg_list_init(&connection->link);
    tg_list_init(&connection->streams);
    tg_task_init(&connection->change, change);
    tg_upstream_h2_alive_init(connection);
    tg_stream_set_owner(stream, &stream_ops, connection);
    tg_stream_limit_silence(stream, UNCONFIRMED);
    atomic_fetch_add_explicit(&peer->idle, 1, memory_order_relaxed);
    return connection;
}

int64_t tg_upstream_h2_free_streams(const struct tg_upstream_h2 *connection, const struct tg_upstream_h2_terms *terms,
                                    uint32_t *limit)
{
    const struct tg_upstream_h2_facts *facts = connection->facts;
    uint32_t guess = facts->streams && facts->streams < UNKNOWN_STREAMS ? facts->streams : UNKNOWN_STREAMS;
    uint32_t allowed = connection->session.greeted ? tg_h2_session_peer_streams(&connection->session) : guess;
    if (allowed > terms->streams)
        allowed = terms->streams;
    bool outlived = connection->stream_count == 0 && tg_loop_now(connection->worker->loop) >= connection->idle_until;
    if (connection->draining || connection->session.fault || outlived)
        allowed = 0;
    if (limit)
        *limit = allowed;
    return (int64_t)allowed - connection->stream_count;
}

bool tg_upstream_h2_greeted(const struct tg_upstream_h2 *connection)
{
    return connection->session.greeted;
}

bool tg_upstream_h2_takes_websocket(const struct tg_upstream_h2 *connection)
{
    return connection->session.greeted && tg_h2_session_takes_extended_connect(&connection->session);
}
