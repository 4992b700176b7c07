/* What the files of a client's HTTP/2 connection share; nobody else includes this. */
#ifndef TG_PROXY_CLIENT_H2_STATE_H
#define TG_PROXY_CLIENT_H2_STATE_H

#include "proxy/client_h2.h"
#include "proxy/client_h2_budget.h"
#include "proxy/exchange.h"
#include "proxy/h2_session.h"

enum {
    TG_CLIENT_H2_TURN_HEADS = 32,   /* HEADERS frames looked at in a turn */
    TG_CLIENT_H2_TURN_FRAMES = 256, /* frames that aren't DATA */
};

struct tg_client_h2;

/* One stream. Its memory goes when neither the codec nor an exchange knows it any more. */
struct tg_client_h2_stream {
    struct tg_h2_stream h2;
    struct tg_client_side side;
    struct tg_client_h2 *client;
    struct tg_exchange *exchange; /* NULL: none yet, or it hears nothing more of this side */
    struct tg_arena arena;        /* of the head, until an exchange takes it over */
    bool begun;                   /* the head was whole: an exchange was started, or the stream reset */
    bool has_body;                /* a request body is expected */
    bool body_open;               /* something wants it, and isn't paused */
    bool continued;               /* 100 was sent, or isn't waited for */
    bool extended;                /* by extended CONNECT: a 101 makes a tunnel of it */
    bool tunnel;
    bool head_sent;
    bool failing;     /* the exchange was told that its response is no whole one */
    bool reset_by_us; /* for a reason that isn't the client's doing */
    bool reset_by_peer;
    bool counts_length; /* of the response: `promised` bytes follow */
    uint64_t promised;
    uint64_t received;                     /* bytes of the request body */
    uint64_t window_received, window_sent; /* at the start of the current rate window */
    bool window_reads, window_writes;      /* what the window measures of this stream */
};

struct tg_client_h2 {
    struct tg_client base;
    struct tg_h2_session session;
    struct tg_http_limits limits; /* for the section that is being received */
    uint32_t streams;             /* at a time */
    uint32_t room;                /* bytes that may wait for each of those there are now [F12] */
    struct tg_list answered;      /* streams (their h2.link) that the codec has closed and an exchange still knows */

    /* Reading. */
    struct tg_client_h2_budget budget;
    struct tg_buffer_queue input; /* came, not yet looked at */
    bool paused;                  /* the stream doesn't read */
    bool eof;
    uint32_t heads_left, frames_left; /* of this turn */
    struct tg_message next_turn;      /* looks at `input` in the next turn of the loop */
    bool next_turn_posted;

    /* Time: the connection's own next times, INFINITY: none. The exchanges may have earlier ones. */
    struct tg_deadline deadline;
    double first_until;   /* preface, SETTINGS, first request */
    double section_until; /* a header section that has begun */
    double idle_at;
    double window_at; /* the end of the current rate window */
    double stage_at;  /* of the drain */
    uint64_t window_sent;
    bool window_writes;
    bool announced; /* the first GOAWAY of a drain was sent */
    bool ending;    /* and the second */
    bool dead;      /* memory goes after the event batch */
};

static inline struct tg_client_h2_stream *tg_client_h2_stream_of(struct tg_h2_stream *stream)
{
    return TG_CONTAINER_OF(stream, struct tg_client_h2_stream, h2);
}

static inline struct tg_client_h2 *tg_client_h2_of(struct tg_h2_session *session)
{
    return TG_CONTAINER_OF(session, struct tg_client_h2, session);
}

/* client_h2_streams.c */
extern const struct tg_h2_session_ops tg_client_h2_session_ops;
/* The exchange, if there is one, hears that the client left. */
void tg_client_h2_stream_left(struct tg_client_h2_stream *stream, enum tg_reason reason);
/* Frees a stream that nobody knows any more. */
void tg_client_h2_stream_settle(struct tg_client_h2_stream *stream);

/* client_h2_answer.c */
extern const struct tg_client_side_ops tg_client_h2_side_ops;
bool tg_client_h2_take(struct tg_h2_stream *stream, struct tg_buffer_queue *to, size_t limit, bool *end,
                       const struct tg_fields **trailers);

/* client_h2_read.c */
void tg_client_h2_on_data(struct tg_stream *stream, struct tg_buffer data);
/* Goes on with what came, where the connection may read. */
void tg_client_h2_read_on(struct tg_client_h2 *client);
void tg_client_h2_read_in_next_turn(struct tg_message *message, struct tg_loop *loop);
/* The client passed a limit: GOAWAY with ENHANCE_YOUR_CALM, and a line in the log. */
void tg_client_h2_calm(struct tg_client_h2 *client, enum tg_h2_excess excess);
/* Takes from a budget, and calms the client where nothing is left. */
void tg_client_h2_spend(struct tg_client_h2 *client, enum tg_h2_excess excess, double amount);

/* client_h2_time.c */
void tg_client_h2_expired(struct tg_deadline *deadline);
/* The deadline is at most `at`. */
void tg_client_h2_wake_at(struct tg_client_h2 *client, double at);
/* Begins a window of the body rates, either way, where there is something to measure and none is open. */
void tg_client_h2_watch_rates(struct tg_client_h2 *client);
/* Streams came or went. */
void tg_client_h2_count_idle(struct tg_client_h2 *client);
/* What is half received of a header section has a time limit. */
void tg_client_h2_watch_section(struct tg_client_h2 *client);

/* client_h2.c */
const struct tg_settings *tg_client_h2_settings(const struct tg_client_h2 *client);
/* The first GOAWAY, and, a round trip later, the second: open streams are finished. */
void tg_client_h2_begin_end(struct tg_client_h2 *client);
void tg_client_h2_end_now(struct tg_client_h2 *client);
/* How the connection ends: each tells the exchanges that are left and frees the connection. Not from inside the codec.
 */
void tg_client_h2_close_gently(struct tg_client_h2 *client, enum tg_reason reason);
void tg_client_h2_close_hard(struct tg_client_h2 *client, enum tg_reason reason);

#endif
