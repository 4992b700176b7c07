#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/grpc.h"
#include "proxy/upstream_auth.h"
#include "proxy/upstream_h2_state.h"

static const double FORGOTTEN = 10;       /* seconds that a peer may take for the rest of a request nobody waits for */
static const double SHORTEST_LOOK = 1e-3; /* seconds; the loop's time stands still within a turn */

static struct tg_upstream_h2_stream *stream_of(struct tg_upstream_side *side)
{
    return TG_CONTAINER_OF(side, struct tg_upstream_h2_stream, side);
}

static struct tg_upstream_h2_stream *of_codec(struct tg_h2_stream *codec)
{
    return TG_CONTAINER_OF(codec, struct tg_upstream_h2_stream, codec);
}

/* --- its life --- */

static void uncount(struct tg_upstream_h2_stream *stream)
{
    if (!stream->counted)
        return;
    stream->counted = false;
    tg_upstream_h2_count(stream->connection, -1);
    tg_upstream_h2_note_change(stream->connection);
}

/* The connection and the stream have nothing to do with each other any more. */
static void leave_connection(struct tg_upstream_h2_stream *stream)
{
    if (!stream->connection)
        return;
    uncount(stream);
    stream->connection->widened -= stream->window - TG_UPSTREAM_H2_WINDOW;
    tg_list_remove(&stream->link);
    stream->connection = NULL;
}

static void free_if_unused(struct tg_upstream_h2_stream *stream)
{
    if (stream->exchange || stream->codec.session)
        return;
    leave_connection(stream);
    tg_peer_unref(stream->side.peer);
    tg_loop_free_later(stream->worker->loop, stream);
}

static void fail(struct tg_upstream_h2_stream *stream, enum tg_reason reason, const char *detail)
{
    if (stream->over || !stream->exchange)
        return;
    stream->over = stream->failed = true;
    tg_exchange_from_upstream_failed(stream->exchange, reason, detail);
}

/* Upstream had ended its direction of a tunnel, and now ours has nowhere to go either. */
static void break_tunnel(struct tg_upstream_h2_stream *stream)
{
    if (!stream->tunnel || !stream->over || stream->failed || !stream->exchange || stream->codec.end_sent)
        return;
    stream->failed = true;
    tg_exchange_from_upstream_failed(stream->exchange, TG_REASON_RESET, NULL);
}

/* The peer, or we, can't make anything of it: this stream is reset, the others go on [V11]. */
static void refuse(struct tg_upstream_h2_stream *stream, const char *detail)
{
    fail(stream, TG_REASON_INVALID, detail);
    tg_h2_stream_reset(&stream->codec, NGHTTP2_PROTOCOL_ERROR);
}

void tg_upstream_h2_stream_lose(struct tg_upstream_h2_stream *stream, enum tg_reason reason, const char *detail)
{
    leave_connection(stream);
    if (!stream->submitted)
        fail(stream, TG_REASON_UNPROCESSED, detail); /* nothing of it has left */
    else
        fail(stream, reason, !detail && stream->spoke ? "the connection ended within the response" : detail);
    break_tunnel(stream);
    free_if_unused(stream);
}

void tg_upstream_h2_reset_forgotten(struct tg_upstream_h2 *connection)
{
    double now = tg_loop_now(connection->worker->loop);
    for (struct tg_list *link = connection->streams.next; link != &connection->streams; link = link->next) {
        struct tg_upstream_h2_stream *stream = TG_CONTAINER_OF(link, struct tg_upstream_h2_stream, link);
        if (!stream->exchange && now >= stream->let_go_at + FORGOTTEN)
            tg_h2_stream_reset(&stream->codec, NGHTTP2_NO_ERROR);
    }
}

/* --- the response --- */

static const struct tg_http_limits *limits_of(const struct tg_exchange *exchange)
{
    const struct tg_snapshot *snapshot = exchange->held ? exchange->held : exchange->lease->snapshot;
    return &snapshot->settings.limits;
}

static bool begin_section(struct tg_h2_session *session, struct tg_h2_stream *codec, int32_t id,
                          struct tg_h2_section *section, uint32_t *code)
{
    static const struct tg_http_limits nothing = TG_HTTP_LIMITS_DEFAULT;
    (void)session, (void)id, (void)code;
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    enum tg_h2_section_kind kind = stream->head_done ? TG_H2_TRAILERS : TG_H2_RESPONSE;
    if (stream->exchange && !stream->over)
        tg_h2_section_init(section, kind, &stream->exchange->arena, limits_of(stream->exchange));
    else
        tg_h2_section_init(section, kind, NULL, &nothing);
    return true;
}

static void response_is_over(struct tg_upstream_h2_stream *stream)
{
    if (stream->over)
        return;
    stream->over = true;
    tg_exchange_from_upstream_end(stream->exchange);
}

/* An extended CONNECT that was accepted is to the exchange what a 101 is; one that wasn't leaves nothing to send (RFC
 * 8441 5). */
static void conclude_websocket(struct tg_upstream_h2_stream *stream, struct tg_response_head *head)
{
    if (head->status < 300) {
        head->status = 101;
        head->upgrade = stream->exchange->outgoing.upgrade;
        head->framing = TG_FRAMING_NONE;
        head->has_content_length = false;
        return;
    }
    stream->refused = true;
    tg_h2_stream_body_ready(&stream->codec);
}

static void take_head(struct tg_upstream_h2_stream *stream, struct tg_h2_section *section, bool end)
{
    struct tg_response_head head = { 0 };
    struct tg_problem problem = { 0 };
    if (!tg_h2_response_head(section, end, &head, &problem)) {
        refuse(stream, problem.reason);
        return;
    }
    if (head.status < 200) {
        if (end || head.status == 101)
            refuse(stream, "an informational response that can't be one");
        else
            tg_exchange_from_upstream_informational(stream->exchange, &head);
        return;
    }
    stream->head_done = true;
    if (stream->websocket)
        conclude_websocket(stream, &head);
    tg_exchange_from_upstream_head(stream->exchange, &head);
}

static void take_trailers(struct tg_upstream_h2_stream *stream, struct tg_h2_section *section, bool end)
{
    struct tg_fields trailers = { 0 };
    struct tg_problem problem = { 0 };
    if (!tg_h2_trailers(section, end, &trailers, &problem))
        refuse(stream, problem.reason);
    else if (trailers.count > 0)
        tg_exchange_from_upstream_trailers(stream->exchange, &trailers);
}

static void take_section(struct tg_h2_stream *codec, struct tg_h2_section *section, bool end)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    if (!stream->exchange || stream->over)
        return;
    stream->spoke = true;
    if (stream->head_done)
        take_trailers(stream, section, end);
    else
        take_head(stream, section, end);
    if (end)
        response_is_over(stream);
}

/* Over a long way a fast response needs more than the first window to be on its way at a time: as much as its pace
 * makes of a round trip, twice. */
static void widen_window(struct tg_upstream_h2_stream *stream)
{
    uint64_t since = stream->received - stream->measured;
    if (since < stream->window)
        return;
    double now = tg_loop_now(stream->worker->loop);
    double pace = (double)since / fmax(now - stream->measured_at, SHORTEST_LOOK);
    stream->measured = stream->received;
    stream->measured_at = now;
    struct tg_upstream_h2 *connection = stream->connection;
    if (2 * pace * connection->round_trip < stream->window || stream->window >= TG_UPSTREAM_H2_WINDOW_MAX ||
        connection->widened + stream->window > TG_UPSTREAM_H2_WIDENED_MAX)
        return;
    connection->widened += stream->window;
    stream->window *= 2;
    (void)!nghttp2_session_set_local_window_size(connection->session.codec, NGHTTP2_FLAG_NONE, stream->codec.id,
                                                 (int32_t)stream->window);
}

static void take_data(struct tg_h2_stream *codec, struct tg_buffer piece)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    if (!stream->exchange || stream->over) {
        tg_buffer_unref(piece);
        return;
    }
    stream->received += piece.length;
    widen_window(stream);
    if (!tg_exchange_from_upstream_body(stream->exchange, piece))
        tg_h2_stream_read(codec, false);
}

static void take_end(struct tg_h2_stream *codec)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    if (stream->exchange)
        response_is_over(stream);
}

/* --- its end --- */

static void note_reset(struct tg_h2_stream *codec, uint32_t code)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    stream->was_reset = true;
    if (code == NGHTTP2_REFUSED_STREAM && stream->spoke)
        stream->was_processed = true;
}

/* What a stream's end without a whole response means (RFC 9113 7, 8.7). */
static enum tg_reason reason_of(const struct tg_upstream_h2_stream *stream, uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM: return stream->was_processed ? TG_REASON_STREAM_RESET : TG_REASON_UNPROCESSED;
    case NGHTTP2_CANCEL: return TG_REASON_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM: return TG_REASON_CALM;
    case NGHTTP2_INADEQUATE_SECURITY: return TG_REASON_UNTRUSTED;
    case NGHTTP2_HTTP_1_1_REQUIRED: return stream->was_reset ? TG_REASON_H1_REQUIRED : TG_REASON_INVALID;
    case NGHTTP2_NO_ERROR: return stream->was_reset ? TG_REASON_STREAM_RESET : TG_REASON_CUT;
    default: return stream->was_reset ? TG_REASON_STREAM_RESET : TG_REASON_INVALID;
    }
}

static void take_close(struct tg_h2_stream *codec, uint32_t code)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    leave_connection(stream);
    fail(stream, reason_of(stream, code), nghttp2_http2_strerror(code));
    break_tunnel(stream);
    free_if_unused(stream);
}

/* --- the request --- */

static bool take_request(struct tg_h2_stream *codec, struct tg_buffer_queue *to, size_t limit, bool *end,
                         const struct tg_fields **trailers)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    *end = stream->refused;
    if (!stream->exchange || stream->failed || (stream->websocket && !stream->tunnel))
        return true;
    uint64_t before = tg_buffer_queue_length(to);
    if (!tg_exchange_take_request(stream->exchange, to, limit, end, trailers))
        return false;
    stream->taken += tg_buffer_queue_length(to) - before;
    if (!stream->has_length || (stream->taken <= stream->length && (!*end || stream->taken == stream->length)))
        return true;
    fail(stream, TG_REASON_OVERLOAD, "the request's length isn't what its head promised");
    return false;
}

static void tell_sent(struct tg_h2_stream *codec)
{
    struct tg_upstream_h2_stream *stream = of_codec(codec);
    if (!stream->exchange || stream->failed)
        return;
    tg_exchange_from_upstream_drained(stream->exchange);
}

/* An upgrade to anything else but websocket has no counterpart, and may be ignored (RFC 9110 7.8). */
static struct tg_request_head as_sent(struct tg_upstream_h2_stream *stream, const struct tg_request_head *head)
{
    struct tg_request_head copy = *head;
    stream->websocket =
        tg_slice_equal(head->upgrade, TG_SLICE("websocket")) && tg_upstream_h2_takes_websocket(stream->connection);
    if (!stream->websocket)
        copy.upgrade = (struct tg_slice){ NULL, 0 };
    return copy;
}

static bool submit(struct tg_upstream_h2_stream *stream, const struct tg_request_head *head, bool raw_path, bool end)
{
    struct tg_h2_lines lines;
    struct tg_request_head sent = as_sent(stream, head);
    struct tg_h2_request_writing writing = { .scheme = stream->side.peer->tls ? TG_SLICE("https") : TG_SLICE("http"),
                                             .raw_path = raw_path,
                                             .write_length = head->framing == TG_FRAMING_LENGTH,
                                             .te_trailers = head->te_trailers };
    stream->has_length = writing.write_length;
    stream->length = head->content_length;
    return tg_h2_write_request(&sent, &writing, &stream->exchange->arena, &lines) &&
           tg_h2_stream_request(&stream->connection->session, &stream->codec, &lines, end && !stream->websocket);
}

static void send_head(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end)
{
    struct tg_upstream_h2_stream *stream = stream_of(side);
    struct tg_upstream_h2 *connection = stream->connection;
    if (!connection) /* it has ended meanwhile, and the exchange was told */
        return;
    if (!submit(stream, head, raw_path, end)) {
        fail(stream, TG_REASON_OVERLOAD, "out of memory for the request head");
        return;
    }
    stream->submitted = true;
    connection->grpc |= tg_grpc_fields(&head->fields);
    connection->draining |= tg_upstream_auth_in_request(&head->fields);
    tg_h2_stream_read(&stream->codec, true);
    tg_upstream_h2_ask_if_alive(connection);
}

static void body_ready(struct tg_upstream_side *side)
{
    struct tg_upstream_h2_stream *stream = stream_of(side);
    tg_h2_stream_body_ready(&stream->codec);
    if (stream->connection)
        tg_upstream_h2_ask_if_alive(stream->connection);
}

static void pause_body(struct tg_upstream_side *side)
{
    tg_h2_stream_read(&stream_of(side)->codec, false);
}

static void resume_body(struct tg_upstream_side *side)
{
    tg_h2_stream_read(&stream_of(side)->codec, true);
}

static void become_tunnel(struct tg_upstream_side *side)
{
    stream_of(side)->tunnel = true;
}

static void let_go(struct tg_upstream_h2_stream *stream)
{
    tg_h2_stream_drop_section(&stream->codec); /* its arena goes with the exchange */
    stream->exchange = NULL;
    stream->let_go_at = tg_loop_now(stream->worker->loop);
    tg_h2_stream_read(&stream->codec, true); /* what still comes is dropped, and given back to the windows [W09] */
}

static void reset(struct tg_upstream_side *side, enum tg_reason reason)
{
    (void)reason;
    struct tg_upstream_h2_stream *stream = stream_of(side);
    let_go(stream);
    tg_h2_stream_reset(&stream->codec, stream->codec.received_end ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    free_if_unused(stream);
}

static void detach(struct tg_upstream_side *side)
{
    struct tg_upstream_h2_stream *stream = stream_of(side);
    let_go(stream);
    free_if_unused(stream);
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

struct tg_upstream_side *tg_upstream_h2_begin(struct tg_upstream_h2 *connection, struct tg_exchange *exchange,
                                              const struct tg_upstream_h2_terms *terms)
{
    struct tg_upstream_h2_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->side = (struct tg_upstream_side){ &side_ops, tg_peer_ref(connection->peer), connection->used };
    stream->worker = connection->worker;
    stream->connection = connection;
    stream->exchange = exchange;
    stream->counted = true;
    stream->window = TG_UPSTREAM_H2_WINDOW;
    stream->measured_at = tg_loop_now(connection->worker->loop);
    tg_list_append(&connection->streams, &stream->link);
    connection->used = true;
    connection->idle = terms->idle;
    tg_upstream_h2_count(connection, 1);
    return &stream->side;
}

/* --- what the session tells of itself --- */

/* Out of the pool at once, whatever its last stream: that one says only what will still be answered [W01]. */
static void take_goaway(struct tg_h2_session *session, int32_t last_id, uint32_t code, struct tg_slice debug)
{
    (void)last_id;
    struct tg_upstream_h2 *connection = TG_CONTAINER_OF(session, struct tg_upstream_h2, session);
    struct tg_slice name = connection->peer->name;
    bool is_news = !connection->blamed;
    connection->draining = true;
    connection->blamed |= code != NGHTTP2_NO_ERROR;
    if (code != NGHTTP2_NO_ERROR && is_news) /* a peer may say it as often as it likes */
        tg_log(TG_LOG_WARN, "upstream at %.*s: GOAWAY with %s on a connection with %u streams", (int)name.length,
               name.at, nghttp2_http2_strerror(code), connection->stream_count);
    if (code == NGHTTP2_ENHANCE_YOUR_CALM && tg_slice_equal(debug, TG_SLICE("too_many_pings")))
        tg_upstream_h2_ping_less(connection);
    tg_upstream_h2_note_change(connection);
}

static void session_is_over(struct tg_h2_session *session, const char *detail)
{
    struct tg_upstream_h2 *connection = TG_CONTAINER_OF(session, struct tg_upstream_h2, session);
    tg_upstream_h2_end(connection, detail ? TG_REASON_INVALID : TG_REASON_CUT, detail, true);
}

const struct tg_h2_session_ops tg_upstream_h2_session_ops = {
    .begin_section = begin_section,
    .section = take_section,
    .data = take_data,
    .end = take_end,
    .take = take_request,
    .sent = tell_sent,
    .reset = note_reset,
    .closed = take_close,
    .frame_received = tg_upstream_h2_frame_received,
    .goaway = take_goaway,
    .over = session_is_over,
};
