/* A byte stream to a peer: a TCP or Unix connection, clear or under TLS (net/tls.h). Outside net/ nobody sees a
 * descriptor, readiness or EAGAIN.
 *
 * A stream belongs to one loop and has one owner, whom it tells through its ops. No function of a stream calls its
 * owner back: failures arrive as events after the current one. After tg_stream_close (or linger, reset, detach) the
 * owner hears nothing more and must forget the pointer. */
#ifndef TG_NET_STREAM_H
#define TG_NET_STREAM_H

#include "net/address.h"
#include "net/loop.h"

struct tg_stream;

enum tg_stream_end {
    TG_STREAM_RESET,     /* the peer reset it, or the network failed */
    TG_STREAM_REFUSED,   /* connect: nobody listens, or no route; nothing was sent */
    TG_STREAM_ERROR,     /* our side failed: no descriptors, no memory */
    TG_STREAM_TLS,       /* the handshake failed, or a record was bad; or, once open, the peer ended without the
                            close_notify that tells an end from a cut [T13] */
    TG_STREAM_UNTRUSTED, /* its certificate isn't one to be trusted */
};

struct tg_stream_ops {
    /* An outgoing stream is open, under TLS its handshake done. Not called for accepted ones but for those turned to
     * TLS. */
    void (*on_connected)(struct tg_stream *stream);
    /* Bytes came. They are borrowed: keep them with tg_buffer_ref before returning, or they are gone. An owner that
     * takes no more calls tg_stream_pause. At most one block a call, and at most a few calls for a stream in a turn. */
    void (*on_data)(struct tg_stream *stream, struct tg_buffer data);
    /* The peer ended its direction (after all data was given). Called once. */
    void (*on_eof)(struct tg_stream *stream);
    /* Bytes went out, and less than the low mark (64 KB) is unsent now; called only if tg_stream_unsent was above it
     * before. */
    void (*on_drained)(struct tg_stream *stream);
    /* The stream has failed; the owner must call tg_stream_close. Data that came before was given first, where it
     * wasn't paused. */
    void (*on_failed)(struct tg_stream *stream, enum tg_stream_end end);
    /* Paused for reading, yet the peer is known to have ended its direction (data may lie before the end). Called at
     * most once; may be NULL. */
    void (*on_peer_finished)(struct tg_stream *stream);
};

/* Starts to connect; on_connected or on_failed follows, never from inside this call. `source` may be NULL. NULL: no
 * memory or descriptor. */
struct tg_stream *tg_stream_connect(struct tg_loop *loop, const struct tg_address *address,
                                    const struct tg_address *source, const struct tg_stream_ops *ops, void *owner);
/* Whether the peer has answered the connect, though a handshake may still be under way. */
bool tg_stream_reached(const struct tg_stream *stream);
/* A peer that confirms none of what was sent for so many seconds is gone (RFC 5482). Harmless on a Unix socket. */
void tg_stream_limit_silence(struct tg_stream *stream, double seconds);
void tg_stream_set_owner(struct tg_stream *stream, const struct tg_stream_ops *ops, void *owner);
void *tg_stream_owner(const struct tg_stream *stream);
/* The one call that does call back: an owner that has read the beginning and then gave the stream to another passes on
 * what it read. It is borrowed, as in any on_data; the stream may have ended afterwards. */
void tg_stream_pass_on(struct tg_stream *stream, struct tg_buffer data);
struct tg_loop *tg_stream_loop(const struct tg_stream *stream);
const struct tg_address *tg_stream_peer(const struct tg_stream *stream);
const struct tg_address *tg_stream_local(const struct tg_stream *stream); /* of the listener, for an accepted one */
/* From here on this is the peer: who a PROXY header says it is. */
void tg_stream_set_peer(struct tg_stream *stream, const struct tg_address *peer);

/* Takes over the reference. Sent at the end of the current event together with what else was given; what the peer
 * doesn't take yet waits. Sending on a failed stream drops the bytes. */
void tg_stream_send(struct tg_stream *stream, struct tg_buffer buffer);
/* Moves everything from the queue. */
void tg_stream_send_queue(struct tg_stream *stream, struct tg_buffer_queue *queue);
/* Bytes given and not yet taken by the kernel; under TLS those encrypted count as they are on the wire. */
uint64_t tg_stream_unsent(const struct tg_stream *stream);
/* Bytes that the kernel took and gave in the stream's life. Under TLS what was sent counts as it is on the wire, and
 * what was received as it was given to the owner: a peer can't pass records without data off as progress. */
uint64_t tg_stream_sent(const struct tg_stream *stream);
uint64_t tg_stream_received(const struct tg_stream *stream);
/* Ends our direction after what was given is sent; under TLS with close_notify, once the handshake is done. */
void tg_stream_finish(struct tg_stream *stream);

/* Reading starts on; an owner that pauses still hears of failures and of on_peer_finished. No system call where nothing
 * comes while paused. */
void tg_stream_pause(struct tg_stream *stream);
void tg_stream_resume(struct tg_stream *stream);

/* At once; unsent bytes are dropped. Under TLS close_notify goes before, as far as the socket takes it at once, unless
 * bytes were dropped. */
void tg_stream_close(struct tg_stream *stream);
/* At once, and the peer gets a reset, so that it can't take a cut message for a whole one. */
void tg_stream_reset(struct tg_stream *stream);
/* In the background, so that no answer is lost to a reset: send what is left (up to 30 s), end our direction, read and
 * discard up to 2 s or 64 KiB, close. */
void tg_stream_linger(struct tg_stream *stream);
/* A lingering stream of this loop still has bytes to send. */
bool tg_loop_has_last_words(const struct tg_loop *loop);

/* Between threads. A detached socket belongs to no loop; nothing of it may be unsent or unread: under TLS one detached
 * too soon is never attached again. Its facts stay behind, and new ones are made where it is attached. */
struct tg_tls;
struct tg_socket {
    int descriptor;     /* net/ only; -1: none */
    struct tg_tls *tls; /* net/ only; NULL: clear */
};

struct tg_socket tg_stream_detach(struct tg_stream *stream);
/* Takes the socket into this loop if it is still open and silent (a peek gives EAGAIN); else closes it and answers
 * NULL. */
struct tg_stream *tg_stream_attach(struct tg_loop *loop, struct tg_socket socket, const struct tg_address *peer,
                                   const struct tg_stream_ops *ops, void *owner);
/* The same test without moving it: nothing to read, not closed. One system call. Under TLS a session ticket is no
 * matter, and is taken; data that isn't awaited stays for the owner. */
bool tg_stream_silent(struct tg_stream *stream);
void tg_socket_close(struct tg_socket socket);

#endif
