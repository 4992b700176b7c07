/* The hooks of the proxy: a phase is a walk along the chain of its handlers, each entered by one resume of a recycled
 * coroutine. A walk that waits is continued by the loop. */
#include <stdio.h>

#include "script/body.h"
#include "script/hold.h"

static bool has_run(const struct tg_record *record, uint32_t use)
{
    return record->ran && (record->ran[use / 64] >> (use % 64) & 1);
}

/* Whether this use is at or before the last one that was entered, in the order of the route's chain. Where none was
 * entered (the request was refused before, such as for its length), those without a request phase have missed nothing.
 */
static bool was_reached(const struct tg_record *record, uint32_t use)
{
    if (record->reached == TG_NO_USE)
        return has_run(record, use) || !(record->vm->source->uses[use].phases >> TG_PHASE_REQUEST & 1);
    const struct tg_source_order *order = &record->vm->source->orders[record->exchange->route->index];
    for (size_t i = 0; i < order->count; i++) {
        if (order->uses[i] == use)
            return true;
        if (order->uses[i] == record->reached)
            return false;
    }
    return false;
}

bool tg_record_passes_over(const struct tg_record *record, uint32_t use)
{
    return record->cut && !was_reached(record, use);
}

static bool is_skipped(const struct tg_record *record, uint32_t use)
{
    if (record->phase != TG_PHASE_REQUEST)
        return tg_record_passes_over(record, use);
    return has_run(record, use);
}

/* After a reroute the handlers that ran already are not run again; `position` is behind the last of them. */
static bool remember_ran(struct tg_record *record, const struct tg_chain *chain)
{
    size_t words = record->vm->source->use_count / 64 + 1;
    if (!record->ran)
        record->ran = tg_arena_alloc_zeroed(&record->exchange->arena, words * sizeof(uint64_t));
    if (!record->ran)
        return false;
    for (uint32_t i = 0; i < record->position; i++)
        record->ran[chain->uses[i] / 64] |= (uint64_t)1 << (chain->uses[i] % 64);
    return true;
}

void tg_run_refuse_result(lua_State *thread, enum tg_phase phase)
{
    char message[200];
    const char *name = tg_script_phase_names[phase];
    if (lua_type(thread, 1) == LUA_TNUMBER)
        snprintf(message, sizeof(message), "%s returned %.14g; did you mean req:respond(%.14g)?", name,
                 lua_tonumber(thread, 1), lua_tonumber(thread, 1));
    else
        snprintf(message, sizeof(message), "%s returned a %s; a phase returns nothing, or what req:respond gave", name,
                 luaL_typename(thread, 1));
    lua_settop(thread, 0);
    lua_pushstring(thread, message);
}

static bool failure_is_passed_over(const struct tg_record *record, const struct tg_run *run)
{
    return record->exchange->route->continue_on_error && record->phase != TG_PHASE_ERROR &&
           record->phase != TG_PHASE_LOG && !record->vm->source->uses[run->use].must_run;
}

/* Takes in how the current handler ended; false: the chain goes no further, *result says why. */
static bool handler_over(struct tg_record *record, enum tg_run_outcome outcome, enum tg_hook_result *result)
{
    struct tg_run *run = record->run;
    if (outcome == TG_RUN_WAITING) {
        *result = TG_HOOK_PENDING;
        return false;
    }
    if (outcome == TG_RUN_DONE && !tg_run_returned_rightly(run)) {
        tg_run_refuse_result(run->thread, record->phase);
        outcome = TG_RUN_FAILED;
    }
    bool failed = outcome == TG_RUN_FAILED;
    if (failed) {
        char doing[64];
        snprintf(doing, sizeof(doing), "the %s phase", tg_script_phase_names[record->phase]);
        tg_run_report(run, doing);
        failed = !failure_is_passed_over(record, run);
    }
    record->run = NULL;
    tg_run_free(run, outcome);
    if (outcome == TG_RUN_FAILED)
        tg_vm_recover(record->vm);
    *result = failed ? TG_HOOK_FAILED : record->answered_now ? TG_HOOK_ANSWERED : TG_HOOK_REROUTED;
    return !failed && !record->answered_now && !record->rerouted_now && !record->abort_wanted;
}

static bool enter(struct tg_record *record, uint32_t use, enum tg_hook_result *result)
{
    struct tg_run *run = tg_record_enter(record, TG_RUN_PHASE, use);
    *result = TG_HOOK_FAILED;
    return run && handler_over(record, tg_run_resume(run, 0), result);
}

static enum tg_hook_result walk(struct tg_record *record)
{
    const struct tg_chain *chain = &record->route->chains[record->phase];
    enum tg_hook_result result;
    while (record->position < chain->count) {
        uint32_t use = chain->uses[record->position++];
        if (is_skipped(record, use))
            continue;
        if (record->phase == TG_PHASE_REQUEST)
            record->reached = use;
        if (!enter(record, use, &result))
            return result;
    }
    return TG_HOOK_DONE;
}

/* The phase is over, one way or another. */
static enum tg_hook_result conclude(struct tg_record *record, enum tg_hook_result result)
{
    if (result == TG_HOOK_PENDING)
        return result;
    record->slot.phase = TG_ABI_NO_PHASE;
    if (record->abort_wanted)
        return TG_HOOK_PENDING; /* abort_task follows */
    if (record->phase == TG_PHASE_REQUEST && (result == TG_HOOK_DONE || result == TG_HOOK_REROUTED))
        record->cut = false;
    if (result == TG_HOOK_REROUTED && !remember_ran(record, &record->route->chains[TG_PHASE_REQUEST]))
        return TG_HOOK_FAILED;
    return record->phase == TG_PHASE_LOG && result == TG_HOOK_FAILED ? TG_HOOK_DONE : result;
}

static enum tg_hook_result begin_phase(struct tg_record *record)
{
    struct tg_vm *vm = record->vm;
    record->slot.phase = (int32_t)record->phase;
    if (vm->state == TG_VM_READY)
        return conclude(record, walk(record));
    if (vm->state != TG_VM_STARTING)
        return TG_HOOK_FAILED;
    tg_list_append(&vm->held_back, &record->waiting_link);
    return TG_HOOK_PENDING;
}

static enum tg_hook_result hooks_run(struct tg_exchange *exchange, enum tg_phase phase)
{
    struct tg_vm *vm = exchange->lease->script;
    struct tg_record *record = exchange->script;
    if (!record && vm)
        record = tg_record_of(vm, exchange);
    if (!record || !vm)
        return phase == TG_PHASE_LOG ? TG_HOOK_DONE : TG_HOOK_FAILED;
    record->phase = phase;
    record->route = exchange->route;
    record->position = 0;
    if (phase == TG_PHASE_REQUEST) {
        record->cut = true;
        record->reached = TG_NO_USE;
    }
    record->answered_now = record->rerouted_now = record->abort_wanted = false;
    return begin_phase(record);
}

static void resume_exchange(struct tg_record *record, enum tg_hook_result result)
{
    if (result != TG_HOOK_PENDING)
        tg_exchange_resume(record->exchange, result);
}

void tg_record_continue(struct tg_record *record, enum tg_run_outcome outcome)
{
    enum tg_hook_result result;
    if (handler_over(record, outcome, &result))
        result = walk(record);
    resume_exchange(record, conclude(record, result));
}

void tg_record_begin_held_back(struct tg_vm *vm)
{
    struct tg_list *node;
    while (vm->state != TG_VM_STARTING && (node = tg_list_first(&vm->held_back))) {
        struct tg_record *record = TG_CONTAINER_OF(node, struct tg_record, waiting_link);
        tg_list_remove(node);
        if (record->call)
            tg_door_begin_held_back(record);
        else
            resume_exchange(record, begin_phase(record));
    }
    tg_body_begin_held_back(vm);
}

static void release_phase(struct tg_record *record)
{
    struct tg_run *run = record->run;
    record->run = NULL;
    tg_list_remove(&record->waiting_link);
    record->slot.phase = TG_ABI_NO_PHASE;
    if (run)
        tg_run_free(run, TG_RUN_FAILED);
}

void tg_record_release(struct tg_record *record)
{
    release_phase(record);
    tg_run_free_tasks(&record->tasks);
}

static void hooks_cancel(struct tg_exchange *exchange)
{
    struct tg_record *record = exchange->script;
    if (!record)
        return;
    tg_counters_add(tg_loop_counters(exchange->worker->loop), TG_COUNTER_SCRIPT_CANCELS, 1);
    release_phase(record);
    tg_run_free_tasks_of(&record->tasks, NULL);
    tg_holds_release(&record->holds);
}

static void hooks_end(struct tg_exchange *exchange)
{
    struct tg_record *record = exchange->script;
    if (!record)
        return;
    struct tg_vm *vm = record->vm;
    tg_record_end(record);
    tg_vm_collect(vm);
}

const struct tg_hooks tg_script_hooks = {
    .run = hooks_run,
    .cancel = hooks_cancel,
    .bodies = tg_bodies_add,
    .body_start = tg_body_start,
    .body_ready = tg_body_ready,
    .body_cancel = tg_body_cancel,
    .whole_ready = tg_body_whole_ready,
    .end = hooks_end,
    .door_run = tg_door_run,
    .door_cancel = tg_door_cancel,
};
