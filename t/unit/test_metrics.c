#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"

static const struct tg_slice one_label[] = { { "path", 4 } };
static const struct tg_slice two_labels[] = { { "path", 4 }, { "method", 6 } };
static const double bounds[] = { 0.1, 1, 10 };

static struct tg_metric_options counter(const char *name, size_t label_count)
{
    return (struct tg_metric_options){ .kind = TG_METRIC_COUNTER,
                                       .name = tg_slice_from_string(name),
                                       .help = TG_SLICE("Things."),
                                       .labels = label_count > 1 ? two_labels : one_label,
                                       .label_count = label_count,
                                       .at = TG_SLICE("a.lua:1") };
}

static struct tg_metric *acquired(struct tg_metric_options options)
{
    struct tg_text problem;
    tg_text_init(&problem);
    struct tg_metric *metric = tg_metric_acquire(&options, &problem);
    assert_non_null(metric);
    assert_int_equal(problem.length, 0);
    return metric;
}

static void refused(struct tg_metric_options options, const char *expected)
{
    struct tg_text problem;
    tg_text_init(&problem);
    options.at = TG_SLICE("b.lua:2");
    assert_null(tg_metric_acquire(&options, &problem));
    assert_string_equal(problem.at, expected);
    tg_text_deinit(&problem);
}

static struct tg_metric_part *part(struct tg_metric *metric, uint32_t worker, const char *a, const char *b)
{
    bool other;
    struct tg_slice values[] = { tg_slice_from_string(a), tg_slice_from_string(b) };
    struct tg_metric_part *found = tg_metric_part(metric, worker, values, &other);
    assert_non_null(found);
    assert_int_equal((uintptr_t)found->cells % 128, 0);
    assert_false(other);
    return found;
}

static void writes(const char *expected)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_metrics_write(&text);
    assert_string_equal(text.at ? text.at : "", expected);
    tg_text_deinit(&text);
}

static void parts_of_workers_are_summed_and_sorted(void **state)
{
    (void)state;
    struct tg_metric *b = acquired(counter("b_total", 2)), *a = acquired(counter("a_total", 0));
    tg_metric_count(part(b, 0, "/z", "GET"), 2);
    tg_metric_count(part(b, 3, "/z", "GET"), 0.5);
    tg_metric_count(part(b, 3, "/a", "PUT"), 1);
    assert_ptr_equal(part(b, 3, "/a", "PUT"), part(b, 3, "/a", "PUT"));
    writes("# HELP a_total Things.\n# TYPE a_total counter\na_total 0\n"
           "# HELP b_total Things.\n# TYPE b_total counter\n"
           "b_total{path=\"/a\",method=\"PUT\"} 1\nb_total{path=\"/z\",method=\"GET\"} 2.5\n");
    tg_metric_release(a);
    tg_metric_release(b);
    writes("");
}

static void a_gauge_is_one_for_all_workers(void **state)
{
    (void)state;
    struct tg_metric_options options = counter("depth", 0);
    options.kind = TG_METRIC_GAUGE;
    options.help = TG_SLICE("A\\B\n\"C\"\xFF");
    struct tg_metric *metric = acquired(options);
    assert_ptr_equal(part(metric, 0, "", ""), part(metric, 1, "", ""));
    tg_metric_set(part(metric, 0, "", ""), 5);
    tg_metric_change(part(metric, 1, "", ""), -7.25);
    writes("# HELP depth A\\\\B\\n\"C\"\xEF\xBF\xBD\n# TYPE depth gauge\ndepth -2.25\n");
    tg_metric_release(metric);
}

static void buckets_are_summed_up_to_theirs(void **state)
{
    (void)state;
    struct tg_metric_options options = counter("wait_seconds", 1);
    options.kind = TG_METRIC_HISTOGRAM;
    options.bounds = bounds;
    options.bound_count = 3;
    struct tg_metric *metric = acquired(options);
    const double seen[] = { 0.1, 0.05, 0.5, 10, 11, -1 };
    for (uint32_t i = 0; i < 6; i++)
        tg_metric_observe(part(metric, i % 2, "a", ""), seen[i]);
    writes("# HELP wait_seconds Things.\n# TYPE wait_seconds histogram\n"
           "wait_seconds_bucket{path=\"a\",le=\"0.1\"} 3\nwait_seconds_bucket{path=\"a\",le=\"1\"} 4\n"
           "wait_seconds_bucket{path=\"a\",le=\"10\"} 5\nwait_seconds_bucket{path=\"a\",le=\"+Inf\"} 6\n"
           "wait_seconds_sum{path=\"a\"} 20.65\nwait_seconds_count{path=\"a\"} 6\n");
    refused(counter("wait_seconds_sum", 0),
            "b.lua:2: tg.metrics.counter: \"wait_seconds_sum\" is declared otherwise at "
            "a.lua:1: a histogram has series of this name");
    options.bound_count = 2;
    refused(options, "b.lua:2: tg.metrics.histogram: \"wait_seconds\" is declared otherwise at a.lua:1: with other "
                     "buckets");
    tg_metric_release(metric);
}

static void what_is_declared_stays_what_it_is(void **state)
{
    (void)state;
    struct tg_metric *metric = acquired(counter("c_total", 1));
    tg_metric_count(part(metric, 0, "a", ""), 3);
    struct tg_metric *again = acquired(counter("c_total", 1));
    assert_ptr_equal(metric, again);
    tg_metric_release(metric);
    writes("# HELP c_total Things.\n# TYPE c_total counter\nc_total{path=\"a\"} 3\n");
    refused(counter("c_total", 2),
            "b.lua:2: tg.metrics.counter: \"c_total\" is declared otherwise at a.lua:1: with the "
            "labels path, not path, method");
    struct tg_metric_options options = counter("c_total", 1);
    options.kind = TG_METRIC_GAUGE;
    refused(options, "b.lua:2: tg.metrics.gauge: \"c_total\" is declared otherwise at a.lua:1: as a counter");
    tg_metric_release(again);
    tg_metric_release(acquired(counter("c_total", 2)));
}

static void hostile_label_values_stay_one_line(void **state)
{
    (void)state;
    struct tg_metric *metric = acquired(counter("h_total", 1));
    char lengthy[300];
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    memcpy(lengthy + 199, "\xC3\xA4", 2);
    tg_metric_count(part(metric, 0, "a\"} 1\n\\", ""), 1);
    tg_metric_count(part(metric, 0, "\xFF|\xED\xA0\x80|\xC0\x80|\xF4\x90\x80\x80|\xE2\x82", ""), 1);
    tg_metric_count(part(metric, 0, lengthy, ""), 1);
    tg_metric_count(part(metric, 0, "e\x1B\x7F\xC2\x9B\xC2\xA0\r", ""), 1);
    tg_metric_count(part(metric, 0, "\xC3\xA4\xF0\x9F\x98\x80\xFE", ""), 1);
    tg_metric_count(part(metric, 0, "\xC3\xA4\xF0\x9F\x98\x80\xFF", ""), 1);
    struct tg_text text;
    tg_text_init(&text);
    tg_metrics_write(&text);
    assert_non_null(strstr(text.at, "\nh_total{path=\"a\\\"} 1\\n\\\\\"} 1\n"));
    assert_non_null(strstr(text.at, "{path=\"\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"));
    assert_non_null(strstr(text.at, "xx\"} 1\n"));
    assert_null(strpbrk(text.at, "\x1B\x7F\r"));
    assert_null(strstr(text.at, "\xC2\x9B"));
    assert_non_null(strstr(text.at, "\xC2\xA0\xEF\xBF\xBD\"}"));
    assert_null(strstr(text.at, "\xC3\xA4\"")); /* it would have been cut in its middle */
    assert_non_null(strstr(text.at, "{path=\"\xC3\xA4\xF0\x9F\x98\x80\xEF\xBF\xBD\"} 2\n"));
    tg_text_deinit(&text);
    tg_metric_release(metric);
}

static void series_beyond_the_bound_are_one(void **state)
{
    (void)state;
    bool other = false;
    struct tg_metric *metric = acquired(counter("many_total", 2));
    uint64_t before = tg_metrics_over_limit();
    for (int i = 0; i < TG_METRIC_SERIES_MAX + 500; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%d", i);
        struct tg_slice values[] = { tg_slice_from_string(name), TG_SLICE("GET") };
        struct tg_metric_part *found = tg_metric_part(metric, 0, values, &other);
        assert_int_equal(other, i >= TG_METRIC_SERIES_MAX);
        tg_metric_count(found, 1);
    }
    assert_int_equal(tg_metrics_over_limit() - before, 500);
    struct tg_text text;
    tg_text_init(&text);
    tg_metrics_write(&text);
    assert_non_null(strstr(text.at, "\nmany_total{path=\"other\",method=\"other\"} 500\n"));
    size_t lines = 0;
    for (const char *at = text.at; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, TG_METRIC_SERIES_MAX + 3);
    tg_text_deinit(&text);
    tg_metric_release(metric);
}

static void number_is(double value, const char *expected)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_metrics_write_number(&text, value);
    assert_string_equal(text.at, expected);
    tg_text_deinit(&text);
}

static void numbers_are_short_and_exact(void **state)
{
    (void)state;
    number_is(0.1, "0.1");
    number_is(0.1 + 0.2, "0.30000000000000004");
    number_is(123456789012.0, "123456789012");
    number_is(1e300, "1e+300");
    number_is(INFINITY, "+Inf");
    number_is(-INFINITY, "-Inf");
    number_is(NAN, "NaN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_workers_are_summed_and_sorted),
        cmocka_unit_test(a_gauge_is_one_for_all_workers),
        cmocka_unit_test(buckets_are_summed_up_to_theirs),
        cmocka_unit_test(what_is_declared_stays_what_it_is),
        cmocka_unit_test(hostile_label_values_stay_one_line),
        cmocka_unit_test(series_beyond_the_bound_are_one),
        cmocka_unit_test(numbers_are_short_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
