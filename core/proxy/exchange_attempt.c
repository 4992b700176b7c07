/* Attempts: which peer, which connection, what is sent, and when to try again.
 *
 * A request of which nothing was sent may go to another peer. So may one that upstream says it didn't process, whatever
 * its method, if its body can be replayed (RFC 9113 8.7); where no other peer is left it goes to the same one over a
 * fresh connection. One that was sent over a connection that had carried others before, and that died before a byte of
 * the response, is sent once more over a fresh one if its method is idempotent and its body can be replayed: the same
 * bytes, no phase runs, it isn't counted as an attempt (RFC 9110 9.2.2, RFC 9112 9.3.1). A 421 over such a connection
 * is treated likewise, whatever the method (RFC 9110 15.5.20), and so is HTTP_1_1_REQUIRED. Once the response head is
 * committed nothing is retried.
 */
#include <math.h>

#include "base/log.h"
#include "proxy/balance.h"
#include "proxy/exchange_steps.h"
#include "proxy/forwarding.h"
#include "proxy/grpc_call.h"
#include "proxy/reason.h"

static uint32_t attempts_allowed(const struct tg_exchange *exchange)
{
    return exchange->route->attempts ? exchange->route->attempts : exchange->group->attempts;
}

static void release_peer(struct tg_exchange *exchange)
{
    if (exchange->peer)
        tg_peer_unref(exchange->peer);
    exchange->peer = NULL;
}

/* The next peer of the group; false, and the one before stays, where all were tried. */
static bool choose_peer(struct tg_exchange *exchange)
{
    struct tg_peer *peer = tg_balance_choose(exchange->worker, exchange->group, &exchange->tried);
    if (!peer)
        return false;
    release_peer(exchange);
    exchange->peer = tg_peer_ref(peer);
    exchange->attempt++;
    return true;
}

static bool prepare_attempt(struct tg_exchange *exchange)
{
    const char *problem = NULL;
    bool prepared = tg_forwarding_prepare(exchange, &problem);
    if (!prepared)
        tg_exchange_fail(exchange, 500, "rewrite", problem);
    if (exchange->request_changed)
        exchange->outgoing.framing = TG_FRAMING_CHUNKED; /* of a length that nobody knows */
    if (exchange->continue_said)
        exchange->outgoing.expect_continue = false;
    return prepared;
}

bool tg_exchange_begin_attempt(struct tg_exchange *exchange)
{
    if (choose_peer(exchange))
        return prepare_attempt(exchange);
    tg_exchange_fail(exchange, 502, "upstream_failed", "the upstream has no peer");
    return false;
}

void tg_exchange_connect(struct tg_exchange *exchange, bool fresh)
{
    struct tg_connector *connector = exchange->worker->connector;
    double timeout = tg_exchange_timeout(exchange->route->timeouts.connect, exchange->group->timeouts.connect);
    bool careful = !tg_method_idempotent(exchange->outgoing.method) || tg_request_has_body(&exchange->request);
    exchange->connect_failed = TG_REASON_NONE;
    exchange->fresh_wanted = exchange->request_sent = exchange->upstream_reused = false;
    exchange->times.connected = exchange->times.first_byte = 0;
    exchange->times.connect_started = tg_loop_now(exchange->worker->loop);
    exchange->state = TG_EXCHANGE_CONNECTING;
    exchange->connected =
        connector->acquire(connector, exchange, exchange->group, exchange->peer, timeout, fresh, careful);
}

void tg_exchange_from_connector_ready(struct tg_exchange *exchange, struct tg_upstream_side *side)
{
    exchange->connected = side;
    exchange->connecting = NULL;
    tg_exchange_wake(exchange);
}

void tg_exchange_from_connector_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail)
{
    exchange->connect_failed = reason;
    exchange->upstream_detail = detail;
    exchange->connecting = NULL;
    tg_exchange_wake(exchange);
}

void tg_exchange_send_request(struct tg_exchange *exchange)
{
    struct tg_upstream_side *side = exchange->connected;
    exchange->connected = NULL;
    exchange->upstream_side = side;
    exchange->times.connected = tg_loop_now(exchange->worker->loop);
    exchange->upstream_reused = side->reused;
    bool end = exchange->request_pipe.ended && tg_buffer_queue_length(&exchange->request_pipe.waiting) == 0 &&
               !tg_exchange_has_request_trailers(exchange);
    exchange->request_sent = true;
    exchange->request_taken = end && !tg_request_has_body(&exchange->outgoing);
    if (exchange->request.extended_connect) /* what comes before it is answered belongs to the tunnel, and waits */
        exchange->request_taken = true;
    if (exchange->grpc && !tg_grpc_call_refresh_timeout(exchange)) {
        tg_exchange_fail_for(exchange, TG_REASON_OVERLOAD, "out of memory for grpc-timeout");
        return;
    }
    side->ops->send_head(side, &exchange->outgoing, exchange->route->raw_path, exchange->request_taken);
    if (exchange->request_taken || exchange->outgoing.expect_continue)
        tg_exchange_wait_for_upstream(exchange, tg_exchange_first_byte_limit(exchange));
    if (!exchange->request_taken && !exchange->body_wanted && exchange->client_side) {
        exchange->body_wanted = true;
        exchange->client_side->ops->want_body(exchange->client_side, false);
    }
    tg_exchange_pump_request(exchange);
}

void tg_exchange_drop_upstream(struct tg_exchange *exchange, enum tg_reason reason)
{
    if (exchange->state == TG_EXCHANGE_CONNECTING && !exchange->connected)
        exchange->worker->connector->cancel(exchange->worker->connector, exchange);
    struct tg_upstream_side *side = exchange->upstream_side ? exchange->upstream_side : exchange->connected;
    exchange->upstream_side = exchange->connected = NULL;
    exchange->upstream_failed = TG_REASON_NONE;
    exchange->upstream_head_ready = false;
    exchange->wait_until = INFINITY;
    if (side)
        side->ops->reset(side, reason);
    tg_exchange_forget_replay(exchange);
}

/* Nothing of this attempt is part of the next one [O03]. */
static void let_failed_side_go(struct tg_exchange *exchange, enum tg_reason reason)
{
    struct tg_upstream_side *side = exchange->upstream_side;
    exchange->upstream_side = NULL;
    exchange->wait_until = INFINITY;
    exchange->upstream_failed = TG_REASON_NONE;
    exchange->upstream_detail = NULL;
    exchange->upstream_head_ready = exchange->upstream_ended = false;
    tg_exchange_reset_response(exchange, 0, TG_FROM_NOBODY);
    if (side)
        side->ops->reset(side, reason);
}

static bool may_repeat_on_fresh_connection(const struct tg_exchange *exchange, enum tg_reason reason)
{
    bool lost = (reason == TG_REASON_RESET || reason == TG_REASON_CUT) && exchange->upstream_detail == NULL &&
                tg_method_idempotent(exchange->outgoing.method);
    return (lost || reason == TG_REASON_MISDIRECTED) && exchange->request_sent && exchange->upstream_reused &&
           !exchange->fresh_retry_used && exchange->informational == 0 && exchange->replayable;
}

/* RFC 9113 7: HTTP_1_1_REQUIRED is answered by the same request over HTTP/1.1, whatever its method. */
static bool may_repeat_over_h1(const struct tg_exchange *exchange, enum tg_reason reason)
{
    return reason == TG_REASON_H1_REQUIRED && exchange->peer->protocol == TG_PROTOCOL_AUTO && !exchange->h1_wanted &&
           exchange->informational == 0 && exchange->replayable;
}

static void repeat_on_fresh_connection(struct tg_exchange *exchange)
{
    exchange->fresh_retry_used = true;
    tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_UPSTREAM_RETRIES, 1);
    tg_exchange_connect(exchange, true);
}

/* Chooses where the next attempt goes; false: there is none. */
static bool choose_next(struct tg_exchange *exchange, enum tg_reason reason)
{
    bool unprocessed = reason == TG_REASON_UNPROCESSED && exchange->informational == 0;
    if (exchange->attempt >= attempts_allowed(exchange))
        return false;
    if (exchange->request_sent && !(unprocessed && exchange->replayable && tg_exchange_rewind_request(exchange)))
        return false;
    if (choose_peer(exchange))
        return true;
    if (!unprocessed)
        return false;
    exchange->fresh_wanted = true;
    exchange->attempt++;
    return true;
}

static void answer_for_failed_attempts(struct tg_exchange *exchange, enum tg_reason reason, const char *detail)
{
    tg_exchange_forget_replay(exchange);
    if (!detail)
        detail = tg_reason_name(reason);
    if (exchange->request_sent)
        tg_exchange_fail_for(exchange, reason, detail);
    else
        tg_exchange_fail(exchange, tg_reason_status(reason), tg_reason_code(reason), detail);
}

static void log_failure(const struct tg_exchange *exchange, enum tg_reason reason, const char *detail, bool repeats)
{
    struct tg_slice group = exchange->group->name, peer = exchange->peer->name;
    tg_log(TG_LOG_WARN, "request %.32s: upstream \"%.*s\" at %.*s: %s%s%s%s", exchange->id, (int)group.length, group.at,
           (int)peer.length, peer.at, tg_reason_name(reason), detail ? ": " : "", detail ? detail : "",
           repeats ? "; sent again on a fresh connection" : "");
}

void tg_exchange_attempt_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail)
{
    struct tg_counters *counters = tg_loop_counters(exchange->worker->loop);
    bool over_h1 = may_repeat_over_h1(exchange, reason);
    bool repeat = over_h1 || may_repeat_on_fresh_connection(exchange, reason);
    exchange->h1_wanted |= over_h1;
    log_failure(exchange, reason, detail, repeat);
    let_failed_side_go(exchange, reason);
    if (repeat && tg_exchange_rewind_request(exchange)) {
        repeat_on_fresh_connection(exchange);
        return;
    }
    tg_counters_add(counters, TG_COUNTER_UPSTREAM_FAILURES, 1);
    if (choose_next(exchange, reason)) {
        tg_counters_add(counters, TG_COUNTER_UPSTREAM_RETRIES, 1);
        if (prepare_attempt(exchange))
            exchange->state = TG_EXCHANGE_UPSTREAM_REQUEST;
        return;
    }
    answer_for_failed_attempts(exchange, reason, detail);
}

bool tg_exchange_repeat_misdirected(struct tg_exchange *exchange)
{
    if (!may_repeat_on_fresh_connection(exchange, TG_REASON_MISDIRECTED))
        return false;
    log_failure(exchange, TG_REASON_MISDIRECTED, NULL, true);
    let_failed_side_go(exchange, TG_REASON_MISDIRECTED);
    if (tg_exchange_rewind_request(exchange))
        repeat_on_fresh_connection(exchange);
    else
        answer_for_failed_attempts(exchange, TG_REASON_OVERLOAD, "out of memory for the request's body");
    return true;
}

void tg_exchange_from_upstream_informational(struct tg_exchange *exchange, const struct tg_response_head *head)
{
    enum { INFORMATIONAL_MAX = 8 };
    if (exchange->head_sent || !exchange->client_side)
        return;
    if (exchange->informational >= INFORMATIONAL_MAX) {
        tg_exchange_from_upstream_failed(exchange, TG_REASON_INVALID, "more than 8 informational responses");
        return;
    }
    exchange->informational++;
    exchange->client_side->ops->send_informational(exchange->client_side, head);
}

void tg_exchange_from_upstream_head(struct tg_exchange *exchange, const struct tg_response_head *head)
{
    exchange->response = *head;
    exchange->from = TG_FROM_UPSTREAM;
    exchange->upstream_head_ready = true;
    exchange->times.first_byte = tg_loop_now(exchange->worker->loop);
    if (exchange->grpc)
        exchange->grpc->messages = (struct tg_grpc_messages){ 0 };
    tg_exchange_wait_for_upstream(exchange, tg_exchange_between_bytes_limit(exchange));
    tg_exchange_wake(exchange);
}

/* All of the declared length has come: how the connection or stream ends behind it takes nothing away [W03]. */
static bool response_is_whole(const struct tg_exchange *exchange, enum tg_reason reason)
{
    const struct tg_response_head *head = &exchange->response;
    switch (reason) {
    case TG_REASON_CUT:
    case TG_REASON_RESET:
    case TG_REASON_STREAM_RESET:
    case TG_REASON_CANCELLED:
        return exchange->from == TG_FROM_UPSTREAM && !exchange->grpc &&
               (head->framing == TG_FRAMING_LENGTH || exchange->response_had_length) &&
               exchange->response_pipe.passed == head->content_length;
    default: return false;
    }
}

void tg_exchange_from_upstream_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail)
{
    if (response_is_whole(exchange, reason)) {
        tg_exchange_from_upstream_end(exchange);
        return;
    }
    exchange->upstream_failed = reason;
    exchange->upstream_detail = detail;
    if (!exchange->response_bodies || !tg_exchange_tell_bodies(exchange, reason))
        exchange->response_pipe.failed = true;
    if (exchange->whole_awaited)
        exchange->worker->hooks->whole_ready(exchange);
    tg_exchange_wake(exchange);
}
