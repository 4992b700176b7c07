/* Loading a generation, building a worker's VM from it, and dropping it. */
#include <stdlib.h>

#include "script/plan.h"
#include "script/run.h"

static bool keep_declarations(struct tg_vm *vm, struct tg_text *error)
{
    struct tg_slice text;
    text.at = lua_tolstring(vm->L, 2, &text.length);
    struct tg_slice copy = text.at ? tg_arena_copy(&vm->source->arena, text) : text;
    vm->source->declarations = copy;
    if (!copy.at)
        tg_text_append(error, TG_SLICE("out of memory"));
    return copy.at != NULL;
}

/* From the plan and its text, which the top level has left on the stack. */
static struct tg_snapshot *make_snapshot(struct tg_vm *vm, const struct tg_script_load_options *options,
                                         struct tg_text *error)
{
    if (!keep_declarations(vm, error))
        return NULL;
    struct tg_plan plan = {
        .source = vm->source,
        .snapshot = tg_snapshot_new(),
        .registry = options->registry,
        .shared = options->shared,
        .tls = options->tls,
        .warnings = options->warnings,
    };
    if (!plan.snapshot) {
        tg_text_append(error, TG_SLICE("out of memory"));
        return NULL;
    }
    plan.snapshot->generation = vm->source->generation;
    lua_settop(vm->L, 1);
    lua_pushcfunction(vm->L, tg_plan_read);
    lua_insert(vm->L, 1);
    lua_pushlightuserdata(vm->L, &plan);
    if (tg_vm_call(vm, 2, 0, error)) {
        vm->source->tls = options->tls ? options->tls->library : NULL;
        return plan.snapshot;
    }
    tg_snapshot_unref(plan.snapshot);
    return NULL;
}

bool tg_script_load(const struct tg_script_load_options *options, struct tg_generation_source **source,
                    struct tg_snapshot **snapshot, struct tg_text *error)
{
    *source = tg_source_new(options);
    struct tg_vm *vm = *source ? tg_vm_create(*source, NULL, 0) : NULL;
    *snapshot = NULL;
    if (!vm) {
        tg_text_append(error, TG_SLICE("out of memory"));
        goto fail;
    }
    vm->cancel = options->cancel;
    (*source)->tls = options->tls ? options->tls->library : NULL;
    if (tg_vm_open(vm, error))
        *snapshot = make_snapshot(vm, options, error);
    tg_source_forget_secrets(*source);
    tg_vm_destroy(vm);
    if (!*snapshot)
        goto fail;
    tg_text_deinit(&(*source)->scratch);
    tg_text_init(&(*source)->scratch);
    (*source)->sealed = true;
    return true;
fail:
    tg_generation_source_unref(*source);
    *source = NULL;
    return false;
}

/* A worker's top level must say the same as the loader's. */
static bool declarations_agree(struct tg_vm *vm, struct tg_text *error)
{
    const struct tg_slice *expected = &vm->source->declarations;
    struct tg_slice text = { NULL, 0 };
    text.at = lua_tolstring(vm->L, 2, &text.length);
    if (text.at && tg_slice_equal(text, *expected))
        return true;
    lua_getfield(vm->L, LUA_REGISTRYINDEX, "tidegate.boot");
    lua_getfield(vm->L, -1, "difference");
    lua_pushlstring(vm->L, expected->at, expected->length);
    lua_pushvalue(vm->L, 2);
    if (!tg_vm_call(vm, 2, 1, error))
        return false;
    const char *difference = lua_tostring(vm->L, -1);
    tg_text_appendf(error,
                    "the top level declares something else in worker %u than in the loader: %s; it may not depend on "
                    "the order of pairs, on time or on chance",
                    vm->worker_id, difference ? difference : "?");
    return false;
}

bool tg_vm_build(struct tg_vm *vm, struct tg_text *error)
{
    if (!tg_vm_open(vm, error) || !declarations_agree(vm, error))
        return false;
    lua_settop(vm->L, 0);
    vm->state = TG_VM_LOADED;
    return tg_vm_prepare_uses(vm, error);
}

struct tg_vm *tg_script_vm_new(struct tg_generation_source *source, struct tg_snapshot *snapshot, uint32_t worker_id,
                               const _Atomic bool *cancel, struct tg_text *error)
{
    struct tg_vm *vm = tg_vm_create(source, snapshot, worker_id);
    if (!vm) {
        tg_text_append(error, TG_SLICE("out of memory"));
        return NULL;
    }
    vm->cancel = cancel;
    bool built = tg_vm_build(vm, error);
    vm->cancel = NULL;
    if (built)
        return vm;
    tg_vm_destroy(vm);
    return NULL;
}

/* Exchanges and calls that outlive the VM have no handlers any more. */
static void forget_exchanges(struct tg_vm *vm)
{
    for (uint32_t i = 0; i < vm->record_count; i++) {
        struct tg_record *record = vm->records[i];
        if (record->exchange)
            tg_record_end(record);
        else if (record->call)
            tg_record_end_call(record);
    }
}

void tg_script_vm_free(struct tg_vm *vm)
{
    if (!vm)
        return;
    tg_script_attach_cancel(vm);
    if (vm->lease && vm->lease->script == vm)
        vm->lease->script = NULL;
    forget_exchanges(vm);
    tg_vm_destroy(vm);
}
