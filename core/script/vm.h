/* One VM: a Lua state of one generation in one worker, and what C keeps beside it: records of exchanges, coroutines.
 * For the files of script/ alone. Built by a loader thread, then belongs to the worker's thread. */
#ifndef TG_SCRIPT_VM_H
#define TG_SCRIPT_VM_H

#include <lauxlib.h>
#include <lua.h>

#include "net/loop.h"
#include "proxy/exchange.h"
#include "script/abi.h"
#include "script/script.h"
#include "script/source.h"
#include "script/vm_memory.h"

struct tg_run;

enum { TG_NO_USE = UINT16_MAX /* beyond all numbers of uses */ };

/* What a coroutine waits for beside a time and tasks. Who made it calls tg_run_wake when it has come. */
struct tg_run_wait {
    struct tg_list link;
    struct tg_run *run;
    void (*cancel)(struct tg_run_wait *wait); /* the coroutine goes on or ends: it waits for this no more */
};

/* What script/ keeps of an exchange that entered Lua, or of a call of a listener's handlers: the `script` of either.
 * Recycled, stable for the life of the VM. */
struct tg_record {
    struct tg_abi_slot slot; /* first: handles point to it */
    struct tg_vm *vm;
    struct tg_exchange *exchange; /* NULL while free, and where there is a call instead */
    struct tg_door_call *call;    /* a listener's handler at work (door.c); else NULL */
    struct tg_route *route;       /* whose chain is being walked: a handler may reroute */
    struct tg_record *next_free;
    struct tg_run *run;            /* the coroutine of the phase that waits, or NULL */
    struct tg_run_wait whole_wait; /* of the one that waits for a body as a whole */
    struct tg_list tasks;
    struct tg_list waiting_link; /* in vm->held_back while init runs */
    struct tg_task abort_task;   /* req:abort() comes after the phase has returned */
    struct tg_list holds;        /* struct tg_hold: until the request ends */
    enum tg_phase phase;
    uint32_t position; /* the next handler of the phase's chain */
    uint32_t reached;  /* the last use entered in the request phase, where `cut`; TG_NO_USE: none */
    bool cut;          /* the request chain hasn't ended in order: later handlers see nothing of the exchange */
    bool answered_now, rerouted_now, abort_wanted;
    bool has_context;        /* req.ctx was touched */
    uint64_t *ran;           /* bit set of uses that ran before a reroute; NULL: none */
    struct tg_fields staged; /* fields of an answer being made */
    struct tg_text log;      /* exchange->log_fields */
    struct tg_text joined;   /* texts given to Lua that are made up */
    char small[64];          /* the same, small ones */
};

/* How far `init` is. */
enum tg_vm_state { TG_VM_LOADED, TG_VM_STARTING, TG_VM_READY, TG_VM_FAILED };

struct tg_attach {
    struct tg_run *run;
    struct tg_deadline deadline;
    struct tg_task begin;
    uint32_t use; /* whose init is next */
    double limit; /* seconds */
    bool pending, timed_out;
    void (*done)(void *context, bool ok, struct tg_slice error);
    void *context;
    struct tg_text error;
    struct tg_list tasks; /* spawned by init */
};

struct tg_vm {
    struct tg_abi_control control; /* first: FFI hands it back */
    lua_State *L;
    struct tg_vm_memory memory;
    struct tg_generation_source *source;
    struct tg_snapshot *snapshot;
    struct tg_lease *lease; /* NULL until attached */
    struct tg_worker *worker;
    struct tg_loop *loop; /* the worker's; NULL until attached */
    uint32_t worker_id;
    enum tg_vm_state state;
    int *entries;  /* [use * TG_PHASES + phase]: registry references of entry functions */
    int *inits;    /* [use]: of init functions; LUA_REFNIL: none */
    int contexts;  /* registry reference: req.ctx by slot */
    int task_main; /* of the function that runs a task */
    int producer;  /* of the one that runs a function which writes a body */
    struct tg_run *current;
    struct tg_run *free_runs, *bare_runs; /* with a Lua thread; without */
    uint32_t free_threads;
    uint32_t steps; /* of runs, since one was put off */
    struct tg_run *all_runs;
    struct tg_list timers; /* runs, see script/timer.h */
    uint32_t timer_count;
    struct tg_record **records;
    uint32_t record_count;
    struct tg_record *free_records;
    struct tg_list held_back;        /* records whose phase begins when init is done */
    struct tg_list held_back_bodies; /* likewise struct tg_script_body */
    struct tg_attach attach;
    struct tg_text scratch;
    struct tg_list owned; /* struct tg_abi_owned: see script/owned.h */
    uint32_t owned_count;
    struct tg_abi_sharing *sharing;   /* of abi_shared.c, owned; NULL until used */
    struct tg_abi_hashing *hashing;   /* of abi_hash.c, owned; NULL until used */
    struct tg_abi_matching *matching; /* of abi_regex.c, the same */
    struct tg_socket_pool *sockets;   /* of abi_socket_pool.c, the same */
    char uuid[40];
    size_t collect_above; /* memory.used beyond which the collector is helped */
    double hook_deadline; /* monotonic: a top level or init must be done by then; 0: no limit */
    double hook_limit;    /* its length, for the message */
    const char *hook_what;
    char hook_error[512]; /* what it said first; empty: it hasn't fired */
    const _Atomic bool *cancel;
    bool timed; /* somebody reads exchange->times.script */
};

/* vm.c */
struct tg_vm *tg_vm_create(struct tg_generation_source *source, struct tg_snapshot *snapshot, uint32_t worker_id);
/* The VM that a state belongs to. */
struct tg_vm *tg_vm_of(lua_State *L);
/* A protected call of the function on the stack of vm->L with `arguments`; false: error holds the message. */
bool tg_vm_call(struct tg_vm *vm, int arguments, int results, struct tg_text *error)
    __attribute__((warn_unused_result));
/* Appends the message on the stack of vm->L to error; false. */
bool tg_vm_fail(struct tg_vm *vm, struct tg_text *error);
/* Runs without machine code and with a limit, or normally again. */
void tg_vm_set_limit(struct tg_vm *vm, double seconds, const char *what);
void tg_vm_clear_limit(struct tg_vm *vm);
/* Between requests: collector steps where the VM is over half its cap. LuaJIT doesn't collect before it fails. */
void tg_vm_collect(struct tg_vm *vm);
/* After a script has failed: gives back what it had, if the VM is nearly full. */
void tg_vm_recover(struct tg_vm *vm);

/* vm_boot.c */
/* A state with the library loaded and the top level run; false: error says why. */
bool tg_vm_open(struct tg_vm *vm, struct tg_text *error) __attribute__((warn_unused_result));
/* Resolves entry and init functions of all uses. */
bool tg_vm_prepare_uses(struct tg_vm *vm, struct tg_text *error) __attribute__((warn_unused_result));

/* vm_end.c */
/* Drops the Lua state. Runs and records stay, without coroutines. */
void tg_vm_close(struct tg_vm *vm);
void tg_vm_destroy(struct tg_vm *vm);

/* load.c: opens the VM, compares what it declares, prepares the uses. */
bool tg_vm_build(struct tg_vm *vm, struct tg_text *error) __attribute__((warn_unused_result));

/* record.c */
/* The record of an exchange, made when it first enters Lua; NULL when out of memory. */
struct tg_record *tg_record_of(struct tg_vm *vm, struct tg_exchange *exchange);
void tg_record_end(struct tg_record *record);
/* The same for a call. */
struct tg_record *tg_record_of_call(struct tg_vm *vm, struct tg_door_call *call);
void tg_record_end_call(struct tg_record *record);
/* Ends what of it waits. */
void tg_record_release(struct tg_record *record);
void tg_record_free(struct tg_record *record);
/* Lends a text to Lua. */
static inline const char *tg_abi_give(struct tg_abi_slot *slot, struct tg_slice text)
{
    slot->length = (int32_t)text.length;
    return text.at ? text.at : "";
}

/* Of a slot or a run, which may be used more than 2^31 times. */
static inline int32_t tg_next_serial(int32_t serial)
{
    return (int32_t)((uint32_t)serial + 1);
}

/* The names of phases, as handlers have them. */
extern const char *const tg_script_phase_names[TG_PHASES];

/* abi_headers.c: why a field isn't a script's to set; NULL where it is. */
const char *tg_abi_guard(int32_t token, bool upgrade_allowed);
/* hooks.c: starts the phases that came while init was running. */
void tg_record_begin_held_back(struct tg_vm *vm);
/* body.c: the same for handlers of bodies */
void tg_body_begin_held_back(struct tg_vm *vm);
/* door.c */
void tg_door_begin_held_back(struct tg_record *record);
enum tg_hook_result tg_door_run(struct tg_door_call *call);
void tg_door_cancel(struct tg_door_call *call);
/* Its VM was dropped while it waited in it. */
void tg_door_fail(struct tg_record *record);

static inline struct tg_record *tg_record_of_slot(struct tg_abi_slot *slot)
{
    return (struct tg_record *)slot;
}

#endif
