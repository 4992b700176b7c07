#include "script/timer.h"

#include "base/log.h"

/* Made by the configuration, by init, or by a timer of theirs. */
static bool is_of_load(const struct tg_vm *vm)
{
    const struct tg_run *maker = vm->current;
    return !maker || (!maker->record && (!maker->home || maker->of_load));
}

int tg_timer_lua_at_load(lua_State *L)
{
    const struct tg_vm *vm = tg_vm_of(L);
    lua_pushboolean(L, vm->state != TG_VM_READY && (!vm->current || !vm->current->record));
    return 1;
}

/* Everything that may raise comes before the run is taken. */
int tg_timer_lua_start(lua_State *L)
{
    struct tg_vm *vm = tg_vm_of(L);
    double seconds = lua_tonumber(L, 1);
    bool again = lua_toboolean(L, 2), periodic = lua_toboolean(L, 3);
    int count = lua_gettop(L) - 3;
    if (!vm->loop || (vm->timer_count >= TG_TIMERS_MAX && !again))
        return 0;
    luaL_checkstack(L, 4, NULL);
    struct tg_run *run = tg_run_new(vm, TG_RUN_TASK, NULL);
    if (!run || !lua_checkstack(run->thread, count + 4)) {
        if (run)
            tg_run_free(run, TG_RUN_FAILED);
        return luaL_error(L, "not enough memory");
    }
    lua_xmove(L, run->thread, count);
    run->arguments = count - 1;
    run->use = vm->current ? vm->current->use : TG_NO_USE;
    run->is_timer = true;
    run->of_load = periodic || is_of_load(vm);
    run->home = &run->children;
    tg_list_append(&vm->timers, &run->link);
    vm->timer_count++;
    tg_run_start_in(run, seconds);
    lua_pushlightuserdata(L, &run->abi);
    lua_pushinteger(L, run->abi.serial);
    return 2;
}

void tg_script_begin(struct tg_vm *vm)
{
    struct tg_text error;
    if (!vm || vm->state != TG_VM_READY)
        return; /* while it is rebuilt: at the end of that */
    tg_text_init(&error);
    lua_getfield(vm->L, LUA_REGISTRYINDEX, "tidegate.boot");
    lua_getfield(vm->L, -1, "begin");
    lua_remove(vm->L, -2);
    if (!tg_vm_call(vm, 0, 0, &error))
        tg_log(TG_LOG_ERROR, "the timers of generation %llu could not be started: %s",
               (unsigned long long)vm->source->generation, error.at ? error.at : "out of memory");
    tg_text_deinit(&error);
}

void tg_script_retire(struct tg_vm *vm)
{
    struct tg_list *timers = vm ? &vm->timers : NULL;
    for (struct tg_list *node = vm ? timers->next : NULL, *next; node != timers; node = next) {
        next = node->next;
        struct tg_run *run = TG_CONTAINER_OF(node, struct tg_run, link);
        if (run->of_load)
            tg_run_free(run, TG_RUN_FAILED);
    }
}
