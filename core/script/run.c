#include "script/body.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "script/hold.h"

/* Threads that are kept for the next coroutines; what a burst made beyond that is collected again. */
enum { KEPT_THREADS = 256 };

/* One coroutine that waits for one task. */
struct tg_watch {
    struct tg_list by_task, by_watcher;
    struct tg_run *watcher;
};

void *tg_run_sentinel(void)
{
    static char sentinel;
    return &sentinel;
}

static void continue_run(struct tg_run *run, bool woken);

static void timer_expired(struct tg_deadline *deadline)
{
    struct tg_run *run = TG_CONTAINER_OF(deadline, struct tg_run, timer);
    continue_run(run, run->put_off);
}

static struct tg_deadline *timer_of(struct tg_run *run)
{
    if (!run->timer_ready)
        tg_deadline_init(&run->timer, run->vm->loop, timer_expired);
    run->timer_ready = true;
    return &run->timer;
}

/* Tasks that start or wake others without end don't keep the worker's turn from ending: every so many steps one goes on
 * in the next turn. */
static void run_step(struct tg_task *task)
{
    enum { STEPS_A_TURN = 1000 };
    struct tg_run *run = TG_CONTAINER_OF(task, struct tg_run, step);
    if (++run->vm->steps < STEPS_A_TURN) {
        continue_run(run, true);
        return;
    }
    run->vm->steps = 0;
    run->waiting = run->put_off = true;
    tg_deadline_set(timer_of(run), tg_loop_now_fresh(run->vm->loop));
}

static struct tg_run *run_alloc(struct tg_vm *vm)
{
    struct tg_run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->vm = vm;
    run->reference = LUA_NOREF;
    tg_list_init(&run->link);
    tg_list_init(&run->watchers);
    tg_list_init(&run->watching);
    tg_list_init(&run->waits);
    tg_list_init(&run->holds);
    tg_list_init(&run->children);
    tg_task_init(&run->step, run_step);
    run->next = vm->all_runs;
    vm->all_runs = run;
    return run;
}

static int make_thread(lua_State *L)
{
    struct tg_run *run = lua_touserdata(L, 1);
    lua_State *thread = lua_newthread(L);
    run->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    run->thread = thread;
    return 0;
}

static bool has_thread(struct tg_run *run)
{
    if (run->thread)
        return true;
    if (lua_cpcall(run->vm->L, make_thread, run) == 0)
        return true;
    lua_settop(run->vm->L, 0);
    return false;
}

static void put_back(struct tg_run *run)
{
    struct tg_run **list = run->thread ? &run->vm->free_runs : &run->vm->bare_runs;
    run->vm->free_threads += run->thread != NULL;
    run->next_free = *list;
    *list = run;
}

/* One that has a thread, if there is any. */
static struct tg_run *take_free(struct tg_vm *vm)
{
    struct tg_run **list = vm->free_runs ? &vm->free_runs : &vm->bare_runs;
    struct tg_run *run = *list;
    if (!run)
        return run_alloc(vm);
    *list = run->next_free;
    vm->free_threads -= run->thread != NULL;
    return run;
}

struct tg_run *tg_run_new(struct tg_vm *vm, enum tg_run_kind kind, struct tg_record *record)
{
    struct tg_run *run = take_free(vm);
    if (!run)
        return NULL;
    if (!has_thread(run)) {
        put_back(run);
        return NULL;
    }
    run->kind = kind;
    run->record = record;
    run->body = NULL;
    run->started = run->waiting = false;
    return run;
}

static void drop_thread(struct tg_run *run)
{
    if (run->thread)
        luaL_unref(run->vm->L, LUA_REGISTRYINDEX, run->reference);
    run->thread = NULL;
    run->reference = LUA_NOREF;
}

static void stop_watching(struct tg_run *run)
{
    struct tg_list *node;
    while ((node = tg_list_first(&run->watching))) {
        struct tg_watch *watch = TG_CONTAINER_OF(node, struct tg_watch, by_watcher);
        tg_list_remove(&watch->by_task);
        tg_list_remove(&watch->by_watcher);
        free(watch);
    }
}

static void cancel_waits(struct tg_run *run)
{
    struct tg_list *node;
    while ((node = tg_list_first(&run->waits))) {
        struct tg_run_wait *wait = TG_CONTAINER_OF(node, struct tg_run_wait, link);
        tg_list_remove(node);
        wait->cancel(wait);
    }
}

static void forget_wait(struct tg_run *run)
{
    cancel_waits(run);
    run->waiting = run->put_off = false;
    if (run->timer_ready)
        tg_deadline_clear(&run->timer);
    tg_list_remove(&run->step.link);
    stop_watching(run);
}

static inline void stop_waiting(struct tg_run *run)
{
    if (run->waiting || !tg_list_empty(&run->step.link) || !tg_list_empty(&run->watching) ||
        !tg_list_empty(&run->waits))
        forget_wait(run);
}

static void wake_watchers(struct tg_run *task)
{
    struct tg_list *node;
    while ((node = tg_list_first(&task->watchers))) {
        struct tg_watch *watch = TG_CONTAINER_OF(node, struct tg_watch, by_task);
        struct tg_run *watcher = watch->watcher;
        tg_list_remove(&watch->by_task);
        tg_list_remove(&watch->by_watcher);
        free(watch);
        tg_loop_defer(task->vm->loop, &watcher->step);
    }
}

static void end_what_is_its_own(struct tg_run *run)
{
    tg_run_free_tasks(&run->children);
    tg_holds_release(&run->holds);
    run->vm->timer_count -= run->is_timer;
    run->is_timer = run->of_load = false;
    run->home = NULL;
}

void tg_run_free(struct tg_run *run, enum tg_run_outcome outcome)
{
    if (run->kind == TG_RUN_FREE)
        return;
    stop_waiting(run);
    end_what_is_its_own(run);
    if (run->kind == TG_RUN_TASK) {
        tg_list_remove(&run->link);
        wake_watchers(run);
    }
    run->abi.serial = tg_next_serial(run->abi.serial);
    run->kind = TG_RUN_FREE;
    run->record = NULL;
    run->body = NULL;
    if (outcome == TG_RUN_DONE && run->thread && run->vm->free_threads < KEPT_THREADS)
        lua_settop(run->thread, 0);
    else
        drop_thread(run);
    put_back(run);
}

void tg_run_free_tasks(struct tg_list *tasks)
{
    struct tg_list *node;
    while ((node = tg_list_first(tasks)))
        tg_run_free(TG_CONTAINER_OF(node, struct tg_run, link), TG_RUN_FAILED);
}

void tg_run_free_tasks_of(struct tg_list *tasks, const struct tg_script_body *body)
{
    for (struct tg_list *node = tasks->next, *next; node != tasks; node = next) {
        next = node->next;
        struct tg_run *run = TG_CONTAINER_OF(node, struct tg_run, link);
        if (run->body == body)
            tg_run_free(run, TG_RUN_FAILED);
    }
}

/* Only a yield of ours that has said what it waits for may leave a coroutine. */
static bool yielded_rightly(struct tg_run *run)
{
    lua_State *thread = run->thread;
    bool right = run->waiting && lua_gettop(thread) == 1 && lua_touserdata(thread, 1) == tg_run_sentinel();
    lua_settop(thread, 0);
    if (!right)
        lua_pushliteral(thread, "attempt to yield from outside a coroutine");
    return right;
}

/* What the coroutine sees as its own; the answer is what it saw that runs or waits beside it. */
static int32_t show_phase(struct tg_run *run)
{
    struct tg_abi_control *control = &run->vm->control;
    control->slot = run->record ? &run->record->slot : NULL;
    control->body = run->body ? &run->body->abi : NULL;
    int32_t beside = control->slot ? control->slot->phase : TG_ABI_NO_PHASE;
    if (run->body)
        control->slot->phase = run->body->abi.phase;
    return beside;
}

enum tg_run_outcome tg_run_resume(struct tg_run *run, int arguments)
{
    struct tg_vm *vm = run->vm;
    struct tg_exchange *exchange = run->record ? run->record->exchange : NULL;
    double begun = vm->timed && exchange ? tg_loop_now_fresh(vm->loop) : 0;
    if (run->started || run->put_off)
        stop_waiting(run);
    run->started = true;
    vm->current = run;
    int32_t phase_beside = show_phase(run);
    vm->memory.limit = vm->snapshot ? (size_t)vm->snapshot->settings.script_memory : SIZE_MAX;
    int status = lua_resume(run->thread, arguments);
    vm->memory.limit = SIZE_MAX;
    vm->current = NULL;
    if (run->body)
        run->record->slot.phase = phase_beside;
    vm->control.slot = NULL;
    vm->control.body = NULL;
    if (begun > 0)
        exchange->times.script += tg_loop_now_fresh(vm->loop) - begun;
    if (status == LUA_YIELD && yielded_rightly(run))
        return TG_RUN_WAITING;
    stop_waiting(run);
    return status == 0 ? TG_RUN_DONE : TG_RUN_FAILED;
}

static void task_over(struct tg_run *run, enum tg_run_outcome outcome)
{
    if (outcome == TG_RUN_FAILED)
        tg_run_report(run, run->is_timer ? "a timer" : "a task");
    if (outcome != TG_RUN_WAITING)
        tg_run_free(run, outcome);
    if (outcome == TG_RUN_FAILED)
        tg_vm_recover(run->vm);
    else if (outcome == TG_RUN_DONE)
        tg_vm_collect(run->vm);
}

static void continue_run(struct tg_run *run, bool woken)
{
    int arguments = run->arguments;
    run->arguments = 0;
    if (run->started) {
        lua_pushboolean(run->thread, woken);
        arguments = 1;
    }
    enum tg_run_outcome outcome = tg_run_resume(run, arguments);
    switch (run->kind) {
    case TG_RUN_PHASE: tg_record_continue(run->record, outcome); break;
    case TG_RUN_BODY: tg_body_continue(run, outcome); break;
    case TG_RUN_DOOR: tg_door_continue(run->record, outcome); break;
    case TG_RUN_INIT: tg_attach_continue(run->vm, outcome); break;
    case TG_RUN_TASK: task_over(run, outcome); break;
    case TG_RUN_FREE: break;
    }
}

struct description {
    struct tg_run *run;
    bool traceback;
    struct tg_text *text;
};

/* The message at the top of the thread's stack. No metamethod of an error object is called. */
static int describe(lua_State *L)
{
    struct description *description = lua_touserdata(L, 1);
    lua_State *thread = description->run->thread;
    lua_Debug frame;
    const char *message = lua_type(thread, -1) == LUA_TSTRING
                              ? lua_tostring(thread, -1)
                              : lua_pushfstring(L, "(the error is a %s)", luaL_typename(thread, -1));
    if (description->traceback && lua_getstack(thread, 0, &frame)) {
        luaL_traceback(L, thread, message, 0);
        message = luaL_gsub(L, lua_tostring(L, -1), "\t", "  ");
    }
    tg_text_append(description->text, tg_slice_from_string(message));
    return 0;
}

void tg_run_describe(struct tg_run *run, bool traceback, struct tg_text *text)
{
    struct description description = { run, traceback, text };
    if (lua_gettop(run->thread) == 0) {
        tg_text_append(text, TG_SLICE("(no message)"));
        return;
    }
    if (lua_cpcall(run->vm->L, describe, &description) != 0) {
        lua_settop(run->vm->L, 0);
        tg_text_append(text, TG_SLICE("not enough memory"));
    }
}

void tg_run_report(struct tg_run *run, const char *doing)
{
    struct tg_vm *vm = run->vm;
    struct tg_exchange *exchange = run->record ? run->record->exchange : NULL;
    const struct tg_source_use *use = run->use < vm->source->use_count ? &vm->source->uses[run->use] : NULL;
    struct tg_slice name = use ? use->name : TG_SLICE("?");
    tg_text_clear(&vm->scratch);
    tg_run_describe(run, run->kind != TG_RUN_TASK, &vm->scratch); /* a task brings its own */
    tg_counters_add(tg_loop_counters(vm->loop), TG_COUNTER_SCRIPT_ERRORS, 1);
    tg_log(TG_LOG_ERROR, "script error in %s of %.*s, request %.*s, generation %llu:\n%s", doing, (int)name.length,
           name.at, exchange ? 32 : 1, exchange ? exchange->id : "-", (unsigned long long)vm->source->generation,
           vm->scratch.at ? vm->scratch.at : "");
}

static struct tg_list *tasks_of(const struct tg_run *parent)
{
    if (parent->record)
        return &parent->record->tasks;
    return parent->home ? parent->home : &parent->vm->attach.tasks;
}

/* Everything that may raise comes before the run is taken. */
int tg_run_lua_spawn(lua_State *L)
{
    struct tg_vm *vm = tg_vm_of(L);
    int count = lua_gettop(L);
    struct tg_run *parent = vm->current;
    if (!parent)
        return luaL_error(L, "tg.spawn works in phases and in init only");
    luaL_checkstack(L, 4, NULL);
    struct tg_run *run = tg_run_new(vm, TG_RUN_TASK, parent->record);
    if (!run || !lua_checkstack(run->thread, count + 4)) {
        if (run)
            tg_run_free(run, TG_RUN_FAILED);
        return luaL_error(L, "not enough memory");
    }
    lua_xmove(L, run->thread, count);
    run->arguments = count - 1;
    run->use = parent->use;
    run->body = parent->body;
    run->home = parent->home;
    run->of_load = parent->of_load;
    tg_list_append(tasks_of(parent), &run->link);
    tg_loop_defer(vm->loop, &run->step);
    lua_pushlightuserdata(L, &run->abi);
    lua_pushinteger(L, run->abi.serial);
    return 2;
}

/* Of one that runs and yet waits the yield has failed, and the script has caught that. */
static void forget_failed_wait(struct tg_run *run)
{
    if (run->waiting)
        stop_waiting(run);
}

struct tg_run *tg_run_to_wait(struct tg_vm *vm)
{
    if (vm->current)
        forget_failed_wait(vm->current);
    return vm->current;
}

void tg_run_wait_for(struct tg_run *run, struct tg_run_wait *wait, void (*cancel)(struct tg_run_wait *wait))
{
    wait->run = run;
    wait->cancel = cancel;
    tg_list_append(&run->waits, &wait->link);
}

void tg_run_start_in(struct tg_run *run, double seconds)
{
    run->waiting = run->put_off = true;
    tg_deadline_set(timer_of(run), tg_loop_now_fresh(run->vm->loop) + (seconds > 0 ? seconds : 0));
}

void tg_run_wake(struct tg_run *run)
{
    tg_loop_defer(run->vm->loop, &run->step);
}

int32_t tg_abi_wait(struct tg_abi_control *control, double seconds)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_run *run = vm->current;
    if (!run)
        return 0;
    forget_failed_wait(run);
    if (seconds < INFINITY)
        tg_deadline_set(timer_of(run), tg_loop_now_fresh(vm->loop) + (seconds > 0 ? seconds : 0));
    else
        tg_deadline_clear(timer_of(run));
    run->waiting = true;
    return 1;
}

static struct tg_run *living_task(struct tg_abi_run *task, int32_t serial)
{
    return task && task->serial == serial ? (struct tg_run *)task : NULL;
}

int32_t tg_abi_watch(struct tg_abi_control *control, struct tg_abi_run *task, int32_t serial)
{
    struct tg_vm *vm = (struct tg_vm *)control;
    struct tg_run *watched = living_task(task, serial);
    if (!vm->current)
        return 0;
    forget_failed_wait(vm->current);
    struct tg_watch *watch = watched && watched != vm->current ? malloc(sizeof(*watch)) : NULL;
    if (!watch) {
        stop_watching(vm->current);
        return 0;
    }
    watch->watcher = vm->current;
    tg_list_append(&watched->watchers, &watch->by_task);
    tg_list_append(&vm->current->watching, &watch->by_watcher);
    return 1;
}

int tg_run_lua_cancel(lua_State *L)
{
    struct tg_run *run = living_task(lua_touserdata(L, 1), (int32_t)lua_tointeger(L, 2));
    bool itself = run && run == run->vm->current;
    if (run && !itself)
        tg_run_free(run, TG_RUN_FAILED);
    lua_pushboolean(L, !itself);
    return 1;
}
