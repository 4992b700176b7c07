/* The log files and the thread that writes them: nothing that happens to a file makes a writer wait. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/log_sink.h"
#include "control/log_thread.h"

struct place {
    char folder[64], file[128], moved[128], fifo[128];
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/tidegate-unit.XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof place->file, "%s/file", place->folder);
    snprintf(place->moved, sizeof place->moved, "%s/moved", place->folder);
    snprintf(place->fifo, sizeof place->fifo, "%s/fifo", place->folder);
    *state = place;
    return mkfifo(place->fifo, 0600);
}

static int tear_down(void **state)
{
    struct place *place = *state;
    unlink(place->file);
    unlink(place->moved);
    unlink(place->fifo);
    rmdir(place->folder);
    free(place);
    return 0;
}

static size_t read_file(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, room - 1, file) : 0;
    text[length] = 0;
    if (file)
        fclose(file);
    return length;
}

static void expect_file(const char *path, const char *expected)
{
    char text[1024];
    read_file(path, text, sizeof text);
    assert_string_equal(text, expected);
}

/* Waits for what the log thread does. */
static void await_file(const char *path, const char *expected)
{
    char text[1024];
    for (int tries = 0; tries < 5000; tries++) {
        read_file(path, text, sizeof text);
        if (strcmp(text, expected) == 0)
            return;
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    assert_string_equal(text, expected);
}

static void a_moved_file_is_written_until_it_is_reopened(void **state)
{
    struct place *place = *state;
    struct tg_log_sink sink;
    char why[256];
    tg_log_sink_init(&sink, 1);
    assert_true(tg_log_sink_open(&sink, place->file, why));
    tg_log_sink_add(&sink, TG_SLICE("one\n"));
    tg_log_sink_flush(&sink);
    assert_int_equal(rename(place->file, place->moved), 0);
    tg_log_sink_add(&sink, TG_SLICE("two\n"));
    assert_true(tg_log_sink_reopen(&sink, why));
    tg_log_sink_add(&sink, TG_SLICE("three\n"));
    tg_log_sink_flush(&sink);
    expect_file(place->moved, "one\ntwo\n");
    expect_file(place->file, "three\n");
    tg_log_sink_deinit(&sink);
}

static void a_file_that_cannot_be_opened_leaves_the_one_before(void **state)
{
    struct place *place = *state;
    struct tg_log_sink sink;
    char why[256];
    tg_log_sink_init(&sink, 1);
    assert_true(tg_log_sink_open(&sink, place->file, why));
    assert_false(tg_log_sink_open(&sink, "/nonexistent/folder/log", why));
    assert_non_null(strstr(why, "/nonexistent/folder/log"));
    assert_false(tg_log_sink_try("/nonexistent/folder/log", why));
    tg_log_sink_add(&sink, TG_SLICE("still here\n"));
    tg_log_sink_flush(&sink);
    expect_file(place->file, "still here\n");
    tg_log_sink_deinit(&sink);
}

static void a_fifo_without_a_reader_takes_what_fits_and_then_drops_whole_lines(void **state)
{
    struct place *place = *state;
    struct tg_log_sink sink;
    char why[256], line[101];
    memset(line, 'x', 99);
    line[99] = '\n';
    tg_log_sink_init(&sink, 1);
    assert_true(tg_log_sink_open(&sink, place->fifo, why));
    for (int i = 0; i < 10000; i++)
        tg_log_sink_add(&sink, tg_slice_of(line, 100));
    tg_log_sink_flush(&sink);
    assert_true(sink.blocked);
    assert_true(sink.dropped > 5000 && sink.dropped < 9000);

    /* A reader that comes now finds lines that are whole. */
    int reader = open(place->fifo, O_RDONLY | O_NONBLOCK);
    static char text[1024 * 1024];
    size_t length = 0;
    for (int i = 0; i < 1000; i++) {
        ssize_t got = read(reader, text + length, sizeof text - length);
        if (got > 0)
            length += (size_t)got;
        tg_log_sink_flush(&sink);
    }
    assert_int_equal(length, (10000 - sink.dropped) * 100);
    for (size_t at = 0; at < length; at += 100)
        assert_memory_equal(text + at, line, 100);
    close(reader);
    tg_log_sink_deinit(&sink);
}

static void lines_of_all_rings_come_to_their_files(void **state)
{
    struct place *place = *state;
    struct tg_log_thread *logs = tg_log_thread_start();
    struct tg_log_ring *first = tg_log_thread_ring(logs, 4096), *second = tg_log_thread_ring(logs, 4096);
    tg_log_thread_use_files(logs, tg_slice_from_string(place->file), tg_slice_from_string(place->moved));
    assert_true(tg_log_ring_write(first, TG_LOG_TO_ACCESS, TG_SLICE("access\n")));
    await_file(place->file, "access\n");
    assert_true(tg_log_ring_write(second, TG_LOG_TO_ERROR, TG_SLICE("error\n")));
    await_file(place->moved, "error\n");
    assert_true(tg_log_ring_write(first, TG_LOG_TO_ACCESS, TG_SLICE("again\n")));
    await_file(place->file, "access\nagain\n");
    tg_log_thread_stop(logs, 5);
}

static void what_is_written_before_the_stop_is_not_lost(void **state)
{
    struct place *place = *state;
    char text[1024], expected[1024] = "";
    struct tg_log_thread *logs = tg_log_thread_start();
    struct tg_log_ring *ring = tg_log_thread_ring(logs, 64 * 1024);
    tg_log_thread_use_files(logs, tg_slice_from_string(place->file), (struct tg_slice){ 0 });
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "line %d\n", i);
        strcat(expected, text);
        assert_true(tg_log_ring_write(ring, TG_LOG_TO_ACCESS, tg_slice_from_string(text)));
    }
    tg_log_thread_stop(logs, 5);
    expect_file(place->file, expected);
}

static void a_reader_that_never_comes_does_not_keep_the_thread_from_stopping(void **state)
{
    struct place *place = *state;
    struct tg_log_thread *logs = tg_log_thread_start();
    struct tg_log_ring *ring = tg_log_thread_ring(logs, 256 * 1024);
    tg_log_thread_use_files(logs, tg_slice_from_string(place->fifo), tg_slice_from_string(place->file));
    char line[100];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 100000; i++)
        tg_log_ring_write(ring, TG_LOG_TO_ACCESS, tg_slice_of(line, sizeof line));
    /* Every line is in the FIFO, pending, or counted. */
    assert_true(tg_log_thread_dropped(logs) > 100000 - 8 * 256 * 1024 / 100);
    tg_log_thread_stop(logs, 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_moved_file_is_written_until_it_is_reopened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_opened_leaves_the_one_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fifo_without_a_reader_takes_what_fits_and_then_drops_whole_lines, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lines_of_all_rings_come_to_their_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_before_the_stop_is_not_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_never_comes_does_not_keep_the_thread_from_stopping, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
