#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/shared_registry.h"

struct test_clock {
    struct tg_clock clock;
    double now;
};

static double monotonic(struct tg_clock *clock)
{
    return TG_CONTAINER_OF(clock, struct test_clock, clock)->now;
}

static double wall(struct tg_clock *clock)
{
    (void)clock;
    return 1000;
}

static struct test_clock hands = { { monotonic, wall }, 10 };
static struct tg_shared_copy copy;

static struct tg_shared_dict *dict_of(uint64_t size)
{
    struct tg_shared_dict *dict = tg_shared_dict_new(size, &hands.clock);
    assert_non_null(dict);
    return dict;
}

static void end(struct tg_shared_dict *dict)
{
    tg_shared_dict_free(dict);
    free(copy.at);
    copy = (struct tg_shared_copy){ 0 };
}

static struct tg_shared_value text(const char *bytes, size_t length)
{
    return (struct tg_shared_value){ .type = TG_SHARED_STRING, .text = tg_slice_of(bytes, length), .left = INFINITY };
}

static struct tg_shared_value number(double value)
{
    return (struct tg_shared_value){ .type = TG_SHARED_NUMBER, .number = value, .left = INFINITY };
}

static enum tg_shared_action write_it(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)old;
    *next = *(struct tg_shared_value *)context;
    return TG_SHARED_WRITE;
}

static enum tg_shared_action add_to_it(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    *next = number(old->number + *(double *)context);
    next->left = NAN;
    return TG_SHARED_WRITE;
}

static enum tg_shared_action remove_it(void *context, const struct tg_shared_value *old, struct tg_shared_value *next)
{
    (void)context;
    (void)next;
    return old->type == TG_SHARED_NONE ? TG_SHARED_KEEP : TG_SHARED_REMOVE;
}

static enum tg_shared_result set(struct tg_shared_dict *dict, struct tg_slice key, struct tg_shared_value value)
{
    return tg_shared_dict_modify(dict, key, write_it, &value);
}

static bool has(struct tg_shared_dict *dict, struct tg_slice key)
{
    assert_int_equal(tg_shared_dict_get(dict, key, &copy), TG_SHARED_DONE);
    return copy.type != TG_SHARED_NONE;
}

static struct tg_slice key_of(char room[24], int i)
{
    return tg_slice_of(room, (size_t)snprintf(room, 24, "key-%d", i));
}

static void values_come_back_as_they_went_in(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    assert_false(has(dict, TG_SLICE("a")));
    assert_int_equal(set(dict, TG_SLICE("a"), text("x\0y", 3)), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("a")));
    assert_int_equal(copy.type, TG_SHARED_STRING);
    assert_memory_equal(copy.at, "x\0y", 3);
    assert_int_equal(copy.length, 3);
    assert_int_equal(set(dict, TG_SLICE("a"), number(-0.5)), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("a")) && copy.type == TG_SHARED_NUMBER && copy.number == -0.5);
    struct tg_shared_value yes = { .type = TG_SHARED_BOOLEAN, .number = 1, .left = INFINITY };
    assert_int_equal(set(dict, TG_SLICE("a"), yes), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("a")) && copy.type == TG_SHARED_BOOLEAN && copy.number == 1);
    assert_int_equal(set(dict, TG_SLICE("a"), text("", 0)), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("a")) && copy.type == TG_SHARED_STRING && copy.length == 0);
    assert_int_equal(tg_shared_dict_modify(dict, TG_SLICE("a"), remove_it, NULL), TG_SHARED_DONE);
    assert_int_equal(tg_shared_dict_modify(dict, TG_SLICE("a"), remove_it, NULL), TG_SHARED_KEPT);
    assert_false(has(dict, TG_SLICE("a")));
    end(dict);
}

/* [J11] keys are compared in their whole length, empty ones and those with NUL too */
static void keys_are_never_cut(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    static char longest[TG_SHARED_KEY_MAX];
    memset(longest, 'k', sizeof(longest));
    struct tg_slice keys[] = { TG_SLICE(""),
                               TG_SLICE("\0"),
                               TG_SLICE("a\0b"),
                               TG_SLICE("a\0c"),
                               tg_slice_of(longest, sizeof(longest)),
                               tg_slice_of(longest, sizeof(longest) - 1) };
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(set(dict, keys[i], number((double)i)), TG_SHARED_DONE);
    for (size_t i = 0; i < 6; i++)
        assert_true(has(dict, keys[i]) && copy.number == (double)i);
    end(dict);
}

static void a_value_grows_and_shrinks(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    static char bytes[300000];
    memset(bytes, 'v', sizeof(bytes));
    uint64_t empty = tg_shared_dict_used(dict);
    for (size_t length = 1; length < sizeof(bytes); length = length * 3 + 1) {
        assert_int_equal(set(dict, TG_SLICE("k"), text(bytes, length)), TG_SHARED_DONE);
        assert_true(has(dict, TG_SLICE("k")) && copy.length == length);
        assert_in_range(tg_shared_dict_used(dict), empty + length, empty + length + 300 + length);
    }
    assert_int_equal(set(dict, TG_SLICE("k"), text("v", 1)), TG_SHARED_DONE);
    assert_in_range(tg_shared_dict_used(dict), empty, empty + 300);
    assert_int_equal(set(dict, TG_SLICE("k"), text(bytes, 1 << 18)), TG_SHARED_DONE);
    static char half[1 << 19];
    assert_int_equal(set(dict, TG_SLICE("k"), text(half, sizeof(half))), TG_SHARED_TOO_LARGE);
    assert_true(has(dict, TG_SLICE("k")) && copy.length == 1 << 18);
    tg_shared_dict_clear(dict);
    assert_int_equal(tg_shared_dict_used(dict), empty);
    end(dict);
}

static void the_least_recently_used_are_evicted_under_the_limit(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    char room[24];
    for (int i = 0; i < 50000; i++) {
        assert_int_equal(set(dict, key_of(room, i), number(i)), TG_SHARED_DONE);
        assert_true(has(dict, TG_SLICE("key-0")));
        assert_in_range(tg_shared_dict_used(dict), 0, 1 << 20);
    }
    int kept = 0;
    for (int i = 1; i < 50000; i++)
        kept += has(dict, key_of(room, i));
    assert_in_range(kept, 4000, 12000);
    assert_int_equal(kept + 1, 50000 - tg_shared_dict_evictions(dict));
    for (int i = 50000 - kept; i < 50000; i++)
        assert_true(has(dict, key_of(room, i)));
    end(dict);
}

/* Each lies in a shard of its own, most likely. */
static void few_large_values_share_the_whole_limit(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    static char bytes[250000];
    char room[24];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(set(dict, key_of(room, i), text(bytes, sizeof(bytes))), TG_SHARED_DONE);
        assert_in_range(tg_shared_dict_used(dict), 0, 1 << 20);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(has(dict, key_of(room, i)), i >= 17);
    end(dict);
}

static void what_has_expired_is_never_seen(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    struct tg_shared_value value = number(1);
    double one = 1;
    value.left = 5;
    assert_int_equal(set(dict, TG_SLICE("k"), value), TG_SHARED_DONE);
    hands.now += 4;
    assert_true(tg_shared_dict_left(dict, TG_SLICE("k")) == 1);
    assert_int_equal(tg_shared_dict_modify(dict, TG_SLICE("k"), add_to_it, &one), TG_SHARED_DONE);
    assert_true(tg_shared_dict_left(dict, TG_SLICE("k")) == 1);
    assert_int_equal(tg_shared_dict_keys(dict, 10, &copy), TG_SHARED_DONE);
    assert_true(copy.number == 1);
    hands.now += 1;
    assert_int_equal(tg_shared_dict_keys(dict, 10, &copy), TG_SHARED_DONE);
    assert_true(copy.number == 0);
    assert_true(isnan(tg_shared_dict_left(dict, TG_SLICE("k"))));
    assert_int_equal(tg_shared_dict_expire(dict, TG_SLICE("k"), 5), TG_SHARED_KEPT);
    assert_int_equal(tg_shared_dict_modify(dict, TG_SLICE("k"), add_to_it, &one), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("k")) && copy.number == 1);
    assert_true(tg_shared_dict_left(dict, TG_SLICE("k")) == INFINITY);
    assert_int_equal(tg_shared_dict_expire(dict, TG_SLICE("k"), 3), TG_SHARED_DONE);
    assert_true(tg_shared_dict_left(dict, TG_SLICE("k")) == 3);
    assert_int_equal(tg_shared_dict_expire(dict, TG_SLICE("k"), INFINITY), TG_SHARED_DONE);
    assert_true(tg_shared_dict_left(dict, TG_SLICE("k")) == INFINITY);
    end(dict);
}

static void writes_make_room_of_what_nobody_asks_for_any_more(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(8 << 20);
    char room[24];
    struct tg_shared_value value = number(1);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(set(dict, key_of(room, -1 - i), value), TG_SHARED_DONE);
    uint64_t before = tg_shared_dict_used(dict);
    value.left = 1;
    for (int i = 0; i < 20000; i++)
        assert_int_equal(set(dict, key_of(room, i), value), TG_SHARED_DONE);
    hands.now += 2;
    for (int i = 0; i < 200000; i++)
        assert_int_equal(set(dict, key_of(room, -1 - i % 2000), number(2)), TG_SHARED_DONE);
    assert_int_equal(tg_shared_dict_used(dict), before);
    assert_int_equal(tg_shared_dict_evictions(dict), 0);
    end(dict);
}

static void what_is_pinned_stays_and_has_a_limit(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(128 * 1024);
    char room[24];
    struct tg_shared_value value = number(1);
    value.pinned = true;
    int pinned = 0;
    while (set(dict, key_of(room, pinned), value) == TG_SHARED_DONE)
        pinned++;
    assert_in_range(pinned, 200, 1000);
    for (int i = 10000; i < 30000; i++)
        assert_int_equal(set(dict, key_of(room, i), number(1)), TG_SHARED_DONE);
    for (int i = 0; i < pinned; i++)
        assert_true(has(dict, key_of(room, i)));
    value.pinned = false;
    for (int i = 0; i < pinned; i++)
        assert_int_equal(set(dict, key_of(room, i), value), TG_SHARED_DONE);
    value.pinned = true;
    assert_int_equal(set(dict, key_of(room, 9999), value), TG_SHARED_DONE);
    end(dict);
}

static void a_list_gives_the_oldest_first(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    uint64_t empty = tg_shared_dict_used(dict);
    struct tg_shared_value one = number(1), two = text("two", 3);
    size_t length;
    assert_int_equal(tg_shared_dict_pop(dict, TG_SLICE("q"), &copy), TG_SHARED_DONE);
    assert_int_equal(copy.type, TG_SHARED_NONE);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tg_shared_dict_push(dict, TG_SLICE("q"), i % 2 ? &two : &one, &length), TG_SHARED_DONE);
        assert_int_equal(length, i + 1);
    }
    assert_true(has(dict, TG_SLICE("q")) && copy.type == TG_SHARED_LIST && copy.number == 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(tg_shared_dict_pop(dict, TG_SLICE("q"), &copy), TG_SHARED_DONE);
        assert_int_equal(copy.type, i % 2 ? TG_SHARED_STRING : TG_SHARED_NUMBER);
        assert_int_equal(copy.length, i % 2 ? 3 : 0);
    }
    assert_int_equal(tg_shared_dict_used(dict), empty);
    assert_int_equal(set(dict, TG_SLICE("v"), one), TG_SHARED_DONE);
    assert_int_equal(tg_shared_dict_push(dict, TG_SLICE("v"), &one, &length), TG_SHARED_WRONG_TYPE);
    assert_int_equal(tg_shared_dict_pop(dict, TG_SLICE("v"), &copy), TG_SHARED_WRONG_TYPE);
    assert_int_equal(tg_shared_dict_push(dict, TG_SLICE("l"), &two, &length), TG_SHARED_DONE);
    assert_int_equal(set(dict, TG_SLICE("l"), one), TG_SHARED_DONE);
    assert_true(has(dict, TG_SLICE("l")) && copy.type == TG_SHARED_NUMBER);
    end(dict);
}

static void a_list_may_take_half_of_the_dictionary(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(128 * 1024);
    struct tg_shared_value one = number(1);
    size_t length = 0;
    enum tg_shared_result result;
    while ((result = tg_shared_dict_push(dict, TG_SLICE("q"), &one, &length)) == TG_SHARED_DONE)
        continue;
    assert_int_equal(result, TG_SHARED_TOO_LARGE);
    assert_in_range(length, 1000, 2100);
    end(dict);
}

static void keys_are_listed_up_to_a_number(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    char room[24];
    for (int i = 0; i < 500; i++)
        assert_int_equal(set(dict, key_of(room, i), number(i)), TG_SHARED_DONE);
    assert_int_equal(tg_shared_dict_keys(dict, 123, &copy), TG_SHARED_DONE);
    assert_true(copy.number == 123);
    assert_int_equal(tg_shared_dict_keys(dict, 1000, &copy), TG_SHARED_DONE);
    assert_true(copy.number == 500);
    bool seen[500] = { false };
    for (size_t at = 0; at < copy.length;) {
        uint16_t length;
        memcpy(&length, copy.at + at, sizeof(length));
        memcpy(room, copy.at + at + sizeof(length), length);
        room[length] = '\0';
        int i = atoi(room + 4);
        assert_false(seen[i]);
        seen[i] = true;
        at += sizeof(length) + length;
    }
    end(dict);
}

struct ear {
    struct tg_shared_watcher watcher;
    int heard;
};

static void hear(struct tg_shared_watcher *watcher)
{
    TG_CONTAINER_OF(watcher, struct ear, watcher)->heard++;
}

static void a_watcher_hears_of_the_next_write_once(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(1 << 20);
    struct ear ears[3] = { { { .changed = hear }, 0 }, { { .changed = hear }, 0 }, { { .changed = hear }, 0 } };
    for (int i = 0; i < 3; i++) {
        struct tg_slice key = i == 2 ? TG_SLICE("other") : TG_SLICE("k");
        assert_int_equal(tg_shared_dict_watch(dict, key, 0, &copy, &ears[i].watcher), TG_SHARED_DONE);
        assert_int_equal(copy.type, TG_SHARED_NONE);
    }
    assert_int_equal(tg_shared_dict_watchers(dict), 3);
    assert_int_equal(set(dict, TG_SLICE("k"), number(1)), TG_SHARED_DONE);
    assert_int_equal(set(dict, TG_SLICE("k"), number(2)), TG_SHARED_DONE);
    assert_true(ears[0].heard == 1 && ears[1].heard == 1 && ears[2].heard == 0);
    assert_false(tg_shared_dict_unwatch(dict, &ears[0].watcher));
    assert_true(tg_shared_dict_unwatch(dict, &ears[2].watcher));
    assert_int_equal(tg_shared_dict_watchers(dict), 0);
    assert_int_equal(tg_shared_dict_watch(dict, TG_SLICE("k"), 7, &copy, &ears[0].watcher), TG_SHARED_DONE);
    assert_true(copy.type == TG_SHARED_NUMBER && copy.number == 2);
    uint64_t version = copy.version;
    assert_int_equal(tg_shared_dict_watch(dict, TG_SLICE("k"), version, &copy, &ears[0].watcher), TG_SHARED_DONE);
    assert_int_equal(copy.type, TG_SHARED_NONE);
    assert_int_equal(tg_shared_dict_modify(dict, TG_SLICE("k"), remove_it, NULL), TG_SHARED_DONE);
    assert_int_equal(ears[0].heard, 1);
    assert_int_equal(set(dict, TG_SLICE("k"), text("x", 1)), TG_SHARED_DONE);
    assert_int_equal(ears[0].heard, 2);
    assert_true(has(dict, TG_SLICE("k")) && copy.version > version);
    end(dict);
}

static void a_new_size_keeps_what_fits(void **state)
{
    (void)state;
    struct tg_shared_dict *dict = dict_of(4 << 20);
    char room[24];
    for (int i = 0; i < 10000; i++)
        assert_int_equal(set(dict, key_of(room, i), number(i)), TG_SHARED_DONE);
    tg_shared_dict_resize(dict, 64 << 20);
    assert_int_equal(tg_shared_dict_size(dict), 64 << 20);
    for (int i = 0; i < 10000; i++)
        assert_true(has(dict, key_of(room, i)));
    tg_shared_dict_resize(dict, 256 * 1024);
    assert_in_range(tg_shared_dict_used(dict), 0, 256 * 1024);
    int kept = 0;
    for (int i = 9999; i >= 0; i--)
        kept += has(dict, key_of(room, i));
    assert_in_range(kept, 1000, 4000);
    end(dict);
}

static void a_dictionary_lives_as_long_as_somebody_holds_it(void **state)
{
    (void)state;
    struct tg_shared_registry *registry = tg_shared_registry_new();
    struct tg_shared *one = tg_shared_acquire(registry, TG_SLICE("a"), 1 << 20);
    struct tg_shared *other = tg_shared_acquire(registry, TG_SLICE("a"), 2 << 20);
    assert_ptr_equal(one, other);
    assert_int_equal(set(one->dict, TG_SLICE("k"), number(1)), TG_SHARED_DONE);
    tg_shared_release(one);
    assert_true(has(other->dict, TG_SLICE("k")));
    tg_shared_release(other);
    one = tg_shared_acquire(registry, TG_SLICE("a"), 2 << 20);
    assert_false(has(one->dict, TG_SLICE("k")));
    assert_int_equal(tg_shared_dict_size(one->dict), 2 << 20);
    tg_shared_release(one);
    tg_shared_registry_free(registry);
    one = tg_shared_acquire(NULL, TG_SLICE("a"), 1 << 20);
    assert_non_null(one);
    tg_shared_release(one);
    free(copy.at);
    copy = (struct tg_shared_copy){ 0 };
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_as_they_went_in),
        cmocka_unit_test(keys_are_never_cut),
        cmocka_unit_test(a_value_grows_and_shrinks),
        cmocka_unit_test(the_least_recently_used_are_evicted_under_the_limit),
        cmocka_unit_test(few_large_values_share_the_whole_limit),
        cmocka_unit_test(what_has_expired_is_never_seen),
        cmocka_unit_test(writes_make_room_of_what_nobody_asks_for_any_more),
        cmocka_unit_test(what_is_pinned_stays_and_has_a_limit),
        cmocka_unit_test(a_list_gives_the_oldest_first),
        cmocka_unit_test(a_list_may_take_half_of_the_dictionary),
        cmocka_unit_test(keys_are_listed_up_to_a_number),
        cmocka_unit_test(a_watcher_hears_of_the_next_write_once),
        cmocka_unit_test(a_new_size_keeps_what_fits),
        cmocka_unit_test(a_dictionary_lives_as_long_as_somebody_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
