#include "control/loader.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/log_sink.h"
#include "control/thread.h"

static uint32_t workers_of(const struct tg_loader *loader, const struct tg_snapshot *snapshot)
{
    if (loader->workers > 0)
        return loader->workers;
    return snapshot->settings.workers > 0 ? snapshot->settings.workers : tg_thread_cpus();
}

static void drop_result(struct tg_loader *loader)
{
    if (loader->source)
        tg_generation_source_unref(loader->source);
    if (loader->snapshot)
        tg_snapshot_unref(loader->snapshot);
    loader->source = NULL;
    loader->snapshot = NULL;
}

static bool load_once(struct tg_loader *loader, uint32_t workers)
{
    loader->options.worker_count = workers;
    tg_text_clear(&loader->warnings);
    return tg_script_load(&loader->options, &loader->source, &loader->snapshot, &loader->error);
}

/* How many workers there are may follow from the settings, and the top level may ask how many there are: then it runs
 * once more. */
static bool load(struct tg_loader *loader)
{
    if (loader->source)
        return true;
    uint32_t guess = loader->workers > 0 ? loader->workers : tg_thread_cpus();
    if (!load_once(loader, guess))
        return false;
    uint32_t workers = workers_of(loader, loader->snapshot);
    if (workers == guess)
        return true;
    drop_result(loader);
    return load_once(loader, workers);
}

static bool try_log(struct tg_loader *loader, const char *which, struct tg_slice path)
{
    char why[256];
    char *text = path.length > 0 ? tg_slice_to_string(path) : NULL;
    bool usable = !text || tg_log_sink_try(text, why);
    if (!usable)
        tg_text_appendf(&loader->error, "%s: can't open %s", which, why);
    free(text);
    return usable;
}

static bool try_logs(struct tg_loader *loader)
{
    const struct tg_settings *settings = &loader->snapshot->settings;
    return try_log(loader, "access_log", settings->access_log) && try_log(loader, "error_log", settings->error_log);
}

static bool build_vms(struct tg_loader *loader)
{
    uint32_t count = workers_of(loader, loader->snapshot);
    loader->vms = calloc(count, sizeof(struct tg_vm *));
    if (!loader->vms) {
        tg_text_appendf(&loader->error, "out of memory");
        return false;
    }
    for (loader->vm_count = 0; loader->vm_count < count; loader->vm_count++) {
        struct tg_vm *vm =
            tg_script_vm_new(loader->source, loader->snapshot, loader->vm_count, &loader->cancel, &loader->error);
        if (!vm) {
            tg_text_appendf(&loader->error, " (worker %u)", loader->vm_count);
            return false;
        }
        loader->vms[loader->vm_count] = vm;
    }
    return true;
}

/* To the error log, a line each. */
static void log_warnings(const struct tg_loader *loader)
{
    struct tg_slice rest = tg_text_slice(&loader->warnings);
    while (rest.length > 0) {
        const char *end = memchr(rest.at, '\n', rest.length);
        size_t length = end ? (size_t)(end - rest.at) : rest.length;
        tg_log(TG_LOG_WARN, "%.*s", (int)length, rest.at);
        rest = tg_slice_from(rest, end ? length + 1 : length);
    }
}

static void *run_loader(void *context)
{
    struct tg_loader *loader = context;
    tg_log_set_thread("loader", loader->ring);
    loader->ok = load(loader) && try_logs(loader) && build_vms(loader);
    if (loader->ok)
        log_warnings(loader);
    tg_log_set_thread("loader", NULL);
    tg_thread_release_pools();
    tg_loop_post(loader->control, &loader->done);
    return NULL;
}

static void tell_finished(struct tg_message *message, struct tg_loop *control)
{
    (void)control;
    struct tg_loader *loader = TG_CONTAINER_OF(message, struct tg_loader, done);
    pthread_join(loader->thread, NULL);
    loader->finished(loader);
}

struct tg_loader *tg_loader_new(struct tg_loop *control)
{
    struct tg_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return NULL;
    tg_text_init(&loader->error);
    tg_text_init(&loader->warnings);
    loader->options.warnings = &loader->warnings;
    loader->control = control;
    loader->done.run = tell_finished;
    loader->options.cancel = &loader->cancel;
    return loader;
}

bool tg_loader_start(struct tg_loader *loader)
{
    return tg_thread_start(&loader->thread, "tg-loader", TG_SCRIPT_STACK, run_loader, loader);
}

void tg_loader_free(struct tg_loader *loader)
{
    for (uint32_t i = 0; i < loader->vm_count; i++) {
        if (loader->vms[i])
            tg_script_vm_free(loader->vms[i]);
    }
    free(loader->vms);
    drop_result(loader);
    tg_text_deinit(&loader->error);
    tg_text_deinit(&loader->warnings);
    free(loader);
}
