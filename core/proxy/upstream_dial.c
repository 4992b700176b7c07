#include "proxy/upstream_dial.h"

#include <stdlib.h>

#include "net/tls_client.h"

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

/* What to speak, by what the handshake came to; AUTO: it is none of what may be spoken. A handshake without ALPN, or
 * none at all, means HTTP/1 where nothing else was said. */
static enum tg_protocol choose_protocol(const struct tg_dial *dial)
{
    const struct tg_tls_facts *facts = tg_stream_tls_facts(dial->stream);
    enum tg_protocol wanted = dial->h1_only ? TG_PROTOCOL_H1 : dial->peer->protocol;
    if (!facts)
        return wanted == TG_PROTOCOL_H2 ? TG_PROTOCOL_H2 : TG_PROTOCOL_H1;
    enum tg_protocol chosen = facts->alpn == TG_ALPN_H2 ? TG_PROTOCOL_H2 : TG_PROTOCOL_H1;
    return wanted == TG_PROTOCOL_AUTO || wanted == chosen ? chosen : TG_PROTOCOL_AUTO;
}

/* What a peer chose where it had the choice is expected the next time, until a handshake says otherwise [X09]. */
static void learn(const struct tg_dial *dial, enum tg_alpn alpn)
{
    if (dial->peer->tls && !dial->h1_only)
        atomic_store_explicit(&dial->peer->alpn, alpn, memory_order_relaxed);
}

static void on_connected(struct tg_stream *stream)
{
    struct tg_dial *dial = tg_stream_owner(stream);
    enum tg_protocol protocol = choose_protocol(dial);
    if (protocol == TG_PROTOCOL_AUTO) {
        learn(dial, TG_ALPN_NONE);
        fail(dial, TG_REASON_INVALID,
             dial->peer->protocol == TG_PROTOCOL_H2 ? "the peer didn't choose HTTP/2 (ALPN)"
                                                    : "the peer chose a protocol that wasn't offered (ALPN)");
        return;
    }
    learn(dial, protocol == TG_PROTOCOL_H2 ? TG_ALPN_H2 : TG_ALPN_H1);
    dial->dialer->opened(dial->dialer, dial, stream, protocol);
    end(dial);
}

static enum tg_reason reason_of(enum tg_stream_end how)
{
    switch (how) {
    case TG_STREAM_REFUSED: return TG_REASON_REFUSED;
    case TG_STREAM_ERROR: return TG_REASON_OVERLOAD;
    case TG_STREAM_TLS: return TG_REASON_INVALID;
    case TG_STREAM_UNTRUSTED: return TG_REASON_UNTRUSTED;
    default: return TG_REASON_RESET;
    }
}

static void on_failed(struct tg_stream *stream, enum tg_stream_end how)
{
    struct tg_dial *dial = tg_stream_owner(stream);
    learn(dial, TG_ALPN_NONE);
    fail(dial, reason_of(how), tg_stream_problem(stream));
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
    struct tg_dial *dial = TG_CONTAINER_OF(deadline, struct tg_dial, deadline);
    bool reached = dial->peer->tls && tg_stream_reached(dial->stream);
    if (reached && !dial->shaking_hands) {
        dial->shaking_hands = true;
        tg_deadline_in(&dial->deadline, dial->limits.tls);
        return;
    }
    learn(dial, TG_ALPN_NONE);
    fail(dial, TG_REASON_TIMEOUT, reached ? "the TLS handshake took too long" : NULL);
}

static bool start_tls(struct tg_dial *dial)
{
    struct tg_peer *peer = dial->peer;
    if (!peer->tls)
        return true;
    struct tg_slice name = tg_tls_client_name(peer->tls, peer->name);
    return tg_stream_start_tls_client(dial->stream, peer->tls, peer->sessions, name) &&
           (!dial->h1_only || tg_stream_offer_h1_only(dial->stream));
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
    dial->limits = *limits;
    atomic_fetch_add_explicit(&peer->active, 1, memory_order_relaxed);
    tg_deadline_init(&dial->deadline, worker->loop, timed_out);
    tg_deadline_in(&dial->deadline, limits->connect);
    if (!start_tls(dial)) {
        tg_dial_cancel(dial);
        return NULL;
    }
    tg_counters_add(tg_loop_counters(worker->loop), TG_COUNTER_UPSTREAM_CONNECTS, 1);
    return dial;
}
