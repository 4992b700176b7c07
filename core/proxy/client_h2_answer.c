/* What an exchange asks of its stream. */
#include "http/date.h"
#include "proxy/client_h2_state.h"

static struct tg_client_h2_stream *stream_of(struct tg_client_side *side)
{
    return TG_CONTAINER_OF(side, struct tg_client_h2_stream, side);
}

/* Out of memory, or a body that isn't what was promised: the client must not take what it got for whole. The exchange
 * breaks off in a deferred task. */
static void fail_later(struct tg_client_h2_stream *stream)
{
    struct tg_exchange *exchange = stream->exchange;
    stream->failing = true;
    if (!exchange)
        return;
    tg_exchange_from_upstream_failed(exchange, TG_REASON_INVALID, "the response's length isn't what its head promised");
    exchange->response_pipe.failed = true; /* handlers of the body can't make it good again */
    tg_buffer_queue_clear(&exchange->response_pipe.waiting);
    exchange->response_taken = false;
}

typedef bool submit_head(struct tg_h2_stream *stream, const struct tg_h2_lines *lines, bool end);

static bool inform(struct tg_h2_stream *stream, const struct tg_h2_lines *lines, bool end)
{
    (void)end;
    return tg_h2_stream_inform(stream, lines);
}

static void write_head(struct tg_client_h2_stream *stream, const struct tg_response_head *head, bool write_length,
                       bool end, submit_head *submit)
{
    struct tg_arena arena;
    struct tg_h2_lines lines;
    struct tg_slice date = tg_http_date(tg_loop_wall(stream->client->base.worker->loop));
    tg_arena_init(&arena);
    if (!tg_h2_write_response(head, write_length, date, &arena, &lines) || !submit(&stream->h2, &lines, end))
        fail_later(stream);
    tg_arena_deinit(&arena);
}

static void send_informational(struct tg_client_side *side, const struct tg_response_head *head)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    if (stream->head_sent || head->status == 101)
        return;
    if (head->status == 100) {
        if (stream->continued)
            return; /* nobody waits for it: at most one goes down [D07] */
        stream->continued = true;
        tg_client_h2_watch_rates(stream->client);
    }
    write_head(stream, head, false, false, inform);
}

static bool writes_length(const struct tg_client_h2_stream *stream, const struct tg_response_head *head, bool end)
{
    if (head->status == 101)
        return false;
    if (tg_response_bodyless(head->status, stream->exchange->request.method))
        return head->has_content_length && head->status != 204;
    return head->framing == TG_FRAMING_LENGTH && (!end || head->content_length == 0);
}

static void send_head(struct tg_client_side *side, const struct tg_response_head *head, bool end)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    stream->head_sent = true;
    if (head->status == 101 && !stream->extended) {
        fail_later(stream);
        return;
    }
    stream->counts_length = !end && head->status != 101 && head->framing == TG_FRAMING_LENGTH;
    stream->promised = head->content_length;
    write_head(stream, head, writes_length(stream, head, end), end, tg_h2_stream_respond);
}

bool tg_client_h2_take(struct tg_h2_stream *h2, struct tg_buffer_queue *to, size_t limit, bool *end,
                       const struct tg_fields **trailers)
{
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    if (!stream->exchange || stream->failing)
        return true; /* the codec is told of the reset in a deferred task */
    uint64_t before = tg_buffer_queue_length(to);
    bool taken = tg_exchange_take_response(stream->exchange, to, limit, end, trailers);
    uint64_t bytes = tg_buffer_queue_length(to) - before;
    tg_counters_add(tg_loop_counters(stream->client->base.worker->loop), TG_COUNTER_BYTES_TO_CLIENTS, (int64_t)bytes);
    bool fits = !stream->counts_length || (bytes <= stream->promised && (!*end || bytes == stream->promised));
    if (taken && fits) {
        stream->promised -= stream->counts_length ? bytes : 0;
        return true;
    }
    *end = false;
    fail_later(stream);
    return false;
}

static void body_ready(struct tg_client_side *side)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    tg_h2_stream_body_ready(&stream->h2);
    if (tg_h2_stream_blocked(&stream->h2))
        tg_client_h2_watch_rates(stream->client);
}

static void pause_body(struct tg_client_side *side)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    stream->body_open = false;
    tg_h2_stream_read(&stream->h2, false);
}

static void resume_body(struct tg_client_side *side)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    stream->body_open = true;
    tg_h2_stream_read(&stream->h2, true);
    if (!stream->exchange->grpc)
        tg_client_h2_watch_rates(stream->client);
}

static void want_body(struct tg_client_side *side, bool say_continue)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    static const struct tg_response_head go_on = { .status = 100 };
    if (say_continue)
        send_informational(side, &go_on);
    if (stream->exchange)
        resume_body(side);
}

static void become_tunnel(struct tg_client_side *side)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    stream->tunnel = true;
    stream->body_open = true;
    tg_h2_stream_read(&stream->h2, true);
    if (stream->h2.received_end)
        tg_exchange_from_client_end(stream->exchange);
}

static uint32_t code_of(enum tg_reason reason)
{
    switch (reason) {
    case TG_REASON_CLIENT_LEFT:
    case TG_REASON_CANCELLED:
    case TG_REASON_SHUTDOWN: return NGHTTP2_CANCEL;
    case TG_REASON_UNPROCESSED: return NGHTTP2_REFUSED_STREAM;
    default: return NGHTTP2_INTERNAL_ERROR;
    }
}

/* The exchange has gone: what of the request still comes is thrown away, its room given back. */
static void let_go(struct tg_client_h2_stream *stream)
{
    tg_h2_stream_drop_section(&stream->h2);
    stream->exchange = NULL;
    stream->window_reads = stream->body_open = false;
    tg_h2_stream_read(&stream->h2, true);
}

static void reset(struct tg_client_side *side, enum tg_reason reason)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    let_go(stream);
    stream->reset_by_us = true;
    tg_h2_stream_reset(&stream->h2, code_of(reason));
    tg_client_h2_stream_settle(stream);
}

static void detach(struct tg_client_side *side)
{
    struct tg_client_h2_stream *stream = stream_of(side);
    let_go(stream);
    if (stream->h2.end_sent && !stream->h2.received_end) {
        stream->reset_by_us = true; /* the answer is whole, the rest of the request isn't wanted (RFC 9113 8.1) */
        tg_h2_stream_reset(&stream->h2, NGHTTP2_NO_ERROR);
    }
    tg_client_h2_stream_settle(stream);
}

const struct tg_client_side_ops tg_client_h2_side_ops = {
    .send_informational = send_informational,
    .send_head = send_head,
    .body_ready = body_ready,
    .want_body = want_body,
    .pause_body = pause_body,
    .resume_body = resume_body,
    .become_tunnel = become_tunnel,
    .reset = reset,
    .detach = detach,
};
