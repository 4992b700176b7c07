/* Handlers of bodies in Lua: each a coroutine of its own, beside the one of the phase that runs or waits. What script/
 * keeps of one lives in the exchange's arena, and Lua's handles to it are dead when the exchange is. */
#ifndef TG_SCRIPT_BODY_H
#define TG_SCRIPT_BODY_H

#include "proxy/body_call.h"
#include "script/run.h"

struct tg_script_body {
    struct tg_abi_body abi; /* first: handles point to it */
    struct tg_body_call *call;
    struct tg_record *record;
    struct tg_run *run;      /* the handler's; NULL: not entered yet, or over */
    struct tg_run_wait wait; /* of whoever waits for its bytes; its run is NULL: nobody */
    struct tg_list held;     /* in vm->held_back_bodies while init runs */
};

static inline struct tg_script_body *tg_script_body_of(struct tg_abi_body *body)
{
    return (struct tg_script_body *)body;
}

/* That of the coroutine that runs: its own, or of the handler that spawned it; NULL: of no body phase. */
static inline struct tg_script_body *tg_script_body_running(const struct tg_record *record)
{
    return record->vm->current ? record->vm->current->body : NULL;
}

/* For hooks.c. */
bool tg_bodies_add(struct tg_exchange *exchange, enum tg_phase phase);
void tg_body_start(struct tg_body_call *call);
void tg_body_ready(struct tg_body_call *call);
void tg_body_cancel(struct tg_body_call *call);
void tg_body_whole_ready(struct tg_exchange *exchange);
/* Gives the call what script/ keeps of it; false: no memory. */
bool tg_body_attach(struct tg_record *record, struct tg_body_call *call) __attribute__((warn_unused_result));
/* Whether the handler isn't to see this exchange: it wasn't reached by a chain that was cut short (hooks.c). */
bool tg_record_passes_over(const struct tg_record *record, uint32_t use);
/* Puts the message for a wrong result of a phase in its place (hooks.c). */
void tg_run_refuse_result(lua_State *thread, enum tg_phase phase);

#endif
