/* What the files of the pool share among themselves; nobody else includes this. pool.c is the connector, pool_idle.c
 * keeps idle HTTP/1 connections, pool_h2.c chooses among those of HTTP/2, pool_wait.c has the exchanges that wait for a
 * connection, and the dials for them. */
#ifndef TG_PROXY_POOL_STATE_H
#define TG_PROXY_POOL_STATE_H

#include "proxy/pool.h"
#include "proxy/upstream_dial.h"
#include "proxy/upstream_h1.h"
#include "proxy/upstream_h2.h"

/* What the group that asked last says of a peer's connections. */
struct tg_pool_terms {
    struct tg_dial_limits limits;
    uint32_t size; /* idle connections, in all workers */
    double idle;   /* seconds */
    struct tg_upstream_h2_terms h2;
    uint32_t h2_connections;
};

/* What a worker has of one peer. The table is indexed by peer->index, which is reused: the serial tells. A peer whose
 * index was someone else's finds nothing of that one: all that is listed here holds a reference to its peer. */
struct tg_pool_peer {
    uint64_t serial;
    struct tg_pool_terms terms;
    struct tg_list hot; /* idle HTTP/1 connections, peer_link, newest first */
    struct tg_list h2;  /* connections, open and draining */
    struct tg_upstream_h2_facts facts;
    struct tg_list waiting; /* oldest first */
    uint32_t line;          /* how many of them have no dial of their own */
    struct tg_list dials;
    double dial_failed_at; /* the last time; 0: never */
};

struct tg_pool {
    struct tg_connector connector;
    struct tg_upstream_keeper keeper;
    struct tg_upstream_h2_keeper h2_keeper;
    struct tg_dialer dialer;
    struct tg_worker *worker;
    struct tg_pool_peer **peers;
    size_t peer_capacity;
    struct tg_list ages; /* age_link of hot ones, oldest first */
    struct tg_deadline sweep;
};

/* What an exchange can be sent over. */
enum tg_pool_need {
    TG_POOL_ANY,       /* whatever the peer speaks */
    TG_POOL_H1,        /* it does, and this needs it */
    TG_POOL_WEBSOCKET, /* it speaks nothing but HTTP/2, and must know of RFC 8441 */
};

/* An exchange that waits for a connection. In its arena. */
struct tg_pool_waiter {
    struct tg_list link;
    struct tg_pool *pool;
    struct tg_pool_peer *entry;
    struct tg_exchange *exchange;
    struct tg_peer *peer; /* the exchange's */
    enum tg_pool_need need;
    double not_before;    /* a connection that was opened earlier won't do */
    struct tg_dial *dial; /* for it alone, and its context is this waiter; NULL: it takes what becomes free */
    struct tg_deadline limit;
};

/* pool.c. NULL: there is none. */
struct tg_pool_peer *tg_pool_find_peer(const struct tg_pool *pool, const struct tg_peer *peer);

/* pool_idle.c */
void tg_pool_idle_init(struct tg_pool *pool);
void tg_pool_idle_deinit(struct tg_pool *pool);
/* An idle connection to this peer, of this worker or of all; NULL: there is none. `careful`: it was looked at, and is
 * open and silent. */
struct tg_upstream_h1 *tg_pool_take_idle(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer,
                                         bool careful);
/* A connection has to be made, since no worker has given one. */
void tg_pool_note_miss(struct tg_pool *pool, struct tg_peer *peer);

/* pool_h2.c */
/* All requests to this peer go over HTTP/2, as far as is known. */
bool tg_pool_speaks_h2(const struct tg_peer *peer);
/* How many streams a connection that is yet to be opened may be expected to take; at least 1. */
uint32_t tg_pool_expected_streams(const struct tg_pool_peer *entry);
struct tg_pool_h2_load {
    uint32_t connections; /* that aren't draining */
    uint64_t streams, limit;
};
struct tg_pool_h2_load tg_pool_h2_load(const struct tg_pool_peer *entry);
/* The connection with the least load that takes one more stream, opened at `not_before` at the earliest; NULL: none. */
struct tg_upstream_h2 *tg_pool_choose_h2(const struct tg_pool_peer *entry, bool websocket, double not_before);
/* A connection of this peer has said that it knows nothing of RFC 8441. */
bool tg_pool_h2_refuses_websocket(const struct tg_pool_peer *entry);
/* There is a connection that isn't draining, opened at `not_before` at the earliest. */
bool tg_pool_h2_lives(const struct tg_pool_peer *entry, double not_before);
void tg_pool_h2_end(struct tg_pool_peer *entry);

/* pool_wait.c */
void tg_pool_wait_init(struct tg_pool *pool);
/* Gives up all dials to this peer. */
void tg_pool_wait_end(struct tg_pool_peer *entry);
/* The exchange waits, and is told of the outcome. `fresh`: a connection that is open already won't do. */
void tg_pool_wait(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange, struct tg_peer *peer,
                  enum tg_pool_need need, bool fresh);
void tg_pool_wait_no_more(struct tg_exchange *exchange);
/* Opens one more connection before those that are there are full. */
void tg_pool_grow(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_peer *peer);

#endif
