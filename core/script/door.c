/* Listeners' handlers: a walk along the chain of a connection that has no request yet. As in hooks.c, with a call in
 * the place of the exchange. */
#include <stdio.h>

#include "base/log.h"
#include "script/run.h"

static const struct tg_chain *chain_of(const struct tg_door_call *call)
{
    return call->phase == TG_PHASE_ACCEPT ? &call->listener->accept : &call->listener->client_hello;
}

/* Puts the message for a wrong result in its place. */
static void refuse_result(lua_State *thread, enum tg_phase phase)
{
    char message[200];
    snprintf(message, sizeof(message), "%s returned a %s; a phase returns nothing, or what %s:refuse gave",
             tg_script_phase_names[phase], luaL_typename(thread, 1), phase == TG_PHASE_ACCEPT ? "conn" : "hello");
    lua_settop(thread, 0);
    lua_pushstring(thread, message);
}

/* Takes in how the current handler ended; false: the chain goes no further, *result says why. */
static bool handler_over(struct tg_record *record, enum tg_run_outcome outcome, enum tg_hook_result *result)
{
    struct tg_run *run = record->run;
    *result = outcome == TG_RUN_WAITING ? TG_HOOK_PENDING : TG_HOOK_DONE;
    if (outcome == TG_RUN_WAITING)
        return false;
    if (outcome == TG_RUN_DONE && !tg_run_returned_rightly(run)) {
        refuse_result(run->thread, record->phase);
        outcome = TG_RUN_FAILED;
    }
    if (outcome == TG_RUN_FAILED) {
        char doing[64];
        snprintf(doing, sizeof(doing), "the %s phase", tg_script_phase_names[record->phase]);
        tg_run_report(run, doing);
        *result = TG_HOOK_FAILED;
    }
    record->run = NULL;
    tg_run_free(run, outcome);
    if (outcome == TG_RUN_FAILED)
        tg_vm_recover(record->vm);
    return outcome == TG_RUN_DONE && !record->call->refused;
}

static bool enter(struct tg_record *record, uint32_t use, enum tg_hook_result *result)
{
    struct tg_run *run = tg_record_enter(record, TG_RUN_DOOR, use);
    *result = TG_HOOK_FAILED;
    return run && handler_over(record, tg_run_resume(run, 0), result);
}

static enum tg_hook_result walk(struct tg_record *record)
{
    const struct tg_chain *chain = chain_of(record->call);
    enum tg_hook_result result = TG_HOOK_DONE;
    while (record->position < chain->count && enter(record, chain->uses[record->position++], &result))
        continue;
    return result;
}

static enum tg_hook_result conclude(struct tg_record *record, enum tg_hook_result result)
{
    if (result == TG_HOOK_PENDING)
        return result;
    tg_record_end_call(record);
    tg_vm_collect(record->vm);
    return result;
}

static enum tg_hook_result begin(struct tg_record *record)
{
    struct tg_vm *vm = record->vm;
    record->slot.phase = (int32_t)record->phase;
    if (vm->state == TG_VM_READY)
        return conclude(record, walk(record));
    if (vm->state != TG_VM_STARTING)
        return conclude(record, TG_HOOK_FAILED);
    tg_list_append(&vm->held_back, &record->waiting_link);
    return TG_HOOK_PENDING;
}

enum tg_hook_result tg_door_run(struct tg_door_call *call)
{
    struct tg_vm *vm = call->lease->script;
    struct tg_record *record = vm ? tg_record_of_call(vm, call) : NULL;
    return record ? begin(record) : TG_HOOK_FAILED;
}

static void tell(struct tg_door_call *call, enum tg_hook_result result)
{
    if (result != TG_HOOK_PENDING)
        call->over(call, result);
}

void tg_door_continue(struct tg_record *record, enum tg_run_outcome outcome)
{
    struct tg_door_call *call = record->call;
    enum tg_hook_result result;
    if (handler_over(record, outcome, &result))
        result = walk(record);
    tell(call, conclude(record, result));
}

void tg_door_begin_held_back(struct tg_record *record)
{
    struct tg_door_call *call = record->call;
    tell(call, begin(record));
}

void tg_door_cancel(struct tg_door_call *call)
{
    struct tg_record *record = call->script;
    if (!record)
        return;
    tg_counters_add(tg_loop_counters(record->vm->loop), TG_COUNTER_SCRIPT_CANCELS, 1);
    tg_record_end_call(record);
}

void tg_door_fail(struct tg_record *record)
{
    struct tg_door_call *call = record->call;
    tg_log(TG_LOG_WARN, "listener %.*s: a handler of a connection was waiting in a VM that was dropped",
           (int)call->listener->name.length, call->listener->name.at);
    tg_record_end_call(record);
    call->over(call, TG_HOOK_FAILED);
}
