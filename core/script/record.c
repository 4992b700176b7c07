/* Records of exchanges in Lua, and of calls of listeners' handlers: made at the first entry, recycled at the end. */
#include <stdlib.h>

#include "script/hold.h"

static void abort_exchange(struct tg_task *task)
{
    struct tg_record *record = TG_CONTAINER_OF(task, struct tg_record, abort_task);
    tg_exchange_abort(record->exchange, TG_REASON_SCRIPT);
}

static bool add_to_table(struct tg_vm *vm, struct tg_record *record)
{
    if ((vm->record_count & (vm->record_count - 1)) == 0) {
        size_t capacity = vm->record_count ? vm->record_count * 2 : 1;
        struct tg_record **grown = realloc(vm->records, capacity * sizeof(struct tg_record *));
        if (!grown)
            return false;
        vm->records = grown;
    }
    vm->records[vm->record_count++] = record;
    record->slot.index = (int32_t)vm->record_count;
    return true;
}

static struct tg_record *record_alloc(struct tg_vm *vm)
{
    struct tg_record *record = calloc(1, sizeof(*record));
    if (!record || !add_to_table(vm, record)) {
        free(record);
        return NULL;
    }
    record->vm = vm;
    tg_text_init(&record->log);
    tg_text_init(&record->joined);
    tg_list_init(&record->tasks);
    tg_list_init(&record->waiting_link);
    tg_list_init(&record->whole_wait.link);
    tg_list_init(&record->holds);
    tg_task_init(&record->abort_task, abort_exchange);
    return record;
}

static struct tg_record *take_record(struct tg_vm *vm)
{
    struct tg_record *record = vm->free_records;
    if (record)
        vm->free_records = record->next_free;
    else if (!(record = record_alloc(vm)))
        return NULL;
    record->abort_wanted = record->has_context = false;
    record->ran = NULL;
    record->run = NULL;
    record->slot.phase = TG_ABI_NO_PHASE;
    return record;
}

static void put_back(struct tg_record *record)
{
    record->slot.serial = tg_next_serial(record->slot.serial);
    tg_text_clear(&record->log);
    record->next_free = record->vm->free_records;
    record->vm->free_records = record;
}

struct tg_record *tg_record_of(struct tg_vm *vm, struct tg_exchange *exchange)
{
    struct tg_record *record = take_record(vm);
    if (!record)
        return NULL;
    record->exchange = exchange;
    record->cut = true; /* until the request phase has ended in order */
    record->reached = TG_NO_USE;
    exchange->script = record;
    return record;
}

struct tg_record *tg_record_of_call(struct tg_vm *vm, struct tg_door_call *call)
{
    struct tg_record *record = take_record(vm);
    if (!record)
        return NULL;
    record->call = call;
    record->phase = call->phase;
    record->position = 0;
    call->script = record;
    return record;
}

/* An existing key of the table: nothing is allocated, so nothing can raise. */
static void drop_context(struct tg_record *record)
{
    lua_State *L = record->vm->L;
    if (!record->has_context || !L)
        return;
    record->has_context = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, record->vm->contexts);
    lua_pushnil(L);
    lua_rawseti(L, -2, record->slot.index);
    lua_pop(L, 1);
}

/* An exchange that outlives its record (a tunnel that was detached) is still to be logged. */
static void leave_log_fields(struct tg_record *record)
{
    struct tg_exchange *exchange = record->exchange;
    struct tg_text *left = NULL;
    if (exchange->log_fields && exchange->state < TG_EXCHANGE_LOG)
        left = tg_arena_alloc_zeroed(&exchange->arena, sizeof(*left));
    exchange->log_fields = left;
    if (!left)
        return;
    struct tg_slice copy = tg_arena_copy(&exchange->arena, tg_text_slice(&record->log));
    left->at = (char *)copy.at;
    left->length = copy.at ? copy.length : 0;
}

struct tg_run *tg_record_enter(struct tg_record *record, enum tg_run_kind kind, uint32_t use)
{
    struct tg_vm *vm = record->vm;
    struct tg_run *run = tg_run_new(vm, kind, record);
    if (!run)
        return NULL;
    run->use = use;
    record->run = run;
    lua_rawgeti(run->thread, LUA_REGISTRYINDEX, vm->entries[use * TG_PHASES + record->phase]);
    return run;
}

void tg_record_end(struct tg_record *record)
{
    tg_record_release(record);
    tg_holds_release(&record->holds);
    tg_list_remove(&record->abort_task.link);
    drop_context(record);
    leave_log_fields(record);
    record->exchange->script = NULL;
    record->exchange = NULL;
    put_back(record);
}

void tg_record_end_call(struct tg_record *record)
{
    tg_record_release(record);
    tg_holds_release(&record->holds);
    record->call->script = NULL;
    record->call = NULL;
    put_back(record);
}

void tg_record_free(struct tg_record *record)
{
    tg_text_deinit(&record->log);
    tg_text_deinit(&record->joined);
    free(record);
}

void tg_abi_abort(struct tg_abi_slot *slot)
{
    struct tg_record *record = tg_record_of_slot(slot);
    if (record->exchange->state >= TG_EXCHANGE_LOG)
        return; /* there is nothing left to break off */
    record->abort_wanted = true;
    tg_loop_defer(record->vm->loop, &record->abort_task);
}
