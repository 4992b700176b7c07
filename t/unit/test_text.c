#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "base/text.h"
#include "base/utf8.h"

static void numbers_are_digits_alone_and_never_wrap(void **state)
{
    (void)state;
    uint64_t value = 7;
    static const char *const wrong[] = { "",
                                         "-1",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "0x1",
                                         "1_0",
                                         "9223372036854775808",
                                         "18446744073709551616",
                                         "99999999999999999999999" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(tg_slice_to_u64(tg_slice_from_string(wrong[i]), &value));
    assert_int_equal(value, 7);
    assert_true(tg_slice_to_u64(TG_SLICE("0010"), &value));
    assert_int_equal(value, 10);
    assert_true(tg_slice_to_u64(TG_SLICE("9223372036854775807"), &value));
    assert_true(value == (uint64_t)INT64_MAX);
}

static void trimming_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_true(tg_slice_equal(tg_slice_trim(TG_SLICE(" \t a b\t ")), TG_SLICE("a b")));
    assert_true(tg_slice_equal(tg_slice_trim(TG_SLICE("\va\n")), TG_SLICE("\va\n")));
    assert_int_equal(tg_slice_trim(TG_SLICE(" \t")).length, 0);
    assert_int_equal(tg_slice_trim(tg_slice_of(NULL, 0)).length, 0);
}

static void case_is_ignored_in_ascii_only(void **state)
{
    (void)state;
    assert_true(tg_slice_equal_ignoring_case(TG_SLICE("Host-@[`{"), TG_SLICE("hOST-@[`{")));
    assert_false(tg_slice_equal_ignoring_case(TG_SLICE("@"), TG_SLICE("`")));
    assert_false(tg_slice_equal_ignoring_case(TG_SLICE("\xC4"), TG_SLICE("\xE4")));
    assert_false(tg_slice_equal_ignoring_case(TG_SLICE("a"), TG_SLICE("ab")));
}

static void text_grows(void **state)
{
    (void)state;
    struct tg_text text;
    tg_text_init(&text);
    for (uint64_t i = 0; i < 5000; i++)
        tg_text_append_u64(&text, i);
    assert_int_equal(text.length, 10 + 180 + 2700 + 16000);
    tg_text_clear(&text);
    tg_text_appendf(&text, "%s has %d", "tide", 42);
    tg_text_append(&text, tg_slice_of(NULL, 0));
    tg_text_append_u64(&text, UINT64_MAX);
    assert_string_equal(text.at, "tide has 4218446744073709551615");
    assert_int_equal(text.length, strlen(text.at));
    assert_false(text.failed);
    tg_text_deinit(&text);
}

static void assert_json(struct tg_slice value, const char *expected)
{
    struct tg_text text;
    tg_text_init(&text);
    tg_text_append_json(&text, value);
    assert_string_equal(text.at, expected);
    tg_text_deinit(&text);
}

/* [A01] [A02] */
static void json_stays_valid_whatever_the_bytes_are(void **state)
{
    (void)state;
    assert_json(tg_slice_of(NULL, 0), "\"\"");
    assert_json(TG_SLICE("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_json(TG_SLICE("\r\n\t\0\x1b\x7f"), "\"\\r\\n\\t\\u0000\\u001b\\u007f\"");
    assert_json(TG_SLICE("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
    assert_json(TG_SLICE("\xc3"), "\"\\u00c3\"");
    assert_json(TG_SLICE("\xff\xc3("), "\"\\u00ff\\u00c3(\"");
    assert_json(TG_SLICE("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\"");
}

static void utf8_is_read_strictly(void **state)
{
    (void)state;
    assert_int_equal(tg_utf8_first(TG_SLICE("a")), 1);
    assert_int_equal(tg_utf8_first(TG_SLICE("\xe2\x82\xac!")), 3);
    assert_int_equal(tg_utf8_first(TG_SLICE("\xf4\x8f\xbf\xbf")), 4);
    static const char *const wrong[] = {
        "\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
        "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82",     "\xe2(\xa1"
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(tg_utf8_first(tg_slice_from_string(wrong[i])), 0);
    assert_int_equal(tg_utf8_first(tg_slice_of(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_alone_and_never_wrap),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(case_is_ignored_in_ascii_only),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(json_stays_valid_whatever_the_bytes_are),
        cmocka_unit_test(utf8_is_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
