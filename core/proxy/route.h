/* Routes and upstream groups as one generation declares them: immutable, part of its snapshot (whose arena holds their
 * text), read by all workers. Times are seconds, sizes bytes. */
#ifndef TG_PROXY_ROUTE_H
#define TG_PROXY_ROUTE_H

#include "http/message.h"

struct tg_peer;         /* proxy/peer.h: outlives snapshots */
struct tg_tls_client;   /* net/tls_client.h */
struct tg_balance_tier; /* proxy/balance.h */

/* A route's own values win over its group's (upstream), those over the settings'. INFINITY: none. */
struct tg_timeouts {
    double header;    /* for the whole head of a request: 15 -> 408 */
    double idle;      /* between requests of a client connection: 75 */
    double body_rate; /* bytes a second that a body, either way, must make on average over 10 s windows: 500; 0: off */
    double tunnel_idle;   /* no byte either way, of gRPC too: 3600 */
    double total;         /* for the whole request: none -> 504 */
    double connect;       /* 5 */
    double tls;           /* upstream's handshake: 5 */
    double send;          /* upstream takes nothing for so long: 30 */
    double first_byte;    /* until the response head: 60 -> 504 */
    double between_bytes; /* of the response: 60 */
};

struct tg_group_peer {
    struct tg_peer *peer; /* from the registry; the snapshot holds a reference */
    uint32_t weight;      /* 1 to 1000 */
    uint32_t priority;    /* lower ones first: the others serve only where all of these were tried */
};

struct tg_balance_tier; /* proxy/balance.h */

enum tg_protocol {
    TG_PROTOCOL_AUTO, /* by ALPN, h2 first; without TLS: HTTP/1 */
    TG_PROTOCOL_H1,
    TG_PROTOCOL_H2, /* without TLS: with prior knowledge */
};

/* An upstream group: tg.upstream. */
struct tg_group {
    struct tg_slice name;
    uint32_t index; /* within the snapshot */
    struct tg_group_peer *peers;
    size_t peer_count;
    enum tg_protocol protocol;
    struct tg_tls_client *tls;     /* counted; NULL: clear */
    struct tg_balance_tier *tiers; /* peers of equal priority; made by tg_snapshot_finish */
    size_t tier_count;
    struct tg_timeouts timeouts;
    uint32_t attempts;       /* in all, the first included: 3 */
    uint32_t pool_size;      /* idle connections kept for a peer, in all workers: 512 */
    double pool_idle;        /* seconds an idle connection is kept: 60 */
    uint32_t h2_streams;     /* exchanges at a time on one of its HTTP/2 connections, where the peer allows it: 100 */
    uint32_t h2_connections; /* of one peer and worker: 32 */
};

enum tg_half_close { TG_HALF_CLOSE_ANSWER, TG_HALF_CLOSE_ABORT };
enum tg_host_header { TG_HOST_PRESERVE, TG_HOST_UPSTREAM, TG_HOST_NAME };

/* Handlers of one phase, in the order in which they run: numbers of uses (script/ knows what they are). */
struct tg_chain {
    const uint16_t *uses;
    uint16_t count;
};

enum tg_phase {
    TG_PHASE_REQUEST,
    TG_PHASE_UPSTREAM_REQUEST,
    TG_PHASE_UPSTREAM_RESPONSE,
    TG_PHASE_RESPONSE,
    TG_PHASE_ERROR,
    TG_PHASE_LOG,
    TG_PHASE_ACCEPT,       /* of a listener, before there is an exchange: hooks.h */
    TG_PHASE_CLIENT_HELLO, /* likewise */
    TG_PHASE_REQUEST_BODY, /* beside the others: exchange_bodies.c */
    TG_PHASE_RESPONSE_BODY,
    TG_PHASE_TRAILERS,
    TG_PHASES
};

struct tg_static_field {
    struct tg_slice name, value;
};

struct tg_route {
    struct tg_slice name;
    struct tg_slice declared_at; /* "gateway.lua:12" */
    uint32_t index;
    struct tg_group *group;  /* may be NULL */
    uint16_t respond_status; /* not 0: answers by itself */
    struct tg_slice respond_body;
    const struct tg_static_field *respond_fields;
    size_t respond_field_count;
    uint16_t redirect_status;    /* not 0 */
    struct tg_slice redirect_to; /* template with :params and *rest */
    struct tg_slice rewrite;     /* template, or empty */
    enum tg_host_header host_header;
    struct tg_slice host_name; /* where TG_HOST_NAME */
    bool raw_path;
    enum tg_half_close half_close;
    bool continue_on_error; /* on_script_error = "continue" */
    struct tg_timeouts timeouts;
    uint64_t body_limit;
    uint32_t attempts;                 /* 0: the group's */
    uint32_t phases;                   /* bit mask of enum tg_phase: not empty chains */
    struct tg_chain chains[TG_PHASES]; /* those of the way back in reverse already */
};

#endif
