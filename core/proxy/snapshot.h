/* What one generation says about listeners, upstream groups and routes: built once by the loader thread, immutable from
 * then on, counted, shared by all workers. All text lives in its arena. Times are seconds, sizes bytes. */
#ifndef TG_PROXY_SNAPSHOT_H
#define TG_PROXY_SNAPSHOT_H

#include <stdatomic.h>

#include "base/log_ring.h"
#include "http/forward.h"
#include "http/limits.h"
#include "net/address.h"
#include "proxy/route.h"

struct tg_peer;       /* proxy/peer.h: outlives snapshots */
struct tg_tls_server; /* net/tls_server.h */
struct tg_router;     /* proxy/router.h */
struct tg_map;        /* base/map.h */

struct tg_listener_config {
    struct tg_slice name;
    struct tg_slice text; /* "127.0.0.1:8080" */
    struct tg_address address;
    struct tg_tls_server *tls; /* counted; NULL: clear */
    bool redirect_to_https;    /* answers every request with 308 */
    uint16_t redirect_port;    /* 443 unless said otherwise */
    bool proxy_protocol;       /* `senders` begin each connection with a PROXY header */
    struct tg_trusted_proxies senders;
    struct tg_chain accept, client_hello; /* handlers */
};

struct tg_settings {
    uint32_t workers; /* 0: one a CPU; used at start only */
    struct tg_http_limits limits;
    struct tg_h2_limits h2;
    uint32_t connections;    /* a worker: 8192 */
    bool fips;               /* of the process: a generation that says another can't be loaded */
    double ticket_rotation;  /* seconds between two keys for session tickets: 8 hours */
    struct tg_slice key_log; /* file for TLS secrets, for debugging; empty: none */
    struct tg_timeouts timeouts;
    struct tg_trusted_proxies trusted_proxies;
    size_t replay_limit; /* bytes of a request body kept for a retry: 64 KB */
    bool access_log_off;
    struct tg_slice access_log; /* file; empty: standard output */
    struct tg_slice error_log;  /* file; empty: standard error */
    enum tg_log_level error_level;
    struct tg_address metrics; /* where GET /metrics is answered over TCP; length 0: nowhere */
    double load_time;          /* 10 */
    uint64_t script_memory;    /* cap of one VM: 128 MB */
    uint32_t generations_keep; /* 8 */
    double generations_detach; /* 60 */
    double drain;              /* stop: deadline for what runs: 30 */
    double drain_idle;         /* stop: idle connections wait for one more request: 1 */
};

struct tg_snapshot {
    _Atomic uint32_t references;
    uint64_t generation;
    struct tg_arena arena;
    struct tg_settings settings;
    struct tg_listener_config *listeners;
    size_t listener_count;
    struct tg_group *groups;
    size_t group_count;
    struct tg_route *routes;
    size_t route_count;
    struct tg_route none;     /* takes what no route takes: name "none", chains of tg.use, no destination */
    struct tg_router *router; /* made by tg_snapshot_new; the snapshot frees it */
    struct tg_map *groups_named, *routes_named; /* made by tg_snapshot_finish */
};

/* With one reference, default settings and an empty router. NULL when out of memory. */
struct tg_snapshot *tg_snapshot_new(void);
/* The loader's last step, once all groups and routes are in place: sorts each group's peers by priority and makes what
 * balancing and finding by name need. false when out of memory. */
bool tg_snapshot_finish(struct tg_snapshot *snapshot) __attribute__((warn_unused_result));
struct tg_snapshot *tg_snapshot_ref(struct tg_snapshot *snapshot);
/* Any thread; the last one releases peers and memory. */
void tg_snapshot_unref(struct tg_snapshot *snapshot);
/* NULL where there is none. */
struct tg_group *tg_snapshot_group(const struct tg_snapshot *snapshot, struct tg_slice name);
struct tg_route *tg_snapshot_route(const struct tg_snapshot *snapshot, struct tg_slice name);

#endif
