#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static void memory_is_aligned_and_writable(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    for (size_t size = 0; size < 3000; size += 7) {
        char *at = tg_arena_alloc(&arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 16, 0);
        memset(at, 0xAB, size);
    }
    tg_arena_deinit(&arena);
}

static void large_requests_leave_the_current_chunk_in_use(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    char *before = tg_arena_alloc(&arena, 32);
    char *large = tg_arena_alloc(&arena, 100000);
    char *after = tg_arena_alloc(&arena, 32);
    memset(large, 1, 100000);
    assert_ptr_equal(after, before + 32);
    tg_arena_deinit(&arena);
}

static void a_large_request_can_be_the_first(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    assert_non_null(tg_arena_alloc_zeroed(&arena, 100000));
    assert_non_null(tg_arena_alloc_zeroed(&arena, 10));
    tg_arena_deinit(&arena);
}

static void an_absurd_size_fails(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    assert_null(tg_arena_alloc(&arena, SIZE_MAX));
    assert_null(tg_arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(tg_arena_copy(&arena, tg_slice_of("", SIZE_MAX)).at);
    tg_arena_deinit(&arena);
}

static void a_copy_has_a_nul_behind_it(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    struct tg_slice copy = tg_arena_copy(&arena, TG_SLICE("harbour"));
    assert_int_equal(copy.length, 7);
    assert_string_equal(copy.at, "harbour");
    assert_string_equal(tg_arena_copy(&arena, tg_slice_of(NULL, 0)).at, "");
    tg_arena_deinit(&arena);
}

static void chunks_come_from_the_pool_and_are_counted(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_release_thread_pool();
    assert_int_equal(tg_memory_held(TG_MEMORY_ARENAS), 0);
    tg_arena_init(&arena);
    void *first = tg_arena_alloc(&arena, 100);
    assert_int_equal(tg_memory_held(TG_MEMORY_ARENAS), TG_ARENA_CHUNK);
    tg_arena_deinit(&arena);
    assert_ptr_equal(tg_arena_alloc(&arena, 100), first);
    assert_int_equal(tg_memory_held(TG_MEMORY_ARENAS), TG_ARENA_CHUNK);
    tg_arena_deinit(&arena);
    tg_arena_release_thread_pool();
    assert_int_equal(tg_memory_held(TG_MEMORY_ARENAS), 0);
}

/* [D15] what request N left behind can't be read by request N+1 without the sanitizer's notice */
static void memory_of_an_ended_arena_is_poisoned(void **state)
{
    (void)state;
    struct tg_arena arena;
    tg_arena_init(&arena);
    char *at = tg_arena_alloc(&arena, 24);
    memset(at, 1, 24);
#ifdef __SANITIZE_ADDRESS__
    assert_false(__asan_address_is_poisoned(at));
    assert_true(__asan_address_is_poisoned(at + 24));
    tg_arena_deinit(&arena);
    assert_true(__asan_address_is_poisoned(at));
#else
    tg_arena_deinit(&arena);
#endif
}

static int release_pool(void **state)
{
    (void)state;
    tg_arena_release_thread_pool();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_writable),
        cmocka_unit_test(large_requests_leave_the_current_chunk_in_use),
        cmocka_unit_test(a_large_request_can_be_the_first),
        cmocka_unit_test(an_absurd_size_fails),
        cmocka_unit_test(a_copy_has_a_nul_behind_it),
        cmocka_unit_test(chunks_come_from_the_pool_and_are_counted),
        cmocka_unit_test(memory_of_an_ended_arena_is_poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, release_pool);
}
