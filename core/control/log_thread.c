#include "control/log_thread.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "control/log_sink.h"
#include "control/thread.h"

enum {
    RINGS_MAX = 1024,
    GATHER_MILLISECONDS = 5, /* lines that come close together are written together */
    OWN_RING = 16 * 1024,
};

struct tg_log_thread {
    pthread_t thread;
    int wake;              /* an eventfd */
    _Atomic bool sleeping; /* whoever writes a line must wake the thread */
    _Atomic bool stopping, reopening;
    _Atomic double stop_at; /* monotonic */
    _Atomic size_t ring_count;
    struct tg_log_ring *rings[RINGS_MAX];
    struct tg_log_ring *own; /* what the log thread itself has to say */
    struct tg_counters counters;
    _Atomic uint64_t sink_dropped;
    struct tg_log_sink access, error;
    uint64_t reported; /* of dropped lines */
    double report_at;
    pthread_mutex_t lock; /* guards what follows */
    bool files_changed;
    char *access_path, *error_path;
};

static double monotonic(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

static void wake_up(void *context)
{
    struct tg_log_thread *logs = context;
    if (!atomic_exchange(&logs->sleeping, false))
        return;
    uint64_t one = 1;
    ssize_t written = write(logs->wake, &one, sizeof one);
    (void)written;
}

static bool take_line(void *context, enum tg_log_target target, struct tg_slice line)
{
    struct tg_log_thread *logs = context;
    struct tg_log_sink *sink = target == TG_LOG_TO_ACCESS ? &logs->access : &logs->error;
    tg_log_sink_add(sink, line);
    return true;
}

/* What rings dropped is counted by those who write to them. */
static void count_drops(struct tg_log_thread *logs)
{
    uint64_t before = atomic_load_explicit(&logs->sink_dropped, memory_order_relaxed);
    uint64_t dropped = logs->access.dropped + logs->error.dropped;
    if (dropped == before)
        return;
    tg_counters_add(&logs->counters, TG_COUNTER_LOG_LINES_DROPPED, (int64_t)(dropped - before));
    atomic_store_explicit(&logs->sink_dropped, dropped, memory_order_relaxed);
}

static size_t drain_rings(struct tg_log_thread *logs)
{
    size_t lines = 0, count = atomic_load(&logs->ring_count);
    for (size_t i = 0; i < count; i++)
        lines += tg_log_ring_drain(logs->rings[i], take_line, logs);
    tg_log_sink_flush(&logs->access);
    tg_log_sink_flush(&logs->error);
    count_drops(logs);
    return lines;
}

static void open_sink(struct tg_log_sink *sink, const char *path)
{
    char why[256];
    if (!tg_log_sink_open(sink, path, why))
        tg_log(TG_LOG_ERROR, "can't open the log %s; going on with the one before", why);
}

static void reopen_sink(struct tg_log_sink *sink)
{
    char why[256];
    if (!tg_log_sink_reopen(sink, why))
        tg_log(TG_LOG_ERROR, "can't reopen the log %s; going on with the open file", why);
}

static void heed_wishes(struct tg_log_thread *logs)
{
    pthread_mutex_lock(&logs->lock);
    bool changed = logs->files_changed;
    char *access = logs->access_path, *error = logs->error_path;
    logs->files_changed = false;
    logs->access_path = logs->error_path = NULL;
    pthread_mutex_unlock(&logs->lock);
    if (changed) {
        open_sink(&logs->access, access);
        open_sink(&logs->error, error);
    }
    free(access);
    free(error);
    if (atomic_exchange(&logs->reopening, false)) {
        reopen_sink(&logs->access);
        reopen_sink(&logs->error);
    }
}

/* At most once a second. */
static void report_drops(struct tg_log_thread *logs)
{
    uint64_t dropped = tg_log_thread_dropped(logs);
    double now = monotonic();
    if (dropped == logs->reported || now < logs->report_at)
        return;
    tg_log(TG_LOG_WARN, "%llu log lines were dropped (%llu in all): the log can't be written fast enough",
           (unsigned long long)(dropped - logs->reported), (unsigned long long)dropped);
    /* A line that is dropped itself must not cause the next one. */
    drain_rings(logs);
    logs->reported = tg_log_thread_dropped(logs);
    logs->report_at = now + 1;
}

static bool is_empty(const struct tg_log_thread *logs)
{
    return tg_log_sink_is_empty(&logs->access) && tg_log_sink_is_empty(&logs->error);
}

/* Rings don't wake while they aren't empty, so they are drained once more after `sleeping` was set. */
static void sleep_until_woken(struct tg_log_thread *logs)
{
    atomic_store(&logs->sleeping, true);
    if (drain_rings(logs) > 0 || atomic_load(&logs->stopping))
        return;
    struct pollfd entries[3] = {
        { .fd = logs->wake, .events = POLLIN },
        { .fd = logs->access.blocked ? logs->access.descriptor : -1, .events = POLLOUT },
        { .fd = logs->error.blocked ? logs->error.descriptor : -1, .events = POLLOUT },
    };
    bool report_due = tg_log_thread_dropped(logs) != logs->reported;
    if (poll(entries, 3, report_due || !is_empty(logs) ? 1000 : -1) <= 0 || !entries[0].revents)
        return;
    uint64_t count;
    ssize_t got = read(logs->wake, &count, sizeof count);
    (void)got;
    if (!atomic_load(&logs->stopping))
        poll(NULL, 0, GATHER_MILLISECONDS);
}

static bool is_over(struct tg_log_thread *logs)
{
    return atomic_load(&logs->stopping) && (is_empty(logs) || monotonic() >= atomic_load(&logs->stop_at));
}

static void *run_log_thread(void *context)
{
    struct tg_log_thread *logs = context;
    tg_log_set_thread("log", logs->own);
    while (true) {
        heed_wishes(logs);
        drain_rings(logs);
        report_drops(logs);
        if (is_over(logs))
            break;
        if (atomic_load(&logs->stopping))
            poll(NULL, 0, 1);
        else
            sleep_until_woken(logs);
    }
    drain_rings(logs);
    tg_log_set_thread("log", NULL);
    return NULL;
}

static void free_log_thread(struct tg_log_thread *logs)
{
    tg_counters_unregister(&logs->counters);
    for (size_t i = 0; i < logs->ring_count; i++)
        tg_log_ring_free(logs->rings[i]);
    tg_log_sink_deinit(&logs->access);
    tg_log_sink_deinit(&logs->error);
    free(logs->access_path);
    free(logs->error_path);
    if (logs->wake >= 0)
        close(logs->wake);
    pthread_mutex_destroy(&logs->lock);
    free(logs);
}

struct tg_log_thread *tg_log_thread_start(void)
{
    struct tg_log_thread *logs = aligned_alloc(_Alignof(struct tg_log_thread), sizeof *logs);
    if (!logs)
        return NULL;
    memset(logs, 0, sizeof *logs);
    tg_counters_register(&logs->counters);
    pthread_mutex_init(&logs->lock, NULL);
    tg_log_sink_init(&logs->access, STDOUT_FILENO);
    tg_log_sink_init(&logs->error, STDERR_FILENO);
    logs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    logs->own = tg_log_thread_ring(logs, OWN_RING);
    if (logs->wake >= 0 && logs->own && tg_thread_start(&logs->thread, "tg-log", 0, run_log_thread, logs))
        return logs;
    free_log_thread(logs);
    return NULL;
}

struct tg_log_ring *tg_log_thread_ring(struct tg_log_thread *logs, size_t size)
{
    size_t count = atomic_load(&logs->ring_count);
    struct tg_log_ring *ring = count < RINGS_MAX ? tg_log_ring_new(size, wake_up, logs) : NULL;
    if (!ring)
        return NULL;
    logs->rings[count] = ring;
    atomic_store(&logs->ring_count, count + 1);
    return ring;
}

static void wake_now(struct tg_log_thread *logs)
{
    atomic_store(&logs->sleeping, true);
    wake_up(logs);
}

/* A thread that is still stuck in a write keeps its memory. */
void tg_log_thread_stop(struct tg_log_thread *logs, double seconds)
{
    atomic_store(&logs->stop_at, monotonic() + seconds);
    atomic_store(&logs->stopping, true);
    wake_now(logs);
    if (tg_thread_join(logs->thread, seconds + 1))
        free_log_thread(logs);
}

static char *path_of(struct tg_slice slice)
{
    return slice.length > 0 ? tg_slice_to_string(slice) : NULL;
}

void tg_log_thread_use_files(struct tg_log_thread *logs, struct tg_slice access, struct tg_slice error)
{
    char *access_path = path_of(access), *error_path = path_of(error);
    pthread_mutex_lock(&logs->lock);
    free(logs->access_path);
    free(logs->error_path);
    logs->access_path = access_path;
    logs->error_path = error_path;
    logs->files_changed = true;
    pthread_mutex_unlock(&logs->lock);
    wake_now(logs);
}

void tg_log_thread_reopen(struct tg_log_thread *logs)
{
    atomic_store(&logs->reopening, true);
    wake_now(logs);
}

uint64_t tg_log_thread_dropped(const struct tg_log_thread *logs)
{
    uint64_t dropped = atomic_load_explicit(&logs->sink_dropped, memory_order_relaxed);
    size_t count = atomic_load(&logs->ring_count);
    for (size_t i = 0; i < count; i++)
        dropped += tg_log_ring_dropped(logs->rings[i]);
    return dropped;
}
