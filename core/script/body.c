/* Entering and resuming the handlers of bodies. */
#include "script/body.h"

#include <stdio.h>

bool tg_body_attach(struct tg_record *record, struct tg_body_call *call)
{
    struct tg_script_body *body = tg_arena_alloc_zeroed(&record->exchange->arena, sizeof *body);
    if (!body)
        return false;
    body->abi.phase = (int32_t)call->phase;
    body->call = call;
    body->record = record;
    tg_list_init(&body->held);
    tg_list_init(&body->wait.link);
    call->script = body;
    return true;
}

static bool add(struct tg_record *record, enum tg_phase phase, uint32_t use)
{
    struct tg_exchange *exchange = record->exchange;
    bool of_request = phase == TG_PHASE_REQUEST_BODY;
    struct tg_body_call **list = of_request ? &exchange->request_bodies : &exchange->response_bodies;
    struct tg_body_pipe *pipe = of_request ? &exchange->request_pipe : &exchange->response_pipe;
    struct tg_body_call *call = tg_body_call_add(exchange, list, pipe, phase, use);
    return call && tg_body_attach(record, call);
}

bool tg_bodies_add(struct tg_exchange *exchange, enum tg_phase phase)
{
    struct tg_vm *vm = exchange->lease->script;
    struct tg_record *record = exchange->script;
    if (!record && vm)
        record = tg_record_of(vm, exchange);
    if (!record || !vm)
        return false;
    const struct tg_chain *chain = &exchange->route->chains[phase];
    for (uint16_t i = 0; i < chain->count; i++)
        if (!tg_record_passes_over(record, chain->uses[i]) && !add(record, phase, chain->uses[i]))
            return false;
    return true;
}

static void report(const struct tg_script_body *body, struct tg_run *run)
{
    char doing[64];
    if (body->call->produces)
        snprintf(doing, sizeof doing, "a function that writes a body");
    else
        snprintf(doing, sizeof doing, "the %s phase", tg_script_phase_names[body->call->phase]);
    tg_run_report(run, doing);
}

/* Nothing was taken or given yet, so that the body can go on as if the handler weren't there. */
static bool failure_is_passed_over(const struct tg_script_body *body, const struct tg_run *run)
{
    const struct tg_body_call *call = body->call;
    return !call->begun && !call->produces && call->exchange->route->continue_on_error &&
           !run->vm->source->uses[run->use].must_run;
}

static void handler_over(struct tg_script_body *body, enum tg_run_outcome outcome)
{
    struct tg_run *run = body->run;
    struct tg_vm *vm = run->vm;
    if (outcome == TG_RUN_WAITING)
        return;
    if (outcome == TG_RUN_DONE && !body->call->produces && !tg_run_returned_rightly(run)) {
        tg_run_refuse_result(run->thread, body->call->phase);
        outcome = TG_RUN_FAILED;
    }
    bool failed = outcome == TG_RUN_FAILED;
    if (failed) {
        report(body, run);
        failed = !failure_is_passed_over(body, run);
    }
    body->run = NULL;
    tg_run_free(run, outcome);
    if (outcome == TG_RUN_FAILED)
        tg_vm_recover(vm);
    body->abi.closed = 1;
    tg_body_call_over(body->call, failed);
}

void tg_body_continue(struct tg_run *run, enum tg_run_outcome outcome)
{
    handler_over(run->body, outcome);
}

static void give_up(struct tg_script_body *body)
{
    body->abi.closed = 1;
    tg_body_call_over(body->call, true);
}

static void enter(struct tg_script_body *body)
{
    struct tg_vm *vm = body->record->vm;
    const struct tg_body_call *call = body->call;
    struct tg_run *run = tg_run_new(vm, TG_RUN_BODY, body->record);
    if (!run) {
        give_up(body);
        return;
    }
    run->use = call->use;
    run->body = body;
    body->run = run;
    int entry = call->produces ? vm->producer : vm->entries[call->use * TG_PHASES + call->phase];
    lua_rawgeti(run->thread, LUA_REGISTRYINDEX, entry);
    handler_over(body, tg_run_resume(run, 0));
}

void tg_body_start(struct tg_body_call *call)
{
    struct tg_script_body *body = call->script;
    struct tg_vm *vm = body->record->vm;
    if (vm->state == TG_VM_READY)
        enter(body);
    else if (vm->state == TG_VM_STARTING)
        tg_list_append(&vm->held_back_bodies, &body->held);
    else
        give_up(body);
}

void tg_body_begin_held_back(struct tg_vm *vm)
{
    struct tg_list *node;
    while (vm->state != TG_VM_STARTING && (node = tg_list_first(&vm->held_back_bodies))) {
        tg_list_remove(node);
        tg_body_start(TG_CONTAINER_OF(node, struct tg_script_body, held)->call);
    }
}

static void wake(const struct tg_run_wait *wait)
{
    if (wait->run)
        tg_run_wake(wait->run);
}

void tg_body_ready(struct tg_body_call *call)
{
    struct tg_script_body *body = call->script;
    wake(&body->wait);
}

/* A task that waits for its bytes finds that they don't come. */
void tg_body_cancel(struct tg_body_call *call)
{
    struct tg_script_body *body = call->script;
    struct tg_vm *vm = body->record->vm;
    struct tg_run *run = body->run;
    body->run = NULL;
    body->abi.closed = 1;
    tg_list_remove(&body->held);
    if (run) {
        tg_counters_add(tg_loop_counters(vm->loop), TG_COUNTER_SCRIPT_CANCELS, 1);
        tg_run_free(run, TG_RUN_FAILED);
        tg_run_free_tasks_of(&body->record->tasks, body);
    }
    wake(&body->wait);
}

void tg_body_whole_ready(struct tg_exchange *exchange)
{
    struct tg_record *record = exchange->script;
    if (record)
        wake(&record->whole_wait);
}
