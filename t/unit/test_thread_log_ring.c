#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/counters.h"
#include "base/log_ring.h"

enum { LINES = 20000, PARTS = 4 };

struct reading {
    struct tg_log_ring *ring;
    sem_t wake;
    int next;
    bool ordered;
};

static void wake_reader(void *context)
{
    sem_post(&((struct reading *)context)->wake);
}

static bool take_number(void *context, enum tg_log_target target, struct tg_slice line)
{
    struct reading *reading = context;
    char digits[16] = { 0 };
    memcpy(digits, line.at, line.length < 15 ? line.length : 15);
    int number = atoi(digits);
    reading->ordered = reading->ordered && number >= reading->next && (int)target == number % 2;
    reading->next = number + 1;
    return true;
}

static void *read_lines(void *context)
{
    struct reading *reading = context;
    while (reading->next < LINES) {
        sem_wait(&reading->wake);
        tg_log_ring_drain(reading->ring, take_number, reading);
    }
    return NULL;
}

/* A wake-up that is missed would leave the reader asleep for ever. */
static void every_line_reaches_a_reader_that_sleeps_between(void **state)
{
    (void)state;
    pthread_t reader;
    struct reading reading = { .ordered = true };
    sem_init(&reading.wake, 0, 0);
    reading.ring = tg_log_ring_new(4096, wake_reader, &reading);
    pthread_create(&reader, NULL, read_lines, &reading);
    for (int i = 0; i < LINES; i++) {
        char line[16];
        int length = snprintf(line, sizeof(line), "%d", i);
        while (!tg_log_ring_write(reading.ring, (enum tg_log_target)(i % 2), tg_slice_of(line, (size_t)length)))
            sched_yield();
    }
    pthread_join(reader, NULL);
    assert_true(reading.ordered);
    tg_log_ring_free(reading.ring);
    sem_destroy(&reading.wake);
}

static void *count(void *context)
{
    struct tg_counters *part = context;
    tg_counters_register(part);
    for (int i = 0; i < LINES; i++)
        tg_counters_add(part, TG_COUNTER_REQUESTS, 1);
    tg_counters_unregister(part);
    return NULL;
}

static void totals_are_kept_when_parts_go(void **state)
{
    (void)state;
    static struct tg_counters parts[PARTS];
    pthread_t threads[PARTS];
    int64_t before = tg_counters_total(TG_COUNTER_REQUESTS), seen = before;
    for (int i = 0; i < PARTS; i++)
        pthread_create(&threads[i], NULL, count, &parts[i]);
    for (int i = 0; i < 100; i++) {
        int64_t total = tg_counters_total(TG_COUNTER_REQUESTS);
        assert_true(total >= seen);
        seen = total;
    }
    for (int i = 0; i < PARTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tg_counters_total(TG_COUNTER_REQUESTS) - before, PARTS * LINES);
    assert_string_equal(tg_counter_name(TG_COUNTER_REQUESTS), "requests");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_reaches_a_reader_that_sleeps_between),
        cmocka_unit_test(totals_are_kept_when_parts_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
