/* What a turn gave is gathered into full records; after a while of silence the first ones are small, so that the peer
 * can use what came in the first packets before the rest is there. */
#include <openssl/err.h>

#include "net/tls_stream.h"

enum {
    RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
    SMALL_RECORD = 1400,
    SMALL_BYTES = 64 * 1024, /* so many go in small records after a silence */
    AHEAD = 128 * 1024,      /* encrypted before the socket takes it */
    READS_AT_END = 8,
};

static const double SILENCE = 1;

static size_t record_limit(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    double now = tg_loop_now(stream->loop);
    if (now - tls->encrypted_at >= SILENCE)
        tls->small_left = SMALL_BYTES;
    tls->encrypted_at = now;
    return tls->small_left > 0 ? SMALL_RECORD : RECORD;
}

/* Copies the front of the queue, and takes it off. */
static size_t gather(struct tg_buffer_queue *out, char *room, size_t limit)
{
    size_t length = 0;
    while (length < limit && tg_buffer_queue_length(out) > 0) {
        struct tg_buffer front = tg_buffer_queue_peek(out);
        size_t part = front.length < limit - length ? front.length : limit - length;
        memcpy(room + length, front.at, part);
        tg_buffer_queue_drop(out, part);
        length += part;
    }
    return length;
}

/* In one record, or in several where the client asked for smaller ones (RFC 6066 4), each of which ends a call. */
static bool write_record(struct tg_tls *tls, const char *at, size_t length)
{
    size_t written = 0, part;
    tg_tls_enter(tls);
    while (written < length && SSL_write_ex(tls->ssl, at + written, length - written, &part))
        written += part;
    tg_tls_leave(tls);
    if (written == length) {
        tls->small_left -= length < tls->small_left ? (uint32_t)length : tls->small_left;
        return true;
    }
    tls->end = TG_TLS_FAILED;
    if (!tls->problem)
        tls->problem = tg_tls_error_text();
    return false;
}

/* What lies in one piece anyway isn't copied. */
static bool encrypt_record(struct tg_stream *stream)
{
    struct tg_buffer_queue *out = stream->out;
    size_t limit = record_limit(stream);
    struct tg_buffer front = tg_buffer_queue_peek(out);
    if (front.length < limit && front.length < tg_buffer_queue_length(out)) {
        char room[RECORD];
        return write_record(stream->tls, room, gather(out, room, limit));
    }
    size_t length = front.length < limit ? front.length : limit;
    bool written = write_record(stream->tls, front.at, length);
    tg_buffer_queue_drop(out, length);
    return written;
}

static void send_close_notify(struct tg_tls *tls)
{
    tg_tls_enter(tls);
    SSL_shutdown(tls->ssl);
    tg_tls_leave(tls);
    tls->close_sent = true;
}

bool tg_tls_encrypt(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    if (tls->end == TG_TLS_FAILED)
        tg_spare_queue_give_back(stream->loop, &stream->out);
    if (tls->end == TG_TLS_FAILED || tls->handshake || tls->close_sent)
        return true;
    while (tg_spare_queue_length(stream->out) > 0 && tg_spare_queue_length(tls->wire) < AHEAD) {
        if (!encrypt_record(stream))
            return false;
    }
    if (tg_spare_queue_length(stream->out) > 0)
        return true;
    tg_spare_queue_give_back(stream->loop, &stream->out);
    if (stream->finishing)
        send_close_notify(tls);
    return true;
}

bool tg_tls_is_finished(const struct tg_tls *tls)
{
    return tls->close_sent || tls->end == TG_TLS_FAILED;
}

/* What lies unread when a socket is closed makes the close a reset, which could overtake the alert. */
static void discard_unread(int descriptor)
{
    char room[16 * 1024];
    ssize_t got = 1;
    shutdown(descriptor, SHUT_WR);
    for (int reads = 0; reads < READS_AT_END && got > 0; reads++)
        got = recv(descriptor, room, sizeof(room), MSG_DONTWAIT);
}

void tg_tls_say_goodbye(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    bool open = !stream->failed && !stream->connecting && !tls->handshake && tls->end != TG_TLS_FAILED;
    if (open && !tls->close_sent && tg_stream_unsent(stream) == 0)
        send_close_notify(tls);
    if (tls->end == TG_TLS_FAILED || (open && tls->close_sent))
        (void)!tg_stream_push(stream);
    if (tls->end == TG_TLS_FAILED)
        discard_unread(stream->watch.descriptor);
}
