/* A VM comes to life in its worker: `init` of each use, one after another, each in a coroutine that may wait. Also what
 * drops a VM under load and starts a fresh one in its place. */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "script/run.h"

static void finish(struct tg_vm *vm, bool good)
{
    struct tg_attach *attach = &vm->attach;
    if (attach->run)
        tg_run_free(attach->run, TG_RUN_FAILED);
    attach->run = NULL;
    tg_run_free_tasks(&attach->tasks);
    tg_deadline_clear(&attach->deadline);
    if (vm->L)
        tg_vm_clear_limit(vm);
    attach->pending = false;
    vm->state = good ? TG_VM_READY : TG_VM_FAILED;
    tg_record_begin_held_back(vm);
    attach->done(attach->context, good, tg_text_slice(&attach->error)); /* last: it may free the VM */
}

static void fail_init(struct tg_vm *vm)
{
    struct tg_attach *attach = &vm->attach;
    const struct tg_source_use *use = &vm->source->uses[attach->use];
    tg_text_appendf(&attach->error, "%.*s: init of %.*s, in worker %u: ", (int)use->at.length, use->at.at,
                    (int)use->name.length, use->name.at, vm->worker_id);
    if (attach->timed_out)
        tg_text_appendf(&attach->error, "waited longer than %g s", attach->limit);
    else
        tg_run_describe(attach->run, false, &attach->error);
    finish(vm, false);
}

/* Starts inits until one waits; false: it waits, or all is over. */
static bool start_next(struct tg_vm *vm)
{
    struct tg_attach *attach = &vm->attach;
    while (attach->use < vm->source->use_count && vm->inits[attach->use] == LUA_REFNIL)
        attach->use++;
    if (attach->use == vm->source->use_count) {
        finish(vm, true);
        return false;
    }
    attach->run = tg_run_new(vm, TG_RUN_INIT, NULL);
    if (!attach->run) {
        tg_text_append(&attach->error, TG_SLICE("out of memory"));
        finish(vm, false);
        return false;
    }
    attach->run->use = attach->use;
    lua_rawgeti(attach->run->thread, LUA_REGISTRYINDEX, vm->inits[attach->use]);
    return true;
}

static bool init_over(struct tg_vm *vm, enum tg_run_outcome outcome)
{
    struct tg_attach *attach = &vm->attach;
    if (outcome == TG_RUN_WAITING)
        return false;
    if (outcome == TG_RUN_FAILED) {
        fail_init(vm);
        return false;
    }
    tg_run_free(attach->run, outcome);
    attach->run = NULL;
    attach->use++;
    return true;
}

static void run_inits(struct tg_vm *vm)
{
    while (start_next(vm) && init_over(vm, tg_run_resume(vm->attach.run, 0)))
        continue;
}

void tg_attach_continue(struct tg_vm *vm, enum tg_run_outcome outcome)
{
    if (init_over(vm, outcome))
        run_inits(vm);
}

static void deadline_passed(struct tg_deadline *deadline)
{
    struct tg_vm *vm = TG_CONTAINER_OF(deadline, struct tg_vm, attach.deadline);
    if (!vm->attach.pending)
        return;
    vm->attach.timed_out = true;
    fail_init(vm);
}

static void begin_inits(struct tg_task *task)
{
    run_inits(TG_CONTAINER_OF(task, struct tg_vm, attach.begin));
}

static void start(struct tg_vm *vm, double timeout, void (*done)(void *context, bool ok, struct tg_slice error),
                  void *context)
{
    struct tg_attach *attach = &vm->attach;
    vm->state = TG_VM_STARTING;
    attach->use = 0;
    attach->run = NULL;
    attach->pending = true;
    attach->timed_out = false;
    attach->limit = timeout;
    attach->done = done;
    attach->context = context;
    tg_text_clear(&attach->error);
    tg_vm_set_limit(vm, timeout, "init");
    tg_deadline_set(&attach->deadline, tg_loop_now_fresh(vm->loop) + timeout);
    tg_loop_defer(vm->loop, &attach->begin);
}

/* Who reads exchange->times.script: the access log, or a handler of the log phase. */
static bool wants_times(const struct tg_vm *vm)
{
    for (size_t i = 0; i < vm->source->use_count; i++)
        if (vm->source->uses[i].phases >> TG_PHASE_LOG & 1)
            return true;
    return !vm->snapshot->settings.access_log_off;
}

void tg_script_attach(struct tg_vm *vm, struct tg_lease *lease, double timeout,
                      void (*done)(void *context, bool ok, struct tg_slice error), void *context)
{
    vm->lease = lease;
    vm->worker = lease->worker;
    vm->loop = lease->worker->loop;
    vm->timed = wants_times(vm);
    lease->script = vm;
    tg_deadline_init(&vm->attach.deadline, vm->loop, deadline_passed);
    tg_task_init(&vm->attach.begin, begin_inits);
    start(vm, timeout, done, context);
}

void tg_script_attach_cancel(struct tg_vm *vm)
{
    struct tg_attach *attach = &vm->attach;
    if (!vm->loop)
        return;
    tg_list_remove(&attach->begin.link);
    tg_deadline_clear(&attach->deadline);
    attach->pending = false;
    if (attach->run)
        tg_run_free(attach->run, TG_RUN_FAILED);
    attach->run = NULL;
    tg_run_free_tasks(&attach->tasks);
}

static void rebuilt(void *context, bool ok, struct tg_slice error)
{
    struct tg_vm *vm = context;
    if (ok && vm->worker->current == vm->lease)
        tg_script_begin(vm);
    if (ok)
        tg_log(TG_LOG_INFO, "the VM of generation %llu was rebuilt", (unsigned long long)vm->source->generation);
    else
        tg_log(TG_LOG_ERROR, "the VM of generation %llu could not be rebuilt: %.*s",
               (unsigned long long)vm->source->generation, (int)error.length, error.at);
}

/* The exchanges whose handler waits in the VM: their phase fails. Those that are held back have begun nothing yet. */
static void fail_suspended(struct tg_vm *vm)
{
    for (uint32_t i = 0; i < vm->record_count; i++) {
        struct tg_record *record = vm->records[i];
        if (!record->run)
            continue;
        if (record->call) {
            tg_door_fail(record);
            continue;
        }
        tg_log(TG_LOG_WARN, "request %.32s: its handler was waiting in a VM that was dropped", record->exchange->id);
        tg_record_release(record);
        if (!record->abort_wanted)
            tg_exchange_resume(record->exchange, TG_HOOK_FAILED);
    }
}

bool tg_script_rebuild(struct tg_lease *lease, struct tg_text *error)
{
    struct tg_vm *vm = lease->script;
    if (!vm || vm->attach.pending) {
        tg_text_appendf(error, vm ? "the VM is being started" : "the generation has no VM");
        return false;
    }
    fail_suspended(vm);
    tg_vm_close(vm);
    tg_counters_add(tg_loop_counters(vm->loop), TG_COUNTER_VMS_REBUILT, 1);
    if (!tg_vm_build(vm, error)) {
        vm->state = TG_VM_FAILED;
        return false;
    }
    start(vm, vm->snapshot->settings.load_time, rebuilt, vm);
    return true;
}
