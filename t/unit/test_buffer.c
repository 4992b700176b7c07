#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"

static struct tg_buffer buffer_of(const char *text)
{
    struct tg_block *block = tg_block_new();
    size_t length = strlen(text);
    memcpy(block->data, text, length);
    block->used = (uint32_t)length;
    return (struct tg_buffer){ block, block->data, length };
}

static struct tg_buffer static_buffer(const char *text)
{
    return (struct tg_buffer){ NULL, text, strlen(text) };
}

static void assert_buffer(struct tg_buffer buffer, const char *text)
{
    assert_int_equal(buffer.length, strlen(text));
    assert_memory_equal(buffer.at, text, buffer.length);
}

static void a_freed_block_is_given_out_again(void **state)
{
    (void)state;
    struct tg_block *block = tg_block_new();
    tg_block_unref(block);
    struct tg_block *again = tg_block_new();
    assert_ptr_equal(again, block);
    assert_int_equal(again->used, 0);
    assert_int_equal(again->references, 1);
    tg_block_unref(again);
}

static void a_larger_block_stands_alone(void **state)
{
    (void)state;
    struct tg_block *block = tg_block_new_of(TG_BLOCK_SIZE + 1);
    assert_int_equal(block->capacity, TG_BLOCK_SIZE + 1);
    memset(block->data, 1, block->capacity);
    tg_block_unref(block);
    assert_null(tg_block_new_of((size_t)UINT32_MAX + 1));
    block = tg_block_new_of(10);
    assert_int_equal(block->capacity, TG_BLOCK_SIZE);
    tg_block_unref(block);
}

static void the_pool_is_bounded_and_counted(void **state)
{
    (void)state;
    struct tg_block *blocks[200];
    for (size_t i = 0; i < 200; i++)
        blocks[i] = tg_block_new();
    uint64_t most = tg_memory_held(TG_MEMORY_BLOCKS);
    assert_true(most >= 200 * (uint64_t)TG_BLOCK_SIZE);
    for (size_t i = 0; i < 200; i++)
        tg_block_unref(blocks[i]);
    assert_true(tg_memory_held(TG_MEMORY_BLOCKS) < most / 2);
    tg_block_release_thread_pool();
    assert_int_equal(tg_memory_held(TG_MEMORY_BLOCKS), 0);
}

static void a_queue_gives_back_in_order_and_grows(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    char text[1200]; /* too long to be copied together */
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%01100d", i);
        assert_true(tg_buffer_queue_push(&queue, buffer_of(text)));
        if (i % 3 == 2) /* the front moves while it grows */
            tg_buffer_unref(tg_buffer_queue_pop(&queue, SIZE_MAX));
    }
    for (int i = 33; i < 100; i++) {
        snprintf(text, sizeof(text), "%01100d", i);
        struct tg_buffer buffer = tg_buffer_queue_pop(&queue, SIZE_MAX);
        assert_buffer(buffer, text);
        tg_buffer_unref(buffer);
    }
    assert_int_equal(tg_buffer_queue_length(&queue), 0);
    assert_int_equal(tg_buffer_queue_pop(&queue, SIZE_MAX).length, 0);
    tg_buffer_queue_deinit(&queue);
}

static void a_pop_with_a_limit_splits_a_buffer(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    assert_true(tg_buffer_queue_push(&queue, buffer_of("lighthouse")));
    struct tg_buffer front = tg_buffer_queue_pop(&queue, 5);
    assert_buffer(front, "light");
    assert_buffer(tg_buffer_queue_peek(&queue), "house");
    assert_int_equal(front.block->references, 2);
    assert_int_equal(tg_buffer_queue_length(&queue), 5);
    tg_buffer_unref(front);
    tg_buffer_queue_deinit(&queue);
}

static void empty_buffers_are_dropped_and_neighbours_merged(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    struct tg_buffer whole = buffer_of("seawater");
    assert_true(tg_buffer_queue_push(&queue, static_buffer("")));
    assert_int_equal(queue.count, 0);
    struct tg_buffer first = { whole.block, whole.at, 3 }, second = { whole.block, whole.at + 3, 5 };
    assert_true(tg_buffer_queue_push(&queue, tg_buffer_ref(first)));
    assert_true(tg_buffer_queue_push(&queue, tg_buffer_ref(second)));
    assert_int_equal(queue.count, 1);
    assert_int_equal(whole.block->references, 2);
    assert_buffer(tg_buffer_queue_peek(&queue), "seawater");
    tg_buffer_queue_deinit(&queue);
    tg_buffer_unref(whole);
}

static void appended_bytes_share_a_block(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    for (int i = 0; i < 1000; i++)
        assert_true(tg_buffer_queue_append(&queue, TG_SLICE("0123456789")));
    assert_int_equal(queue.count, 1);
    static char large[3 * TG_BLOCK_SIZE];
    memset(large, 'x', sizeof(large));
    assert_true(tg_buffer_queue_append(&queue, tg_slice_of(large, sizeof(large))));
    assert_true(tg_buffer_queue_append(&queue, tg_slice_of(NULL, 0)));
    assert_int_equal(tg_buffer_queue_length(&queue), 10000 + sizeof(large));
    assert_int_equal(queue.count, 4);
    tg_buffer_queue_deinit(&queue);
}

static void an_append_never_overwrites_what_another_wrote_behind(void **state)
{
    (void)state;
    struct tg_buffer_queue one, two;
    tg_buffer_queue_init(&one);
    tg_buffer_queue_init(&two);
    struct tg_buffer shared = buffer_of("ab");
    assert_true(tg_buffer_queue_push(&one, tg_buffer_ref(shared)));
    assert_true(tg_buffer_queue_push(&two, shared));
    assert_true(tg_buffer_queue_append(&one, TG_SLICE("cd")));
    assert_true(tg_buffer_queue_append(&two, TG_SLICE("xy")));
    assert_buffer(tg_buffer_queue_peek(&one), "abcd");
    assert_buffer(tg_buffer_queue_peek(&two), "ab");
    assert_int_equal(tg_buffer_queue_length(&two), 4);
    tg_buffer_queue_deinit(&one);
    tg_buffer_queue_deinit(&two);
}

static void dropping_goes_over_buffers(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    struct iovec vector[4];
    tg_buffer_queue_init(&queue);
    assert_true(tg_buffer_queue_push(&queue, buffer_of("one")));
    assert_true(tg_buffer_queue_push(&queue, static_buffer("two")));
    assert_true(tg_buffer_queue_push(&queue, buffer_of("three")));
    tg_buffer_queue_drop(&queue, 4);
    assert_int_equal(tg_buffer_queue_to_vector(&queue, vector, 1), 1);
    assert_int_equal(tg_buffer_queue_to_vector(&queue, vector, 4), 2);
    assert_int_equal(vector[0].iov_len, 2);
    assert_memory_equal(vector[0].iov_base, "wo", 2);
    tg_buffer_queue_drop(&queue, 7);
    assert_int_equal(queue.count, 0);
    tg_buffer_queue_deinit(&queue);
}

static void a_queue_moves_whole(void **state)
{
    (void)state;
    struct tg_buffer_queue from, to;
    tg_buffer_queue_init(&from);
    tg_buffer_queue_init(&to);
    assert_true(tg_buffer_queue_push(&to, static_buffer("a")));
    for (int i = 0; i < 20; i++)
        assert_true(tg_buffer_queue_push(&from, buffer_of("b")));
    assert_true(tg_buffer_queue_move(&to, &from));
    assert_int_equal(tg_buffer_queue_length(&to), 21);
    assert_int_equal(tg_buffer_queue_length(&from), 0);
    assert_int_equal(from.count, 0);
    tg_buffer_queue_deinit(&from);
    tg_buffer_queue_deinit(&to);
}

static int release_pool(void **state)
{
    (void)state;
    tg_block_release_thread_pool();
    return 0;
}

static void many_small_buffers_hold_few_blocks(void **state)
{
    (void)state;
    struct tg_buffer_queue queue;
    struct tg_block *blocks[200];
    tg_buffer_queue_init(&queue);
    for (int i = 0; i < 200; i++) {
        blocks[i] = tg_block_new();
        memset(blocks[i]->data, i, 100);
        blocks[i]->used = 100;
        assert_true(tg_buffer_queue_push(&queue, (struct tg_buffer){ tg_block_ref(blocks[i]), blocks[i]->data, 100 }));
    }
    uint32_t held = 0;
    for (int i = 0; i < 200; i++) {
        held += blocks[i]->references - 1;
        tg_block_unref(blocks[i]);
    }
    assert_int_equal(held, TG_BUFFER_QUEUE_INLINE);
    assert_int_equal(tg_buffer_queue_length(&queue), 200 * 100);
    assert_true(queue.count <= TG_BUFFER_QUEUE_INLINE + 1);
    for (int i = 0; i < 200; i++) {
        struct tg_buffer buffer = tg_buffer_queue_pop(&queue, 100);
        assert_int_equal(buffer.length, 100);
        assert_int_equal((unsigned char)buffer.at[0], i);
        assert_int_equal((unsigned char)buffer.at[99], i);
        tg_buffer_unref(buffer);
    }
    tg_buffer_queue_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_block_is_given_out_again),
        cmocka_unit_test(a_larger_block_stands_alone),
        cmocka_unit_test(the_pool_is_bounded_and_counted),
        cmocka_unit_test(a_queue_gives_back_in_order_and_grows),
        cmocka_unit_test(a_pop_with_a_limit_splits_a_buffer),
        cmocka_unit_test(empty_buffers_are_dropped_and_neighbours_merged),
        cmocka_unit_test(appended_bytes_share_a_block),
        cmocka_unit_test(an_append_never_overwrites_what_another_wrote_behind),
        cmocka_unit_test(dropping_goes_over_buffers),
        cmocka_unit_test(a_queue_moves_whole),
        cmocka_unit_test(many_small_buffers_hold_few_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, release_pool);
}
