#include "proxy/request_metrics.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "proxy/snapshot.h"

enum { CLASSES = 6 /* none, 1xx to 5xx */, KNOWN = 256 /* a power of two */ };

/* Where the requests of one route to one group of a generation are counted. */
struct known {
    uint64_t generation; /* 0: nothing is known here */
    const struct tg_route *route;
    const struct tg_group *group;
    struct tg_metric_part *duration, *classes[CLASSES], *script;
};

struct tg_request_metrics {
    uint32_t worker;
    struct tg_metric *requests, *duration, *script;
    struct known known[KNOWN];
};

static const struct tg_slice labels[] = { { "route", 5 }, { "upstream", 8 }, { "status", 6 } };
static const double bounds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 };

static struct tg_metric *acquire(enum tg_metric_kind kind, const char *name, const char *help, size_t label_count)
{
    struct tg_text problem;
    tg_text_init(&problem);
    struct tg_metric *metric = tg_metric_acquire(
        &(struct tg_metric_options){ .kind = kind,
                                     .name = tg_slice_from_string(name),
                                     .help = tg_slice_from_string(help),
                                     .labels = labels,
                                     .label_count = label_count,
                                     .bounds = bounds,
                                     .bound_count = kind == TG_METRIC_HISTOGRAM ? sizeof(bounds) / sizeof(*bounds) : 0,
                                     .at = TG_SLICE("the gateway") },
        &problem);
    tg_text_deinit(&problem);
    return metric;
}

struct tg_request_metrics *tg_request_metrics_new(uint32_t worker)
{
    struct tg_request_metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics)
        return NULL;
    metrics->worker = worker;
    metrics->requests = acquire(TG_METRIC_COUNTER, "tidegate_route_requests_total",
                                "Requests that are over, by route, upstream and class of status.", 3);
    metrics->duration =
        acquire(TG_METRIC_HISTOGRAM, "tidegate_route_request_duration_seconds",
                "From the first byte of a request to the last of its response, by route and upstream.", 2);
    metrics->script = acquire(TG_METRIC_COUNTER, "tidegate_route_script_seconds_total",
                              "Seconds that requests spent inside of Lua, where there is an access log.", 1);
    if (metrics->requests && metrics->duration && metrics->script)
        return metrics;
    tg_request_metrics_free(metrics);
    return NULL;
}

void tg_request_metrics_free(struct tg_request_metrics *metrics)
{
    if (!metrics)
        return;
    if (metrics->requests)
        tg_metric_release(metrics->requests);
    if (metrics->duration)
        tg_metric_release(metrics->duration);
    if (metrics->script)
        tg_metric_release(metrics->script);
    free(metrics);
}

static struct tg_metric_part *find(struct tg_request_metrics *metrics, struct tg_metric *metric,
                                   const struct known *known, int class)
{
    static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
    bool other;
    const struct tg_slice values[] = { known->route ? known->route->name : TG_SLICE("none"),
                                       known->group ? known->group->name : TG_SLICE(""),
                                       tg_slice_from_string(classes[class]) };
    return tg_metric_part(metric, metrics->worker, values, &other);
}

/* Pointers alone would be those of another generation, once it has taken the memory of one that has gone. */
static struct known *known_of(struct tg_request_metrics *metrics, const struct tg_route *route,
                              const struct tg_group *group, uint64_t generation)
{
    uintptr_t mixed = ((uintptr_t)route >> 4) * 31 + ((uintptr_t)group >> 4);
    struct known *known = &metrics->known[(mixed ^ mixed >> 8) & (KNOWN - 1)];
    if (known->route != route || known->group != group || known->generation != generation || generation == 0)
        *known = (struct known){ .generation = generation, .route = route, .group = group };
    return known;
}

static void count_time(struct tg_request_metrics *metrics, struct known *known, const struct tg_exchange_times *times)
{
    if (!known->duration)
        known->duration = find(metrics, metrics->duration, known, 0);
    if (known->duration)
        tg_metric_observe(known->duration, times->ended - times->started);
    if (times->script <= 0)
        return;
    if (!known->script)
        known->script = find(metrics, metrics->script, known, 0);
    if (known->script)
        tg_metric_count(known->script, times->script);
}

void tg_request_metrics_record(struct tg_request_metrics *metrics, const struct tg_exchange *exchange,
                               const struct tg_snapshot *snapshot)
{
    const struct tg_group *group = exchange->attempt > 0 ? exchange->group : NULL;
    struct known *known = known_of(metrics, exchange->route, group, snapshot ? snapshot->generation : 0);
    int class = exchange->logged_status / 100;
    if (class < 0 || class >= CLASSES)
        class = 0;
    if (!known->classes[class])
        known->classes[class] = find(metrics, metrics->requests, known, class);
    if (known->classes[class])
        tg_metric_count(known->classes[class], 1);
    count_time(metrics, known, &exchange->times);
}
