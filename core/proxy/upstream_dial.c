#include "proxy/upstream_dial.h"

#include <stdlib.h>

/* All but the stream. */
static void end(struct tg_dial *dial)
{
    tg_list_remove(&dial->link);
    tg_deadline_deinit(&dial->deadline);
    atomic_fetch_sub_explicit(&dial->peer->active, 1, memory_order_relaxed);
    tg_peer_unref(dial->peer);
    tg_loop_free_later(dial->worker->loop, dial);
}

void tg_dial_cancel(struct tg_dial *dial)
{
    tg_stream_close(dial->stream);
    end(dial);
}

static void fail(struct tg_dial *dial, enum tg_reason reason, const char *detail)
{
    tg_counters_add(tg_loop_counters(dial->worker->loop), TG_COUNTER_UPSTREAM_CONNECT_FAILURES, 1);
    dial->dialer->failed(dial->dialer, dial, reason, detail);
    tg_dial_cancel(dial);
}

static void on_connected(struct tg_stream *stream)
{
    struct tg_dial *dial = tg_stream_owner(stream);
    enum tg_protocol protocol = dial->peer->protocol == TG_PROTOCOL_H2 ? TG_PROTOCOL_H2 : TG_PROTOCOL_H1;
    dial->dialer->opened(dial->dialer, dial, stream, protocol);
    end(dial);
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end how)
{
    enum tg_reason reason = how == TG_STREAM_REFUSED ? TG_REASON_REFUSED
                            : how == TG_STREAM_ERROR ? TG_REASON_OVERLOAD
                                                     : TG_REASON_RESET;
    fail(tg_stream_owner(stream), reason, NULL);
}

/* Nothing comes before the stream is open, and then it has another owner. */
static void on_data(struct tg_stream *stream, struct tg_buffer data)
{
    (void)data;
    fail(tg_stream_owner(stream), TG_REASON_INVALID, "bytes before the connection was open");
}

static void on_eof(struct tg_stream *stream)
{
    fail(tg_stream_owner(stream), TG_REASON_RESET, NULL);
}

static void on_drained(struct tg_stream *stream)
{
    (void)stream;
}

static const struct tg_stream_ops stream_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_failed = on_failed,
};

static void timed_out(struct tg_deadline *deadline)
{
    fail(TG_CONTAINER_OF(deadline, struct tg_dial, deadline), TG_REASON_TIMEOUT, NULL);
}

struct tg_dial *tg_dial_start(struct tg_dialer *dialer, struct tg_worker *worker, struct tg_peer *peer,
                              const struct tg_dial_limits *limits, bool h1_only)
{
    struct tg_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return NULL;
    dial->stream = tg_stream_connect(worker->loop, &peer->address, NULL, &stream_ops, dial);
    if (!dial->stream) {
        free(dial);
        return NULL;
    }
    tg_list_init(&dial->link);
    dial->dialer = dialer;
    dial->worker = worker;
    dial->peer = tg_peer_ref(peer);
    dial->h1_only = h1_only;
    atomic_fetch_add_explicit(&peer->active, 1, memory_order_relaxed);
    tg_deadline_init(&dial->deadline, worker->loop, timed_out);
    tg_deadline_in(&dial->deadline, limits->connect);
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_UPSTREAM_CONNECTS, 1);
    return dial;
}
