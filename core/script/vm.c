#include "script/vm.h"

#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "script/run.h"
#include "script/version.h"

int luaopen_cjson(lua_State *L);

enum { HOOK_INSTRUCTIONS = 1000 };

const char *const tg_script_phase_names[TG_PHASES] = {
    "request", "upstream_request", "upstream_response", "response", "error", "log",
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
    tg_list_init(&vm->attach.tasks);
    tg_text_init(&vm->attach.error);
    tg_text_init(&vm->scratch);
    return vm;
}

/* Outside of any protected call, when the system has no memory left. */
static int panic(lua_State *L)
{
    tg_log(TG_LOG_ERROR, "Lua failed outside of scripts: %s", lua_tostring(L, -1));
    return 0;
}

static void set_function(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
}

static void set_slice(lua_State *L, const char *name, struct tg_slice value)
{
    lua_pushlstring(L, value.at ? value.at : "", value.length);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_pointer(lua_State *L, const char *name, void *value)
{
    lua_pushlightuserdata(L, value);
    lua_setfield(L, -2, name);
}

/* What boot.lua gets: see its head. */
static void push_core(lua_State *L, struct tg_vm *vm)
{
    lua_createtable(L, 0, 24);
    set_function(L, "module", tg_source_lua_module);
    set_function(L, "main", tg_source_lua_main);
    set_function(L, "config_file", tg_source_lua_config_file);
    set_function(L, "read_file", tg_source_lua_read_file);
    set_function(L, "glob", tg_source_lua_glob);
    set_function(L, "getenv", tg_source_lua_getenv);
    set_function(L, "spawn", tg_run_lua_spawn);
    set_function(L, "cancel", tg_run_lua_cancel);
    set_function(L, "cjson", luaopen_cjson);
    set_slice(L, "abi", tg_source_abi());
    set_slice(L, "folder", vm->source->folder);
    set_slice(L, "version", TG_SLICE(TG_VERSION));
    set_number(L, "generation", (double)vm->source->generation);
    set_number(L, "worker_id", vm->worker_id);
    set_number(L, "worker_count", vm->source->worker_count);
    set_pointer(L, "control", &vm->control);
    set_pointer(L, "sentinel", tg_run_sentinel());
}

static int boot(lua_State *L)
{
    struct tg_vm *vm = lua_touserdata(L, 1);
    luaL_openlibs(L);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); /* opening the library turned it on */
    tg_source_push_library(L, vm->source, "tidegate/runtime/boot.lua");
    if (lua_isnil(L, -2))
        return lua_error(L);
    lua_pop(L, 1);
    push_core(L, vm);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "contexts");
    vm->contexts = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "task_main");
    vm->task_main = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_setfield(L, LUA_REGISTRYINDEX, "tidegate.boot");
    return 0;
}

static bool fail(struct tg_vm *vm, struct tg_text *error)
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
    return fail(vm, error);
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

static void push_boot_function(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "tidegate.boot");
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

bool tg_vm_open(struct tg_vm *vm, struct tg_text *error)
{
    vm->L = lua_newstate(tg_vm_memory_realloc, &vm->memory);
    if (!vm->L) {
        tg_text_append(error, TG_SLICE("out of memory"));
        return false;
    }
    lua_atpanic(vm->L, panic);
    if (lua_cpcall(vm->L, boot, vm) != 0)
        return fail(vm, error);
    tg_vm_set_limit(vm, vm->source->load_time, "the top level"); /* opening the libraries turns compiling on */
    if (vm->snapshot)
        vm->memory.limit = (size_t)vm->snapshot->settings.script_memory;
    push_boot_function(vm->L, "top_level");
    bool good = tg_vm_call(vm, 0, 2, error);
    vm->memory.limit = SIZE_MAX;
    if (good)
        tg_vm_clear_limit(vm);
    return good;
}

static int make_entries(lua_State *L)
{
    struct tg_vm *vm = lua_touserdata(L, 1);
    for (uint32_t use = 0; use < vm->source->use_count; use++) {
        for (int phase = 0; phase < TG_PHASES; phase++) {
            if (!(vm->source->uses[use].phases >> phase & 1))
                continue;
            push_boot_function(L, "entry");
            lua_pushinteger(L, (lua_Integer)use + 1);
            lua_pushstring(L, tg_script_phase_names[phase]);
            lua_call(L, 2, 1);
            vm->entries[use * TG_PHASES + (uint32_t)phase] = luaL_ref(L, LUA_REGISTRYINDEX);
        }
        push_boot_function(L, "init");
        lua_pushinteger(L, (lua_Integer)use + 1);
        lua_call(L, 1, 1);
        vm->inits[use] = luaL_ref(L, LUA_REGISTRYINDEX); /* LUA_REFNIL where there is none */
    }
    push_boot_function(L, "seal");
    lua_call(L, 0, 0);
    return 0;
}

bool tg_vm_prepare_uses(struct tg_vm *vm, struct tg_text *error)
{
    size_t count = vm->source->use_count;
    if (!vm->entries)
        vm->entries = calloc(count * TG_PHASES + 1, sizeof(int));
    if (!vm->inits)
        vm->inits = calloc(count + 1, sizeof(int));
    if (!vm->entries || !vm->inits) {
        tg_text_append(error, TG_SLICE("out of memory"));
        return false;
    }
    return lua_cpcall(vm->L, make_entries, vm) == 0 || fail(vm, error);
}

/* Ends all coroutines without running them: their threads go with the state. */
static void forget_runs(struct tg_vm *vm)
{
    for (struct tg_run *run = vm->all_runs; run; run = run->next) {
        run->thread = NULL;
        run->reference = LUA_NOREF;
    }
    vm->free_threads = 0;
    for (struct tg_run *run = vm->all_runs; run; run = run->next)
        tg_run_free(run, TG_RUN_FAILED);
}

void tg_vm_close(struct tg_vm *vm)
{
    forget_runs(vm);
    for (uint32_t i = 0; i < vm->record_count; i++) {
        vm->records[i]->run = NULL;
        vm->records[i]->has_context = false;
    }
    vm->attach.run = NULL;
    vm->current = NULL;
    if (vm->L) /* machine code lies outside the VM's memory */
        luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    vm->L = NULL;
    tg_vm_memory_deinit(&vm->memory);
}

static void free_runs(struct tg_vm *vm)
{
    struct tg_run *next;
    for (struct tg_run *run = vm->all_runs; run; run = next) {
        next = run->next;
        if (run->timer_ready)
            tg_deadline_deinit(&run->timer);
        free(run);
    }
}

void tg_vm_destroy(struct tg_vm *vm)
{
    tg_vm_close(vm);
    if (vm->loop)
        tg_deadline_deinit(&vm->attach.deadline);
    free_runs(vm);
    for (uint32_t i = 0; i < vm->record_count; i++)
        tg_record_free(vm->records[i]);
    free(vm->records);
    free(vm->entries);
    free(vm->inits);
    tg_text_deinit(&vm->attach.error);
    tg_text_deinit(&vm->scratch);
    if (vm->snapshot)
        tg_snapshot_unref(vm->snapshot);
    tg_generation_source_unref(vm->source);
    free(vm);
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
