#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/small_pool.h"

static void pieces_are_aligned_and_hold_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t size = 0; size < 3000; size += 7) {
        char *at = tg_small_alloc(size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 16, 0);
        assert_true(tg_small_room(at) >= size);
        assert_true(tg_small_size(at) > tg_small_room(at));
        memset(at, 0xAB, tg_small_room(at));
        tg_small_free(at);
    }
}

static void a_small_piece_is_used_again(void **state)
{
    (void)state;
    char *first = tg_small_alloc(100);
    tg_small_free(first);
    char *second = tg_small_alloc(90);
    assert_ptr_equal(first, second);
    char *third = tg_small_alloc(90);
    assert_ptr_not_equal(second, third);
    tg_small_free(second);
    tg_small_free(third);
}

static void sizes_at_the_bounds_of_the_pool_go_round(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 47, 48, 49, 1007, 1008, 1009, 1072, 1073, 16367, 16368, 16384, 65536 };
    void *pieces[sizeof(sizes) / sizeof(sizes[0])];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            pieces[i] = tg_small_alloc(sizes[i]);
            assert_true(tg_small_room(pieces[i]) >= sizes[i]);
            memset(pieces[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            tg_small_free(pieces[i]);
    }
}

static void a_size_that_would_wrap_is_refused(void **state)
{
    (void)state;
    assert_null(tg_small_alloc(SIZE_MAX));
    assert_null(tg_small_alloc(SIZE_MAX - 16));
    tg_small_free(NULL);
    assert_int_equal(tg_small_size(NULL), 0);
    assert_int_equal(tg_small_room(NULL), 0);
}

static int release(void **state)
{
    (void)state;
    tg_small_release_thread_pool();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_hold_what_was_asked_for),
        cmocka_unit_test(a_small_piece_is_used_again),
        cmocka_unit_test(sizes_at_the_bounds_of_the_pool_go_round),
        cmocka_unit_test(a_size_that_would_wrap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
