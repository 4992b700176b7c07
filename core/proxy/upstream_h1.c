#include "proxy/upstream_h1.h"

#include <stdlib.h>

#include "http/h1_write.h"
#include "proxy/h1_websocket.h"
#include "proxy/upstream_auth.h"

enum { UNSENT_HIGH = 256 * 1024 }; /* bytes of a request that may wait in the stream */

static struct tg_upstream_h1 *connection_of(struct tg_upstream_side *side)
{
    return TG_CONTAINER_OF(side, struct tg_upstream_h1, side);
}

/* Everything but the stream. */
static void forget(struct tg_upstream_h1 *connection)
{
    tg_h1_head_reset(&connection->head);
    tg_list_remove(&connection->age_link);
    tg_peer_unref(connection->side.peer);
    tg_loop_free_later(connection->worker->loop, connection);
}

void tg_upstream_h1_close(struct tg_upstream_h1 *connection)
{
    atomic_fetch_sub_explicit(&connection->side.peer->active, connection->exchange ? 1 : 0, memory_order_relaxed);
    connection->exchange = NULL;
    tg_stream_close(connection->stream);
    forget(connection);
}

struct tg_socket tg_upstream_h1_detach_socket(struct tg_upstream_h1 *connection)
{
    struct tg_socket socket = tg_stream_detach(connection->stream);
    forget(connection);
    return socket;
}

static void fail(struct tg_upstream_h1 *connection, enum tg_reason reason, const char *detail)
{
    connection->unusable = true;
    connection->response_over = true;
    tg_stream_pause(connection->stream);
    tg_exchange_from_upstream_failed(connection->exchange, reason, detail);
}

/* --- The response head --- */

static const struct tg_http_limits *limits_of(const struct tg_exchange *exchange)
{
    const struct tg_snapshot *snapshot = exchange->held ? exchange->held : exchange->lease->snapshot;
    return &snapshot->settings.limits;
}

static void response_is_over(struct tg_upstream_h1 *connection)
{
    connection->response_over = true;
    tg_exchange_from_upstream_end(connection->exchange);
}

static void begin_body(struct tg_upstream_h1 *connection, const struct tg_response_head *head)
{
    struct tg_exchange *exchange = connection->exchange;
    bool bodyless = tg_response_bodyless(head->status, exchange->request.method);
    enum tg_framing framing = bodyless ? TG_FRAMING_NONE : head->framing;
    if (framing == TG_FRAMING_CLOSE || !head->keep_alive || tg_upstream_auth_in_response(&head->fields))
        connection->unusable = true;
    tg_h1_body_reader_init(&connection->reader, framing, head->content_length, &exchange->arena, limits_of(exchange));
}

static bool upgrade_was_asked_for(const struct tg_exchange *exchange, const struct tg_response_head *head)
{
    return exchange->outgoing.upgrade.length > 0 && tg_slice_equal(exchange->outgoing.upgrade, head->upgrade);
}

static void take_final_head(struct tg_upstream_h1 *connection, const struct tg_response_head *head)
{
    connection->head_done = true;
    if (head->status == 101) {
        if (!upgrade_was_asked_for(connection->exchange, head)) {
            fail(connection, TG_REASON_INVALID, "101 that was not asked for");
            return;
        }
        if (!connection->request_over) { /* what is left of the body would become part of the tunnel */
            fail(connection, TG_REASON_INVALID, "101 before the request was whole");
            return;
        }
        if (!tg_h1_websocket_answered(&connection->exchange->outgoing, head)) {
            fail(connection, TG_REASON_INVALID, "101 with a sec-websocket-accept that doesn't answer the key");
            return;
        }
        connection->unusable = true;
        connection->tunnel = true;
    }
    begin_body(connection, head);
    tg_exchange_from_upstream_head(connection->exchange, head);
    if (!connection->tunnel && (connection->reader.framing == TG_FRAMING_NONE ||
                                (connection->reader.framing == TG_FRAMING_LENGTH && connection->reader.remaining == 0)))
        response_is_over(connection);
}

static void take_head(struct tg_upstream_h1 *connection, struct tg_slice bytes)
{
    struct tg_exchange *exchange = connection->exchange;
    struct tg_response_head head = { 0 };
    struct tg_problem problem = { 0 };
    struct tg_slice copy = tg_arena_copy(&exchange->arena, bytes);
    tg_h1_head_reset(&connection->head);
    if (!copy.at)
        fail(connection, TG_REASON_OVERLOAD, "out of memory for the response head");
    else if (!tg_h1_parse_response(copy, limits_of(exchange), &exchange->arena, &head, &problem))
        fail(connection, TG_REASON_INVALID, problem.reason);
    else if (head.status < 200 && head.status != 101)
        tg_exchange_from_upstream_informational(exchange, &head);
    else
        take_final_head(connection, &head);
}

/* How much of the input was used. */
static size_t read_head(struct tg_upstream_h1 *connection, struct tg_slice input)
{
    struct tg_slice head;
    struct tg_problem problem = { 0 };
    size_t used = input.length;
    switch (tg_h1_head_read(&connection->head, input, limits_of(connection->exchange), &head, &used, &problem)) {
    case TG_H1_ERROR: fail(connection, TG_REASON_INVALID, problem.reason); return input.length;
    case TG_H1_MORE: break;
    case TG_H1_DONE: take_head(connection, head); break;
    }
    return used;
}

/* --- The response body --- */

static void give_body(struct tg_upstream_h1 *connection, struct tg_buffer piece)
{
    if (!tg_exchange_from_upstream_body(connection->exchange, piece))
        tg_stream_pause(connection->stream);
}

static size_t read_body(struct tg_upstream_h1 *connection, struct tg_block *block, struct tg_slice input)
{
    size_t used = 0;
    struct tg_slice data = { 0 };
    struct tg_fields trailers = { 0 };
    struct tg_problem problem = { 0 };
    switch (tg_h1_body_read(&connection->reader, input, &used, &data, &trailers, &problem)) {
    case TG_H1_CHUNK_DATA: {
        struct tg_buffer piece = { block, data.at, data.length };
        give_body(connection, tg_buffer_ref(piece));
        break;
    }
    case TG_H1_CHUNK_END:
        if (trailers.count > 0)
            tg_exchange_from_upstream_trailers(connection->exchange, &trailers);
        response_is_over(connection);
        break;
    case TG_H1_CHUNK_ERROR: fail(connection, TG_REASON_INVALID, problem.reason); return input.length;
    case TG_H1_CHUNK_MORE: return input.length;
    }
    return used;
}

static bool body_is_whole(const struct tg_upstream_h1 *connection)
{
    return connection->head_done && !connection->tunnel && !connection->response_over &&
           connection->reader.framing == TG_FRAMING_LENGTH && connection->reader.remaining == 0;
}

static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tg_upstream_h1 *connection = tg_stream_owner(stream);
    if (!connection->exchange) { /* nobody asked: a 408, say [D13] */
        connection->keeper->forget(connection->keeper, connection);
        tg_upstream_h1_close(connection);
        return;
    }
    connection->spoke = true;
    if (connection->tunnel) {
        give_body(connection, tg_buffer_ref(data));
        return;
    }
    while (data.length > 0 && !connection->response_over && !connection->tunnel) {
        size_t used = connection->head_done ? read_body(connection, data.block, tg_buffer_slice(data))
                                            : read_head(connection, tg_buffer_slice(data));
        data.at += used;
        data.length -= used;
        if (body_is_whole(connection))
            response_is_over(connection);
    }
    if (connection->tunnel && data.length > 0)
        give_body(connection, tg_buffer_ref(data));
    else if (data.length > 0)
        connection->unusable = true; /* bytes beyond the response [R02] */
}

/* --- Ends --- */

static void ended_early(struct tg_upstream_h1 *connection, enum tg_reason reason)
{
    const char *detail = connection->head_done ? "the response ended before it was whole"
                         : connection->spoke   ? "the connection ended inside the response head"
                                               : tg_stream_alert(connection->stream);
    fail(connection, reason, detail);
}

static void on_eof(struct tg_stream *stream)
{
    struct tg_upstream_h1 *connection = tg_stream_owner(stream);
    connection->unusable = true;
    if (!connection->exchange) {
        connection->keeper->forget(connection->keeper, connection);
        tg_upstream_h1_close(connection);
    } else if (connection->tunnel || (connection->head_done && !connection->response_over &&
                                      connection->reader.framing == TG_FRAMING_CLOSE)) {
        response_is_over(connection);
    } else if (!connection->response_over) {
        ended_early(connection, TG_REASON_CUT);
    }
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tg_upstream_h1 *connection = tg_stream_owner(stream);
    enum tg_reason reason = end == TG_STREAM_ERROR ? TG_REASON_OVERLOAD
                            : end == TG_STREAM_TLS ? TG_REASON_CUT
                                                   : TG_REASON_RESET;
    connection->unusable = true;
    if (!connection->exchange) {
        connection->keeper->forget(connection->keeper, connection);
        tg_upstream_h1_close(connection);
    } else if (!connection->response_over) {
        ended_early(connection, reason);
    }
}

static void on_drained(struct tg_stream *stream)
{
    struct tg_upstream_h1 *connection = tg_stream_owner(stream);
    if (connection->exchange)
        tg_exchange_from_upstream_drained(connection->exchange);
}

static const struct tg_stream_ops stream_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

/* --- What the exchange asks --- */

/* A method that usually has a body says so when it has none, so that no server waits for one (RFC 9110 8.6). */
static bool expects_body(enum tg_method method)
{
    return method == TG_METHOD_POST || method == TG_METHOD_PUT || method == TG_METHOD_PATCH;
}

static void write_failed(struct tg_upstream_h1 *connection, const char *detail)
{
    connection->unusable = true;
    tg_exchange_from_upstream_failed(connection->exchange, TG_REASON_OVERLOAD, detail);
}

static void send_head(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end)
{
    struct tg_upstream_h1 *connection = connection_of(side);
    struct tg_loop *loop = connection->worker->loop;
    struct tg_h1_framing framing = { .framing = head->framing,
                                     .length = head->content_length,
                                     .upgrade = head->upgrade,
                                     .te_trailers = head->te_trailers };
    if (head->framing == TG_FRAMING_NONE)
        framing.write_length = expects_body(head->method);
    if (head->extended_connect && !tg_h1_websocket_ask(&connection->exchange->outgoing)) { /* which is `head` */
        write_failed(connection, "out of memory for the request head");
        return;
    }
    size_t bound = tg_h1_request_bound(head, &framing);
    char *to = tg_loop_reserve(loop, bound);
    size_t length = to ? tg_h1_write_request(head, &framing, raw_path, to, bound) : 0;
    if (length == 0) {
        write_failed(connection, "out of memory for the request head");
        return;
    }
    tg_stream_send(connection->stream, tg_loop_commit(loop, length));
    connection->unusable |= tg_upstream_auth_in_request(&head->fields);
    tg_h1_body_writer_init(&connection->writer, head->framing, head->content_length);
    connection->request_over = end;
}

static void body_ready(struct tg_upstream_side *side)
{
    struct tg_upstream_h1 *connection = connection_of(side);
    if (connection->request_over || tg_stream_unsent(connection->stream) >= UNSENT_HIGH)
        return;
    struct tg_buffer_queue bytes;
    const struct tg_fields *trailers = NULL;
    bool end = false;
    tg_buffer_queue_init(&bytes);
    bool sent = tg_exchange_take_request(connection->exchange, &bytes, UNSENT_HIGH, &end, &trailers) &&
                tg_h1_body_write(&connection->writer, connection->stream, &bytes, end, trailers);
    tg_buffer_queue_deinit(&bytes);
    if (!sent) {
        write_failed(connection, "the request's length isn't what its head promised");
        return;
    }
    connection->request_over = end;
    if (end && connection->tunnel)
        tg_stream_finish(connection->stream);
}

static void pause_body(struct tg_upstream_side *side)
{
    tg_stream_pause(connection_of(side)->stream);
}

static void resume_body(struct tg_upstream_side *side)
{
    tg_stream_resume(connection_of(side)->stream);
}

static void become_tunnel(struct tg_upstream_side *side)
{
    struct tg_upstream_h1 *connection = connection_of(side);
    connection->request_over = false;
    tg_h1_body_writer_init(&connection->writer, TG_FRAMING_CLOSE, 0);
}

static void reset(struct tg_upstream_side *side, enum tg_reason reason)
{
    (void)reason;
    tg_upstream_h1_close(connection_of(side));
}

static void detach(struct tg_upstream_side *side)
{
    struct tg_upstream_h1 *connection = connection_of(side);
    bool over = connection->response_over && connection->request_over;
    if (!over || (connection->unusable && !connection->tunnel)) {
        tg_upstream_h1_close(connection);
        return;
    }
    connection->exchange = NULL;
    atomic_fetch_sub_explicit(&connection->side.peer->active, 1, memory_order_relaxed);
    if (connection->tunnel) { /* the client's last bytes may still be on their way */
        tg_stream_linger(connection->stream);
        forget(connection);
        return;
    }
    tg_stream_resume(connection->stream); /* the last piece may have paused it */
    connection->keeper->release(connection->keeper, connection);
}

static const struct tg_upstream_side_ops side_ops = {
    .send_head = send_head,
    .body_ready = body_ready,
    .pause_body = pause_body,
    .resume_body = resume_body,
    .become_tunnel = become_tunnel,
    .reset = reset,
    .detach = detach,
};

/* --- Its life --- */

static struct tg_upstream_h1 *connection_new(struct tg_upstream_keeper *keeper, struct tg_worker *worker,
                                             struct tg_peer *peer)
{
    struct tg_upstream_h1 *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->side.ops = &side_ops;
    connection->side.peer = tg_peer_ref(peer);
    connection->worker = worker;
    connection->keeper = keeper;
    tg_list_init(&connection->peer_link);
    tg_list_init(&connection->age_link);
    return connection;
}

static void discard(struct tg_upstream_h1 *connection)
{
    tg_peer_unref(connection->side.peer);
    free(connection);
}

void tg_upstream_h1_begin(struct tg_upstream_h1 *connection, struct tg_exchange *exchange, struct tg_group *group)
{
    connection->exchange = exchange;
    connection->pool_size = group->pool_size;
    connection->pool_idle = group->pool_idle;
    connection->head_done = connection->response_over = connection->spoke = connection->request_over = false;
    atomic_fetch_add_explicit(&connection->side.peer->active, 1, memory_order_relaxed);
}

struct tg_upstream_h1 *tg_upstream_h1_open(struct tg_upstream_keeper *keeper, struct tg_worker *worker,
                                           struct tg_peer *peer, struct tg_stream *stream)
{
    struct tg_upstream_h1 *connection = connection_new(keeper, worker, peer);
    if (!connection) {
        tg_stream_close(stream);
        return NULL;
    }
    connection->stream = stream;
    tg_stream_set_owner(stream, &stream_ops, connection);
    return connection;
}

struct tg_upstream_h1 *tg_upstream_h1_adopt(struct tg_upstream_keeper *keeper, struct tg_worker *worker,
                                            struct tg_peer *peer, struct tg_socket socket)
{
    struct tg_upstream_h1 *connection = connection_new(keeper, worker, peer);
    if (!connection) {
        tg_socket_close(socket);
        return NULL;
    }
    connection->stream = tg_stream_attach(worker->loop, socket, &peer->address, &stream_ops, connection);
    if (!connection->stream) {
        discard(connection);
        return NULL;
    }
    connection->side.reused = true;
    return connection;
}
