/* Writing: what the exchange asks of the client's connection. */
#include <math.h>

#include "http/date.h"
#include "http/h1_write.h"
#include "proxy/client_h1_state.h"
#include "proxy/h1_websocket.h"

static struct tg_client_h1 *client_of(struct tg_client_side *side)
{
    return TG_CONTAINER_OF(side, struct tg_client_h1, side);
}

/* Out of memory, or a body that isn't what was promised: the client must not take what it got for whole. Deferred,
 * since we are inside a call of the exchange. */
static void fail_later(struct tg_client_h1 *client)
{
    struct tg_exchange *exchange = client->exchange;
    client->close = true;
    if (exchange) {
        tg_exchange_from_upstream_failed(exchange, TG_REASON_INVALID,
                                         "the response's length isn't what its head promised");
        exchange->response_pipe.failed = true; /* handlers of the body can't make it good again */
        tg_buffer_queue_clear(&exchange->response_pipe.waiting);
        exchange->response_taken = false;
    }
}

static void write_head(struct tg_client_h1 *client, const struct tg_response_head *head,
                       const struct tg_h1_framing *framing)
{
    struct tg_loop *loop = client->base.worker->loop;
    size_t bound = tg_h1_response_bound(head, framing);
    char *to = tg_loop_reserve(loop, bound);
    size_t length = to ? tg_h1_write_response(head, framing, tg_http_date(tg_loop_wall(loop)), to, bound) : 0;
    if (length == 0)
        fail_later(client);
    else
        tg_stream_send(client->base.stream, tg_loop_commit(loop, length));
}

static void send_informational(struct tg_client_side *side, const struct tg_response_head *head)
{
    struct tg_client_h1 *client = client_of(side);
    struct tg_h1_framing framing = { .framing = TG_FRAMING_NONE };
    if (client->version == TG_HTTP_1_0 || client->head_sent)
        return;
    if (head->status == 100) {
        if (client->continued)
            return; /* nobody waits for it: at most one goes down [D07] */
        client->continued = true;
        tg_client_h1_watch_rate(client);
    }
    write_head(client, head, &framing);
}

/* How the body is delimited on this connection, and whether the connection outlives it (RFC 9112 6.3, 9.3). */
static struct tg_h1_framing choose_framing(struct tg_client_h1 *client, const struct tg_response_head *head, bool end)
{
    struct tg_h1_framing framing = { .framing = TG_FRAMING_NONE };
    if (head->status == 101) {
        framing.upgrade = head->upgrade;
    } else if (tg_response_bodyless(head->status, client->exchange->request.method)) {
        framing.write_length = head->has_content_length && head->status != 204;
        framing.length = head->content_length;
    } else if (end || head->framing == TG_FRAMING_LENGTH) {
        framing.framing = TG_FRAMING_LENGTH;
        framing.length = end ? 0 : head->content_length;
    } else if (client->version == TG_HTTP_1_0) {
        framing.framing = TG_FRAMING_CLOSE;
        client->close = true;
    } else {
        framing.framing = TG_FRAMING_CHUNKED;
    }
    return framing;
}

/* An answer that doesn't come from upstream leaves the body unread: is so little left that eating it saves the
 * connection? A client that still waits for 100 may send its body or not: nobody can know what comes next. */
static bool body_too_much_to_eat(const struct tg_client_h1 *client)
{
    if (client->reading != TG_CLIENT_READS_BODY)
        return false;
    if (!client->continued)
        return true;
    return client->exchange->from != TG_FROM_UPSTREAM && client->body.framing == TG_FRAMING_LENGTH &&
           client->body.remaining > TG_CLIENT_DISCARD_MAX;
}

static void send_head(struct tg_client_side *side, const struct tg_response_head *head, bool end)
{
    struct tg_client_h1 *client = client_of(side);
    struct tg_h1_framing framing = choose_framing(client, head, end);
    client->close = client->close || client->base.worker->draining || body_too_much_to_eat(client);
    if (head->status != 101) {
        framing.close = client->close;
        framing.keep_alive = !client->close && client->version == TG_HTTP_1_0;
    } else if (!tg_h1_websocket_answer(&client->exchange->request, &client->exchange->response)) { /* which is `head` */
        fail_later(client);
        return;
    }
    client->head_sent = true;
    tg_h1_body_writer_init(&client->writer, framing.framing, framing.length);
    write_head(client, head, &framing);
}

static void body_ready(struct tg_client_side *side)
{
    struct tg_client_h1 *client = client_of(side);
    if (tg_stream_unsent(client->base.stream) >= TG_CLIENT_UNSENT_HIGH || client->writer.ended)
        return;
    struct tg_buffer_queue bytes;
    const struct tg_fields *trailers = NULL;
    bool end = false;
    tg_buffer_queue_init(&bytes);
    bool sent = tg_exchange_take_response(client->exchange, &bytes, TG_CLIENT_UNSENT_HIGH, &end, &trailers);
    tg_counters_add(tg_loop_counters(client->base.worker->loop), TG_COUNTER_BYTES_TO_CLIENTS,
                    (int64_t)tg_buffer_queue_length(&bytes));
    sent = sent && tg_h1_body_write(&client->writer, client->base.stream, &bytes, end, trailers);
    tg_buffer_queue_deinit(&bytes);
    if (!sent)
        fail_later(client);
    else if (client->reading == TG_CLIENT_TUNNELS && end)
        tg_stream_finish(client->base.stream);
    else if (!end && client->own_at == INFINITY && client->reading != TG_CLIENT_TUNNELS)
        tg_client_h1_watch_rate(client);
}

static void pause_body(struct tg_client_side *side)
{
    struct tg_client_h1 *client = client_of(side);
    client->body_open = false;
    tg_client_h1_pause(client);
}

static void resume_body(struct tg_client_side *side)
{
    struct tg_client_h1 *client = client_of(side);
    client->body_open = true;
    if (client->reading == TG_CLIENT_READS_BODY)
        tg_client_h1_watch_rate(client);
    tg_client_h1_wake_input(client);
}

static void want_body(struct tg_client_side *side, bool say_continue)
{
    struct tg_client_h1 *client = client_of(side);
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (say_continue && !client->continued) {
        client->continued = true;
        tg_stream_send(client->base.stream, (struct tg_buffer){ NULL, text, sizeof text - 1 });
    }
    resume_body(side);
}

static void become_tunnel(struct tg_client_side *side)
{
    struct tg_client_h1 *client = client_of(side);
    client->reading = TG_CLIENT_TUNNELS;
    client->body_open = true;
    client->own_at = INFINITY;
    tg_h1_body_writer_init(&client->writer, TG_FRAMING_CLOSE, 0);
    tg_client_h1_wake_input(client);
    if (client->eof)
        tg_exchange_from_client_end(client->exchange);
}

static void reset(struct tg_client_side *side, enum tg_reason reason)
{
    struct tg_client_h1 *client = client_of(side);
    client->exchange = NULL;
    if (reason == TG_REASON_CLIENT_LEFT)
        tg_client_h1_close(client);
    else if (client->head_sent && client->writer.framing != TG_FRAMING_CLOSE)
        tg_client_h1_close_gently(client); /* the framing tells that the message isn't whole */
    else
        tg_client_h1_close_hard(client);
}

static void detach(struct tg_client_side *side)
{
    struct tg_client_h1 *client = client_of(side);
    client->exchange = NULL;
    client->own_at = INFINITY;
    if (client->close || client->reading == TG_CLIENT_TUNNELS) {
        tg_client_h1_close_gently(client);
        return;
    }
    if (client->reading == TG_CLIENT_READS_BODY)
        tg_client_h1_discard_body(client);
    else
        tg_client_h1_next_request(client);
}

const struct tg_client_side_ops tg_client_h1_ops = {
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
