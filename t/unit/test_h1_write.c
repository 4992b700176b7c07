/* What the writer needs and what it writes, and that fields stay where they are while a message grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/h1_parse.h"
#include "http/h1_write.h"

static const struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
static struct tg_arena arena;

static int start(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    return 0;
}

static struct tg_request_head parse_request(const char *text)
{
    struct tg_request_head head;
    struct tg_problem problem;
    struct tg_slice copy = tg_arena_copy(&arena, tg_slice_from_string(text));
    assert_true(tg_h1_parse_request(copy, &limits, &arena, &head, &problem));
    return head;
}

static struct tg_response_head parse_response(const char *text)
{
    struct tg_response_head head;
    struct tg_problem problem;
    struct tg_slice copy = tg_arena_copy(&arena, tg_slice_from_string(text));
    assert_true(tg_h1_parse_response(copy, &limits, &arena, &head, &problem));
    return head;
}

/* Memory of exactly the capacity, so that a sanitizer sees a byte written behind it. */
static size_t write_request_into(const struct tg_request_head *head, const struct tg_h1_framing *framing,
                                 size_t capacity)
{
    char *room = malloc(capacity ? capacity : 1);
    size_t length = tg_h1_write_request(head, framing, false, room, capacity);
    free(room);
    return length;
}

static size_t write_response_into(const struct tg_response_head *head, const struct tg_h1_framing *framing,
                                  size_t capacity)
{
    char *room = malloc(capacity ? capacity : 1);
    size_t length = tg_h1_write_response(head, framing, TG_SLICE("Thu, 01 Jan 1970 00:00:00 GMT"), room, capacity);
    free(room);
    return length;
}

/* [M06] */
static void a_request_fits_its_bound_and_nothing_is_written_beyond_less_room(void **state)
{
    (void)state;
    struct tg_request_head head = parse_request("POST /a/b?c=d HTTP/1.1\r\nhost: shop.example:81\r\nx-one: 1\r\n"
                                                "x-empty:\r\ncontent-length: 18446744073709551\r\n\r\n");
    struct tg_h1_framing framing = { .framing = TG_FRAMING_LENGTH,
                                     .length = UINT64_MAX,
                                     .close = true,
                                     .upgrade = TG_SLICE("websocket"),
                                     .te_trailers = true };
    size_t bound = tg_h1_request_bound(&head, &framing);
    size_t written = write_request_into(&head, &framing, bound);
    assert_in_range(written, 1, bound);
    for (size_t capacity = 0; capacity < written; capacity++)
        assert_int_equal(write_request_into(&head, &framing, capacity), 0);
}

/* [M06] */
static void a_response_fits_its_bound_and_nothing_is_written_beyond_less_room(void **state)
{
    (void)state;
    struct tg_response_head head = parse_response("HTTP/1.1 599 Odd\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n"
                                                  "content-length: 12\r\n\r\n");
    struct tg_h1_framing framing = { .write_length = true, .length = UINT64_MAX, .keep_alive = true };
    size_t bound = tg_h1_response_bound(&head, &framing);
    size_t written = write_response_into(&head, &framing, bound);
    assert_in_range(written, 1, bound);
    for (size_t capacity = 0; capacity < written; capacity++)
        assert_int_equal(write_response_into(&head, &framing, capacity), 0);
}

/* [M05] what was taken from a message before it grew by hundreds of lines still stands */
static void slices_of_fields_are_stable_while_the_message_grows(void **state)
{
    (void)state;
    struct tg_request_head head = parse_request("GET /path HTTP/1.1\r\nhost: a.example\r\nx-kept: the value\r\n\r\n");
    struct tg_slice value = tg_fields_find(&head.fields, TG_FIELD_OTHER, TG_SLICE("x-kept"))->value;
    struct tg_slice path = head.target.path;
    struct tg_slice host = head.authority.host;
    const char *problem;
    for (int i = 0; i < 500; i++) {
        char name[32];
        int length = snprintf(name, sizeof(name), "x-more-%d", i);
        assert_true(
            tg_fields_add(&head.fields, tg_slice_of(name, (size_t)length), TG_SLICE("another value"), &problem));
    }
    assert_true(tg_fields_set(&head.fields, TG_SLICE("x-kept"), TG_SLICE("replaced"), &problem));
    assert_true(tg_slice_equal(value, TG_SLICE("the value")));
    assert_true(tg_slice_equal(path, TG_SLICE("/path")));
    assert_true(tg_slice_equal(host, TG_SLICE("a.example")));
    assert_true(
        tg_slice_equal(tg_fields_find(&head.fields, TG_FIELD_OTHER, TG_SLICE("X-Kept"))->value, TG_SLICE("replaced")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_fits_its_bound_and_nothing_is_written_beyond_less_room, start, end),
        cmocka_unit_test_setup_teardown(a_response_fits_its_bound_and_nothing_is_written_beyond_less_room, start, end),
        cmocka_unit_test_setup_teardown(slices_of_fields_are_stable_while_the_message_grows, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
