/* Coroutines of a VM: one for a phase, a task or `init`, on recycled Lua threads. A coroutine waits for a time, for
 * tasks, or both; the worker's loop resumes it. The worker's thread. */
#ifndef TG_SCRIPT_RUN_H
#define TG_SCRIPT_RUN_H

#include "script/vm.h"

enum tg_run_kind { TG_RUN_FREE, TG_RUN_PHASE, TG_RUN_DOOR, TG_RUN_BODY, TG_RUN_TASK, TG_RUN_INIT };
enum tg_run_outcome { TG_RUN_DONE, TG_RUN_WAITING, TG_RUN_FAILED };

struct tg_script_body; /* script/body.h */

struct tg_run {
    struct tg_abi_run abi; /* first: tasks in Lua point to it */
    enum tg_run_kind kind;
    struct tg_vm *vm;
    struct tg_run *next_free, *next;
    lua_State *thread;           /* NULL: to be made */
    int reference;               /* of the thread, in the registry */
    struct tg_record *record;    /* whose it is; NULL: of init */
    uint32_t use;                /* the handler, for messages */
    struct tg_script_body *body; /* the body that it, or whoever spawned it, is at work on; else NULL */
    struct tg_list link;         /* a task: in its record's tasks */
    struct tg_list watchers;     /* a task: struct tg_watch of who waits for it */
    struct tg_list watching;     /* struct tg_watch of what it waits for */
    struct tg_deadline timer;
    bool timer_ready; /* initialised */
    bool waiting;     /* it has said what it waits for, and yields next */
    bool put_off;     /* its step has to wait for the next turn */
    bool started;
    int arguments;           /* of a task that hasn't started: on its stack, above the function */
    struct tg_task step;     /* starts the task, or resumes who waited for one */
    struct tg_list waits;    /* struct tg_run_wait of what it waits for */
    struct tg_list holds;    /* struct tg_hold: of a task or a timer, see script/hold.h */
    struct tg_list children; /* of a timer: tasks that end with it */
    struct tg_list *home;    /* where tasks go that it spawns, where it works for a timer; else NULL */
    bool is_timer, of_load;  /* see script/timer.h */
    bool granted;            /* what it waited for behind others is its own */
};

/* A coroutine without function or arguments, or NULL when out of memory. */
struct tg_run *tg_run_new(struct tg_vm *vm, enum tg_run_kind kind, struct tg_record *record);
/* Runs the function on the thread's stack until it ends or waits. On FAILED the message is on the thread's stack. */
enum tg_run_outcome tg_run_resume(struct tg_run *run, int arguments);
/* Ends it, whatever it is doing: it is never resumed again, and who waits for it is told. A thread that has not ended
 * in order is dropped. */
void tg_run_free(struct tg_run *run, enum tg_run_outcome outcome);
/* The coroutine that runs and is about to say what it waits for; NULL: there is none. */
struct tg_run *tg_run_to_wait(struct tg_vm *vm);
void tg_run_wait_for(struct tg_run *run, struct tg_run_wait *wait, void (*cancel)(struct tg_run_wait *wait));
/* Begins with what is on its stack, so many seconds from now. */
void tg_run_start_in(struct tg_run *run, double seconds);
/* It goes on after the current event. */
void tg_run_wake(struct tg_run *run);
/* Ends all tasks in the list. */
void tg_run_free_tasks(struct tg_list *tasks);
/* Those that were spawned beside this body; NULL: beside none. */
void tg_run_free_tasks_of(struct tg_list *tasks, const struct tg_script_body *body);
/* Writes the failure to the error log, with traceback, and counts it. `doing`: "the request phase". */
void tg_run_report(struct tg_run *run, const char *doing);
/* Appends the message of a failed run, with or without traceback. */
void tg_run_describe(struct tg_run *run, bool traceback, struct tg_text *text);

/* A phase returns nothing, or what respond and the like gave: true. */
static inline bool tg_run_returned_rightly(const struct tg_run *run)
{
    lua_State *thread = run->thread;
    return lua_gettop(thread) == 0 || lua_isnil(thread, 1) || (lua_isboolean(thread, 1) && lua_toboolean(thread, 1));
}

/* A run of the record's for the handler's function of record->phase, which is on its stack; it becomes record->run.
 * NULL: out of memory. */
struct tg_run *tg_record_enter(struct tg_record *record, enum tg_run_kind kind, uint32_t use);
/* Continues what waited, once a run that is no task has been resumed by the loop (hooks.c, door.c, attach.c). */
void tg_record_continue(struct tg_record *record, enum tg_run_outcome outcome);
void tg_body_continue(struct tg_run *run, enum tg_run_outcome outcome);
void tg_door_continue(struct tg_record *record, enum tg_run_outcome outcome);
void tg_attach_continue(struct tg_vm *vm, enum tg_run_outcome outcome);

/* spawn(task_main, task, f, ...): a C function of Lua's; gives the run as lightuserdata and its serial. */
int tg_run_lua_spawn(lua_State *L);
/* cancel(run, serial): ends a task that isn't over yet; false: it is the one that runs. */
int tg_run_lua_cancel(lua_State *L);
/* The address by which C knows its own yields from a script's. */
void *tg_run_sentinel(void);

#endif
