/* How a VM ends: its Lua state goes at once, and with it all that waits in it; then what C keeps beside it. */
#include <luajit.h>
#include <stdlib.h>

#include "script/owned.h"
#include "script/run.h"

/* Ends all coroutines without running them: their threads go with the state. */
static void forget_runs(struct tg_vm *vm)
{
    for (struct tg_run *run = vm->all_runs; run; run = run->next) {
        run->thread = NULL;
        run->reference = LUA_NOREF;
    }
    vm->free_threads = 0;
    for (struct tg_run *run = vm->all_runs; run; run = run->next)
        tg_run_free(run, TG_RUN_FAILED);
}

void tg_vm_close(struct tg_vm *vm)
{
    forget_runs(vm);
    for (uint32_t i = 0; i < vm->record_count; i++) {
        vm->records[i]->run = NULL;
        vm->records[i]->has_context = false;
    }
    vm->attach.run = NULL;
    vm->current = NULL;
    if (vm->L) /* machine code lies outside the VM's memory */
        luaJIT_setmode(vm->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    vm->L = NULL;
    vm->state = TG_VM_LOADED; /* where it is built again, its top level is load as it was the first time */
    tg_owned_destroy_all(vm);
    tg_vm_memory_deinit(&vm->memory);
}

static void free_runs(struct tg_vm *vm)
{
    struct tg_run *next;
    for (struct tg_run *run = vm->all_runs; run; run = next) {
        next = run->next;
        if (run->timer_ready)
            tg_deadline_deinit(&run->timer);
        free(run);
    }
}

void tg_vm_destroy(struct tg_vm *vm)
{
    tg_vm_close(vm);
    if (vm->loop)
        tg_deadline_deinit(&vm->attach.deadline);
    free_runs(vm);
    for (uint32_t i = 0; i < vm->record_count; i++)
        tg_record_free(vm->records[i]);
    free(vm->records);
    free(vm->entries);
    free(vm->inits);
    tg_text_deinit(&vm->attach.error);
    tg_text_deinit(&vm->scratch);
    if (vm->snapshot)
        tg_snapshot_unref(vm->snapshot);
    tg_generation_source_unref(vm->source);
    free(vm);
}
