/* What the files of an HTTP/2 upstream connection share; nobody else includes this. upstream_h2.c has the connection's
 * life, upstream_h2_alive.c its liveness and what a peer may do to it, upstream_h2_stream.c the streams. */
#ifndef TG_PROXY_UPSTREAM_H2_STATE_H
#define TG_PROXY_UPSTREAM_H2_STATE_H

#include "proxy/upstream_h2.h"

enum {
    TG_UPSTREAM_H2_WINDOW = 256 * 1024,            /* of a stream at first */
    TG_UPSTREAM_H2_WINDOW_MAX = 4 * 1024 * 1024,   /* of one that drains fast over a long way */
    TG_UPSTREAM_H2_WIDENED_MAX = 32 * 1024 * 1024, /* that all streams of a connection have beyond their first ones */
};

/* The memory is its own: it goes when both the exchange and the codec have let go of it. */
struct tg_upstream_h2_stream {
    struct tg_h2_stream codec;
    struct tg_upstream_side side; /* side.peer is counted */
    struct tg_worker *worker;
    struct tg_list link;               /* connection->streams */
    struct tg_upstream_h2 *connection; /* NULL: they have done with each other */
    struct tg_exchange *exchange;      /* NULL: it has let go */
    double let_go_at;                  /* when it did */
    bool counted;                      /* in the connection's stream_count */
    bool submitted;                    /* the codec knows it */
    bool websocket;                    /* an extended CONNECT */
    bool tunnel;                       /* that was accepted */
    bool refused;                      /* that was answered otherwise: our direction ends */
    bool head_done;
    bool spoke;         /* anything of the response has come */
    bool over;          /* the exchange was told of the end of the response, or of the failure */
    bool failed;        /* of the failure */
    bool was_reset;     /* by the peer */
    bool was_processed; /* though the peer says it wasn't */
    bool has_length;
    uint64_t length, taken;      /* of the request's body */
    uint32_t window;             /* announced */
    uint64_t received, measured; /* bytes in all, and at the last look at the pace */
    double measured_at;
};

extern const struct tg_h2_session_ops tg_upstream_h2_session_ops;

/* upstream_h2.c */
/* Ends the connection: its streams fail with this, as far as they aren't over. `detail`: static text, may be NULL.
 * `gently`: what the codec had to say is sent. Not from inside the codec. */
void tg_upstream_h2_end(struct tg_upstream_h2 *connection, enum tg_reason reason, const char *detail, bool gently);
/* The keeper will be told. */
void tg_upstream_h2_note_change(struct tg_upstream_h2 *connection);
void tg_upstream_h2_count(struct tg_upstream_h2 *connection, int by);

/* upstream_h2_alive.c */
void tg_upstream_h2_alive_init(struct tg_upstream_h2 *connection);
/* A stream begins, or something of its request went out: if nothing came for long, this is the moment for a PING. */
void tg_upstream_h2_ask_if_alive(struct tg_upstream_h2 *connection);
/* When to look at it next. */
void tg_upstream_h2_set_timer(struct tg_upstream_h2 *connection);
void tg_upstream_h2_frame_received(struct tg_h2_session *session, const nghttp2_frame *frame);
/* The peer bears fewer PINGs than it got. */
void tg_upstream_h2_ping_less(struct tg_upstream_h2 *connection);

/* upstream_h2_stream.c */
/* The connection ends. */
void tg_upstream_h2_stream_lose(struct tg_upstream_h2_stream *stream, enum tg_reason reason, const char *detail);
/* Resets those whose exchange has been gone for so long that the peer will never take the rest. */
void tg_upstream_h2_reset_forgotten(struct tg_upstream_h2 *connection);

#endif
