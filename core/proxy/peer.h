/* The registry of upstream peers outlives snapshots: keyed by full identity, so that a reload keeps pooled connections,
 * counts and what was learnt of a peer. Also the shared part of the connection pool: idle connections that any worker
 * may take. */
#ifndef TG_PROXY_PEER_H
#define TG_PROXY_PEER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "net/address.h"
#include "net/tls.h"
#include "proxy/route.h"

struct tg_peer_registry;

struct tg_peer {
    struct tg_peer_registry *registry;
    _Atomic uint32_t references; /* by snapshots and by open connections */
    struct tg_slice identity;    /* compared in full: scheme, address, ... */
    struct tg_slice name;        /* the address as declared, for logs */
    struct tg_address address;
    enum tg_protocol protocol;
    struct tg_tls_client *tls;        /* counted; NULL: clear */
    struct tg_tls_sessions *sessions; /* of TLS, NULL where clear [X03] */
    _Atomic enum tg_alpn alpn;        /* what its last handshake chose; forgotten when a connection fails [X09] */
    uint32_t index;                   /* small, reused: workers keep per-peer state in a table by it */
    uint64_t serial;                  /* never reused: tells a reused index */
    _Atomic uint32_t active;          /* connections in use, all workers */
    _Atomic uint32_t idle;            /* parked and hot, all workers */
    _Atomic uint64_t missed_at;       /* monotonic milliseconds at which a worker last found no idle connection */
    pthread_mutex_t lock;             /* guards parked; never held across anything that blocks or runs Lua */
    struct tg_list parked;            /* newest first */
    uint32_t parked_count;
};

/* `control`: the loop whose thread watches parked sockets and prunes those past their time. */
struct tg_peer_registry *tg_peer_registry_new(struct tg_loop *control);
/* When no peer is referenced any more. */
void tg_peer_registry_free(struct tg_peer_registry *registry);
/* Finds or makes the peer of this identity, which says all that the other arguments say; with a reference. Any thread.
 * NULL when out of memory. */
struct tg_peer *tg_peer_registry_get(struct tg_peer_registry *registry, struct tg_slice identity, struct tg_slice name,
                                     const struct tg_address *address, enum tg_protocol protocol,
                                     struct tg_tls_client *tls);
struct tg_peer *tg_peer_ref(struct tg_peer *peer);
/* Any thread; the last one closes what is parked. */
void tg_peer_unref(struct tg_peer *peer);
/* Gives a socket to all workers. Any thread. Beyond `limit` parked ones the oldest is closed. `idle_until`: monotonic.
 */
void tg_peer_park(struct tg_peer *peer, struct tg_socket socket, double now, double idle_until, uint32_t limit);
/* The most recently parked socket that is still within its time, or descriptor -1. Unwatched; the caller attaches it.
 * `idle` counts parked sockets by itself: tg_peer_park adds, taking and closing subtract; hot ones are the pool's. */
struct tg_socket tg_peer_take(struct tg_peer *peer, double now);
/* Calls `visit` for each living peer, with the registry locked. For status. */
void tg_peer_registry_each(struct tg_peer_registry *registry, void (*visit)(void *context, struct tg_peer *peer),
                           void *context);

#endif
