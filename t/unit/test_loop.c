#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/loop.h"
#include "run_loop.h"

static int set_up(void **state)
{
    *state = tg_loop_new(NULL, NULL);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    tg_loop_free(*state);
    tg_block_release_thread_pool();
    return 0;
}

/* --- deadlines --- */

struct alarm {
    struct tg_deadline deadline;
    int rings;
    double rang_at;
    struct alarm *other; /* ended when this one rings */
};

static void ring(struct tg_deadline *deadline)
{
    struct alarm *alarm = TG_CONTAINER_OF(deadline, struct alarm, deadline);
    alarm->rings++;
    alarm->rang_at = tg_loop_now_fresh(deadline->loop);
    if (alarm->other)
        tg_deadline_deinit(&alarm->other->deadline);
}

static void a_deadline_expires_once_and_not_too_soon(void **state)
{
    struct alarm alarm = { 0 };
    tg_deadline_init(&alarm.deadline, *state, ring);
    double start = tg_loop_now_fresh(*state);
    tg_deadline_in(&alarm.deadline, 0.02);
    run_until(*state, &alarm.rings, 1);
    assert_true(alarm.rang_at - start >= 0.018);
    run_turns(*state, 5);
    assert_int_equal(alarm.rings, 1);
    tg_deadline_deinit(&alarm.deadline);
}

static void a_later_deadline_only_stores_the_time(void **state)
{
    struct alarm alarm = { 0 };
    tg_deadline_init(&alarm.deadline, *state, ring);
    double start = tg_loop_now_fresh(*state);
    tg_deadline_set(&alarm.deadline, start + 0.01);
    double armed_at = alarm.deadline.armed_at;
    for (int i = 1; i <= 1000; i++)
        tg_deadline_set(&alarm.deadline, start + 0.01 + i * 0.00004);
    assert_true(alarm.deadline.armed_at == armed_at);
    run_until(*state, &alarm.rings, 1);
    assert_true(alarm.rang_at - start >= 0.048);
    tg_deadline_deinit(&alarm.deadline);
}

static void an_earlier_deadline_is_met(void **state)
{
    struct alarm alarm = { 0 };
    tg_deadline_init(&alarm.deadline, *state, ring);
    tg_deadline_in(&alarm.deadline, 1000);
    tg_deadline_in(&alarm.deadline, 0.01);
    run_until(*state, &alarm.rings, 1);
    tg_deadline_in(&alarm.deadline, 0);
    run_until(*state, &alarm.rings, 2);
    tg_deadline_deinit(&alarm.deadline);
}

static void a_cleared_deadline_stays_silent(void **state)
{
    struct alarm cleared = { 0 }, later = { 0 };
    tg_deadline_init(&cleared.deadline, *state, ring);
    tg_deadline_init(&later.deadline, *state, ring);
    tg_deadline_in(&cleared.deadline, 0.005);
    tg_deadline_in(&later.deadline, 0.03);
    tg_deadline_clear(&cleared.deadline);
    run_until(*state, &later.rings, 1);
    assert_int_equal(cleared.rings, 0);
    tg_deadline_deinit(&cleared.deadline);
    tg_deadline_deinit(&later.deadline);
}

/* [M02] */
static void a_deadline_ended_in_the_turn_in_which_it_is_due_stays_silent(void **state)
{
    struct alarm one = { 0 }, two = { 0 };
    one.other = &two;
    two.other = &one;
    tg_deadline_init(&one.deadline, *state, ring);
    tg_deadline_init(&two.deadline, *state, ring);
    double at = tg_loop_now_fresh(*state) + 0.005;
    tg_deadline_set(&one.deadline, at);
    tg_deadline_set(&two.deadline, at);
    int both = 0;
    while (both == 0) {
        run_turns(*state, 1);
        both = one.rings + two.rings;
    }
    run_turns(*state, 5);
    assert_int_equal(one.rings + two.rings, 1);
    tg_deadline_deinit(&one.deadline);
    tg_deadline_deinit(&two.deadline);
}

struct test_clock {
    struct tg_clock clock;
    double now;
};

static double test_time(struct tg_clock *clock)
{
    return TG_CONTAINER_OF(clock, struct test_clock, clock)->now;
}

static void time_comes_from_the_given_clock(void **state)
{
    (void)state;
    int owner;
    struct test_clock clock = { { test_time, test_time }, 100 };
    struct tg_loop *loop = tg_loop_new(&clock.clock, &owner);
    assert_ptr_equal(tg_loop_context(loop), &owner);
    assert_true(tg_loop_now(loop) == 100);
    clock.now = 101;
    assert_true(tg_loop_wall(loop) == 100);
    assert_true(tg_loop_now_fresh(loop) == 101);
    clock.now = 102;
    run_turns(loop, 2);
    assert_true(tg_loop_now(loop) == 102);
    tg_loop_free(loop);
}

/* --- tasks --- */

struct step {
    struct tg_task task;
    struct tg_loop *loop;
    struct step *next; /* deferred by this one */
    char name;
};

static char trail[16];
static int steps;

static void take_step(struct tg_task *task)
{
    struct step *step = TG_CONTAINER_OF(task, struct step, task);
    trail[steps++] = step->name;
    if (step->next)
        tg_loop_defer(step->loop, &step->next->task);
}

static void tasks_run_once_in_their_order_with_those_they_defer(void **state)
{
    struct step c = { .loop = *state, .name = 'c' }, b = { .loop = *state, .name = 'b' },
                a = { .loop = *state, .name = 'a', .next = &c }, gone = { .loop = *state, .name = 'x' };
    struct step *all[] = { &a, &b, &c, &gone };
    for (int i = 0; i < 4; i++)
        tg_task_init(&all[i]->task, take_step);
    steps = 0;
    memset(trail, 0, sizeof(trail));
    tg_loop_defer(*state, &a.task);
    tg_loop_defer(*state, &gone.task);
    tg_loop_defer(*state, &b.task);
    tg_loop_defer(*state, &a.task);
    tg_list_remove(&gone.task.link);
    run_turns(*state, 1);
    assert_string_equal(trail, "abc");
}

/* --- messages --- */

struct letter {
    struct tg_message message;
    int number;
};

static int letters, last_letter;

static void open_letter(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct letter *letter = TG_CONTAINER_OF(message, struct letter, message);
    assert_int_equal(letter->number, last_letter + 1);
    last_letter = letter->number;
    letters++;
    free(letter);
}

static void post_letter(struct tg_loop *loop, int number)
{
    struct letter *letter = malloc(sizeof(*letter));
    *letter = (struct letter){ { NULL, open_letter }, number };
    tg_loop_post(loop, &letter->message);
}

static void messages_come_in_order(void **state)
{
    letters = last_letter = 0;
    for (int i = 1; i <= 100; i++)
        post_letter(*state, i);
    run_until(*state, &letters, 100);
}

static void messages_left_over_are_run_when_the_loop_goes(void **state)
{
    (void)state;
    struct tg_loop *loop = tg_loop_new(NULL, NULL);
    letters = last_letter = 0;
    post_letter(loop, 1);
    post_letter(loop, 2);
    tg_loop_free(loop);
    assert_int_equal(letters, 2);
}

/* --- memory --- */

static void memory_is_freed_after_the_turn(void **state)
{
    for (int i = 0; i < 1000; i++) {
        char *memory = malloc(10);
        tg_loop_free_later(*state, memory);
        memory[0] = 'x';
    }
    run_turns(*state, 1);
}

static void output_is_written_side_by_side(void **state)
{
    char *room = tg_loop_reserve(*state, 100);
    memcpy(room, "one", 3);
    struct tg_buffer one = tg_loop_commit(*state, 3);
    room = tg_loop_reserve(*state, 100);
    memcpy(room, "two", 3);
    struct tg_buffer two = tg_loop_commit(*state, 3);
    assert_ptr_equal(one.block, two.block);
    assert_memory_equal(one.at, "onetwo", 6);
    char *first = one.block->data;
    tg_buffer_unref(one);
    tg_buffer_unref(two);
    assert_ptr_equal(tg_loop_reserve(*state, TG_BLOCK_SIZE), first);
    assert_non_null(tg_loop_reserve(*state, 3 * TG_BLOCK_SIZE));
    struct tg_buffer large = tg_loop_commit(*state, 3 * TG_BLOCK_SIZE);
    assert_int_equal(large.block->references, 2);
    tg_buffer_unref(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_deadline_expires_once_and_not_too_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_deadline_only_stores_the_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_earlier_deadline_is_met, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cleared_deadline_stays_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_ended_in_the_turn_in_which_it_is_due_stays_silent, set_up,
                                        tear_down),
        cmocka_unit_test(time_comes_from_the_given_clock),
        cmocka_unit_test_setup_teardown(tasks_run_once_in_their_order_with_those_they_defer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_come_in_order, set_up, tear_down),
        cmocka_unit_test(messages_left_over_are_run_when_the_loop_goes),
        cmocka_unit_test_setup_teardown(memory_is_freed_after_the_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(output_is_written_side_by_side, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
