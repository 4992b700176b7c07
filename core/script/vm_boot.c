/* How a Lua state comes up: the library, what it gets of C, the top level, the uses of handlers. */
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>

#include "base/log.h"
#include "script/timer.h"
#include "script/version.h"

int luaopen_cjson(lua_State *L);

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

static void set_source_function(lua_State *L, struct tg_generation_source *source, const char *name,
                                lua_CFunction function)
{
    lua_pushlightuserdata(L, source);
    lua_pushcclosure(L, function, 1);
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

/* The loader's VM doesn't know its settings before it has run them; a top level that goes wrong must not take the
 * memory of the gateway that runs. */
static size_t memory_of_top_level(const struct tg_vm *vm)
{
    static const size_t of_loader = (size_t)1 << 30;
    return vm->snapshot ? (size_t)vm->snapshot->settings.script_memory : of_loader;
}

/* What boot.lua gets: see its head. */
static void push_core(lua_State *L, struct tg_vm *vm)
{
    lua_createtable(L, 0, 24);
    set_source_function(L, vm->source, "module", tg_source_lua_module);
    set_source_function(L, vm->source, "main", tg_source_lua_main);
    set_source_function(L, vm->source, "config_file", tg_source_lua_config_file);
    set_source_function(L, vm->source, "read_file", tg_source_lua_read_file);
    set_source_function(L, vm->source, "file_digest", tg_source_lua_file_digest);
    set_source_function(L, vm->source, "glob", tg_source_lua_glob);
    set_source_function(L, vm->source, "getenv", tg_source_lua_getenv);
    set_source_function(L, vm->source, "dictionary", tg_source_lua_dictionary);
    set_source_function(L, vm->source, "metric", tg_source_lua_metric);
    set_function(L, "spawn", tg_run_lua_spawn);
    set_function(L, "cancel", tg_run_lua_cancel);
    set_function(L, "start_timer", tg_timer_lua_start);
    set_function(L, "at_load", tg_timer_lua_at_load);
    set_function(L, "cjson", luaopen_cjson);
    set_slice(L, "abi", tg_source_abi());
    set_slice(L, "folder", vm->source->folder);
    set_slice(L, "version", TG_SLICE(TG_VERSION));
    set_number(L, "generation", (double)vm->source->generation);
    set_number(L, "worker_id", vm->worker_id);
    set_number(L, "worker_count", vm->source->worker_count);
    lua_pushboolean(L, !vm->source->sealed);
    lua_setfield(L, -2, "first");
    set_number(L, "memory", (double)memory_of_top_level(vm));
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
    lua_getfield(L, -1, "produce");
    vm->producer = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_setfield(L, LUA_REGISTRYINDEX, "tidegate.boot");
    return 0;
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
        return tg_vm_fail(vm, error);
    tg_vm_set_limit(vm, vm->source->load_time, "the top level"); /* opening the libraries turns compiling on */
    vm->memory.limit = memory_of_top_level(vm);
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
    return lua_cpcall(vm->L, make_entries, vm) == 0 || tg_vm_fail(vm, error);
}
