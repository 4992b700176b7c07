/* Field names, field lines, lists, methods, statuses, dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/date.h"
#include "http/fields.h"
#include "http/message.h"

static struct tg_arena arena;
static struct tg_fields fields;
static const char *problem;

static int start(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    tg_fields_init(&fields, &arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    return 0;
}

static void expect_slice(struct tg_slice got, const char *expected)
{
    if (!tg_slice_equal(got, tg_slice_from_string(expected)))
        fail_msg("expected <%s>, but it is <%.*s>", expected, (int)got.length, got.at);
}

static void add(const char *name, const char *value)
{
    assert_true(tg_fields_add(&fields, tg_slice_from_string(name), tg_slice_from_string(value), &problem));
}

static void every_known_name_is_found_in_any_case(void **state)
{
    (void)state;
    for (int token = 1; token < TG_FIELD_NAME_COUNT; token++) {
        struct tg_slice text = tg_field_name_text((enum tg_field_name)token);
        char upper[64], mixed[64];
        for (size_t i = 0; i < text.length; i++) {
            bool letter = text.at[i] >= 'a';
            upper[i] = (char)(letter ? text.at[i] & ~0x20 : text.at[i]);
            mixed[i] = i % 2 ? upper[i] : text.at[i];
        }
        assert_int_equal(tg_field_name_of(text), token);
        assert_int_equal(tg_field_name_of(tg_slice_of(upper, text.length)), token);
        assert_int_equal(tg_field_name_of(tg_slice_of(mixed, text.length)), token);
    }
}

/* [S07] Bytes that differ from a letter or dash in the case bit alone are other bytes. */
static void no_other_name_is_taken_for_a_known_one(void **state)
{
    (void)state;
    for (int token = 1; token < TG_FIELD_NAME_COUNT; token++) {
        struct tg_slice text = tg_field_name_text((enum tg_field_name)token);
        for (size_t i = 0; i < text.length; i++) {
            for (int byte = 0; byte < 256; byte++) {
                char copy[64];
                memcpy(copy, text.at, text.length);
                copy[i] = (char)byte;
                bool same = tg_ascii_lower((unsigned char)byte) == (unsigned char)text.at[i];
                enum tg_field_name found = tg_field_name_of(tg_slice_of(copy, text.length));
                assert_true(same ? found == (enum tg_field_name)token : found != (enum tg_field_name)token);
            }
        }
        assert_int_not_equal(tg_field_name_of(tg_slice_of(text.at, text.length - 1)), token);
    }
    assert_int_equal(tg_field_name_of(TG_SLICE("")), TG_FIELD_OTHER);
    assert_int_equal(tg_field_name_of(TG_SLICE("x")), TG_FIELD_OTHER);
    assert_int_equal(tg_field_name_of(TG_SLICE("x-forwarded-for-and-much-longer-than-any")), TG_FIELD_OTHER);
    expect_slice(tg_field_name_text(TG_FIELD_OTHER), "");
}

/* [R07] */
static void names_and_values_are_checked_where_they_are_added(void **state)
{
    (void)state;
    static const char *const names[] = { "", "a b", "a:", "a\r\nb", "\xc3\xa9", "Content_Length", "transfer.encoding" };
    static const char *const values[] = { "a\r\nb: c", "a\nb", "a\rb", "\x01", "a\x7f", " a", "a ", "\ta" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(tg_fields_add(&fields, tg_slice_from_string(names[i]), TG_SLICE("v"), &problem));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_false(tg_fields_add(&fields, TG_SLICE("x"), tg_slice_from_string(values[i]), &problem));
        assert_false(tg_fields_set(&fields, TG_SLICE("x"), tg_slice_from_string(values[i]), &problem));
    }
    assert_false(tg_fields_add(&fields, TG_SLICE("x"), TG_SLICE("a\0b"), &problem));
    assert_int_equal(fields.count, 0);
    add("x", "");
    add("x", "a\tb \xff");
}

/* [H06] */
static void lines_are_found_set_and_removed_ignoring_case(void **state)
{
    (void)state;
    struct tg_slice none = { 0 };
    add("X-One", "1");
    add("Cookie", "a");
    add("x-ONE", "2");
    add("cookie", "b");
    const struct tg_field *line = tg_fields_find(&fields, TG_FIELD_OTHER, TG_SLICE("x-one"));
    expect_slice(line->value, "1");
    expect_slice(tg_fields_find_next(&fields, line)->value, "2");
    assert_null(tg_fields_find_next(&fields, tg_fields_find_next(&fields, line)));
    assert_true(tg_fields_set(&fields, TG_SLICE("X-one"), TG_SLICE("3"), &problem));
    line = tg_fields_find(&fields, TG_FIELD_OTHER, TG_SLICE("X-ONE"));
    expect_slice(line->value, "3");
    assert_null(tg_fields_find_next(&fields, line));
    assert_int_equal(tg_fields_remove(&fields, TG_FIELD_COOKIE, none), 2);
    assert_int_equal(tg_fields_remove(&fields, TG_FIELD_COOKIE, none), 0);
    assert_null(tg_fields_find(&fields, TG_FIELD_COOKIE, none));
    assert_false(tg_fields_has(&fields, TG_FIELD_COOKIE));
    add("cookie", "c");
    assert_true(tg_fields_has(&fields, TG_FIELD_COOKIE));
}

static void a_set_that_is_refused_leaves_the_line(void **state)
{
    (void)state;
    add("x-a", "1");
    assert_false(tg_fields_set(&fields, TG_SLICE("x-a"), TG_SLICE("\n"), &problem));
    expect_slice(tg_fields_find(&fields, TG_FIELD_OTHER, TG_SLICE("x-a"))->value, "1");
}

static void clearing_leaves_the_lines_of_the_hop(void **state)
{
    (void)state;
    add("host", "a");
    add("x-a", "1");
    add("accept", "2");
    tg_fields_clear(&fields);
    assert_true(tg_fields_has(&fields, TG_FIELD_HOST));
    assert_false(tg_fields_has(&fields, TG_FIELD_ACCEPT));
    assert_null(tg_fields_find(&fields, TG_FIELD_OTHER, TG_SLICE("x-a")));
}

static void many_lines_and_a_copy_keep_their_order(void **state)
{
    (void)state;
    struct tg_fields copy;
    char name[16];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "x-%d", i);
        add(name, name);
    }
    assert_true(tg_fields_copy(&copy, &fields, &arena));
    tg_fields_clear(&fields);
    assert_true(tg_fields_add(&copy, TG_SLICE("y"), TG_SLICE("z"), &problem));
    assert_int_equal(copy.count, 501);
    for (uint32_t i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "x-%u", i);
        expect_slice(copy.lines[i].name, name);
        assert_false(copy.lines[i].removed);
    }
    tg_fields_init(&fields, &arena);
    assert_true(tg_fields_copy(&copy, &fields, &arena));
    assert_int_equal(copy.count, 0);
}

static void expect_members(const char *value, const char *const *members)
{
    struct tg_slice rest = tg_slice_from_string(value), member;
    while (tg_list_next(&rest, &member)) {
        assert_non_null(*members);
        expect_slice(member, *members++);
    }
    assert_null(*members);
}

/* [H07] */
static void a_list_gives_each_of_its_members(void **state)
{
    (void)state;
    expect_members("a", (const char *const[]){ "a", NULL });
    expect_members(" a ,\tb,c ", (const char *const[]){ "a", "b", "c", NULL });
    expect_members("", (const char *const[]){ "", NULL });
    expect_members("a,", (const char *const[]){ "a", "", NULL });
    expect_members(",,", (const char *const[]){ "", "", "", NULL });
    expect_members("\"a,b\", c", (const char *const[]){ "\"a,b\"", "c", NULL });
    expect_members("x=\"a\\\",b\",c", (const char *const[]){ "x=\"a\\\",b\"", "c", NULL });
    expect_members("\"a,b", (const char *const[]){ "\"a,b", NULL });
    expect_members("\"a\\", (const char *const[]){ "\"a\\", NULL });
    struct tg_slice rest = { 0 }, member;
    assert_false(tg_list_next(&rest, &member));
}

static void methods_are_told_apart_by_case(void **state)
{
    (void)state;
    assert_int_equal(tg_method_of(TG_SLICE("GET")), TG_METHOD_GET);
    assert_int_equal(tg_method_of(TG_SLICE("HEAD")), TG_METHOD_HEAD);
    assert_int_equal(tg_method_of(TG_SLICE("POST")), TG_METHOD_POST);
    assert_int_equal(tg_method_of(TG_SLICE("PUT")), TG_METHOD_PUT);
    assert_int_equal(tg_method_of(TG_SLICE("DELETE")), TG_METHOD_DELETE);
    assert_int_equal(tg_method_of(TG_SLICE("OPTIONS")), TG_METHOD_OPTIONS);
    assert_int_equal(tg_method_of(TG_SLICE("PATCH")), TG_METHOD_PATCH);
    assert_int_equal(tg_method_of(TG_SLICE("TRACE")), TG_METHOD_TRACE);
    assert_int_equal(tg_method_of(TG_SLICE("CONNECT")), TG_METHOD_CONNECT);
    assert_int_equal(tg_method_of(TG_SLICE("get")), TG_METHOD_OTHER);
    assert_int_equal(tg_method_of(TG_SLICE("")), TG_METHOD_OTHER);
    assert_true(tg_method_idempotent(TG_METHOD_PUT));
    assert_false(tg_method_idempotent(TG_METHOD_POST));
    assert_false(tg_method_idempotent(TG_METHOD_OTHER));
    assert_false(tg_method_valid(TG_SLICE("G T")));
    assert_false(tg_method_valid(TG_SLICE("")));
}

static void statuses_have_phrases_and_some_no_body(void **state)
{
    (void)state;
    expect_slice(tg_status_reason(200), "OK");
    expect_slice(tg_status_reason(504), "Gateway Timeout");
    expect_slice(tg_status_reason(299), "");
    expect_slice(tg_status_reason(-1), "");
    expect_slice(tg_status_reason(100000), "");
    assert_true(tg_response_bodyless(100, TG_METHOD_GET));
    assert_true(tg_response_bodyless(204, TG_METHOD_GET));
    assert_true(tg_response_bodyless(304, TG_METHOD_GET));
    assert_true(tg_response_bodyless(200, TG_METHOD_HEAD));
    assert_false(tg_response_bodyless(205, TG_METHOD_GET));
}

static void a_date_is_that_of_its_second(void **state)
{
    (void)state;
    expect_slice(tg_http_date(784111777.9), "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_slice(tg_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_slice(tg_http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_slice(tg_http_date(4102444799.0), "Thu, 31 Dec 2099 23:59:59 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_found_in_any_case),
        cmocka_unit_test(no_other_name_is_taken_for_a_known_one),
        cmocka_unit_test_setup_teardown(names_and_values_are_checked_where_they_are_added, start, end),
        cmocka_unit_test_setup_teardown(lines_are_found_set_and_removed_ignoring_case, start, end),
        cmocka_unit_test_setup_teardown(a_set_that_is_refused_leaves_the_line, start, end),
        cmocka_unit_test_setup_teardown(clearing_leaves_the_lines_of_the_hop, start, end),
        cmocka_unit_test_setup_teardown(many_lines_and_a_copy_keep_their_order, start, end),
        cmocka_unit_test(a_list_gives_each_of_its_members),
        cmocka_unit_test(methods_are_told_apart_by_case),
        cmocka_unit_test(statuses_have_phrases_and_some_no_body),
        cmocka_unit_test(a_date_is_that_of_its_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
