/* What one worker thread has: its loop, its current lease, its client connections and its part of the pool. */
#ifndef TG_PROXY_WORKER_H
#define TG_PROXY_WORKER_H

#include "base/log_ring.h"
#include "base/text.h"
#include "net/listener.h"
#include "proxy/hooks.h"
#include "proxy/lease.h"
#include "proxy/peer.h"
#include "proxy/side.h"

struct tg_pool;    /* the worker's hot idle connections */
struct tg_balance; /* proxy/balance.h */
struct tg_request_metrics;

struct tg_worker {
    uint32_t id;    /* from 0 */
    uint32_t count; /* workers of the process: with one, no connection is given to others */
    struct tg_loop *loop;
    const struct tg_hooks *hooks; /* may be NULL: no scripts at all */
    struct tg_lease *current;     /* new exchanges start under it */
    struct tg_connector *connector;
    struct tg_pool *pool;
    struct tg_log_ring *log;
    struct tg_text line;                /* the access log's line being made */
    struct tg_request_metrics *metrics; /* NULL: nothing is counted by route */
    double door_logged_at;              /* when a connection that failed in the door was last written of; monotonic */
    uint64_t door_unlogged;             /* failed since then */
    struct tg_acceptor *acceptor;
    _Atomic uint32_t connections; /* clients; see tg_accept_target */
    struct tg_list clients;       /* client connections */
    uint32_t exchanges;           /* not over yet */
    bool draining;                /* stop: answers say close */
    double drain_idle_until, drain_until;
    struct tg_deadline drain_end;            /* whatever still runs then is cut */
    void (*quiet)(struct tg_worker *worker); /* draining, and nothing runs any more; called once; set by control/ */
    void *context;                           /* control's */
    void *script;                            /* script/'s state of this worker, shared by its VMs */
    struct tg_balance *balance; /* positions in the groups' orders; NULL at first; tg_balance_free ends it */
};

/* Makes this lease the current one; the old one is retired. */
void tg_worker_switch(struct tg_worker *worker, struct tg_lease *lease);
/* Called where a connection or an exchange has ended. */
void tg_worker_quiet_if_drained(struct tg_worker *worker);
/* Tells `quiet`, once, whatever still runs. */
void tg_worker_be_quiet(struct tg_worker *worker);
/* What the current generation says about the listener of this address; NULL: nothing, it is gone. */
const struct tg_listener_config *tg_worker_listener(const struct tg_worker *worker, const struct tg_address *address);
/* The name under which the current generation knows a listener; empty: not at all. */
struct tg_slice tg_worker_listener_name(const struct tg_worker *worker, const struct tg_address *address);

#endif
