/* Inside net/: what a stream consists of. stream_life.c has its life, stream_flow.c its bytes, stream_connect.c its
 * birth as an outgoing one, stream_linger.c its quiet end, tls_stream.c what lies between these and OpenSSL. */
#ifndef TG_NET_STREAM_STATE_H
#define TG_NET_STREAM_STATE_H

#include "net/loop_state.h"
#include "net/stream.h"

enum {
    TG_STREAM_READING = EPOLLIN | EPOLLRDHUP, /* the interest of an open stream that isn't paused */
    TG_STREAM_LOW_MARK = 64 * 1024,
};

struct tg_stream {
    struct tg_watch watch;
    struct tg_loop *loop;
    const struct tg_stream_ops *ops; /* NULL until an owner is set */
    void *owner;
    struct tg_tls *tls; /* NULL: clear. Then `out` is yet to be encrypted, and what goes out is its `wire` */
    bool connecting;
    bool paused;
    bool failed;             /* on_failed was told, or is about to be */
    bool blocked;            /* the kernel takes no more until EPOLLOUT */
    bool above_mark;         /* on_drained is owed */
    bool peer_ended;         /* read to the end */
    bool peer_finished_told; /* on_peer_finished */
    bool finishing;          /* our direction ends when all is sent */
    bool finished;
    bool starved; /* memory ran out: something given to send is lost */
    struct tg_list unsent_link, all_link;
    uint64_t sent, received;
    struct tg_buffer_queue *out; /* NULL: nothing waits */
    struct tg_task outcome;      /* of a connect that ended at once */
    int connect_error;
    struct tg_linger *linger; /* NULL: it has an owner */
    struct tg_address peer, local;
};

/* A stream for a connected or connecting descriptor, in the loop's set with this interest. The descriptor stays the
 * caller's where this answers NULL. */
struct tg_stream *tg_stream_adopt(struct tg_loop *loop, int descriptor, uint32_t interest,
                                  const struct tg_address *peer);
/* An accepted connection: reading starts when the owner is set. Closes the descriptor where it answers NULL. */
struct tg_stream *tg_stream_accept(struct tg_loop *loop, int descriptor, const struct tg_address *peer,
                                   const struct tg_address *local);
/* Tells the owner that the stream has failed, and listens no more. */
void tg_stream_fail(struct tg_stream *stream, enum tg_stream_end end);
/* The flush at the end of the turn will come by. */
void tg_stream_flush_soon(struct tg_stream *stream);
void tg_stream_finish_connecting(struct tg_stream *stream, uint32_t events);
/* All was sent and our direction ended. */
void tg_stream_linger_sent(struct tg_stream *stream);
void tg_stream_end_linger(struct tg_stream *stream);
void tg_stream_ready(struct tg_watch *watch, uint32_t events);
/* A block with room to read into, in the loop's place for one; NULL: no memory. */
struct tg_block *tg_stream_block(struct tg_block **place);
/* Lends the owner what was written behind the bytes in use of such a block. */
void tg_stream_give(struct tg_stream *stream, struct tg_block *block, size_t length);
/* Bytes are welcome: the owner's when it doesn't pause, before that the handshake's. */
bool tg_stream_takes(const struct tg_stream *stream);
/* Sends what can be sent now. false: sending failed. */
bool tg_stream_push(struct tg_stream *stream) __attribute__((warn_unused_result));

static inline bool tg_stream_ended(const struct tg_stream *stream)
{
    return stream->watch.ended;
}

#endif
