/* What the session tells of streams: requests begin, bodies come, streams end. Everything here is called from inside
 * the codec. */
#include <math.h>
#include <stdlib.h>

#include "proxy/client_h2_state.h"

static const double refused_cost = 0.5; /* of a reset: a client may not know our limit yet */
static const double ended_well = -0.5;  /* what a stream that ended in order gives back */

static struct tg_counters *counters_of(const struct tg_client_h2 *client)
{
    return tg_loop_counters(client->base.worker->loop);
}

void tg_client_h2_stream_settle(struct tg_client_h2_stream *stream)
{
    if (stream->h2.session || stream->exchange)
        return;
    tg_list_remove(&stream->h2.link);
    tg_arena_deinit(&stream->arena);
    tg_loop_free_later(stream->client->base.worker->loop, stream);
}

void tg_client_h2_stream_left(struct tg_client_h2_stream *stream, enum tg_reason reason)
{
    struct tg_exchange *exchange = stream->exchange;
    stream->exchange = NULL;
    tg_h2_stream_drop_section(&stream->h2);
    if (exchange)
        tg_exchange_from_client_left(exchange, reason);
}

/* --- Heads --- */

static bool open_stream(struct tg_client_h2 *client, int32_t id, struct tg_h2_section *section, uint32_t *code)
{
    if (client->session.stream_count >= client->streams) {
        *code = NGHTTP2_REFUSED_STREAM;
        return false;
    }
    struct tg_client_h2_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return false;
    stream->client = client;
    stream->side.ops = &tg_client_h2_side_ops;
    stream->side.deadline = &client->deadline;
    stream->side.room = &client->room;
    tg_arena_init(&stream->arena);
    tg_h2_stream_open(&client->session, &stream->h2, id);
    tg_h2_section_init(section, TG_H2_REQUEST, &stream->arena, &client->limits);
    tg_counters_add(counters_of(client), TG_COUNTER_H2_STREAMS, 1);
    tg_client_h2_count_idle(client);
    return true;
}

static bool begin_section(struct tg_h2_session *session, struct tg_h2_stream *h2, int32_t id,
                          struct tg_h2_section *section, uint32_t *code)
{
    struct tg_client_h2 *client = tg_client_h2_of(session);
    client->limits = tg_client_h2_settings(client)->limits;
    tg_client_h2_budget_head(&client->budget);
    client->section_until = INFINITY; /* the one before has ended */
    if (!h2)
        return open_stream(client, id, section, code);
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    struct tg_arena *arena = stream->exchange ? &stream->exchange->arena : NULL;
    tg_h2_section_init(section, TG_H2_TRAILERS, arena, &client->limits);
    return true;
}

static void begin_answering(struct tg_client_h2_stream *stream, const struct tg_request_head *head)
{
    stream->begun = true;
    stream->has_body = tg_request_has_body(head);
    stream->continued = !head->expect_continue;
    stream->extended = head->extended_connect;
    stream->client->first_until = INFINITY;
}

/* The exchange takes the arena over, also where it can't be made. */
static void begun(struct tg_client_h2_stream *stream, struct tg_exchange *exchange)
{
    tg_arena_init(&stream->arena);
    stream->exchange = exchange;
    if (exchange)
        return;
    stream->reset_by_us = true;
    tg_h2_stream_reset(&stream->h2, NGHTTP2_INTERNAL_ERROR);
}

static void reset_malformed(struct tg_client_h2_stream *stream)
{
    stream->begun = true;
    tg_client_h2_stream_left(stream, TG_REASON_CLIENT_LEFT);
    tg_h2_stream_reset(&stream->h2, NGHTTP2_PROTOCOL_ERROR);
}

static void take_request(struct tg_client_h2_stream *stream, struct tg_h2_section *section, bool end)
{
    struct tg_client_h2 *client = stream->client;
    struct tg_worker *worker = client->base.worker;
    const struct tg_client_info *info = &client->base.info;
    struct tg_h2_request_context context = { .end = end, .secure = info->tls != NULL, .extended_connect = true };
    struct tg_request_head head;
    struct tg_problem problem;
    if (tg_h2_request_head(section, &context, &head, &problem)) {
        begin_answering(stream, &head);
        begun(stream, tg_exchange_start(worker, &stream->arena, &head, &stream->side, info));
    } else if (problem.status == 400) {
        tg_counters_add(counters_of(client), TG_COUNTER_REQUESTS_REJECTED, 1);
        reset_malformed(stream);
    } else {
        head.expect_continue = false;
        begin_answering(stream, &head);
        stream->has_body = false;
        begun(stream, tg_exchange_start_rejected(worker, &stream->arena, &head, &stream->side, info, &problem));
    }
}

static void end_of_body(struct tg_client_h2_stream *stream)
{
    stream->window_reads = false;
    if (stream->exchange && (stream->has_body || stream->tunnel))
        tg_exchange_from_client_end(stream->exchange);
}

static void take_trailers(struct tg_client_h2_stream *stream, struct tg_h2_section *section, bool end)
{
    struct tg_fields trailers;
    struct tg_problem problem;
    bool taken = tg_h2_trailers(section, end, &trailers, &problem);
    if (!taken && problem.status == 400) {
        reset_malformed(stream);
    } else if (!stream->exchange) {
        return;
    } else if (!taken) {
        tg_exchange_from_client_problem(stream->exchange, &problem);
    } else if (stream->extended) { /* a tunnel carries DATA alone (RFC 9113 8.5) */
        reset_malformed(stream);
    } else {
        if (trailers.count > 0 && stream->has_body)
            tg_exchange_from_client_trailers(stream->exchange, &trailers);
        end_of_body(stream);
    }
}

static void section_is_whole(struct tg_h2_stream *h2, struct tg_h2_section *section, bool end)
{
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    if (!stream->begun)
        take_request(stream, section, end);
    else
        take_trailers(stream, section, end);
}

/* --- Bodies --- */

static void data_came(struct tg_h2_stream *h2, struct tg_buffer piece)
{
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    stream->received += piece.length;
    if (!stream->continued) { /* it didn't wait for our word */
        stream->continued = true;
        tg_client_h2_watch_rates(stream->client);
    }
    if (stream->exchange)
        tg_exchange_from_client_body(stream->exchange, piece);
    else
        tg_buffer_unref(piece);
}

static void data_ended(struct tg_h2_stream *h2)
{
    end_of_body(tg_client_h2_stream_of(h2));
}

static void bytes_sent(struct tg_h2_stream *h2)
{
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    tg_client_h2_watch_rates(stream->client);
    if (stream->exchange)
        tg_exchange_from_client_drained(stream->exchange);
    else if (h2->end_sent && !h2->received_end && stream->begun && !h2->reset_queued) {
        stream->reset_by_us = true; /* the answer is whole, the rest of the request isn't wanted (RFC 9113 8.1) */
        tg_h2_stream_reset(h2, NGHTTP2_NO_ERROR);
    }
}

/* --- Ends --- */

static void reset_came(struct tg_h2_stream *h2, uint32_t code)
{
    (void)code;
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    stream->reset_by_peer = true;
    tg_client_h2_stream_left(stream, TG_REASON_CLIENT_LEFT);
}

/* Each admitted stream counts, however it ends [F01] [F02] [F03]; but what the client does after its answer is whole
 * costs nothing. */
static void count_end(struct tg_client_h2_stream *stream, uint32_t code)
{
    bool in_order = code == NGHTTP2_NO_ERROR && !stream->reset_by_peer;
    if (!in_order && !stream->reset_by_us)
        tg_counters_add(counters_of(stream->client), TG_COUNTER_H2_RESETS, 1);
    if (in_order && stream->h2.received_end)
        tg_client_h2_spend(stream->client, TG_H2_EXCESS_RESETS, ended_well);
    else if (!in_order && !stream->reset_by_us && !stream->h2.end_sent)
        tg_client_h2_spend(stream->client, TG_H2_EXCESS_RESETS, 1);
}

static void stream_closed(struct tg_h2_stream *h2, uint32_t code)
{
    struct tg_client_h2_stream *stream = tg_client_h2_stream_of(h2);
    struct tg_client_h2 *client = stream->client;
    bool answered = h2->end_sent && !stream->reset_by_peer;
    count_end(stream, code);
    if (!answered && !stream->failing)
        tg_client_h2_stream_left(stream, TG_REASON_CLIENT_LEFT);
    tg_list_append(&client->answered, &h2->link);
    tg_client_h2_stream_settle(stream);
    tg_client_h2_count_idle(client);
}

/* --- Frames --- */

static bool is_our_ping(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK);
}

static void frame_came(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_client_h2 *client = tg_client_h2_of(session);
    double now = tg_loop_now(client->base.worker->loop);
    enum tg_h2_excess excess = TG_H2_EXCESS_NONE;
    if (frame->hd.type == NGHTTP2_DATA)
        excess = tg_client_h2_budget_data(&client->budget, frame->hd.length - frame->data.padlen,
                                          frame->hd.flags & NGHTTP2_FLAG_END_STREAM, now);
    else if (frame->hd.type == NGHTTP2_RST_STREAM &&
             !nghttp2_session_get_stream_user_data(session->codec, frame->hd.stream_id))
        tg_client_h2_spend(client, TG_H2_EXCESS_CONTROL, 1);
    else if (is_our_ping(frame) && client->announced && !client->ending)
        tg_client_h2_end_now(client);
    if (excess != TG_H2_EXCESS_NONE)
        tg_client_h2_calm(client, excess);
}

static void frame_went(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_client_h2 *client = tg_client_h2_of(session);
    if (frame->hd.type == NGHTTP2_DATA)
        tg_client_h2_budget_sent_data(&client->budget);
    /* A stream that wasn't admitted, or is gone. */
    if (frame->hd.type == NGHTTP2_RST_STREAM &&
        !nghttp2_session_get_stream_user_data(session->codec, frame->hd.stream_id))
        tg_client_h2_spend(client, TG_H2_EXCESS_RESETS,
                           frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM ? refused_cost : 1);
}

static void session_is_over(struct tg_h2_session *session, const char *detail)
{
    (void)detail;
    tg_client_h2_close_gently(tg_client_h2_of(session), TG_REASON_CLIENT_LEFT);
}

const struct tg_h2_session_ops tg_client_h2_session_ops = {
    .begin_section = begin_section,
    .section = section_is_whole,
    .data = data_came,
    .end = data_ended,
    .take = tg_client_h2_take,
    .sent = bytes_sent,
    .reset = reset_came,
    .closed = stream_closed,
    .frame_received = frame_came,
    .frame_sent = frame_went,
    .over = session_is_over,
};
