/* One HTTP/2 connection, either role: nghttp2 as the codec of frames over one tg_stream, and what clients' and upstream
 * connections need alike: one pump a turn, DATA without copies, flow control that follows who reads, the end of a body
 * in every position of the peer's window. Belongs to its loop's thread.
 *
 * Nothing inside a callback of the codec sends, receives or destroys. So: the ops below are called from inside the
 * codec, except where said otherwise. An op may call any tg_h2_stream_* and tg_h2_session_* function here (those that
 * give the codec something to send only queue it; it leaves at the end of the turn; tg_h2_session_free takes effect
 * when the codec has returned), but tg_h2_session_feed. Whatever an exchange is told by tg_exchange_from_* it acts on
 * in a deferred task. */
#ifndef TG_PROXY_H2_SESSION_H
#define TG_PROXY_H2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "base/buffer.h"
#include "http/h2_head.h"
#include "net/stream.h"

enum {
    TG_H2_UNSENT_HIGH = 128 * 1024,     /* unsent bytes in the stream at which the codec writes no more */
    TG_H2_MEMORY_MAX = 8 * 1024 * 1024, /* bytes that the codec may hold for one connection */
    TG_H2_SECTION_TIMES = 16,           /* a section of so many times the limit is looked at no further */
};

struct tg_h2_session;

/* What one HTTP/2 stream is to the session; part of the role's own struct, which is the role's memory: it may go in
 * `closed` at the earliest. */
struct tg_h2_stream {
    struct tg_h2_session *session; /* NULL: the codec has closed the stream, or the session is gone */
    struct tg_list link;           /* in session->streams */
    int32_t id;
    uint64_t unconsumed;          /* received, and not yet given back to the peer's windows */
    struct tg_buffer_queue taken; /* of our body: taken from the exchange, about to be put into a DATA frame */
    uint64_t sent;                /* bytes of our body in frames */
    bool reading;                 /* what is received is given back at once */
    bool received_end;
    bool has_body;   /* a head without END_STREAM is submitted: DATA is taken by ops->take */
    bool head_sent;  /* and gone out */
    bool end_known;  /* nothing is left to take, there are no trailers: END_STREAM waits for its turn */
    bool end_queued; /* END_STREAM is submitted or on its way */
    bool end_sent;   /* END_STREAM has gone out */
    bool reset_queued;
};

struct tg_h2_session_ops {
    /* A header section begins: of `stream`; NULL: of a new request of a client, for which the role makes a stream and
     * calls tg_h2_stream_open. The role inits the section: its kind, arena and limits. false: the session resets the
     * stream with *code. */
    bool (*begin_section)(struct tg_h2_session *session, struct tg_h2_stream *stream, int32_t id,
                          struct tg_h2_section *section, uint32_t *code);
    /* The section is whole. `end`: END_STREAM came with it. */
    void (*section)(struct tg_h2_stream *stream, struct tg_h2_section *section, bool end);
    /* A piece of the body; its reference is the role's. Not given back to the peer's windows unless stream->reading;
     * see tg_h2_stream_read. */
    void (*data)(struct tg_h2_stream *stream, struct tg_buffer piece);
    /* END_STREAM came with DATA. */
    void (*end)(struct tg_h2_stream *stream);
    /* At most `limit` bytes of our body into `to`, as tg_exchange_take_request and _response do; false: out of memory,
     * the stream is reset. `limit` may be 0: only the end is asked for then. */
    bool (*take)(struct tg_h2_stream *stream, struct tg_buffer_queue *to, size_t limit, bool *end,
                 const struct tg_fields **trailers);
    /* Bytes of our body, or its end, have left for the connection's output. May be NULL. */
    void (*sent)(struct tg_h2_stream *stream);
    /* The peer reset the stream; `closed` follows. May be NULL. */
    void (*reset)(struct tg_h2_stream *stream, uint32_t code);
    /* The stream is over: in order (code NO_ERROR and both ends seen), by a reset either way, or refused by GOAWAY
     * (REFUSED_STREAM). The session has forgotten it: stream->session is NULL now. */
    void (*closed)(struct tg_h2_stream *stream, uint32_t code);
    /* Each frame that the codec took or sent; may be NULL. */
    void (*frame_received)(struct tg_h2_session *session, const nghttp2_frame *frame);
    void (*frame_sent)(struct tg_h2_session *session, const nghttp2_frame *frame);
    /* The peer's GOAWAY. May be NULL. */
    void (*goaway)(struct tg_h2_session *session, int32_t last_id, uint32_t code, struct tg_slice debug);
    /* Not from inside the codec, once, in a deferred task: the session can't go on: the peer broke the protocol or
     * memory ran out (`detail` is static), and what the codec had to say of it (GOAWAY) has been given to the stream;
     * or (detail NULL) both sides have said GOAWAY and all is done. The role ends the stream gently and the session. */
    void (*over)(struct tg_h2_session *session, const char *detail);
};

struct tg_h2_session_settings {
    uint32_t streams;           /* at a time, that the peer may open; announced by servers */
    uint32_t window;            /* of a stream, toward us */
    uint32_t connection_window; /* of the connection, toward us */
    uint32_t continuations;     /* frames of a header section */
    uint32_t header_list;       /* bytes of a header section, each line charged 32; announced */
    bool extended_connect;      /* servers: announce RFC 8441 */
};

struct tg_h2_session {
    nghttp2_session *codec;
    const struct tg_h2_session_ops *ops;
    struct tg_loop *loop;
    struct tg_stream *stream; /* the role's; NULL once the role has ended it */
    struct tg_list streams;   /* of the codec: open, or half-closed */
    uint32_t stream_count;
    uint32_t ends_known; /* streams of which nothing but an END_STREAM without trailers is left to send */
    bool server;
    bool started;          /* our SETTINGS are submitted */
    bool greeted;          /* the peer's first SETTINGS have come */
    bool feeding, pumping; /* inside the codec */
    bool freed;            /* tg_h2_session_free was called inside the codec */
    bool terminated;       /* a GOAWAY with an error has gone out: the last word */
    bool over_told;
    const char *fault; /* NULL: none; no frame is read any more */
    struct tg_task pump_task;
    struct tg_buffer input; /* what is being fed */
    struct tg_block *small; /* small pieces of bodies are copied into it, so that none holds a block of its own */
    struct tg_h2_section section;
    struct tg_h2_stream *section_stream; /* NULL: the section being received is dropped */
    size_t memory;                       /* held by the codec */
    nghttp2_mem allocator;
};

/* Readies the codec and submits our SETTINGS (and, as client, the preface). The role's stream ops give what comes to
 * tg_h2_session_feed, and call tg_h2_session_wake in on_drained. false: out of memory. */
bool tg_h2_session_init(struct tg_h2_session *session, bool server, const struct tg_h2_session_ops *ops,
                        struct tg_stream *stream, const struct tg_h2_session_settings *settings)
    __attribute__((warn_unused_result));
/* Forgets all streams (their session is NULL then; no op is called) and frees what the codec has: at once, or, called
 * inside the codec, when that returns. The struct's own memory must live until the end of the event batch
 * (tg_loop_free_later). The tg_stream stays the role's. */
void tg_h2_session_free(struct tg_h2_session *session);
/* Bytes from the peer; borrowed. The codec looks at all of them, unless the session is over. Never from inside it. */
void tg_h2_session_feed(struct tg_h2_session *session, struct tg_buffer data);
/* Something may be there to send: it is, at the end of the turn. */
void tg_h2_session_wake(struct tg_h2_session *session);
/* The session can't go on: GOAWAY with `code` is sent, then ops->over. `detail` is static. */
void tg_h2_session_fail(struct tg_h2_session *session, uint32_t code, const char *detail);
/* Queued and not given to the stream: control frames and heads. */
size_t tg_h2_session_queued(const struct tg_h2_session *session);
/* The peer takes nothing, and `queued` or more frames wait for it: nothing more should be read from it until the
 * stream's on_drained. */
bool tg_h2_session_congested(const struct tg_h2_session *session, size_t queued);
void tg_h2_session_ping(struct tg_h2_session *session, const uint8_t data[8]);
/* Servers: the first GOAWAY of a drain, which names no last stream; then, a round trip later, the second. */
void tg_h2_session_announce_end(struct tg_h2_session *session);
void tg_h2_session_end(struct tg_h2_session *session);
/* Has the peer announced RFC 8441? (clients) */
bool tg_h2_session_takes_extended_connect(const struct tg_h2_session *session);
/* How many streams the peer allows; before its first SETTINGS, 100. (clients) */
uint32_t tg_h2_session_peer_streams(const struct tg_h2_session *session);

/* Servers, from begin_section: the stream of a new request. */
void tg_h2_stream_open(struct tg_h2_session *session, struct tg_h2_stream *stream, int32_t id);
/* Clients: a new stream with this head. false: out of memory or ids. Never from inside the codec. */
bool tg_h2_stream_request(struct tg_h2_session *session, struct tg_h2_stream *stream, const struct tg_h2_lines *lines,
                          bool end) __attribute__((warn_unused_result));
/* Servers: a 1xx; the final head. `end`: it is the whole message, no DATA follows. false: out of memory. */
bool tg_h2_stream_inform(struct tg_h2_stream *stream, const struct tg_h2_lines *lines)
    __attribute__((warn_unused_result));
bool tg_h2_stream_respond(struct tg_h2_stream *stream, const struct tg_h2_lines *lines, bool end)
    __attribute__((warn_unused_result));
/* ops->take has something to give, or the end of it: DATA, trailers and END_STREAM leave as the peer's windows allow. A
 * end that comes when nothing is left to send doesn't wait for a window. Harmless when there is nothing. */
void tg_h2_stream_body_ready(struct tg_h2_stream *stream);
/* The peer's windows are used up: what there is to send waits for the peer. */
bool tg_h2_stream_blocked(const struct tg_h2_stream *stream);
/* Whether what is received goes on being given back to the peer's windows: stopped, it may send what its windows hold;
 * started, what was held back is given. */
void tg_h2_stream_read(struct tg_h2_stream *stream, bool reading);
/* What is being received of a section of this stream is dropped: its arena goes before the section is whole. */
void tg_h2_stream_drop_section(struct tg_h2_stream *stream);
/* The session and the stream know each other no more: for a role that is about to free the session, and wants to tell
 * its streams one by one. */
void tg_h2_stream_forget(struct tg_h2_stream *stream);
/* RST_STREAM, which overtakes what is queued for the stream; once. `closed` follows, deferred. */
void tg_h2_stream_reset(struct tg_h2_stream *stream, uint32_t code);

#endif
