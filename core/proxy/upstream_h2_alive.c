/* Is the peer still there, and does it behave? A PING is sent where nothing came for a while though streams are open,
 * or where a connection is used again after a rest; any byte that comes answers it. Servers of gRPC count PINGs and
 * bear one in five minutes, and less strictly just after something was sent to them. What a peer may send that is no
 * part of a message is budgeted. */
#include <math.h>

#include "base/log.h"
#include "proxy/upstream_h2_state.h"

static const double SILENCE = 5;       /* seconds without a byte, after which a PING is due */
static const double ANSWER = 1;        /* seconds for its answer */
static const double ANSWER_BEHIND = 5; /* likewise, where more is still to be sent before it, or was late */
static const double GRPC_GAP = 305;    /* seconds between two PINGs toward gRPC: its servers count below 300 */
static const double GRPC_GAP_MAX = 7200;
static const double BUDGET_SECONDS = 30;

enum {
    CONTROL_FRAMES = 1000, /* in that time */
    EMPTY_FRAMES = 5000,
    WINDOW_UPDATES = 5000, /* beyond one for each KiB that was sent */
};

static double now_of(const struct tg_upstream_h2 *connection)
{
    return tg_loop_now(connection->worker->loop);
}

static double gap_of(const struct tg_upstream_h2 *connection)
{
    if (!connection->grpc)
        return SILENCE;
    return connection->facts->ping_gap > 0 ? connection->facts->ping_gap : GRPC_GAP;
}

void tg_upstream_h2_ping_less(struct tg_upstream_h2 *connection)
{
    connection->facts->ping_gap = fmin(2 * fmax(gap_of(connection), GRPC_GAP), GRPC_GAP_MAX);
}

static bool ping_is_due(const struct tg_upstream_h2 *connection, double now)
{
    return connection->answer_until == INFINITY && now >= connection->read_at + SILENCE &&
           (connection->pinged_at == 0 || now >= connection->pinged_at + gap_of(connection));
}

static void ping(struct tg_upstream_h2 *connection, double now)
{
    static const uint8_t data[8] = "tidegate";
    connection->pinged_at = now;
    connection->answer_until = now + ANSWER;
    tg_h2_session_ping(&connection->session, data);
}

void tg_upstream_h2_ask_if_alive(struct tg_upstream_h2 *connection)
{
    double now = now_of(connection);
    if (connection->stream_count > 0 && ping_is_due(connection, now)) {
        ping(connection, now);
        tg_upstream_h2_set_timer(connection);
    }
}

void tg_upstream_h2_set_timer(struct tg_upstream_h2 *connection)
{
    double at = connection->idle_until;
    if (connection->stream_count > 0) {
        at = fmax(connection->read_at + SILENCE,
                  connection->pinged_at > 0 ? connection->pinged_at + gap_of(connection) : 0);
        at = fmin(fmax(at, now_of(connection) + ANSWER), connection->answer_until);
    }
    tg_deadline_set(&connection->timer, at);
}

static void unanswered(struct tg_upstream_h2 *connection)
{
    struct tg_slice name = connection->peer->name;
    tg_log(TG_LOG_WARN, "upstream at %.*s: an HTTP/2 connection with %u streams doesn't answer a PING: closed",
           (int)name.length, name.at, connection->stream_count);
    tg_upstream_h2_end(connection, TG_REASON_RESET, NULL, false);
}

/* Since this thread may have been late itself, what already lies in the socket counts; and a PING that waits behind
 * other bytes gets more time. false: the connection has ended. */
static bool heed_answer(struct tg_upstream_h2 *connection, double now)
{
    if (connection->read_at >= connection->pinged_at) {
        connection->answer_until = INFINITY;
        return true;
    }
    if (now < connection->answer_until)
        return true;
    bool behind = tg_stream_unsent(connection->stream) > 0 || !tg_stream_silent(connection->stream);
    if (behind && now < connection->pinged_at + ANSWER_BEHIND) {
        connection->answer_until = now + ANSWER;
        return true;
    }
    unanswered(connection);
    return false;
}

static void tick(struct tg_deadline *deadline)
{
    struct tg_upstream_h2 *connection = TG_CONTAINER_OF(deadline, struct tg_upstream_h2, timer);
    double now = now_of(connection);
    if (connection->answer_until < INFINITY && !heed_answer(connection, now))
        return;
    if (connection->stream_count == 0 && now >= connection->idle_until) {
        tg_upstream_h2_end(connection, TG_REASON_NONE, NULL, true);
        return;
    }
    if (connection->stream_count > 0 && ping_is_due(connection, now))
        ping(connection, now);
    tg_upstream_h2_reset_forgotten(connection);
    tg_upstream_h2_set_timer(connection);
}

void tg_upstream_h2_alive_init(struct tg_upstream_h2 *connection)
{
    connection->read_at = connection->opened_at;
    connection->answer_until = INFINITY;
    connection->budget_at = connection->opened_at;
    tg_deadline_init(&connection->timer, connection->worker->loop, tick);
    tg_deadline_set(&connection->timer, connection->idle_until);
}

/* --- budgets --- */

static void begin_budget(struct tg_upstream_h2 *connection)
{
    double now = now_of(connection);
    if (now < connection->budget_at + BUDGET_SECONDS)
        return;
    connection->budget_at = now;
    connection->budget_sent = tg_stream_sent(connection->stream);
    connection->control_frames = connection->empty_frames = connection->window_updates = 0;
}

static bool is_within_budget(struct tg_upstream_h2 *connection, const nghttp2_frame *frame)
{
    begin_budget(connection);
    switch (frame->hd.type) {
    case NGHTTP2_DATA: return frame->hd.length > frame->data.padlen || ++connection->empty_frames <= EMPTY_FRAMES;
    case NGHTTP2_HEADERS:
    case NGHTTP2_RST_STREAM: return true;
    case NGHTTP2_WINDOW_UPDATE:
        return ++connection->window_updates <=
               WINDOW_UPDATES + (tg_stream_sent(connection->stream) - connection->budget_sent) / 1024;
    default: return ++connection->control_frames <= CONTROL_FRAMES;
    }
}

void tg_upstream_h2_frame_received(struct tg_h2_session *session, const nghttp2_frame *frame)
{
    struct tg_upstream_h2 *connection = TG_CONTAINER_OF(session, struct tg_upstream_h2, session);
    if (!is_within_budget(connection, frame)) {
        connection->draining = true;
        tg_h2_session_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "more frames than any message needs");
        return;
    }
    if (frame->hd.type != NGHTTP2_SETTINGS)
        return;
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        connection->round_trip = fmax(now_of(connection) - connection->opened_at, 1e-6);
    else
        tg_upstream_h2_note_change(connection);
}
