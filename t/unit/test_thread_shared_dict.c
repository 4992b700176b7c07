#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/shared_registry.h"

enum { THREADS = 4, ROUNDS = 20000, COUNTERS = 7 };

static struct tg_shared_dict *dict;
static _Atomic int pushed, popped, woken, waited;

static struct tg_slice name(char room[32], const char *kind, int i)
{
    return tg_slice_of(room, (size_t)snprintf(room, 32, "%s-%d", kind, i));
}

static enum tg_shared_action add_one(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    *next = (struct tg_shared_value){ .type = TG_SHARED_NUMBER, .number = old->number + 1, .left = NAN };
    return TG_SHARED_WRITE;
}

static enum tg_shared_action fill(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)old;
    static const char bytes[200];
    int i = *(int *)context;
    *next = (struct tg_shared_value){ .type = TG_SHARED_STRING,
                                      .text = tg_slice_of(bytes, (size_t)(i % 200)),
                                      .left = i % 3 ? 0.0001 : INFINITY };
    return TG_SHARED_WRITE;
}

/* Counters in use all the time, beside so much that comes, expires and is evicted. */
static void *count(void *context)
{
    struct tg_shared_copy copy = { 0 };
    int thread = (int)(intptr_t)context;
    char room[32];
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(tg_shared_dict_modify(dict, name(room, "counter", i % COUNTERS), add_one, NULL),
                         TG_SHARED_DONE);
        int noise = i * THREADS + thread;
        assert_int_equal(tg_shared_dict_modify(dict, name(room, "noise", noise), fill, &noise), TG_SHARED_DONE);
        assert_int_equal(tg_shared_dict_get(dict, name(room, "noise", noise / 2), &copy), TG_SHARED_DONE);
    }
    free(copy.at);
    return NULL;
}

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void counters_are_exact_beside_expiry_and_eviction(void **state)
{
    (void)state;
    struct tg_shared_copy copy = { 0 };
    dict = tg_shared_dict_new(512 * 1024, NULL);
    run_threads(count);
    double total = 0;
    char room[32];
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_equal(tg_shared_dict_get(dict, name(room, "counter", i), &copy), TG_SHARED_DONE);
        total += copy.number;
    }
    assert_true(total == THREADS * ROUNDS);
    assert_true(tg_shared_dict_evictions(dict) > 0);
    assert_in_range(tg_shared_dict_used(dict), 0, 512 * 1024);
    tg_shared_dict_free(dict);
    free(copy.at);
}

static void *pass_on(void *context)
{
    (void)context;
    struct tg_shared_copy copy = { 0 };
    struct tg_shared_value value = { .type = TG_SHARED_NUMBER, .number = 1 };
    size_t length;
    for (int i = 0; i < ROUNDS; i++) {
        if (tg_shared_dict_push(dict, TG_SLICE("queue"), &value, &length) == TG_SHARED_DONE)
            pushed++;
        assert_int_equal(tg_shared_dict_pop(dict, TG_SLICE("queue"), &copy), TG_SHARED_DONE);
        popped += copy.type == TG_SHARED_NUMBER;
    }
    free(copy.at);
    return NULL;
}

static void a_queue_loses_nothing(void **state)
{
    (void)state;
    struct tg_shared_copy copy = { 0 };
    dict = tg_shared_dict_new(512 * 1024, NULL);
    uint64_t empty = tg_shared_dict_used(dict);
    run_threads(pass_on);
    for (;;) {
        assert_int_equal(tg_shared_dict_pop(dict, TG_SLICE("queue"), &copy), TG_SHARED_DONE);
        if (copy.type == TG_SHARED_NONE)
            break;
        popped++;
    }
    assert_int_equal(pushed, popped);
    assert_int_equal(pushed, THREADS * ROUNDS);
    assert_int_equal(tg_shared_dict_used(dict), empty);
    tg_shared_dict_free(dict);
    free(copy.at);
}

/* Belongs to who watches; the one that changes the key says so last. */
struct ear {
    struct tg_shared_watcher watcher;
    _Atomic bool heard;
};

static void hear(struct tg_shared_watcher *watcher)
{
    woken++;
    atomic_store(&TG_CONTAINER_OF(watcher, struct ear, watcher)->heard, true);
}

static void *watch_and_write(void *context)
{
    (void)context;
    struct tg_shared_copy copy = { 0 };
    char room[32];
    for (int i = 0; i < ROUNDS / 4; i++) {
        struct ear ear = { .watcher.changed = hear };
        struct tg_slice key = name(room, "watched", i % 3);
        assert_int_equal(tg_shared_dict_get(dict, key, &copy), TG_SHARED_DONE);
        uint64_t seen = copy.type == TG_SHARED_NONE ? 0 : copy.version;
        assert_int_equal(tg_shared_dict_watch(dict, key, seen, &copy, &ear.watcher), TG_SHARED_DONE);
        if (copy.type == TG_SHARED_NONE) {
            if (i % 2)
                assert_int_equal(tg_shared_dict_modify(dict, key, add_one, NULL), TG_SHARED_DONE);
            if (!tg_shared_dict_unwatch(dict, &ear.watcher)) {
                waited++;
                while (!atomic_load(&ear.heard))
                    continue;
            }
        }
    }
    free(copy.at);
    return NULL;
}

static void every_watcher_hears_or_is_forgotten(void **state)
{
    (void)state;
    dict = tg_shared_dict_new(512 * 1024, NULL);
    run_threads(watch_and_write);
    assert_int_equal(woken, waited);
    assert_true(woken > 0);
    assert_int_equal(tg_shared_dict_watchers(dict), 0);
    tg_shared_dict_free(dict);
}

static void *change_sizes(void *context)
{
    struct tg_shared_copy copy = { 0 };
    bool resizes = (intptr_t)context == 0;
    char room[32];
    for (int i = 0; i < ROUNDS / 4; i++) {
        if (resizes && i % 50 == 0)
            tg_shared_dict_resize(dict, (uint64_t)128 * 1024 << i / 50 % 6);
        if (resizes && i % 700 == 0)
            tg_shared_dict_clear(dict);
        assert_int_equal(tg_shared_dict_modify(dict, name(room, "noise", i), fill, &i), TG_SHARED_DONE);
        assert_int_equal(tg_shared_dict_keys(dict, 20, &copy), TG_SHARED_DONE);
    }
    free(copy.at);
    return NULL;
}

static void sizes_change_under_load(void **state)
{
    (void)state;
    dict = tg_shared_dict_new(128 * 1024, NULL);
    run_threads(change_sizes);
    tg_shared_dict_resize(dict, 128 * 1024);
    assert_in_range(tg_shared_dict_used(dict), 0, 128 * 1024);
    tg_shared_dict_free(dict);
}

static struct tg_shared_registry *registry;

static void *hold(void *context)
{
    (void)context;
    for (int i = 0; i < 2000; i++) {
        struct tg_shared *shared = tg_shared_acquire(registry, TG_SLICE("a"), TG_SHARED_SIZE_MIN);
        assert_int_equal(tg_shared_dict_modify(shared->dict, TG_SLICE("k"), add_one, NULL), TG_SHARED_DONE);
        tg_shared_release(shared);
    }
    return NULL;
}

static void dictionaries_come_and_go(void **state)
{
    (void)state;
    registry = tg_shared_registry_new();
    run_threads(hold);
    tg_shared_registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_exact_beside_expiry_and_eviction),
        cmocka_unit_test(a_queue_loses_nothing),
        cmocka_unit_test(every_watcher_hears_or_is_forgotten),
        cmocka_unit_test(sizes_change_under_load),
        cmocka_unit_test(dictionaries_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
