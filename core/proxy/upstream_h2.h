/* An HTTP/2 connection to a peer: the upstream end of many exchanges at a time. It stays with the worker that opened
 * it. Belongs to that worker's thread. */
#ifndef TG_PROXY_UPSTREAM_H2_H
#define TG_PROXY_UPSTREAM_H2_H

#include "proxy/exchange.h"
#include "proxy/h2_session.h"

struct tg_upstream_h2;

/* Who has the connections: the pool. */
struct tg_upstream_h2_keeper {
    /* More, fewer or no streams may be taken than before: the peer's settings came, a stream has ended, GOAWAY came.
     * Deferred: never from inside the codec, or from inside a call of the keeper's. */
    void (*changed)(struct tg_upstream_h2_keeper *keeper, struct tg_upstream_h2 *connection);
    /* The connection has ended, is in no list any more, and its streams were told. It must be forgotten. */
    void (*gone)(struct tg_upstream_h2_keeper *keeper, struct tg_upstream_h2 *connection);
};

/* What the connections of a worker to one peer have learnt of it; outlives them. */
struct tg_upstream_h2_facts {
    uint32_t streams; /* that the peer allowed last; 0: unknown */
    double ping_gap;  /* seconds at least between two PINGs toward gRPC; 0: the default, 5 minutes */
};

/* Of the group that uses the connection. */
struct tg_upstream_h2_terms {
    uint32_t streams; /* at a time */
    double idle;      /* seconds that the connection is kept without any */
};

struct tg_upstream_h2 {
    struct tg_list link; /* the keeper's */
    struct tg_upstream_h2_keeper *keeper;
    struct tg_worker *worker;
    struct tg_peer *peer; /* counted; the connection is in its `active` or `idle` */
    struct tg_upstream_h2_facts *facts;
    struct tg_h2_session session;
    struct tg_stream *stream;
    struct tg_list streams; /* of exchanges, or not yet closed by the codec */
    uint32_t stream_count;  /* those that count against the limit */
    bool used;              /* it has carried an exchange */
    bool draining;          /* takes no stream any more */
    bool blamed;            /* the peer said GOAWAY with an error: it was logged */
    bool grpc;              /* some exchange was gRPC: its servers bear few PINGs */
    double opened_at;
    double idle;       /* seconds that it is kept without streams */
    double idle_until; /* where it has none */
    struct tg_task change;
    struct tg_deadline timer; /* idle for too long, or liveness */
    double read_at;           /* bytes came last; the loop's time */
    double pinged_at;         /* 0: never */
    double answer_until;      /* of a PING; INFINITY: none is awaited */
    double budget_at;         /* from when frames are counted */
    uint64_t budget_sent;     /* bytes sent until then */
    uint32_t control_frames, empty_frames, window_updates;
    uint64_t widened;  /* bytes of the streams' windows beyond their first size */
    double round_trip; /* seconds; 0: unknown */
};

/* Takes over a stream that is open. NULL: no memory, or the worker is ending; then it is closed. */
struct tg_upstream_h2 *tg_upstream_h2_open(struct tg_upstream_h2_keeper *keeper, struct tg_worker *worker,
                                           struct tg_peer *peer, struct tg_upstream_h2_facts *facts,
                                           const struct tg_upstream_h2_terms *terms, struct tg_stream *stream);
/* How many more streams it may take: the one place that says so. Negative where the peer has lowered its limit below
 * what is open. *limit, if not NULL: how many in all. */
int64_t tg_upstream_h2_free_streams(const struct tg_upstream_h2 *connection, const struct tg_upstream_h2_terms *terms,
                                    uint32_t *limit);
/* The peer's settings have come, and with them whether it takes an extended CONNECT. */
bool tg_upstream_h2_greeted(const struct tg_upstream_h2 *connection);
bool tg_upstream_h2_takes_websocket(const struct tg_upstream_h2 *connection);
/* A stream for this exchange; NULL: no memory. */
struct tg_upstream_side *tg_upstream_h2_begin(struct tg_upstream_h2 *connection, struct tg_exchange *exchange,
                                              const struct tg_upstream_h2_terms *terms);
/* At once; nothing of it may be in use. `gone` isn't called. */
void tg_upstream_h2_close(struct tg_upstream_h2 *connection);

#endif
