#include "script/vm.h"

#include <luajit.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOOK_INSTRUCTIONS = 1000 };

const char *const tg_script_phase_names[TG_PHASES] = {
    "request", "upstream_request", "upstream_response", "response",      "error",    "log",
    "accept",  "client_hello",     "request_body",      "response_body", "trailers",
};

struct tg_vm *tg_vm_of(lua_State *L)
{
    void *context;
    lua_getallocf(L, &context);
    return TG_CONTAINER_OF((struct tg_vm_memory *)context, struct tg_vm, memory);
}

struct tg_vm *tg_vm_create(struct tg_generation_source *source, struct tg_snapshot *snapshot, uint32_t worker_id)
{
    struct tg_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return NULL;
    vm->source = tg_generation_source_ref(source);
    vm->snapshot = snapshot ? tg_snapshot_ref(snapshot) : NULL;
    vm->worker_id = worker_id;
    vm->collect_above = snapshot ? (size_t)snapshot->settings.script_memory / 2 : SIZE_MAX;
    tg_vm_memory_init(&vm->memory);
    tg_list_init(&vm->held_back);
    tg_list_init(&vm->held_back_bodies);
    tg_list_init(&vm->owned);
    tg_list_init(&vm->attach.tasks);
    tg_list_init(&vm->timers);
    tg_text_init(&vm->attach.error);
    tg_text_init(&vm->scratch);
    return vm;
}

bool tg_vm_fail(struct tg_vm *vm, struct tg_text *error)
{
    const char *message = lua_type(vm->L, -1) == LUA_TSTRING ? lua_tostring(vm->L, -1) : NULL;
    if (message)
        tg_text_append(error, tg_slice_from_string(message));
    else
        tg_text_appendf(error, "a script raised a %s", luaL_typename(vm->L, -1));
    lua_settop(vm->L, 0);
    return false;
}

bool tg_vm_call(struct tg_vm *vm, int arguments, int results, struct tg_text *error)
{
    if (lua_pcall(vm->L, arguments, results, 0) == 0)
        return true;
    return tg_vm_fail(vm, error);
}

/* The place in the operator's files that runs, as "gateway.lua:3: ". */
static void push_place(lua_State *L)
{
    lua_Debug at;
    for (int level = 0; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0 && strncmp(at.source, "=tidegate/", 10) != 0) {
            lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/* Once it has fired it fires at each instruction, so that no pcall in a loop outlives it, always with the place where
 * it fired first. */
static void check_limit(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct tg_vm *vm = tg_vm_of(L);
    struct tg_clock *clock = tg_clock_system();
    bool given_up = vm->cancel && atomic_load_explicit(vm->cancel, memory_order_relaxed);
    if (!given_up && clock->monotonic(clock) < vm->hook_deadline)
        return;
    lua_sethook(L, check_limit, LUA_MASKCOUNT, 1);
    if (!vm->hook_error[0]) {
        push_place(L);
        snprintf(vm->hook_error, sizeof vm->hook_error, "%s%s", lua_tostring(L, -1),
                 given_up ? "the load was given up" : "");
        size_t length = strlen(vm->hook_error);
        if (!given_up)
            snprintf(vm->hook_error + length, sizeof vm->hook_error - length, "%s ran longer than %g s", vm->hook_what,
                     vm->hook_limit);
    }
    lua_pushstring(L, vm->hook_error);
    lua_error(L);
}

/* Compiled code sees no hooks: while there is a limit, code is interpreted. */
void tg_vm_set_limit(struct tg_vm *vm, double seconds, const char *what)
{
    struct tg_clock *clock = tg_clock_system();
    vm->hook_limit = seconds;
    vm->hook_deadline = clock->monotonic(clock) + seconds;
    vm->hook_what = what;
    vm->hook_error[0] = 0;
    luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_sethook(vm->L, check_limit, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
}

void tg_vm_clear_limit(struct tg_vm *vm)
{
    lua_sethook(vm->L, NULL, 0, 0);
    luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
}

enum { COLLECTOR_STEP = 200 };

static int collect_some(lua_State *L)
{
    struct tg_vm *vm = lua_touserdata(L, 1);
    size_t cap = (size_t)vm->snapshot->settings.script_memory;
    if (!lua_gc(L, LUA_GCSTEP, COLLECTOR_STEP))
        return 0;
    /* What is left is in use: the next cycle waits until half of what remains is used too. */
    size_t used = vm->memory.used, next = used < cap ? used + (cap - used) / 2 : used;
    vm->collect_above = next > cap / 2 ? next : cap / 2;
    return 0;
}

static int collect_all(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

static void collect(struct tg_vm *vm, lua_CFunction how)
{
    if (lua_cpcall(vm->L, how, vm) != 0)
        lua_settop(vm->L, 0);
}

void tg_vm_collect(struct tg_vm *vm)
{
    if (vm->L && vm->memory.used > vm->collect_above)
        collect(vm, collect_some);
}

void tg_vm_recover(struct tg_vm *vm)
{
    if (vm->memory.used > vm->snapshot->settings.script_memory / 4 * 3)
        collect(vm, collect_all);
}

size_t tg_script_vm_memory(const struct tg_vm *vm)
{
    return vm->memory.held;
}
