/* What of gRPC a proxy reads and writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/grpc.h"

static struct tg_arena arena;

static int setup(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    tg_arena_release_thread_pool();
    return 0;
}

static void assert_text(struct tg_slice text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.at, expected, text.length);
}

static void test_content_types_of_grpc_are_told_from_others(void **state)
{
    (void)state;
    static const char *const ours[] = { "application/grpc", "application/grpc+proto", "Application/gRPC+json",
                                        "application/grpc; charset=utf-8", "application/grpc ;a=b" };
    static const char *const others[] = { "",
                                          "application/grp",
                                          "application/grpc-web",
                                          "application/grpc-web+proto",
                                          "application/grpcx",
                                          "application/grpc/x",
                                          "text/plain",
                                          "application/json+grpc" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_true(tg_grpc_content_type(tg_slice_from_string(ours[i])));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(tg_grpc_content_type(tg_slice_from_string(others[i])));
}

static void test_timeouts_have_one_to_eight_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } good[] = { { "1S", 1 },
                 { "0m", 0 },
                 { "100m", 0.1 },
                 { "99999999H", 99999999.0 * 3600 },
                 { "00000002M", 120 },
                 { "5u", 5e-6 },
                 { "12345678n", 0.012345678 } };
    static const char *const bad[] = { "",    "1",   "S",          "-1S",  "+1S", "1.5S", "1s",        "1h", "1 S",
                                       " 1S", "1S ", "100000000S", "0x1S", "1SS", "1N",   "123456789", "H1" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double seconds = -1;
        assert_true(tg_grpc_timeout_parse(tg_slice_from_string(good[i].text), &seconds));
        assert_true(seconds >= good[i].seconds * 0.999999 && seconds <= good[i].seconds * 1.000001);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double seconds;
        assert_false(tg_grpc_timeout_parse(tg_slice_from_string(bad[i]), &seconds));
    }
}

static void test_timeouts_are_written_as_finely_as_eight_digits_allow_and_never_longer(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = { { 0.05, "50000000n" },
                  { 0.5, "500000u" },
                  { 99.0, "99000000u" },
                  { 100.5, "100500m" },
                  { 123456.7, "123456S" },
                  { 1e8, "1666666M" },
                  { 1e12, "99999999H" },
                  { 0, "1n" },
                  { -5, "1n" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[TG_GRPC_TIMEOUT_MAX];
        assert_text(tg_grpc_timeout_format(cases[i].seconds, out), cases[i].text);
    }
    for (double seconds = 1e-7; seconds < 1e9; seconds *= 1.7) {
        char out[TG_GRPC_TIMEOUT_MAX];
        double read;
        assert_true(tg_grpc_timeout_parse(tg_grpc_timeout_format(seconds, out), &read));
        assert_true(read <= seconds * 1.0000001 && read > seconds * 0.98);
    }
}

static void test_messages_are_percent_encoded(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "plain text, as it is ~", "plain text, as it is ~" },
                                            { "100%", "100%25" },
                                            { "a\tb\r\nc", "a%09b%0D%0Ac" },
                                            { "\xe2\x98\xba\x7f", "%E2%98%BA%7F" },
                                            { "", "" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_slice out;
        assert_true(tg_grpc_message_encode(tg_slice_from_string(cases[i][0]), &arena, &out));
        assert_text(out, cases[i][1]);
    }
}

/* [Q02] */
static void test_no_http_status_means_that_all_is_well(void **state)
{
    (void)state;
    static const int mapped[][2] = { { 400, 13 }, { 401, 16 }, { 403, 7 },  { 404, 12 }, { 429, 14 }, { 431, 13 },
                                     { 502, 14 }, { 503, 14 }, { 504, 14 }, { 200, 2 },  { 500, 2 },  { 418, 2 } };
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++)
        assert_int_equal(tg_grpc_status_of_http(mapped[i][0]), mapped[i][1]);
    for (int status = 100; status < 600; status++)
        assert_int_not_equal(tg_grpc_status_of_http(status), TG_GRPC_OK);
}

static void test_a_status_is_added_and_read(void **state)
{
    (void)state;
    struct tg_fields fields;
    tg_fields_init(&fields, &arena);
    assert_false(tg_grpc_has_status(&fields));
    assert_int_equal(tg_grpc_status_in(&fields), -1);
    assert_true(tg_grpc_add_status(&fields, TG_GRPC_UNAUTHENTICATED, TG_SLICE("who?")));
    assert_true(tg_grpc_has_status(&fields));
    assert_int_equal(tg_grpc_status_in(&fields), 16);
    tg_fields_init(&fields, &arena);
    assert_true(tg_fields_append(&fields, TG_FIELD_OTHER, TG_SLICE("Grpc-Status"), TG_SLICE("none")));
    assert_true(tg_grpc_has_status(&fields));
    assert_int_equal(tg_grpc_status_in(&fields), -1);
}

static const char three_messages[] = "\0\0\0\0\3abc"
                                     "\1\0\0\0\0"
                                     "\0\0\0\1\4";

static void test_messages_are_counted_wherever_they_are_cut(void **state)
{
    (void)state;
    char bytes[8 + 5 + 5 + 260];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, three_messages, 18);
    for (size_t size = 1; size <= sizeof bytes; size++) {
        struct tg_grpc_messages messages = { 0 };
        assert_true(tg_grpc_messages_complete(&messages));
        for (size_t at = 0; at < sizeof bytes; at += size) {
            size_t length = sizeof bytes - at < size ? sizeof bytes - at : size;
            tg_grpc_messages_count(&messages, tg_slice_of(bytes + at, length));
            size_t upto = at + length;
            bool complete = upto == 8 || upto == 13 || upto == sizeof bytes;
            assert_int_equal(tg_grpc_messages_complete(&messages), complete);
        }
        assert_int_equal(messages.whole, 3);
    }
}

static void test_a_message_that_claims_four_gigabytes_is_only_counted(void **state)
{
    (void)state;
    struct tg_grpc_messages messages = { 0 };
    tg_grpc_messages_count(&messages, TG_SLICE("\0\xff\xff\xff\xff"));
    assert_false(tg_grpc_messages_complete(&messages));
    assert_int_equal(messages.remaining, UINT32_MAX);
    tg_grpc_messages_count(&messages, TG_SLICE("abc"));
    assert_int_equal(messages.remaining, UINT32_MAX - 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_content_types_of_grpc_are_told_from_others),
        TEST(test_timeouts_have_one_to_eight_digits_and_a_unit),
        TEST(test_timeouts_are_written_as_finely_as_eight_digits_allow_and_never_longer),
        TEST(test_messages_are_percent_encoded),
        TEST(test_no_http_status_means_that_all_is_well),
        TEST(test_a_status_is_added_and_read),
        TEST(test_messages_are_counted_wherever_they_are_cut),
        TEST(test_a_message_that_claims_four_gigabytes_is_only_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
