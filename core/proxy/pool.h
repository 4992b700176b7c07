/* A worker's part of the connection pool, and the connector that exchanges ask. Idle connections that this worker used
 * last stay with it, hot; they are given to all workers (parked in the peer's shared list) at release if workers miss
 * connections to this peer, else once they are idle for 100 ms. With one worker nobody else could use them, and they
 * stay.
 *
 * HTTP/2 connections serve many exchanges at a time and stay with their worker: a request takes the least loaded one,
 * and more are opened before these are full. Where a peer may speak either (TLS, protocol auto) the first choice is an
 * HTTP/2 connection with a free stream, then an idle one of HTTP/1, then a new one.
 *
 * Belongs to the worker's thread. */
#ifndef TG_PROXY_POOL_H
#define TG_PROXY_POOL_H

#include "proxy/worker.h"

struct tg_pool *tg_pool_new(struct tg_worker *worker);
/* Closes what is idle; nothing may be in use. */
void tg_pool_free(struct tg_pool *pool);
struct tg_connector *tg_pool_connector(struct tg_pool *pool);

#endif
