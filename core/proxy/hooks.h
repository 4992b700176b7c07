/* How the proxy calls handlers, knowing nothing of Lua. One table for the process, given to each worker at its start.
 */
#ifndef TG_PROXY_HOOKS_H
#define TG_PROXY_HOOKS_H

#include "proxy/route.h"

struct tg_exchange;

enum tg_hook_result {
    TG_HOOK_DONE,     /* go on */
    TG_HOOK_PENDING,  /* tg_exchange_resume will follow, never inside the call */
    TG_HOOK_ANSWERED, /* exchange->answer is set (tg_exchange_respond) */
    TG_HOOK_REROUTED, /* exchange->route was changed by tg_exchange_reroute; request phase only */
    TG_HOOK_FAILED,   /* a script error: 500 through the error phase; logged already */
};

struct tg_hooks {
    /* Runs the handlers of the phase, in the order of the route's chain. Not called where the chain is empty. */
    enum tg_hook_result (*run)(struct tg_exchange *exchange, enum tg_phase phase);
    /* The handler that waits must never be resumed; what it holds is released now. */
    void (*cancel)(struct tg_exchange *exchange);
    /* The exchange is over: handles to it raise from now on. Called once for each exchange whose `script` isn't NULL.
     */
    void (*end)(struct tg_exchange *exchange);
};

#endif
