/* Metrics of the process, in the way of Prometheus: each has a name, a kind, names of labels, and a series for each set
 * of label values. A metric lives as long as somebody holds it, so that a new generation goes on with the values of the
 * one before; a failed load leaves nothing behind.
 *
 * Counters and histograms have a part for each worker, on cache lines of its own: one writer, relaxed, summed by the
 * reader. A gauge has one part for all of them: the last `set` is what it shows.
 *
 * The number of series of a metric is bounded: what comes beyond it is counted in one series whose labels all say
 * "other", so that sums stay right. Label values may be any bytes: what isn't UTF-8, and control characters but for
 * the line feed, become U+FFFD, and long ones are cut. */
#ifndef TG_BASE_METRICS_H
#define TG_BASE_METRICS_H

#include <stdatomic.h>

#include "base/text.h"

enum tg_metric_kind { TG_METRIC_COUNTER, TG_METRIC_GAUGE, TG_METRIC_HISTOGRAM };

enum {
    TG_METRIC_SERIES_MAX = 1000,
    TG_METRIC_LABELS_MAX = 10,
    TG_METRIC_BUCKETS_MAX = 64,
    TG_METRIC_VALUE_MAX = 200, /* bytes of a label value */
    TG_METRICS_MAX = 2000
};

struct tg_metric;

/* One writer's values of one series: counters and gauges have one cell; a histogram one for each bucket, not summed up,
 * then that beyond all of them, then the sum of what was observed. */
struct tg_metric_part {
    struct tg_metric_part *next;
    const double *bounds; /* upper ones of the buckets */
    uint32_t bound_count;
    uint32_t worker;
    _Alignas(128) _Atomic double cells[];
};

struct tg_metric_options {
    enum tg_metric_kind kind;
    struct tg_slice name, help;
    const struct tg_slice *labels;
    size_t label_count;
    const double *bounds; /* ascending; of a histogram */
    size_t bound_count;
    struct tg_slice at; /* where it is declared, for messages */
};

/* The metric of that name, made where there is none; any thread. NULL where there is one of another kind, other labels
 * or buckets, or whose series would have the same name: `problem` says so, with both places. The help text is that of
 * the last one who asked. Names are the caller's to check. */
struct tg_metric *tg_metric_acquire(const struct tg_metric_options *options, struct tg_text *problem);
void tg_metric_release(struct tg_metric *metric);
struct tg_slice tg_metric_name(const struct tg_metric *metric);

/* The part of that worker (for gauges: of all) of the series of these label values, as many as the metric has labels.
 * *other: the bound was reached, and it is the part of "other". NULL when out of memory. Locked: whoever counts often
 * keeps what it got, which is there as long as the metric. */
struct tg_metric_part *tg_metric_part(struct tg_metric *metric, uint32_t worker, const struct tg_slice *values,
                                      bool *other);

/* Adds to a counter; only in the thread of the part's worker. */
static inline void tg_metric_count(struct tg_metric_part *part, double amount)
{
    double value = atomic_load_explicit(&part->cells[0], memory_order_relaxed);
    atomic_store_explicit(&part->cells[0], value + amount, memory_order_relaxed);
}

static inline uint32_t tg_metric_bucket(const struct tg_metric_part *part, double value)
{
    uint32_t bucket = 0;
    while (bucket < part->bound_count && value > part->bounds[bucket])
        bucket++;
    return bucket;
}

/* Adds to a histogram; likewise. */
static inline void tg_metric_observe(struct tg_metric_part *part, double value)
{
    _Atomic double *bucket = &part->cells[tg_metric_bucket(part, value)];
    _Atomic double *sum = &part->cells[part->bound_count + 1];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + value, memory_order_relaxed);
}

/* Of gauges; any thread. */
static inline void tg_metric_set(struct tg_metric_part *part, double value)
{
    atomic_store_explicit(&part->cells[0], value, memory_order_relaxed);
}
void tg_metric_change(struct tg_metric_part *part, double amount);

/* What is shown of one metric, from # HELP on, in the text format 0.0.4. */
void tg_metrics_write_head(struct tg_text *out, struct tg_slice name, enum tg_metric_kind kind, struct tg_slice help);
/* The value's digits, as short as they can be without loss. */
void tg_metrics_write_number(struct tg_text *out, double value);
/* All metrics of the registry, sorted by name, and their series by labels. Any thread. */
void tg_metrics_write(struct tg_text *out);
/* How often something was counted as "other". */
uint64_t tg_metrics_over_limit(void);

#endif
