#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/text.h"

static void count_wake(void *context)
{
    ++*(int *)context;
}

static bool take_into_text(void *context, enum tg_log_target target, struct tg_slice line)
{
    tg_text_append(context, target == TG_LOG_TO_ERROR ? TG_SLICE("E:") : TG_SLICE("A:"));
    tg_text_append(context, line);
    return true;
}

static bool refuse(void *context, enum tg_log_target target, struct tg_slice line)
{
    (void)context, (void)target, (void)line;
    return false;
}

static void lines_come_out_in_order_with_their_target(void **state)
{
    (void)state;
    int wakes = 0;
    struct tg_text text;
    struct tg_log_ring *ring = tg_log_ring_new(1024, count_wake, &wakes);
    tg_text_init(&text);
    for (int round = 0; round < 500; round++) { /* goes around the ring many times */
        assert_true(tg_log_ring_write(ring, TG_LOG_TO_ACCESS, TG_SLICE("first line\n")));
        assert_true(tg_log_ring_write(ring, TG_LOG_TO_ERROR, TG_SLICE("second\n")));
        assert_true(tg_log_ring_write(ring, TG_LOG_TO_ACCESS, tg_slice_of(NULL, 0)));
        assert_int_equal(wakes, round + 1);
        tg_text_clear(&text);
        assert_int_equal(tg_log_ring_drain(ring, take_into_text, &text), 3);
        assert_string_equal(text.at, "A:first line\nE:second\nA:");
    }
    assert_int_equal(tg_log_ring_drain(ring, take_into_text, &text), 0);
    assert_int_equal(tg_log_ring_dropped(ring), 0);
    tg_text_deinit(&text);
    tg_log_ring_free(ring);
}

static void a_full_ring_drops_and_counts(void **state)
{
    (void)state;
    struct tg_log_ring *ring = tg_log_ring_new(1000, NULL, NULL);
    size_t kept = 0;
    for (int i = 0; i < 1000; i++)
        kept += tg_log_ring_write(ring, TG_LOG_TO_ACCESS, TG_SLICE("0123456789abcdef"));
    assert_int_equal(kept, 1024 / 24);
    assert_int_equal(tg_log_ring_dropped(ring), 1000 - kept);
    struct tg_text text;
    tg_text_init(&text);
    assert_int_equal(tg_log_ring_drain(ring, take_into_text, &text), kept);
    assert_true(tg_log_ring_write(ring, TG_LOG_TO_ACCESS, TG_SLICE("room again")));
    tg_text_deinit(&text);
    tg_log_ring_free(ring);
}

static void a_line_that_is_too_long_is_dropped(void **state)
{
    (void)state;
    char line[257] = { 0 };
    struct tg_log_ring *ring = tg_log_ring_new(1024, NULL, NULL);
    assert_false(tg_log_ring_write(ring, TG_LOG_TO_ERROR, tg_slice_of(line, 257)));
    assert_true(tg_log_ring_write(ring, TG_LOG_TO_ERROR, tg_slice_of(line, 256)));
    tg_log_ring_free(ring);
}

static void a_refused_line_stays(void **state)
{
    (void)state;
    struct tg_text text;
    struct tg_log_ring *ring = tg_log_ring_new(1024, NULL, NULL);
    tg_text_init(&text);
    assert_true(tg_log_ring_write(ring, TG_LOG_TO_ERROR, TG_SLICE("stays")));
    assert_int_equal(tg_log_ring_drain(ring, refuse, NULL), 0);
    assert_int_equal(tg_log_ring_drain(ring, take_into_text, &text), 1);
    assert_string_equal(text.at, "E:stays");
    tg_text_deinit(&text);
    tg_log_ring_free(ring);
}

/* The text of the one line that was logged to the ring, behind "worker 3: ". */
static void assert_logged(struct tg_log_ring *ring, const char *expected)
{
    struct tg_text text;
    tg_text_init(&text);
    assert_int_equal(tg_log_ring_drain(ring, take_into_text, &text), 1);
    const char *message = strstr(text.at, " warn worker 3: ");
    assert_non_null(message);
    assert_string_equal(message + strlen(" warn worker 3: "), expected);
    tg_text_deinit(&text);
}

/* [A01] */
static void control_characters_and_bad_utf8_are_escaped(void **state)
{
    (void)state;
    struct tg_log_ring *ring = tg_log_ring_new(65536, NULL, NULL);
    tg_log_set_thread("worker 3", ring);
    tg_log(TG_LOG_WARN, "%s", "a\rb\x1b[31m\x7f\tc");
    assert_logged(ring, "a\\x0db\\x1b[31m\\x7f\\x09c\n");
    tg_log(TG_LOG_WARN, "%s", "gr\xc3\xbc n \xff \xc2\x9b x");
    assert_logged(ring, "gr\xc3\xbc n \\xff \\xc2\\x9b x\n");
    tg_log(TG_LOG_WARN, "%s", "one\ntwo");
    assert_logged(ring, "one\n    two\n");
    tg_log_set_thread("main", NULL);
    tg_log_ring_free(ring);
}

/* [A02] */
static void a_long_line_of_control_characters_is_cut_whole(void **state)
{
    (void)state;
    static char text[20000];
    struct tg_log_ring *ring = tg_log_ring_new(65536, NULL, NULL);
    tg_log_set_thread("worker 3", ring);
    for (size_t length = 1990; length < 2100; length++) {
        memset(text, '\x01', length);
        text[length] = '\0';
        tg_log(TG_LOG_WARN, "%s", text);
        struct tg_text line;
        tg_text_init(&line);
        assert_int_equal(tg_log_ring_drain(ring, take_into_text, &line), 1);
        assert_true(line.length <= 8192 + 2);
        assert_string_equal(line.at + line.length - 5, "\\x01\n");
        tg_text_deinit(&line);
    }
    tg_log_set_thread("main", NULL);
    tg_log_ring_free(ring);
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    struct tg_log_ring *ring = tg_log_ring_new(4096, NULL, NULL);
    tg_log_set_thread("worker 3", ring);
    tg_log_set_level(TG_LOG_ERROR);
    assert_false(tg_log_wants(TG_LOG_WARN));
    tg_log(TG_LOG_WARN, "unseen");
    tg_log_set_level(TG_LOG_INFO);
    assert_int_equal(tg_log_ring_drain(ring, refuse, NULL), 0);
    tg_log(TG_LOG_WARN, "seen");
    assert_logged(ring, "seen\n");
    tg_log_set_thread("main", NULL);
    tg_log_ring_free(ring);
}

static void a_thread_without_ring_writes_to_the_descriptor(void **state)
{
    (void)state;
    int ends[2];
    char line[200] = { 0 };
    assert_int_equal(pipe(ends), 0);
    tg_log_set_descriptor(ends[1]);
    tg_log(TG_LOG_ERROR, "ebb %d", 7);
    tg_log_set_descriptor(2);
    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "Z error main: ebb 7\n"));
    assert_int_equal(line[10], 'T');
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_in_order_with_their_target),
        cmocka_unit_test(a_full_ring_drops_and_counts),
        cmocka_unit_test(a_line_that_is_too_long_is_dropped),
        cmocka_unit_test(a_refused_line_stays),
        cmocka_unit_test(control_characters_and_bad_utf8_are_escaped),
        cmocka_unit_test(a_long_line_of_control_characters_is_cut_whole),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(a_thread_without_ring_writes_to_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
