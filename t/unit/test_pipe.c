/* The pipe of a body and the stages that may stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "proxy/pipe.h"

static struct tg_buffer text(const char *bytes)
{
    return (struct tg_buffer){ NULL, bytes, strlen(bytes) };
}

static void expect_waiting(struct tg_body_pipe *pipe, const char *expected)
{
    assert_int_equal(tg_buffer_queue_length(&pipe->waiting), strlen(expected));
    while (tg_buffer_queue_length(&pipe->waiting) > 0) {
        struct tg_buffer piece = tg_buffer_queue_pop(&pipe->waiting, SIZE_MAX);
        assert_memory_equal(piece.at, expected, piece.length);
        expected += piece.length;
        tg_buffer_unref(piece);
    }
}

/* Gives each piece twice, and a word of its own at the end. */
static void put_twice(struct tg_body_stage *stage, struct tg_body_pipe *pipe, struct tg_buffer piece)
{
    tg_body_pipe_emit(pipe, stage, tg_buffer_ref(piece));
    tg_body_pipe_emit(pipe, stage, piece);
}

static void end_with_a_dot(struct tg_body_stage *stage, struct tg_body_pipe *pipe)
{
    tg_body_pipe_emit(pipe, stage, text("."));
    tg_body_pipe_emit_end(pipe, stage);
}

/* Holds everything back until the end. */
struct holding_stage {
    struct tg_body_stage stage;
    struct tg_buffer_queue held;
};

static void hold(struct tg_body_stage *stage, struct tg_body_pipe *pipe, struct tg_buffer piece)
{
    (void)pipe;
    assert_true(tg_buffer_queue_push(&TG_CONTAINER_OF(stage, struct holding_stage, stage)->held, piece));
}

static void let_go(struct tg_body_stage *stage, struct tg_body_pipe *pipe)
{
    struct holding_stage *holding = TG_CONTAINER_OF(stage, struct holding_stage, stage);
    while (tg_buffer_queue_length(&holding->held) > 0)
        tg_body_pipe_emit(pipe, stage, tg_buffer_queue_pop(&holding->held, SIZE_MAX));
    tg_body_pipe_emit_end(pipe, stage);
}

static void a_pipe_without_stages_keeps_what_comes(void **state)
{
    (void)state;
    struct tg_body_pipe pipe;
    tg_body_pipe_init(&pipe);
    tg_body_pipe_emit(&pipe, NULL, text("ab"));
    tg_body_pipe_emit(&pipe, NULL, text("c"));
    assert_int_equal(pipe.passed, 3);
    assert_false(pipe.ended);
    tg_body_pipe_emit_end(&pipe, NULL);
    assert_true(pipe.ended);
    expect_waiting(&pipe, "abc");
    tg_body_pipe_deinit(&pipe);
}

static void stages_work_one_after_another_in_the_order_in_which_they_were_added(void **state)
{
    (void)state;
    struct tg_body_pipe pipe;
    struct tg_body_stage twice = { .put = put_twice, .end = end_with_a_dot };
    struct tg_body_stage again = { .put = put_twice, .end = end_with_a_dot };
    tg_body_pipe_init(&pipe);
    tg_body_pipe_add_stage(&pipe, &twice);
    tg_body_pipe_add_stage(&pipe, &again);
    tg_body_pipe_emit(&pipe, NULL, text("x"));
    assert_int_equal(pipe.passed, 1); /* what the giver gave, whatever becomes of it */
    expect_waiting(&pipe, "xxxx");
    tg_body_pipe_emit_end(&pipe, NULL);
    assert_true(pipe.ended);
    expect_waiting(&pipe, "...");
    tg_body_pipe_deinit(&pipe);
}

static void a_stage_may_hold_back_and_end_later(void **state)
{
    (void)state;
    struct tg_body_pipe pipe;
    struct holding_stage holding = { .stage = { .put = hold, .end = let_go } };
    tg_buffer_queue_init(&holding.held);
    tg_body_pipe_init(&pipe);
    tg_body_pipe_add_stage(&pipe, &holding.stage);
    tg_body_pipe_emit(&pipe, NULL, text("ab"));
    tg_body_pipe_emit(&pipe, NULL, text("cd"));
    expect_waiting(&pipe, "");
    assert_false(pipe.ended);
    tg_body_pipe_emit_end(&pipe, NULL);
    assert_true(pipe.ended);
    expect_waiting(&pipe, "abcd");
    tg_buffer_queue_deinit(&holding.held);
    tg_body_pipe_deinit(&pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_without_stages_keeps_what_comes),
        cmocka_unit_test(stages_work_one_after_another_in_the_order_in_which_they_were_added),
        cmocka_unit_test(a_stage_may_hold_back_and_end_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
