/* tidegate check: a whole load with one VM and its init, without a gateway around it. */
#include "script/forgotten_return.h"
#include "script/vm.h"

struct check {
    struct tg_loop *loop;
    struct tg_text *error;
    bool good;
};

static void attached(void *context, bool ok, struct tg_slice error)
{
    struct check *check = context;
    check->good = ok;
    if (!ok)
        tg_text_append(check->error, error);
    tg_loop_stop(check->loop);
}

static bool try_init(struct tg_vm *vm, struct tg_snapshot *snapshot, struct tg_text *error)
{
    struct tg_worker worker = { 0 };
    struct tg_lease lease = { .snapshot = snapshot, .worker = &worker };
    struct check check = { .error = error };
    tg_list_init(&lease.exchanges);
    worker.loop = check.loop = tg_loop_new(NULL, &worker);
    if (!check.loop) {
        tg_text_append(error, TG_SLICE("the system gives no event loop"));
        tg_script_vm_free(vm);
        return false;
    }
    tg_script_attach(vm, &lease, snapshot->settings.load_time, attached, &check);
    tg_loop_run(check.loop);
    tg_script_vm_free(vm);
    tg_loop_free(check.loop);
    return check.good;
}

static void look_for_forgotten_returns(const struct tg_generation_source *source, struct tg_text *warnings)
{
    for (size_t i = 0; i < tg_generation_source_count(source); i++) {
        const struct tg_source_entry *entry = tg_generation_source_entry(source, i);
        if (entry->kind == TG_SOURCE_FILE)
            tg_forgotten_return_find_in_file(entry->path, warnings);
    }
}

bool tg_script_check(const struct tg_script_load_options *options, struct tg_text *error)
{
    struct tg_generation_source *source;
    struct tg_snapshot *snapshot;
    if (!tg_script_load(options, &source, &snapshot, error))
        return false;
    struct tg_vm *vm = tg_script_vm_new(source, snapshot, 0, options->cancel, error);
    bool good = vm && try_init(vm, snapshot, error);
    if (options->warnings)
        look_for_forgotten_returns(source, options->warnings);
    tg_snapshot_unref(snapshot);
    tg_generation_source_unref(source);
    return good;
}
