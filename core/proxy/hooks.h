/* How the proxy calls handlers, knowing nothing of Lua. One table for the process, given to each worker at its start.
 */
#ifndef TG_PROXY_HOOKS_H
#define TG_PROXY_HOOKS_H

#include "base/list.h"
#include "proxy/route.h"

struct tg_body_call;
struct tg_client_hello;
struct tg_client_info;
struct tg_exchange;
struct tg_hello_choice;
struct tg_lease;
struct tg_listener_config;

enum tg_hook_result {
    TG_HOOK_DONE,     /* go on */
    TG_HOOK_PENDING,  /* tg_exchange_resume will follow, never inside the call */
    TG_HOOK_ANSWERED, /* exchange->answer is set (tg_exchange_respond) */
    TG_HOOK_REROUTED, /* exchange->route was changed by tg_exchange_reroute; request phase only */
    TG_HOOK_FAILED,   /* a script error: 500 through the error phase; logged already */
};

/* A handler of a listener at work on a connection that has no request yet: TG_PHASE_ACCEPT or TG_PHASE_CLIENT_HELLO. It
 * belongs to whoever made it (the door), and stays until the call is over. */
struct tg_door_call {
    enum tg_phase phase;
    struct tg_lease *lease;                    /* pinned by the maker for as long as the call lasts */
    struct tg_list link;                       /* in lease->calls, for as long */
    const struct tg_listener_config *listener; /* of the lease's snapshot */
    const struct tg_client_info *info;
    const struct tg_address *sender;     /* the other end of the connection, whatever a PROXY header said */
    struct tg_slice proxy_header;        /* as received, for conn.proxy_header; or empty */
    const struct tg_client_hello *hello; /* TG_PHASE_CLIENT_HELLO */
    struct tg_hello_choice *choice;      /* likewise */
    bool refused;                        /* conn:refuse(), hello:refuse() */
    void *script;                        /* script/'s record of it */
    /* A pending call is over: DONE, or FAILED. Never from inside door_run. The call may be gone afterwards. */
    void (*over)(struct tg_door_call *call, enum tg_hook_result result);
};

struct tg_hooks {
    /* Runs the handlers of the phase, in the order of the route's chain. Not called where the chain is empty. */
    enum tg_hook_result (*run)(struct tg_exchange *exchange, enum tg_phase phase);
    /* The handler that waits must never be resumed; what it holds is released now. */
    void (*cancel)(struct tg_exchange *exchange);
    /* Adds a call (tg_body_call_add) for each handler of TG_PHASE_REQUEST_BODY or TG_PHASE_RESPONSE_BODY that sees this
     * exchange; false: no memory, or no VM. Not called where the chain is empty. */
    bool (*bodies)(struct tg_exchange *exchange, enum tg_phase phase);
    /* Enters its handler; tg_body_call_over follows, now or later. Several calls of an exchange run beside each other
     * and beside a phase that waits. */
    void (*body_start)(struct tg_body_call *call);
    /* What it waits for may have come: it is resumed after the current event. */
    void (*body_ready)(struct tg_body_call *call);
    /* It is never resumed again; what it holds is released now. */
    void (*body_cancel)(struct tg_body_call *call);
    /* More of a body has come that a handler waits for as a whole (tg_exchange_whole): likewise. */
    void (*whole_ready)(struct tg_exchange *exchange);
    /* The exchange is over: handles to it raise from now on. Called once for each exchange whose `script` isn't NULL.
     */
    void (*end)(struct tg_exchange *exchange);
    /* Runs the listener's handlers of call->phase: DONE, PENDING (call->over follows) or FAILED (the connection is
     * refused; logged already). Not called where the chain is empty. */
    enum tg_hook_result (*door_run)(struct tg_door_call *call);
    /* A pending call must never be resumed: the client has gone, or its time is over. */
    void (*door_cancel)(struct tg_door_call *call);
};

#endif
