/* A change, in the order of its life: load (in the loader's thread), prepare on all workers, open listeners, switch on
 * all workers, settle. Until the switch any failure drops everything and leaves the running generation untouched. */
#include "control/change.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/gateway.h"
#include "control/loader.h"
#include "control/metrics_server.h"
#include "control/watcher.h"

enum { QUEUE_MAX = 32 };

static const double usual_load_time = 10; /* seconds, where no generation says another */
static const double spare_time = 1;       /* seconds that control waits longer than a worker should take */

struct tg_change *tg_change_new(enum tg_change_kind kind, const char *asked_by, const char *name, const char *note)
{
    struct tg_change *change = calloc(1, sizeof *change);
    if (!change)
        return NULL;
    tg_list_init(&change->link);
    change->kind = kind;
    change->asked_by = asked_by;
    change->name = name ? strdup(name) : NULL;
    change->note = note ? strdup(note) : NULL;
    return change;
}

void tg_change_free(struct tg_change *change)
{
    tg_list_remove(&change->link);
    free(change->name);
    free(change->note);
    free(change);
}

static const char *verb(const struct tg_change *change)
{
    return change->kind == TG_CHANGE_RELOAD ? "reload" : "rollback";
}

static void log_outcome(const struct tg_changes *changes, const struct tg_change *change, const char *problem,
                        const struct tg_generation *generation)
{
    const struct tg_generation *current = changes->gateway->generations.current;
    bool switched = changes->switching || (generation && generation == current);
    if (!problem)
        tg_log(TG_LOG_INFO, "generation %llu is current on %u worker%s (%s, %s)%s%s",
               (unsigned long long)generation->number, generation->share_count, generation->share_count == 1 ? "" : "s",
               verb(change), change->asked_by, generation->note ? ": " : "", generation->note ? generation->note : "");
    else if (switched)
        tg_log(TG_LOG_ERROR, "the %s that %s asked for was carried out, with a problem: %s", verb(change),
               change->asked_by, problem);
    else if (current)
        tg_log(TG_LOG_ERROR, "the %s that %s asked for was refused, nothing has changed: %s", verb(change),
               change->asked_by, problem);
}

/* To the error log; and once to whoever asked: a change that takes too long to switch is told about twice. */
static void tell(struct tg_changes *changes, const struct tg_change *change, const char *problem,
                 const struct tg_generation *generation)
{
    log_outcome(changes, change, problem, generation);
    if (changes->told)
        return;
    changes->told = true;
    if (change->done)
        change->done(change->context, problem, generation);
}

static void start_next(struct tg_changes *changes);

/* It is over before anybody hears of it: who hears may stop the gateway. */
static void end_active(struct tg_changes *changes, const char *problem)
{
    struct tg_change *change = changes->active;
    const struct tg_generation *generation = changes->generation; /* NULL: nothing has changed */
    tg_deadline_clear(&changes->limit);
    changes->active = NULL;
    changes->generation = NULL;
    changes->switching = false;
    tell(changes, change, problem, generation);
    tg_change_free(change);
    start_next(changes);
}

/* One that was already there (for a rollback) stays, without the VMs that were made for it. */
static void drop_generation(struct tg_changes *changes)
{
    struct tg_generation *generation = changes->generation;
    changes->generation = NULL;
    if (!generation)
        return;
    if (tg_list_empty(&generation->link))
        tg_generation_discard(generation);
    else if (generation != changes->gateway->generations.previous)
        tg_generation_close(generation);
}

static void refuse(struct tg_changes *changes, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct tg_changes *changes, const char *format, ...)
{
    char *problem = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&problem, format, arguments) < 0)
        problem = NULL;
    va_end(arguments);
    drop_generation(changes);
    end_active(changes, problem ? problem : "out of memory");
    free(problem);
}

static double load_time(const struct tg_changes *changes)
{
    const struct tg_generation *current = changes->gateway->generations.current;
    return current ? current->snapshot->settings.load_time : usual_load_time;
}

/* --- the last steps: all workers have switched --- */

static void use_settings(struct tg_gateway *gateway, const struct tg_settings *settings)
{
    tg_acceptor_set_limit(gateway->acceptor, settings->connections);
    tg_log_thread_use_files(gateway->logs, settings->access_log, settings->error_log);
    tg_log_set_level(settings->error_level);
    tg_tls_process_rotate_every(&gateway->tls, settings->ticket_rotation);
    if (settings->workers > 0 && settings->workers != gateway->worker_count && gateway->options.workers == 0)
        tg_log(TG_LOG_WARN, "settings.workers is %u now; the number of workers changes only at a restart (%u run)",
               settings->workers, gateway->worker_count);
}

static void take_in(struct tg_generations *generations, struct tg_generation *generation)
{
    struct tg_generation *other = tg_generations_find(generations, generation->number);
    if (other && other != generation)
        tg_generation_discard(other);
    if (tg_list_empty(&generation->link))
        tg_list_append(&generations->all, &generation->link);
    if (generation->number > generations->last_number)
        generations->last_number = generation->number;
    tg_generations_switched(generations, generation, generation->snapshot->settings.generations_keep);
}

/* False: `why` says which listener can't be used. At the end of the process they are another thread's. */
static bool follow_settings(struct tg_gateway *gateway, struct tg_generation *generation, struct tg_text *why)
{
    if (gateway->stopping.begun)
        return true;
    use_settings(gateway, &generation->snapshot->settings);
    tg_metrics_server_settle(gateway->metrics);
    tg_script_resize_shared(generation->source);
    if (gateway->watcher)
        tg_watcher_follow(gateway->watcher, generation->source);
    return tg_listener_set_settle(&gateway->listeners, gateway->acceptor, why);
}

static void settle(struct tg_changes *changes)
{
    struct tg_generation *generation = changes->generation;
    struct tg_text why;
    tg_text_init(&why);
    bool settled = follow_settings(changes->gateway, generation, &why);
    take_in(&changes->gateway->generations, generation);
    end_active(changes, settled ? NULL : why.at);
    tg_text_deinit(&why);
}

static void heed_switched(struct tg_share *share)
{
    struct tg_changes *changes = ((struct tg_gateway *)tg_loop_context(share->control))->changes;
    share->answered = true;
    if (changes->active && changes->switching && changes->generation == share->generation &&
        tg_generation_all_answered(share->generation))
        settle(changes);
}

/* --- all workers are ready --- */

static bool open_listeners(struct tg_gateway *gateway, struct tg_snapshot *snapshot, struct tg_text *why)
{
    const struct tg_address *metrics = snapshot->settings.metrics.length ? &snapshot->settings.metrics : NULL;
    if (!tg_metrics_server_prepare(gateway->metrics, metrics, why))
        return false;
    if (tg_listener_set_open(&gateway->listeners, snapshot, why))
        return true;
    tg_metrics_server_cancel(gateway->metrics);
    return false;
}

static void switch_all(struct tg_changes *changes)
{
    struct tg_text why;
    tg_text_init(&why);
    if (!open_listeners(changes->gateway, changes->generation->snapshot, &why)) {
        refuse(changes, "%s", why.at ? why.at : "out of memory");
    } else {
        changes->switching = true;
        tg_deadline_in(&changes->limit, load_time(changes) + spare_time);
        tg_generation_switch(changes->generation);
    }
    tg_text_deinit(&why);
}

/* The worker is named at the end of the first line, after the place that an editor jumps to. */
static void refuse_by_worker(struct tg_changes *changes, const struct tg_share *share)
{
    struct tg_slice error = tg_text_slice(&share->error);
    const char *end = error.length > 0 ? memchr(error.at, '\n', error.length) : NULL;
    int first = end ? (int)(end - error.at) : (int)error.length;
    refuse(changes, "%.*s (worker %u)%s", first, error.at ? error.at : "", share->worker->id, end ? end : "");
}

static void heed_prepared(struct tg_share *share)
{
    struct tg_changes *changes = ((struct tg_gateway *)tg_loop_context(share->control))->changes;
    share->answered = true;
    if (!changes->active || changes->generation != share->generation)
        return;
    if (!share->ready)
        refuse_by_worker(changes, share);
    else if (tg_generation_all_answered(share->generation))
        switch_all(changes);
}

static void heed_closed(struct tg_share *share)
{
    tg_generation_share_closed(share->generation);
}

static const struct tg_share_ops share_ops = {
    .on_prepared = heed_prepared,
    .on_switched = heed_switched,
    .on_closed = heed_closed,
};

/* --- loaded --- */

static bool make_generation(struct tg_changes *changes, struct tg_loader *loader)
{
    struct tg_gateway *gateway = changes->gateway;
    struct tg_change *change = changes->active;
    if (!gateway->workers && !tg_gateway_start_workers(gateway, loader->vm_count))
        return false;
    if (!changes->generation) {
        changes->generation =
            tg_generation_new(loader->options.generation, change->name, change->note, loader->source, loader->snapshot);
        if (!changes->generation)
            return false;
        loader->source = NULL;
        loader->snapshot = NULL;
    }
    return tg_generation_share_out(changes->generation, gateway->workers, gateway->worker_count, gateway->loop,
                                   loader->vms, &share_ops);
}

static void prepare_all(struct tg_changes *changes, struct tg_loader *loader)
{
    if (!make_generation(changes, loader)) {
        refuse(changes, "the system refuses memory or threads");
        return;
    }
    double timeout = changes->generation->snapshot->settings.load_time;
    tg_deadline_in(&changes->limit, timeout + spare_time);
    tg_generation_prepare(changes->generation, timeout);
}

static void heed_loaded(struct tg_loader *loader)
{
    struct tg_changes *changes = loader->context;
    bool given_up = !changes->active || atomic_load(&loader->cancel);
    changes->loader = NULL;
    if (!given_up && loader->ok)
        prepare_all(changes, loader);
    else if (!given_up)
        refuse(changes, "%s", loader->error.at ? loader->error.at : "out of memory");
    tg_loader_free(loader);
    start_next(changes);
    tg_gateway_end_if_done(changes->gateway);
}

static void set_options(struct tg_loader *loader, struct tg_gateway *gateway)
{
    loader->options.file = gateway->options.file;
    loader->options.lua_path = gateway->options.lua_path;
    loader->options.registry = gateway->registry;
    loader->options.shared = gateway->shared;
    loader->options.tls = &gateway->tls.made_with;
    loader->options.generation = gateway->generations.last_number + 1;
    loader->workers = gateway->workers ? gateway->worker_count : gateway->options.workers;
    loader->ring = gateway->loader_ring;
}

/* The top level runs once for each worker and once more, each time within load_time. */
static void start_loader(struct tg_changes *changes)
{
    struct tg_generation *built_again = changes->generation;
    struct tg_gateway *gateway = changes->gateway;
    struct tg_loader *loader = tg_loader_new(gateway->loop);
    if (!loader) {
        refuse(changes, "out of memory");
        return;
    }
    set_options(loader, gateway);
    loader->options.load_time = load_time(changes);
    loader->finished = heed_loaded;
    loader->context = changes;
    if (built_again) {
        loader->source = tg_generation_source_ref(built_again->source);
        loader->snapshot = tg_snapshot_ref(built_again->snapshot);
    }
    if (!tg_loader_start(loader)) {
        tg_loader_free(loader);
        refuse(changes, "the system refuses a thread");
        return;
    }
    changes->loader = loader;
    uint32_t runs = (loader->workers > 0 ? loader->workers : 256) + 2;
    tg_deadline_in(&changes->limit, load_time(changes) * runs + spare_time);
}

/* --- the start --- */

static struct tg_generation *rollback_target(struct tg_changes *changes, uint64_t number)
{
    struct tg_generations *generations = &changes->gateway->generations;
    if (number == 0)
        return generations->previous;
    return tg_generations_find(generations, number);
}

/* For a generation whose VMs are about to go, as soon as the last requests have ended: a second one of the same source
 * and number takes its place, once it is current. NULL when out of memory. */
static struct tg_generation *twin_of(const struct tg_generation *generation)
{
    return tg_generation_new(generation->number, generation->name, generation->note,
                             tg_generation_source_ref(generation->source), tg_snapshot_ref(generation->snapshot));
}

static void start_rollback(struct tg_changes *changes)
{
    uint64_t number = changes->active->number;
    struct tg_generation *target = rollback_target(changes, number);
    if (!target && number == 0)
        refuse(changes, "there is no generation before the current one");
    else if (!target)
        refuse(changes, "generation %llu isn't kept (see `tidegate generations`)", (unsigned long long)number);
    else if (target == changes->gateway->generations.current)
        refuse(changes, "generation %llu is the current one", (unsigned long long)target->number);
    else if (tg_generation_is_warm(target)) {
        changes->generation = target;
        switch_all(changes);
    } else {
        changes->generation = target->shares ? twin_of(target) : target;
        if (changes->generation)
            start_loader(changes);
        else
            refuse(changes, "out of memory");
    }
}

/* A loader that was given up must come back before the next one starts. */
static void start_next(struct tg_changes *changes)
{
    struct tg_list *link = tg_list_first(&changes->queue);
    if (changes->active || changes->loader || !link || changes->gateway->stopping.begun)
        return;
    changes->active = TG_CONTAINER_OF(link, struct tg_change, link);
    changes->told = false;
    tg_list_remove(link);
    changes->waiting--;
    if (changes->active->kind == TG_CHANGE_RELOAD)
        start_loader(changes);
    else
        start_rollback(changes);
}

static void refuse_at_once(struct tg_change *change, const char *why)
{
    tg_log(TG_LOG_ERROR, "the %s that %s asked for was refused: %s", verb(change), change->asked_by, why);
    if (change->done)
        change->done(change->context, why, NULL);
    tg_change_free(change);
}

static bool another_serves(const struct tg_changes *changes, const struct tg_change *change)
{
    for (struct tg_list *link = changes->queue.next; change->merges && link != &changes->queue; link = link->next) {
        if (TG_CONTAINER_OF(link, struct tg_change, link)->merges)
            return true;
    }
    return false;
}

void tg_changes_add(struct tg_changes *changes, struct tg_change *change)
{
    if (changes->gateway->stopping.begun) {
        refuse_at_once(change, "the gateway is stopping");
    } else if (changes->waiting >= QUEUE_MAX) {
        refuse_at_once(change, "too many reloads wait already");
    } else if (changes->loader && !changes->active) {
        refuse_at_once(change,
                       "an earlier load hangs in a call that doesn't return; restart the gateway if it never does");
    } else if (another_serves(changes, change)) {
        tg_change_free(change);
    } else {
        tg_list_append(&changes->queue, &change->link);
        changes->waiting++;
        start_next(changes);
    }
}

/* --- it takes too long --- */

static const struct tg_share *first_silent(const struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++) {
        if (!generation->shares[i].answered)
            return &generation->shares[i];
    }
    return NULL;
}

static void heed_limit(struct tg_deadline *deadline)
{
    struct tg_changes *changes = TG_CONTAINER_OF(deadline, struct tg_changes, limit);
    struct tg_generation *generation = changes->generation;
    if (changes->loader) {
        atomic_store(&changes->loader->cancel, true);
        if (!changes->told)
            refuse(changes, "the load takes too long: a call in the configuration doesn't return");
        return;
    }
    const struct tg_share *silent = generation ? first_silent(generation) : NULL;
    uint32_t worker = silent ? silent->worker->id : 0;
    if (!changes->switching) {
        refuse(changes, "worker %u doesn't answer within the limit: a script keeps it busy", worker);
        return;
    }
    char problem[256];
    snprintf(
        problem, sizeof problem,
        "generation %llu is current on some workers; worker %u doesn't answer, a script keeps it busy: it switches "
        "as soon as it can",
        (unsigned long long)generation->number, worker);
    tell(changes, changes->active, problem, generation);
}

void tg_changes_stop(struct tg_changes *changes, const char *why)
{
    struct tg_list *link;
    if (changes->loader)
        atomic_store(&changes->loader->cancel, true);
    while ((link = tg_list_first(&changes->queue)))
        refuse_at_once(TG_CONTAINER_OF(link, struct tg_change, link), why);
    changes->waiting = 0;
    if (changes->active && !changes->switching)
        refuse(changes, "%s", why);
}

void tg_changes_init(struct tg_changes *changes, struct tg_gateway *gateway)
{
    *changes = (struct tg_changes){ .gateway = gateway };
    tg_list_init(&changes->queue);
    tg_deadline_init(&changes->limit, gateway->loop, heed_limit);
}

void tg_changes_deinit(struct tg_changes *changes)
{
    tg_deadline_deinit(&changes->limit);
    if (changes->active)
        tg_change_free(changes->active);
}
