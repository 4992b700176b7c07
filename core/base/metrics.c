#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

/* Between two label values of a key: no byte of UTF-8. */
enum { SEPARATOR = 0xFF };
enum { KEY_MAX = TG_METRIC_LABELS_MAX * (TG_METRIC_VALUE_MAX + 1) };

struct series {
    _Atomic(struct tg_metric_part *) parts; /* grows at its head */
    struct tg_slice key;                    /* follows the struct */
};

struct tg_metric {
    enum tg_metric_kind kind;
    uint32_t holds; /* under the registry's lock */
    struct tg_slice name, at;
    struct tg_slice *labels;
    size_t label_count;
    double *bounds;
    uint32_t bound_count;
    pthread_mutex_t lock; /* guards what follows; series stay as long as the metric */
    char *help;
    struct tg_map *series; /* by key */
    struct series *other;  /* what is beyond the bound; NULL until there is something */
};

/* Of the registry. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tg_metric *metrics[TG_METRICS_MAX]; /* sorted by name */
static size_t metric_count;
static _Atomic uint64_t over_limit;

/* The length of the well-formed UTF-8 sequence at the start (no surrogates, nothing overlong, and no control character
 * but the line feed: people read this in terminals); 0: there is none. */
static size_t sequence_length(struct tg_slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    if (at[0] < 0x80)
        return (at[0] >= 0x20 && at[0] != 0x7F) || at[0] == '\n' ? 1 : 0;
    size_t length = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || length > text.length)
        return 0;
    unsigned char low = at[0] == 0xE0 || at[0] == 0xC2 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

static const struct tg_slice replacement = { "\xEF\xBF\xBD", 3 };

/* A reader refuses everything where one help text isn't UTF-8. NULL when out of memory. */
static char *clean_text(struct tg_slice text)
{
    char *clean = malloc(text.length * replacement.length + 1);
    size_t length = 0;
    while (clean && text.length > 0) {
        size_t taken = sequence_length(text);
        struct tg_slice piece = taken ? tg_slice_of(text.at, taken) : replacement;
        memcpy(clean + length, piece.at, piece.length);
        length += piece.length;
        text = tg_slice_from(text, taken ? taken : 1);
    }
    if (clean)
        clean[length] = '\0';
    return clean;
}

static bool begins_with(struct tg_slice text, struct tg_slice with)
{
    return text.length >= with.length && memcmp(text.at, with.at, with.length) == 0;
}

/* --- metrics --- */

static int compare(struct tg_slice a, struct tg_slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.at, b.at, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* Where it stands, or would. */
static size_t place_of(struct tg_slice name)
{
    size_t low = 0, high = metric_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(metrics[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct tg_metric *find(struct tg_slice name)
{
    size_t place = place_of(name);
    return place < metric_count && tg_slice_equal(metrics[place]->name, name) ? metrics[place] : NULL;
}

static bool copy_slice(struct tg_slice *to, struct tg_slice from)
{
    char *bytes = malloc(from.length + 1);
    if (!bytes)
        return false;
    if (from.length > 0)
        memcpy(bytes, from.at, from.length);
    bytes[from.length] = '\0';
    *to = tg_slice_of(bytes, from.length);
    return true;
}

static void free_series(struct series *series)
{
    struct tg_metric_part *part = series ? series->parts : NULL;
    while (part) {
        struct tg_metric_part *next = part->next;
        free(part);
        part = next;
    }
    free(series);
}

static void free_all_series(struct tg_metric *metric)
{
    size_t position = 0;
    struct tg_slice key;
    void *value;
    while (tg_map_next(metric->series, &position, &key, &value))
        free_series(value);
    tg_map_free(metric->series);
}

static void metric_free(struct tg_metric *metric)
{
    if (metric->series)
        free_all_series(metric);
    free_series(metric->other);
    for (size_t i = 0; metric->labels && i < metric->label_count; i++)
        free((char *)metric->labels[i].at);
    free(metric->labels);
    free(metric->bounds);
    free(metric->help);
    pthread_mutex_destroy(&metric->lock);
    free((char *)metric->name.at);
    free((char *)metric->at.at);
    free(metric);
}

static bool fill(struct tg_metric *metric, const struct tg_metric_options *options)
{
    metric->kind = options->kind;
    metric->holds = 1;
    pthread_mutex_init(&metric->lock, NULL);
    metric->labels = calloc(options->label_count + 1, sizeof(*metric->labels));
    metric->bounds = calloc(options->bound_count + 1, sizeof(*metric->bounds));
    metric->series = tg_map_new();
    metric->help = clean_text(options->help);
    if (!metric->labels || !metric->bounds || !metric->series || !metric->help)
        return false;
    metric->label_count = options->label_count;
    for (size_t i = 0; i < options->label_count; i++)
        if (!copy_slice(&metric->labels[i], options->labels[i]))
            return false;
    metric->bound_count = (uint32_t)options->bound_count;
    if (options->bound_count > 0)
        memcpy(metric->bounds, options->bounds, options->bound_count * sizeof(*metric->bounds));
    return copy_slice(&metric->name, options->name) && copy_slice(&metric->at, options->at);
}

static struct tg_metric *metric_new(const struct tg_metric_options *options)
{
    struct tg_metric *metric = calloc(1, sizeof(*metric));
    if (metric && !fill(metric, options)) {
        metric_free(metric);
        return NULL;
    }
    return metric;
}

static const char *const kind_names[] = { "counter", "gauge", "histogram" };

static void append_labels(struct tg_text *text, const struct tg_slice *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tg_text_appendf(text, "%s", i ? ", " : "");
        tg_text_append(text, labels[i]);
    }
    if (count == 0)
        tg_text_appendf(text, "none");
}

static void refuse(struct tg_text *problem, const struct tg_metric_options *options, const struct tg_metric *other)
{
    if (options->at.length > 0)
        tg_text_appendf(problem, "%.*s: ", (int)options->at.length, options->at.at);
    tg_text_appendf(problem, "tg.metrics.%s: \"%.*s\" is declared otherwise at %.*s: ", kind_names[options->kind],
                    (int)options->name.length, options->name.at, (int)other->at.length, other->at.at);
}

static bool has_same_labels(const struct tg_metric *metric, const struct tg_metric_options *options)
{
    if (metric->label_count != options->label_count)
        return false;
    for (size_t i = 0; i < options->label_count; i++)
        if (!tg_slice_equal(metric->labels[i], options->labels[i]))
            return false;
    return true;
}

static bool has_same_bounds(const struct tg_metric *metric, const struct tg_metric_options *options)
{
    size_t bytes = options->bound_count * sizeof(double);
    return metric->bound_count == options->bound_count &&
           (bytes == 0 || memcmp(metric->bounds, options->bounds, bytes) == 0);
}

/* What holds values already can't become something else. */
static bool is_same(const struct tg_metric *metric, const struct tg_metric_options *options, struct tg_text *problem)
{
    if (metric->kind != options->kind) {
        refuse(problem, options, metric);
        tg_text_appendf(problem, "as a %s", kind_names[metric->kind]);
        return false;
    }
    if (!has_same_labels(metric, options)) {
        refuse(problem, options, metric);
        tg_text_appendf(problem, "with the labels ");
        append_labels(problem, metric->labels, metric->label_count);
        tg_text_appendf(problem, ", not ");
        append_labels(problem, options->labels, options->label_count);
        return false;
    }
    if (has_same_bounds(metric, options))
        return true;
    refuse(problem, options, metric);
    tg_text_appendf(problem, "with other buckets");
    return false;
}

/* Whether `name` is that of a histogram's series: its own name and a suffix. */
static bool is_series_of(struct tg_slice histogram, struct tg_slice name)
{
    static const struct tg_slice suffixes[] = { { "_bucket", 7 }, { "_count", 6 }, { "_sum", 4 } };
    if (!begins_with(name, histogram))
        return false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
        if (tg_slice_equal(tg_slice_from(name, histogram.length), suffixes[i]))
            return true;
    return false;
}

static const struct tg_metric *in_the_way(const struct tg_metric_options *options)
{
    for (size_t i = 0; i < metric_count; i++) {
        const struct tg_metric *metric = metrics[i];
        if ((metric->kind == TG_METRIC_HISTOGRAM && is_series_of(metric->name, options->name)) ||
            (options->kind == TG_METRIC_HISTOGRAM && is_series_of(options->name, metric->name)))
            return metric;
    }
    return NULL;
}

static struct tg_metric *hold(struct tg_metric *metric, const struct tg_metric_options *options,
                              struct tg_text *problem)
{
    if (!is_same(metric, options, problem))
        return NULL;
    char *help = clean_text(options->help);
    pthread_mutex_lock(&metric->lock);
    if (help) {
        free(metric->help);
        metric->help = help;
    }
    pthread_mutex_unlock(&metric->lock);
    metric->holds++;
    return metric;
}

static struct tg_metric *acquire_locked(const struct tg_metric_options *options, struct tg_text *problem)
{
    struct tg_metric *metric = find(options->name);
    if (metric)
        return hold(metric, options, problem);
    const struct tg_metric *other = in_the_way(options);
    if (other) {
        refuse(problem, options, other);
        tg_text_appendf(problem, "a histogram has series of this name");
        return NULL;
    }
    metric = metric_count < TG_METRICS_MAX ? metric_new(options) : NULL;
    if (!metric) {
        tg_text_appendf(problem, metric_count < TG_METRICS_MAX ? "out of memory" : "there are 2000 metrics already");
        return NULL;
    }
    size_t place = place_of(options->name);
    memmove(&metrics[place + 1], &metrics[place], (metric_count - place) * sizeof(*metrics));
    metrics[place] = metric;
    metric_count++;
    return metric;
}

struct tg_metric *tg_metric_acquire(const struct tg_metric_options *options, struct tg_text *problem)
{
    pthread_mutex_lock(&lock);
    struct tg_metric *metric = acquire_locked(options, problem);
    pthread_mutex_unlock(&lock);
    return metric;
}

void tg_metric_release(struct tg_metric *metric)
{
    pthread_mutex_lock(&lock);
    bool last = --metric->holds == 0;
    if (last) {
        size_t place = place_of(metric->name);
        metric_count--;
        memmove(&metrics[place], &metrics[place + 1], (metric_count - place) * sizeof(*metrics));
    }
    pthread_mutex_unlock(&lock);
    if (last)
        metric_free(metric);
}

struct tg_slice tg_metric_name(const struct tg_metric *metric)
{
    return metric->name;
}

/* --- series --- */

/* The value as it is kept and shown; its length. */
static size_t take_value(struct tg_slice value, char *to)
{
    size_t length = 0;
    while (value.length > 0) {
        size_t taken = sequence_length(value);
        struct tg_slice piece = taken ? tg_slice_of(value.at, taken) : replacement;
        if (length + piece.length > TG_METRIC_VALUE_MAX)
            break;
        memcpy(to + length, piece.at, piece.length);
        length += piece.length;
        value = tg_slice_from(value, taken ? taken : 1);
    }
    return length;
}

static struct tg_slice make_key(size_t count, const struct tg_slice *values, char room[KEY_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += take_value(values[i], room + length);
        room[length++] = (char)SEPARATOR;
    }
    return tg_slice_of(room, length);
}

static struct series *series_new(struct tg_slice key)
{
    struct series *series = malloc(sizeof(*series) + key.length + 1);
    if (!series)
        return NULL;
    char *bytes = (char *)(series + 1);
    memcpy(bytes, key.at, key.length);
    atomic_init(&series->parts, NULL);
    series->key = tg_slice_of(bytes, key.length);
    return series;
}

static struct series *other_of(struct tg_metric *metric)
{
    char room[KEY_MAX];
    struct tg_slice values[TG_METRIC_LABELS_MAX];
    for (size_t i = 0; i < metric->label_count; i++)
        values[i] = TG_SLICE("other");
    struct tg_slice key = make_key(metric->label_count, values, room);
    struct series *series = tg_map_get(metric->series, key);
    if (series)
        return series;
    if (!metric->other)
        metric->other = series_new(key);
    return metric->other;
}

static struct series *series_of(struct tg_metric *metric, struct tg_slice key, bool *other)
{
    struct series *series = tg_map_get(metric->series, key);
    *other = !series && tg_map_count(metric->series) >= TG_METRIC_SERIES_MAX;
    if (*other)
        atomic_fetch_add_explicit(&over_limit, 1, memory_order_relaxed);
    if (series || *other)
        return series ? series : other_of(metric);
    series = series_new(key);
    if (series && !tg_map_set(metric->series, key, series)) {
        free_series(series);
        return NULL;
    }
    return series;
}

static size_t cell_count(const struct tg_metric *metric)
{
    return metric->kind == TG_METRIC_HISTOGRAM ? (size_t)metric->bound_count + 2 : 1;
}

static struct tg_metric_part *part_of(const struct tg_metric *metric, struct series *series, uint32_t worker)
{
    struct tg_metric_part *first = atomic_load_explicit(&series->parts, memory_order_relaxed), *part = first;
    while (part && part->worker != worker)
        part = part->next;
    if (part)
        return part;
    size_t size = sizeof(*part) + cell_count(metric) * sizeof(double);
    part = aligned_alloc(_Alignof(struct tg_metric_part), (size + 127) / 128 * 128);
    if (!part)
        return NULL;
    part->bounds = metric->bounds;
    part->bound_count = metric->bound_count;
    part->worker = worker;
    part->next = first;
    for (size_t i = 0; i < cell_count(metric); i++)
        atomic_init(&part->cells[i], 0);
    atomic_store_explicit(&series->parts, part, memory_order_release);
    return part;
}

struct tg_metric_part *tg_metric_part(struct tg_metric *metric, uint32_t worker, const struct tg_slice *values,
                                      bool *other)
{
    char room[KEY_MAX];
    struct tg_slice key = make_key(metric->label_count, values, room);
    pthread_mutex_lock(&metric->lock);
    struct series *series = series_of(metric, key, other);
    struct tg_metric_part *part = series ? part_of(metric, series, metric->kind == TG_METRIC_GAUGE ? 0 : worker) : NULL;
    pthread_mutex_unlock(&metric->lock);
    return part;
}

void tg_metric_change(struct tg_metric_part *part, double amount)
{
    double value = atomic_load_explicit(&part->cells[0], memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&part->cells[0], &value, value + amount, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

uint64_t tg_metrics_over_limit(void)
{
    return atomic_load_explicit(&over_limit, memory_order_relaxed);
}

/* --- the text --- */

void tg_metrics_write_number(struct tg_text *out, double value)
{
    if (isnan(value))
        tg_text_appendf(out, "NaN");
    else if (isinf(value))
        tg_text_appendf(out, value > 0 ? "+Inf" : "-Inf");
    else if (value == floor(value) && fabs(value) < 1e15)
        tg_text_appendf(out, "%.0f", value);
    else {
        char digits[32];
        for (int precision = 6; precision <= 17; precision++) {
            snprintf(digits, sizeof(digits), "%.*g", precision, value);
            if (strtod(digits, NULL) == value)
                break;
        }
        tg_text_appendf(out, "%s", digits);
    }
}

static void append_escaped(struct tg_text *out, struct tg_slice text, bool quotes)
{
    size_t start = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c != '\\' && c != '\n' && !(quotes && c == '"'))
            continue;
        tg_text_append(out, tg_slice_of(text.at + start, i - start));
        tg_text_append(out, c == '\n' ? TG_SLICE("\\n") : c == '"' ? TG_SLICE("\\\"") : TG_SLICE("\\\\"));
        start = i + 1;
    }
    tg_text_append(out, tg_slice_from(text, start));
}

void tg_metrics_write_head(struct tg_text *out, struct tg_slice name, enum tg_metric_kind kind, struct tg_slice help)
{
    tg_text_appendf(out, "# HELP %.*s ", (int)name.length, name.at);
    append_escaped(out, help, false);
    tg_text_appendf(out, "\n# TYPE %.*s %s\n", (int)name.length, name.at, kind_names[kind]);
}

/* The labels of a series, and `le` of a bucket unless it is NaN. */
static void write_labels(struct tg_text *out, const struct tg_metric *metric, struct tg_slice key, double le)
{
    if (metric->label_count == 0 && isnan(le))
        return;
    tg_text_append(out, TG_SLICE("{"));
    for (size_t i = 0; i < metric->label_count; i++) {
        const char *end = memchr(key.at, SEPARATOR, key.length);
        size_t length = (size_t)(end - key.at);
        tg_text_append(out, i ? TG_SLICE(",") : TG_SLICE(""));
        tg_text_append(out, metric->labels[i]);
        tg_text_append(out, TG_SLICE("=\""));
        append_escaped(out, tg_slice_of(key.at, length), true);
        tg_text_append(out, TG_SLICE("\""));
        key = tg_slice_from(key, length + 1);
    }
    if (!isnan(le)) {
        tg_text_append(out, metric->label_count ? TG_SLICE(",le=\"") : TG_SLICE("le=\""));
        tg_metrics_write_number(out, le);
        tg_text_append(out, TG_SLICE("\""));
    }
    tg_text_append(out, TG_SLICE("}"));
}

static void write_line(struct tg_text *out, const struct tg_metric *metric, const char *suffix, struct tg_slice key,
                       double le, double value)
{
    tg_text_append(out, metric->name);
    tg_text_append(out, tg_slice_from_string(suffix));
    write_labels(out, metric, key, le);
    tg_text_append(out, TG_SLICE(" "));
    tg_metrics_write_number(out, value);
    tg_text_append(out, TG_SLICE("\n"));
}

static double sum_of(const struct series *series, size_t cell)
{
    double sum = 0;
    struct tg_metric_part *part = atomic_load_explicit(&series->parts, memory_order_acquire);
    for (; part; part = part->next)
        sum += atomic_load_explicit(&part->cells[cell], memory_order_relaxed);
    return sum;
}

static void write_series(struct tg_text *out, const struct tg_metric *metric, const struct series *series)
{
    if (metric->kind != TG_METRIC_HISTOGRAM) {
        write_line(out, metric, "", series->key, NAN, sum_of(series, 0));
        return;
    }
    double count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        count += sum_of(series, i);
        write_line(out, metric, "_bucket", series->key, i < metric->bound_count ? metric->bounds[i] : INFINITY, count);
    }
    write_line(out, metric, "_sum", series->key, NAN, sum_of(series, (size_t)metric->bound_count + 1));
    write_line(out, metric, "_count", series->key, NAN, count);
}

static int compare_series(const void *a, const void *b)
{
    const struct series *const *left = a, *const *right = b;
    return compare((*left)->key, (*right)->key);
}

/* Into the order of their labels. */
static size_t sort_series(const struct tg_metric *metric, struct series *sorted[TG_METRIC_SERIES_MAX + 1])
{
    size_t position = 0, count = 0;
    struct tg_slice key;
    void *value;
    while (tg_map_next(metric->series, &position, &key, &value))
        sorted[count++] = value;
    if (metric->other)
        sorted[count++] = metric->other;
    qsort(sorted, count, sizeof(*sorted), compare_series);
    return count;
}

/* Writing the values needs no lock: no worker waits for whoever reads. */
static void write_metric(struct tg_text *out, struct tg_metric *metric)
{
    struct series *sorted[TG_METRIC_SERIES_MAX + 1];
    pthread_mutex_lock(&metric->lock);
    size_t count = sort_series(metric, sorted);
    if (count > 0 || metric->label_count == 0)
        tg_metrics_write_head(out, metric->name, metric->kind, tg_slice_from_string(metric->help));
    pthread_mutex_unlock(&metric->lock);
    for (size_t i = 0; i < count; i++)
        write_series(out, metric, sorted[i]);
    if (count == 0 && metric->label_count == 0)
        write_series(out, metric, &(struct series){ 0 });
}

/* As they are now, each held. */
static size_t hold_all(struct tg_metric *held[TG_METRICS_MAX])
{
    pthread_mutex_lock(&lock);
    size_t count = metric_count;
    for (size_t i = 0; i < count; i++) {
        held[i] = metrics[i];
        held[i]->holds++;
    }
    pthread_mutex_unlock(&lock);
    return count;
}

void tg_metrics_write(struct tg_text *out)
{
    struct tg_metric *held[TG_METRICS_MAX];
    size_t count = hold_all(held);
    for (size_t i = 0; i < count; i++) {
        write_metric(out, held[i]);
        tg_metric_release(held[i]);
    }
}
