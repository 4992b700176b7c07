#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/random.h"
#include "base/sip_hash.h"

enum { KEYS = 2000 };

static struct tg_slice key_of(char room[16], int number)
{
    int length = snprintf(room, 16, "key-%d", number);
    return tg_slice_of(room, (size_t)length);
}

static void keys_are_found_replaced_and_removed(void **state)
{
    (void)state;
    int one, two;
    struct tg_map *map = tg_map_new();
    assert_null(tg_map_get(map, TG_SLICE("reef")));
    assert_null(tg_map_remove(map, TG_SLICE("reef")));
    assert_true(tg_map_set(map, TG_SLICE("reef"), &one));
    assert_ptr_equal(tg_map_get(map, TG_SLICE("reef")), &one);
    assert_null(tg_map_get(map, TG_SLICE("Reef")));
    assert_true(tg_map_set(map, TG_SLICE("reef"), &two));
    assert_int_equal(tg_map_count(map), 1);
    assert_ptr_equal(tg_map_remove(map, TG_SLICE("reef")), &two);
    assert_int_equal(tg_map_count(map), 0);
    tg_map_free(map);
}

static void keys_may_be_empty_or_hold_nul(void **state)
{
    (void)state;
    int one, two;
    struct tg_map *map = tg_map_new();
    assert_true(tg_map_set(map, TG_SLICE(""), &one));
    assert_true(tg_map_set(map, TG_SLICE("a\0b"), &two));
    assert_ptr_equal(tg_map_get(map, tg_slice_of(NULL, 0)), &one);
    assert_ptr_equal(tg_map_get(map, TG_SLICE("a\0b")), &two);
    assert_null(tg_map_get(map, TG_SLICE("a\0c")));
    assert_null(tg_map_get(map, TG_SLICE("a")));
    tg_map_free(map);
}

static void a_map_agrees_with_a_plain_table_through_random_changes(void **state)
{
    (void)state;
    static int values[KEYS];
    static bool present[KEYS];
    char room[16];
    struct tg_map *map = tg_map_new();
    for (int step = 0; step < 60000; step++) {
        int number = (int)(tg_random_u64() % KEYS);
        if (tg_random_unit() < 0.5) {
            assert_true(tg_map_set(map, key_of(room, number), &values[number]));
            present[number] = true;
        } else {
            void *removed = tg_map_remove(map, key_of(room, number));
            assert_ptr_equal(removed, present[number] ? &values[number] : NULL);
            present[number] = false;
        }
    }
    size_t count = 0;
    for (int number = 0; number < KEYS; number++) {
        assert_ptr_equal(tg_map_get(map, key_of(room, number)), present[number] ? &values[number] : NULL);
        count += present[number];
    }
    assert_int_equal(tg_map_count(map), count);
    tg_map_free(map);
}

static void going_over_the_entries_sees_each_once(void **state)
{
    (void)state;
    static int seen[KEYS];
    char room[16];
    struct tg_map *map = tg_map_new();
    for (int number = 0; number < KEYS; number++)
        assert_true(tg_map_set(map, key_of(room, number), &seen[number]));
    size_t position = 0, steps = 0;
    struct tg_slice key;
    void *value;
    for (; tg_map_next(map, &position, &key, &value); steps++)
        ++*(int *)value;
    assert_int_equal(steps, KEYS);
    for (int number = 0; number < KEYS; number++)
        assert_int_equal(seen[number], 1);
    tg_map_free(map);
}

static void the_hash_depends_on_every_byte_and_the_length(void **state)
{
    (void)state;
    char text[40] = { 0 };
    uint64_t plain[41];
    for (size_t length = 0; length <= 40; length++) {
        plain[length] = tg_map_hash(tg_slice_of(text, length));
        assert_true(tg_map_hash(tg_slice_of(text, length)) == plain[length]);
        for (size_t i = 0; i < length; i++) {
            assert_true(plain[i] != plain[length]);
            text[i] = 1;
            assert_true(tg_map_hash(tg_slice_of(text, length)) != plain[length]);
            text[i] = 0;
        }
    }
}

static void random_ids_differ_and_are_hex(void **state)
{
    (void)state;
    char first[32], second[32];
    tg_random_hex_id(first);
    for (int i = 0; i < 2000; i++) {
        tg_random_hex_id(second);
        assert_memory_not_equal(first, second, 32);
        for (int c = 0; c < 32; c++)
            assert_non_null(strchr("0123456789abcdef", second[c]));
        double unit = tg_random_unit();
        assert_true(unit >= 0 && unit < 1);
    }
    char large[10000];
    tg_random_secret(large, sizeof(large));
}

/* The same hash, with the last word put together byte by byte. */
static uint64_t plain_hash(const uint64_t key[2], struct tg_slice text)
{
    struct tg_sip sip = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                          key[1] ^ 0x7465646279746573 };
    for (size_t i = 0; i <= text.length / 8; i++) {
        uint64_t word = i == text.length / 8 ? (uint64_t)text.length << 56 : 0;
        for (size_t at = i * 8; at < i * 8 + 8 && at < text.length; at++)
            word |= (uint64_t)(unsigned char)text.at[at] << (8 * (at % 8));
        tg_sip_absorb(&sip, word);
    }
    sip.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        tg_sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

static void every_byte_of_a_key_counts_whatever_its_length(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 40; length++) {
        char *bytes = malloc(length ? length : 1); /* so that no byte beside it can be read */
        uint64_t key[2];
        tg_random_secret(key, sizeof(key));
        tg_random_secret(bytes, length);
        uint64_t hash = tg_sip_hash(key, tg_slice_of(bytes, length));
        assert_true(hash == plain_hash(key, tg_slice_of(bytes, length)));
        for (size_t at = 0; at < length; at++) {
            bytes[at] ^= 1;
            assert_true(hash != tg_sip_hash(key, tg_slice_of(bytes, length)));
            bytes[at] ^= 1;
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_key_counts_whatever_its_length),
        cmocka_unit_test(keys_are_found_replaced_and_removed),
        cmocka_unit_test(keys_may_be_empty_or_hold_nul),
        cmocka_unit_test(a_map_agrees_with_a_plain_table_through_random_changes),
        cmocka_unit_test(going_over_the_entries_sees_each_once),
        cmocka_unit_test(the_hash_depends_on_every_byte_and_the_length),
        cmocka_unit_test(random_ids_differ_and_are_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
