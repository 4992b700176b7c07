/* Timers of a VM: coroutines that begin after a time and belong to no request. Those that the configuration or `init`
 * made run while their generation is the current one; those that requests made end with the VM at last. */
#ifndef TG_SCRIPT_TIMER_H
#define TG_SCRIPT_TIMER_H

#include "script/run.h"

enum { TG_TIMERS_MAX = 16384 /* of a VM */ };

/* start(seconds, again, periodic, main, ...): a C function of Lua's; runs main(...) then, in a coroutine of its own.
 * Gives it as a light userdata and its serial; nothing where there are too many, unless `again`. */
int tg_timer_lua_start(lua_State *L);
/* at_load(): whether what is made now is made by the configuration or by init. */
int tg_timer_lua_at_load(lua_State *L);

#endif
