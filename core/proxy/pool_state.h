/* What the files of the pool share among themselves; nobody else includes this. pool.c is the connector, pool_idle.c
 * keeps idle HTTP/1 connections, pool_wait.c has the exchanges that wait for a connection, and the dials for them. */
#ifndef TG_PROXY_POOL_STATE_H
#define TG_PROXY_POOL_STATE_H

#include "proxy/pool.h"
#include "proxy/upstream_dial.h"
#include "proxy/upstream_h1.h"

/* What the group that asked last says of a peer's connections. */
struct tg_pool_terms {
    struct tg_dial_limits limits;
    uint32_t size; /* idle connections, in all workers */
    double idle;   /* seconds */
};

/* What a worker has of one peer. The table is indexed by peer->index, which is reused: the serial tells. A peer whose
 * index was someone else's finds nothing of that one: all that is listed here holds a reference to its peer. */
struct tg_pool_peer {
    uint64_t serial;
    struct tg_pool_terms terms;
    struct tg_list hot;     /* idle HTTP/1 connections, peer_link, newest first */
    struct tg_list waiting; /* oldest first */
    struct tg_list dials;
};

struct tg_pool {
    struct tg_connector connector;
    struct tg_upstream_keeper keeper;
    struct tg_dialer dialer;
    struct tg_worker *worker;
    struct tg_pool_peer **peers;
    size_t peer_capacity;
    struct tg_list ages; /* age_link of hot ones, oldest first */
    struct tg_deadline sweep;
};

/* An exchange that waits for a connection. In its arena. */
struct tg_pool_waiter {
    struct tg_list link;
    struct tg_exchange *exchange;
    struct tg_dial *dial; /* for it alone; its context is this waiter */
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

/* pool_wait.c */
void tg_pool_wait_init(struct tg_pool *pool);
/* Gives up all dials to this peer. */
void tg_pool_wait_end(struct tg_pool_peer *entry);
/* The exchange waits, and is told of the outcome. */
void tg_pool_wait(struct tg_pool *pool, struct tg_pool_peer *entry, struct tg_exchange *exchange, struct tg_peer *peer);
void tg_pool_wait_no_more(struct tg_exchange *exchange);

#endif
