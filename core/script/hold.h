/* What a request, a task or a timer holds until it ends, such as a place behind a semaphore: released then, however it
 * ends, without running Lua. The VM's thread. */
#ifndef TG_SCRIPT_HOLD_H
#define TG_SCRIPT_HOLD_H

#include "script/run.h"

struct tg_hold {
    struct tg_list link;                   /* its holder's */
    void (*release)(struct tg_hold *hold); /* it is in no list any more: gives back what was held, and frees it */
};

/* The holds of whoever this coroutine works for: a task or a timer for itself, a phase for its request. */
struct tg_list *tg_holds_of(struct tg_run *run);
void tg_hold_add(struct tg_list *holds, struct tg_hold *hold, void (*release)(struct tg_hold *hold));
void tg_holds_release(struct tg_list *holds);

#endif
