#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"

enum { WORKERS = 4, ROUNDS = 20000 };

static const struct tg_slice labels[] = { { "key", 3 } };
static const double bounds[] = { 1, 2, 3 };
static _Atomic int working;

static struct tg_metric *acquire(enum tg_metric_kind kind, const char *name)
{
    struct tg_metric_options options = {
        .kind = kind,
        .name = tg_slice_from_string(name),
        .help = TG_SLICE("h"),
        .labels = labels,
        .label_count = 1,
        .bounds = bounds,
        .at = TG_SLICE("a:1"),
        .bound_count = kind == TG_METRIC_HISTOGRAM ? 3 : 0,
    };
    struct tg_text problem;
    tg_text_init(&problem);
    struct tg_metric *metric = tg_metric_acquire(&options, &problem);
    assert_non_null(metric);
    return metric;
}

static struct tg_metric_part *part(struct tg_metric *metric, uint32_t worker, int i)
{
    char key[16];
    bool other;
    struct tg_slice value = tg_slice_of(key, (size_t)snprintf(key, sizeof(key), "%d", i));
    struct tg_metric_part *found = tg_metric_part(metric, worker, &value, &other);
    assert_non_null(found);
    return found;
}

/* Beside all others a worker counts, and generations come and go. */
static void *work(void *context)
{
    uint32_t worker = (uint32_t)(uintptr_t)context;
    struct tg_metric *counter = acquire(TG_METRIC_COUNTER, "c_total"), *gauge = acquire(TG_METRIC_GAUGE, "g");
    struct tg_metric *histogram = acquire(TG_METRIC_HISTOGRAM, "h");
    for (int i = 0; i < ROUNDS; i++) {
        tg_metric_count(part(counter, worker, i % 2000), 1);
        tg_metric_change(part(gauge, worker, 0), i % 2 ? 1 : -1);
        tg_metric_observe(part(histogram, worker, i % 3), i % 5);
        if (i % 50 == 0)
            tg_metric_release(acquire(TG_METRIC_COUNTER, i % 100 ? "c_total" : "passing_total"));
    }
    atomic_fetch_sub(&working, 1);
    tg_metric_release(counter);
    tg_metric_release(gauge);
    tg_metric_release(histogram);
    return NULL;
}

static double sum_of_lines(const char *text, const char *prefix)
{
    double sum = 0;
    for (const char *at = text; (at = strstr(at, prefix)) != NULL; at++)
        sum += strtod(strstr(at, "} ") + 2, NULL);
    return sum;
}

static void nothing_is_lost_while_somebody_reads(void **state)
{
    (void)state;
    pthread_t threads[WORKERS];
    struct tg_metric *counter = acquire(TG_METRIC_COUNTER, "c_total"), *gauge = acquire(TG_METRIC_GAUGE, "g");
    struct tg_metric *histogram = acquire(TG_METRIC_HISTOGRAM, "h");
    atomic_store(&working, WORKERS);
    for (uintptr_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    struct tg_text text;
    tg_text_init(&text);
    do {
        tg_text_clear(&text);
        tg_metrics_write(&text);
    } while (atomic_load(&working) > 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    tg_text_clear(&text);
    tg_metrics_write(&text);
    assert_int_equal((int)sum_of_lines(text.at, "c_total{"), WORKERS * ROUNDS);
    assert_int_equal((int)sum_of_lines(text.at, "h_count{"), WORKERS * ROUNDS);
    assert_int_equal((int)sum_of_lines(text.at, "h_sum{"), WORKERS * ROUNDS * 2);
    assert_int_equal((int)sum_of_lines(text.at, "g{"), 0);
    assert_null(strstr(text.at, "passing_total"));
    tg_text_deinit(&text);
    tg_metric_release(counter);
    tg_metric_release(gauge);
    tg_metric_release(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_while_somebody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
