/* The contract between the exchange and whoever stands at its two ends: a client connection's codec, an upstream
 * connection's codec, later HTTP/2 streams, scripts, or a test. The exchange calls a side's ops; a side calls the
 * tg_exchange_from_* functions. Neither calls back into its caller: a side that fails inside an op says so in a
 * deferred task. Everything of one exchange happens in one worker's thread. */
#ifndef TG_PROXY_SIDE_H
#define TG_PROXY_SIDE_H

#include "base/buffer.h"
#include "http/message.h"
#include "http/problem.h"
#include "net/loop.h"

struct tg_exchange;
struct tg_client_side;
struct tg_upstream_side;
struct tg_group;
struct tg_peer;

/* Why a message or connection ended out of order. */
enum tg_reason {
    TG_REASON_NONE,
    TG_REASON_CLIENT_LEFT, /* the client reset or, where asked for, half-closed */
    TG_REASON_CUT,         /* ended before its message was whole */
    TG_REASON_RESET,       /* reset by the peer */
    TG_REASON_REFUSED,     /* could not connect */
    TG_REASON_TIMEOUT,
    TG_REASON_INVALID, /* not understandable as HTTP */
    TG_REASON_TOO_LARGE,
    TG_REASON_OVERLOAD,     /* no descriptors, no memory */
    TG_REASON_SHUTDOWN,     /* the gateway or the generation ends */
    TG_REASON_SCRIPT,       /* a script aborted */
    TG_REASON_UNPROCESSED,  /* upstream says that it didn't process the request (REFUSED_STREAM, or beyond GOAWAY's last
                               stream): it may be sent elsewhere whatever its method (RFC 9113 8.7) */
    TG_REASON_CANCELLED,    /* upstream reset the stream with CANCEL */
    TG_REASON_CALM,         /* upstream reset the stream with ENHANCE_YOUR_CALM */
    TG_REASON_UNTRUSTED,    /* the peer's certificate, or its TLS (INADEQUATE_SECURITY) */
    TG_REASON_MISDIRECTED,  /* a stream of this connection got 421: on a fresh one it may be answered */
    TG_REASON_STREAM_RESET, /* upstream reset the stream with a code that none of these says: its connection lives */
    TG_REASON_H1_REQUIRED,  /* upstream wants this request over HTTP/1.1 (HTTP_1_1_REQUIRED) */
};

struct tg_client_side_ops {
    /* 100 or 103 and the like; before send_head. */
    void (*send_informational)(struct tg_client_side *side, const struct tg_response_head *head);
    /* The final head. `end`: no body follows. `length`: as head->framing says. The head outlives the exchange's
     * response. */
    void (*send_head)(struct tg_client_side *side, const struct tg_response_head *head, bool end);
    /* The exchange's response pipe has bytes, or has ended: take from it with tg_exchange_take_response. */
    void (*body_ready)(struct tg_client_side *side);
    /* Start to read the request body, which waits until something wants it. `say_continue`: the gateway itself consumes
     * it, so a client that waits for 100 (Continue) is told so by us; else that word comes from upstream. */
    void (*want_body)(struct tg_client_side *side, bool say_continue);
    /* Stop, and go on, reading the request body: back-pressure. */
    void (*pause_body)(struct tg_client_side *side);
    void (*resume_body)(struct tg_client_side *side);
    /* After a 101 was sent by send_head: bytes flow raw, both ways, through the same pipes. */
    void (*become_tunnel)(struct tg_client_side *side);
    /* Break off, so that the client can't take what it got for whole. The exchange hears nothing more of this side. */
    void (*reset)(struct tg_client_side *side, enum tg_reason reason);
    /* The exchange is over (response sent whole; the request may be unread): the side forgets it. Last call. */
    void (*detach)(struct tg_client_side *side);
};

struct tg_client_side {
    const struct tg_client_side_ops *ops;
    /* The connection's one timer, lent to the exchange: it may only move it earlier; when it fires, the side calls
     * tg_exchange_tick and sets it to the earlier of its own time and what that returns. */
    struct tg_deadline *deadline;
    /* Bytes of the response that may wait in the exchange; it may change at any time. NULL: as much as the pipe takes.
     */
    const uint32_t *room;
};

struct tg_upstream_side_ops {
    /* The request head as it goes up. `end`: no body follows. */
    void (*send_head)(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end);
    /* The exchange's request pipe has bytes, or has ended: take from it with tg_exchange_take_request. */
    void (*body_ready)(struct tg_upstream_side *side);
    void (*pause_body)(struct tg_upstream_side *side);
    void (*resume_body)(struct tg_upstream_side *side);
    void (*become_tunnel)(struct tg_upstream_side *side);
    /* Break off: the connection can't be used again. The exchange hears nothing more of this side. */
    void (*reset)(struct tg_upstream_side *side, enum tg_reason reason);
    /* Both messages are over: the side decides whether the connection can be used again. Last call. */
    void (*detach)(struct tg_upstream_side *side);
};

struct tg_upstream_side {
    const struct tg_upstream_side_ops *ops;
    struct tg_peer *peer; /* may be NULL in tests */
    bool reused;          /* the connection has carried another exchange before */
};

/* Where the exchange gets its upstream sides from: the pool, or a test. */
struct tg_connector {
    /* An idle connection to this peer, at once; or NULL, and tg_exchange_from_connector_ready or _failed follows, never
     * from inside this call. `fresh`: a new one, not an idle one. `careful`: an idle one is tested before it is given
     * (a request that can't be repeated). `timeout`: seconds to connect. */
    struct tg_upstream_side *(*acquire)(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful);
    /* Forget a pending acquire of this exchange. */
    void (*cancel)(struct tg_connector *connector, struct tg_exchange *exchange);
};

/* From the client side. */
void tg_exchange_from_client_body(struct tg_exchange *exchange, struct tg_buffer piece); /* takes over the reference */
void tg_exchange_from_client_trailers(struct tg_exchange *exchange, const struct tg_fields *trailers);
void tg_exchange_from_client_end(struct tg_exchange *exchange);
/* The body is malformed or too slow: the exchange answers with problem->status if it still can, else breaks off. */
void tg_exchange_from_client_problem(struct tg_exchange *exchange, const struct tg_problem *problem);
/* The client is gone (reset), or has half-closed where the route says abort. */
void tg_exchange_from_client_left(struct tg_exchange *exchange, enum tg_reason reason);
/* The client ended its direction after a whole request. */
void tg_exchange_from_client_half_close(struct tg_exchange *exchange);
/* The lent deadline fired: what is overdue is acted on after the current event; the answer is the next monotonic time
 * at which the exchange wants to be called (INFINITY: none). */
double tg_exchange_tick(struct tg_exchange *exchange);
/* Bytes of the response have left for the client: the pipe may have room again. */
void tg_exchange_from_client_drained(struct tg_exchange *exchange);

/* From the upstream side. */
void tg_exchange_from_connector_ready(struct tg_exchange *exchange, struct tg_upstream_side *side);
/* `detail` is static text for the log, such as why a certificate isn't trusted; may be NULL. */
void tg_exchange_from_connector_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail);
void tg_exchange_from_upstream_informational(struct tg_exchange *exchange, const struct tg_response_head *head);
/* The head must live in the exchange's arena. */
void tg_exchange_from_upstream_head(struct tg_exchange *exchange, const struct tg_response_head *head);
/* false: the side stops reading as by pause_body, and is told to go on by resume_body. */
bool tg_exchange_from_upstream_body(struct tg_exchange *exchange, struct tg_buffer piece);
void tg_exchange_from_upstream_trailers(struct tg_exchange *exchange, const struct tg_fields *trailers);
void tg_exchange_from_upstream_end(struct tg_exchange *exchange);
/* `detail` is static text for the log, may be NULL. */
void tg_exchange_from_upstream_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail);
/* The request body's bytes have left: the pipe may have room again. */
void tg_exchange_from_upstream_drained(struct tg_exchange *exchange);

/* Bytes for a side: at most `limit` from the pipe into `to`; false when out of memory. *end: that was all, in order.
 * *trailers (may be NULL) is set with the end. */
bool tg_exchange_take_request(struct tg_exchange *exchange, struct tg_buffer_queue *to, size_t limit, bool *end,
                              const struct tg_fields **trailers) __attribute__((warn_unused_result));
bool tg_exchange_take_response(struct tg_exchange *exchange, struct tg_buffer_queue *to, size_t limit, bool *end,
                               const struct tg_fields **trailers) __attribute__((warn_unused_result));

#endif
