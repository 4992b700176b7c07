/* How bytes come and go. */
#include <errno.h>
#include <sys/uio.h>

#include "base/poison.h"
#include "net/tls_stream.h"

enum {
    READS_A_TURN = 4,           /* a level-triggered set brings the rest */
    READS_BEFORE_FAILURE = 256, /* of what had come when sending failed */
    READ_AT_LEAST = TG_BLOCK_SIZE / 2,
    VECTOR = 64,
};

enum read_result { READ_MORE, READ_SHORT, READ_END, READ_NOTHING, READ_FAILED, READ_STOPPED };

/* --- coming --- */

/* Parts of it may be kept by owners of other streams, behind whose bytes we go on. */
struct tg_block *tg_stream_block(struct tg_block **place)
{
    struct tg_block *block = *place;
    if (block && block->references == 1)
        block->used = 0;
    if (block && block->capacity - block->used < READ_AT_LEAST) {
        tg_block_unref(block);
        block = NULL;
    }
    if (!block)
        block = tg_block_new();
    *place = block;
    return block;
}

void tg_stream_give(struct tg_stream *stream, struct tg_block *block, size_t length)
{
    struct tg_buffer buffer = { block, block->data + block->used, length };
    block->used += (uint32_t)length;
    stream->received += length;
    stream->loop->unpumped += length;
    stream->ops->on_data(stream, buffer);
    if (block->references == 1)
        tg_poison(block->data, block->capacity);
}

/* A lingering stream whose TLS has failed reads what it discards as it comes. */
static bool decrypts(const struct tg_stream *stream)
{
    return stream->tls && stream->tls->end != TG_TLS_FAILED;
}

bool tg_stream_takes(const struct tg_stream *stream)
{
    if (tg_stream_ended(stream) || stream->failed || stream->peer_ended)
        return false;
    const struct tg_tls_handshake *handshake = stream->tls ? stream->tls->handshake : NULL;
    return handshake ? handshake->state != TG_TLS_HELLO_WAITS : !stream->paused;
}

static void take(struct tg_stream *stream, struct tg_block *block, size_t length)
{
    if (!decrypts(stream)) {
        tg_stream_give(stream, block, length);
        return;
    }
    tg_tls_feed(stream->tls, (struct tg_buffer){ tg_block_ref(block), block->data + block->used, length });
    block->used += (uint32_t)length;
    tg_tls_run(stream);
    if (block->references == 1)
        tg_poison(block->data, block->capacity);
}

/* What was read before goes first. */
static bool is_drained(struct tg_stream *stream)
{
    if (!decrypts(stream))
        return true;
    tg_tls_run(stream);
    return tg_stream_takes(stream);
}

static enum read_result read_once(struct tg_stream *stream)
{
    if (!is_drained(stream))
        return READ_STOPPED;
    struct tg_block *block = tg_stream_block(&stream->loop->read_block);
    if (!block) {
        errno = ENOMEM;
        return READ_FAILED;
    }
    size_t room = block->capacity - block->used;
    tg_unpoison(block->data + block->used, room);
    ssize_t got = recv(stream->watch.descriptor, block->data + block->used, room, 0);
    if (got > 0) {
        take(stream, block, (size_t)got);
        if (!tg_stream_takes(stream))
            return READ_STOPPED;
        return (size_t)got < room ? READ_SHORT : READ_MORE;
    }
    if (got == 0)
        return READ_END;
    return errno == EAGAIN || errno == EINTR ? READ_NOTHING : READ_FAILED;
}

static void end_reading(struct tg_stream *stream, enum read_result result)
{
    if (result == READ_FAILED) {
        tg_stream_fail(stream, errno == ENOMEM ? TG_STREAM_ERROR : TG_STREAM_RESET);
    } else if (result == READ_END && decrypts(stream)) {
        tg_tls_hear_end(stream);
    } else if (result == READ_END) {
        stream->peer_ended = true;
        stream->ops->on_eof(stream);
    }
}

/* A short read ends it, unless the end of the stream is known to lie behind. */
static void read_some(struct tg_stream *stream, uint32_t events)
{
    bool end_is_near = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    enum read_result result = READ_MORE;
    for (int reads = 0; reads < READS_A_TURN; reads++) {
        result = read_once(stream);
        if (result != READ_MORE && !(result == READ_SHORT && end_is_near))
            break;
    }
    end_reading(stream, result);
}

static void lose_interest(struct tg_stream *stream, uint32_t events, uint32_t remaining)
{
    if (tg_stream_ended(stream) || stream->failed)
        return;
    if (events & EPOLLHUP) /* which the set would report for ever */
        tg_watch_stop(stream->loop, &stream->watch);
    else
        tg_watch_change(stream->loop, &stream->watch, remaining | (stream->watch.interest & EPOLLOUT));
}

static void hear_while_paused(struct tg_stream *stream, uint32_t events)
{
    if ((events & (EPOLLRDHUP | EPOLLHUP)) && stream->tls && stream->tls->handshake) {
        tg_tls_hear_end(stream);
        return;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP)) && !stream->peer_finished_told) {
        stream->peer_finished_told = true;
        if (stream->ops->on_peer_finished)
            stream->ops->on_peer_finished(stream);
        if (!stream->paused)
            return;
    }
    lose_interest(stream, events, stream->peer_finished_told ? 0 : EPOLLRDHUP);
}

static void hear(struct tg_stream *stream, uint32_t events)
{
    if (tg_stream_takes(stream))
        read_some(stream, events);
    else if (events & EPOLLERR)
        tg_stream_fail(stream, TG_STREAM_RESET);
    else if (stream->peer_ended)
        lose_interest(stream, events, 0);
    else
        hear_while_paused(stream, events);
}

static void write_again(struct tg_stream *stream)
{
    stream->blocked = false;
    if (tg_stream_unsent(stream) > 0)
        tg_stream_flush_soon(stream);
    else
        tg_watch_change(stream->loop, &stream->watch, stream->watch.interest & ~(uint32_t)EPOLLOUT);
}

void tg_stream_ready(struct tg_watch *watch, uint32_t events)
{
    struct tg_stream *stream = TG_CONTAINER_OF(watch, struct tg_stream, watch);
    if (stream->connecting) {
        tg_stream_finish_connecting(stream, events);
        return;
    }
    if (events & (EPOLLOUT | EPOLLHUP))
        write_again(stream);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        hear(stream, events);
}

void tg_stream_fail(struct tg_stream *stream, enum tg_stream_end end)
{
    if (stream->failed)
        return;
    stream->failed = true;
    tg_spare_queue_give_back(stream->loop, &stream->out);
    if (stream->tls)
        tg_tls_break_off_handshake(stream->tls);
    tg_watch_stop(stream->loop, &stream->watch);
    stream->ops->on_failed(stream, end);
}

void tg_stream_pause(struct tg_stream *stream)
{
    stream->paused = true;
}

void tg_stream_resume(struct tg_stream *stream)
{
    stream->paused = false;
    if (stream->failed || stream->connecting || stream->peer_ended)
        return;
    tg_watch_change(stream->loop, &stream->watch, stream->watch.interest | TG_STREAM_READING);
    if (stream->tls && stream->tls->undrained)
        tg_tls_run_soon(stream);
}

/* --- going --- */

void tg_stream_flush_soon(struct tg_stream *stream)
{
    if (tg_list_empty(&stream->unsent_link))
        tg_list_append(&stream->loop->unsent, &stream->unsent_link);
}

/* An owner that sees so much unsent may stop giving, and then relies on being told. */
static void note_mark(struct tg_stream *stream)
{
    if (tg_stream_unsent(stream) >= TG_STREAM_LOW_MARK)
        stream->above_mark = true;
}

void tg_stream_send(struct tg_stream *stream, struct tg_buffer buffer)
{
    if (stream->failed || stream->finished) {
        tg_buffer_unref(buffer);
        return;
    }
    if (!tg_spare_queue_take(stream->loop, &stream->out)) {
        tg_buffer_unref(buffer);
        stream->starved = true;
    } else if (!tg_buffer_queue_push(stream->out, buffer)) {
        stream->starved = true;
    }
    note_mark(stream);
    tg_stream_flush_soon(stream);
}

void tg_stream_send_queue(struct tg_stream *stream, struct tg_buffer_queue *queue)
{
    if (stream->failed || stream->finished) {
        tg_buffer_queue_clear(queue);
        return;
    }
    if (!tg_spare_queue_take(stream->loop, &stream->out)) {
        tg_buffer_queue_clear(queue);
        stream->starved = true;
    } else if (!tg_buffer_queue_move(stream->out, queue)) {
        stream->starved = true;
    }
    note_mark(stream);
    tg_stream_flush_soon(stream);
}

void tg_stream_finish(struct tg_stream *stream)
{
    if (stream->failed || stream->finishing)
        return;
    stream->finishing = true;
    tg_stream_flush_soon(stream);
}

static ssize_t send_front(struct tg_stream *stream, const struct tg_buffer_queue *queue, size_t *asked)
{
    struct iovec vector[VECTOR];
    struct msghdr message = { .msg_iov = vector };
    int count = tg_buffer_queue_to_vector(queue, vector, VECTOR);
    *asked = vector[0].iov_len;
    if (count == 1)
        return send(stream->watch.descriptor, vector[0].iov_base, vector[0].iov_len, MSG_NOSIGNAL);
    for (int i = 1; i < count; i++)
        *asked += vector[i].iov_len;
    message.msg_iovlen = (size_t)count;
    return sendmsg(stream->watch.descriptor, &message, MSG_NOSIGNAL);
}

static void wait_for_room(struct tg_stream *stream)
{
    stream->blocked = true;
    tg_watch_change(stream->loop, &stream->watch, stream->watch.interest | EPOLLOUT);
}

bool tg_stream_push(struct tg_stream *stream)
{
    struct tg_buffer_queue **queue = stream->tls ? &stream->tls->wire : &stream->out;
    while (!stream->blocked) {
        size_t asked;
        if (stream->tls && !tg_tls_encrypt(stream))
            return false;
        if (tg_spare_queue_length(*queue) == 0) {
            tg_spare_queue_give_back(stream->loop, queue);
            break;
        }
        ssize_t taken = send_front(stream, *queue, &asked);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && errno != EAGAIN)
            return false;
        if (taken > 0) {
            tg_buffer_queue_drop(*queue, (uint64_t)taken);
            stream->sent += (uint64_t)taken;
        }
        if (taken < (ssize_t)asked)
            wait_for_room(stream);
    }
    return true;
}

/* What had come before the peer went away may be an answer: it is given first. */
static void fail_sending(struct tg_stream *stream)
{
    enum read_result result = READ_MORE;
    if (stream->tls && !decrypts(stream)) {
        tg_tls_fail(stream, TG_STREAM_TLS, NULL);
        return;
    }
    tg_spare_queue_give_back(stream->loop, &stream->out);
    for (int reads = 0; reads < READS_BEFORE_FAILURE && result <= READ_SHORT; reads++)
        result = tg_stream_takes(stream) ? read_once(stream) : READ_NOTHING;
    if (!tg_stream_ended(stream))
        tg_stream_fail(stream, TG_STREAM_RESET);
}

static void finish_sending(struct tg_stream *stream)
{
    stream->finished = true;
    shutdown(stream->watch.descriptor, SHUT_WR);
    if (stream->linger)
        tg_stream_linger_sent(stream);
}

static void tell_if_drained(struct tg_stream *stream)
{
    if (stream->above_mark && tg_stream_unsent(stream) < TG_STREAM_LOW_MARK) {
        stream->above_mark = false;
        stream->ops->on_drained(stream);
    }
}

void tg_loop_flush_stream(struct tg_list *unsent_link)
{
    struct tg_stream *stream = TG_CONTAINER_OF(unsent_link, struct tg_stream, unsent_link);
    if (stream->starved) {
        tg_stream_fail(stream, TG_STREAM_ERROR);
        return;
    }
    if (stream->connecting || stream->failed)
        return;
    if (!tg_stream_push(stream)) {
        fail_sending(stream);
        return;
    }
    if (stream->finishing && !stream->finished && tg_stream_unsent(stream) == 0 &&
        (!stream->tls || tg_tls_is_finished(stream->tls)))
        finish_sending(stream);
    else
        tell_if_drained(stream);
}
