/* Decrypts what comes, ends, and moves the state between loops. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/poison.h"
#include "net/tls_internal.h"
#include "net/tls_stream.h"

enum { READS_FOR_SILENCE = 4 };

/* --- reading --- */

const char *tg_tls_error_text(void)
{
    return ERR_reason_error_string(ERR_peek_error());
}

void tg_tls_fail(struct tg_stream *stream, enum tg_stream_end end, const char *problem)
{
    struct tg_tls *tls = stream->tls;
    if (!tls->problem)
        tls->problem = problem;
    ERR_clear_error();
    if (end != TG_STREAM_ERROR) {
        tls->end = TG_TLS_FAILED;
        (void)!tg_stream_push(stream);
    }
    tg_stream_fail(stream, end);
}

void tg_tls_hear_end(struct tg_stream *stream)
{
    stream->peer_ended = true;
    tg_tls_fail(stream, TG_STREAM_TLS,
                stream->tls->handshake ? "the connection ended within the handshake"
                                       : "the connection ended without close_notify");
}

/* A record without data for each kilobyte is no work to speak of. */
static void forgive_idle_records(struct tg_tls *tls, size_t length)
{
    uint32_t good = (uint32_t)(1 + length / 1024);
    tls->idle_records -= good < tls->idle_records ? good : tls->idle_records;
}

/* Fills the room as far as there is something, and answers how the last try ended. */
static int decrypt(struct tg_tls *tls, char *at, size_t room, size_t *length)
{
    int error = SSL_ERROR_NONE;
    *length = 0;
    tg_tls_enter(tls);
    for (size_t got; *length < room && error == SSL_ERROR_NONE;) {
        if (SSL_read_ex(tls->ssl, at + *length, room - *length, &got)) {
            forgive_idle_records(tls, got);
            *length += got;
        } else {
            error = SSL_get_error(tls->ssl, 0);
        }
    }
    tg_tls_leave(tls);
    return error;
}

static void note_outcome(struct tg_tls *tls, int error)
{
    if (error == SSL_ERROR_WANT_READ) {
        tls->undrained = false;
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        tls->end = TG_TLS_CLOSED;
    } else if (error != SSL_ERROR_NONE) {
        tls->end = TG_TLS_FAILED;
        tls->alerted = !tls->problem && ERR_GET_REASON(ERR_peek_error()) > SSL_AD_REASON_OFFSET;
        if (!tls->problem)
            tls->problem = tg_tls_error_text();
    }
}

/* With an end that came behind data, which was given; a paused owner gets to know of it as of any. */
static void tell_end(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    if (tls->end == TG_TLS_FAILED) {
        tg_tls_fail(stream, TG_STREAM_TLS, NULL);
    } else if (!stream->paused) {
        tls->undrained = false;
        stream->peer_ended = true;
        stream->ops->on_eof(stream);
    } else if (!stream->peer_finished_told) {
        stream->peer_finished_told = true;
        if (stream->ops->on_peer_finished)
            stream->ops->on_peer_finished(stream);
    }
}

static void read_records(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    struct tg_block *block = tg_stream_block(&stream->loop->plain_block);
    if (!block) {
        tg_tls_fail(stream, TG_STREAM_ERROR, NULL);
        return;
    }
    size_t length, room = block->capacity - block->used;
    tg_unpoison(block->data + block->used, room);
    note_outcome(tls, decrypt(tls, block->data + block->used, room, &length));
    if (tls->wire)
        tg_stream_flush_soon(stream);
    if (length > 0)
        tg_stream_give(stream, block, length);
    else if (block->references == 1)
        tg_poison(block->data, block->capacity);
    if (!tg_stream_ended(stream) && !stream->failed && tls->end != TG_TLS_OPEN)
        tell_end(stream);
}

static void take_step(struct tg_stream *stream)
{
    if (stream->tls->handshake)
        tg_tls_shake_hands(stream);
    else if (stream->tls->end != TG_TLS_OPEN)
        tell_end(stream);
    else
        read_records(stream);
}

void tg_tls_run(struct tg_stream *stream)
{
    while (tg_stream_takes(stream) && stream->tls->undrained)
        take_step(stream);
}

void tg_tls_feed(struct tg_tls *tls, struct tg_buffer ciphertext)
{
    tls->unread = ciphertext;
    tls->undrained = true;
}

static void go_on(struct tg_task *task)
{
    struct tg_stream *stream = TG_CONTAINER_OF(task, struct tg_tls, go_on)->stream;
    if (stream->connecting || !tg_stream_takes(stream))
        return;
    tg_watch_change(stream->loop, &stream->watch, stream->watch.interest | TG_STREAM_READING);
    tg_tls_run(stream);
}

void tg_tls_run_soon(struct tg_stream *stream)
{
    tg_loop_defer(stream->loop, &stream->tls->go_on);
}

/* --- what is known of it --- */

struct tg_tls_facts *tg_stream_tls_facts(const struct tg_stream *stream)
{
    return stream->tls ? stream->tls->facts : NULL;
}

const char *tg_stream_problem(const struct tg_stream *stream)
{
    return stream->tls ? stream->tls->problem : NULL;
}

const char *tg_stream_alert(const struct tg_stream *stream)
{
    return stream->tls && stream->tls->alerted ? stream->tls->problem : NULL;
}

/* --- between loops --- */

struct tg_tls *tg_tls_new(struct tg_stream *stream)
{
    struct tg_tls *tls = calloc(1, sizeof(*tls));
    if (!tls)
        return NULL;
    tls->stream = stream;
    tls->handshake = calloc(1, sizeof(*tls->handshake));
    tg_task_init(&tls->go_on, go_on);
    if (!tls->handshake) {
        free(tls);
        return NULL;
    }
    return tls;
}

static void drop_buffers(struct tg_tls *tls)
{
    tg_buffer_unref(tls->unread);
    tls->unread = (struct tg_buffer){ 0 };
    if (tls->wire)
        tg_spare_queue_give_back(tls->stream->loop, &tls->wire);
    tg_list_remove(&tls->go_on.link);
}

void tg_tls_end_handshake(struct tg_tls *tls)
{
    if (tls->handshake)
        free(tls->handshake->hello);
    free(tls->handshake);
    tls->handshake = NULL;
}

void tg_tls_free(struct tg_tls *tls)
{
    drop_buffers(tls);
    if (tls->ssl)
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else the context looks for it */
    SSL_free(tls->ssl);
    tg_tls_end_handshake(tls);
    tg_tls_facts_unref(tls->facts);
    tg_tls_server_unref(tls->server);
    tg_tls_client_unref(tls->client);
    free(tls);
}

/* What is lost here can't be made up for: such a connection serves nobody any more. */
void tg_tls_detach(struct tg_tls *tls)
{
    if (tls->handshake || tls->undrained || tls->wire)
        tls->end = TG_TLS_FAILED;
    drop_buffers(tls);
    tg_tls_facts_unref(tls->facts);
    tls->facts = NULL;
    SSL_set_bio(tls->ssl, NULL, NULL);
    tls->stream = NULL;
}

bool tg_tls_attach(struct tg_tls *tls, struct tg_stream *stream)
{
    tls->stream = stream;
    stream->tls = tls;
    tls->facts = tls->end == TG_TLS_OPEN ? tg_tls_facts_new(tls) : NULL;
    return tls->facts && tg_tls_bio_give(tls) && tg_tls_silent(stream);
}

/* true: records came that bring no data, and nothing of another is there. */
static bool is_nothing(struct tg_tls *tls)
{
    char byte;
    size_t got;
    tg_tls_enter(tls);
    bool nothing = !SSL_peek_ex(tls->ssl, &byte, 1, &got) && SSL_get_error(tls->ssl, 0) == SSL_ERROR_WANT_READ;
    tg_tls_leave(tls);
    if (nothing)
        tls->undrained = false;
    return nothing;
}

/* Into a block of its own, as an owner may be about to read what lies in the loop's. */
static ssize_t receive(struct tg_stream *stream)
{
    struct tg_block *block = tg_block_new();
    if (!block)
        return 0;
    ssize_t got = recv(stream->watch.descriptor, block->data, block->capacity, 0);
    if (got <= 0) {
        int error = errno;
        tg_block_unref(block);
        errno = error;
        return got;
    }
    tg_tls_feed(stream->tls, (struct tg_buffer){ block, block->data, (size_t)got });
    return got;
}

bool tg_tls_silent(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    for (int reads = 0; reads < READS_FOR_SILENCE; reads++) {
        if (tls->handshake || tls->undrained || tls->end != TG_TLS_OPEN)
            break;
        ssize_t got = receive(stream);
        if (got < 0 && errno == EAGAIN)
            return tls->record_left == 0 && tls->header_length == 0;
        if (got <= 0 || !is_nothing(tls))
            break;
    }
    if (tls->undrained)
        tg_tls_run_soon(stream);
    return false;
}
