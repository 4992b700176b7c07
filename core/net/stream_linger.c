/* The quiet end: a close while the peer still sends would reset the connection, and the reset could overtake our last
 * bytes. So all is sent, our direction ends, and what comes is read for a while. The stream is its own owner then. */
#include <stdlib.h>

#include "net/tls_stream.h"

enum { DISCARD_LIMIT = 64 * 1024, SENDING_SECONDS = 30, READING_SECONDS = 2 };

struct tg_linger {
    struct tg_stream *stream;
    struct tg_deadline deadline;
    uint64_t discarded;
};

static void discard(struct tg_stream *stream, struct tg_buffer data)
{
    if (!stream->finished)
        return;
    stream->linger->discarded += data.length;
    if (stream->linger->discarded > DISCARD_LIMIT)
        tg_stream_close(stream);
}

static void end_after_sending(struct tg_stream *stream)
{
    if (stream->finished)
        tg_stream_close(stream);
}

static void keep_waiting(struct tg_stream *stream)
{
    (void)stream;
}

static void end_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)end;
    tg_stream_close(stream);
}

static const struct tg_stream_ops linger_ops = {
    .on_connected = keep_waiting,
    .on_data = discard,
    .on_eof = end_after_sending,
    .on_drained = keep_waiting,
    .on_failed = end_failed,
};

static void out_of_time(struct tg_deadline *deadline)
{
    tg_stream_close(TG_CONTAINER_OF(deadline, struct tg_linger, deadline)->stream);
}

void tg_stream_end_linger(struct tg_stream *stream)
{
    if (!stream->linger)
        return;
    tg_deadline_deinit(&stream->linger->deadline);
    tg_loop_free_later(stream->loop, stream->linger);
    stream->linger = NULL;
}

void tg_stream_linger_sent(struct tg_stream *stream)
{
    if (stream->peer_ended)
        tg_stream_close(stream);
    else
        tg_deadline_in(&stream->linger->deadline, READING_SECONDS);
}

bool tg_loop_has_last_words(const struct tg_loop *loop)
{
    for (const struct tg_list *link = loop->streams.next; link != &loop->streams; link = link->next) {
        const struct tg_stream *stream = TG_CONTAINER_OF(link, struct tg_stream, all_link);
        if (stream->linger && !stream->finished)
            return true;
    }
    return false;
}

/* The socket is still good where it was TLS that failed: its alert shall arrive. */
static bool has_last_words(struct tg_stream *stream)
{
    const struct tg_tls *tls = stream->tls;
    if (tls && tls->end == TG_TLS_FAILED && stream->failed) {
        stream->failed = stream->blocked = stream->finishing = false;
        return !stream->peer_ended;
    }
    return !stream->failed && !stream->connecting && !(tls && tls->handshake) &&
           !(stream->finished && stream->peer_ended);
}

void tg_stream_linger(struct tg_stream *stream)
{
    struct tg_linger *linger = has_last_words(stream) ? calloc(1, sizeof(*linger)) : NULL;
    if (!linger) {
        tg_stream_close(stream);
        return;
    }
    tg_stream_set_owner(stream, &linger_ops, NULL);
    if (stream->tls)
        stream->tls->sessions = NULL; /* whose owner may go first */
    stream->linger = linger;
    linger->stream = stream;
    tg_deadline_init(&linger->deadline, stream->loop, out_of_time);
    tg_stream_resume(stream);
    tg_deadline_in(&linger->deadline, stream->finished ? READING_SECONDS : SENDING_SECONDS);
    tg_stream_finish(stream);
}
