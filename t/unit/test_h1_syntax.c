/* Lines and fields of heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "h1_expect.h"

#define BAD(text) REFUSED(FEED_REQUEST, 400, text)
#define BAD_LINE(text) REFUSED(FEED_REQUEST, 400, REQUEST(text))
#define HOST "Host: a\r\n"

static void a_plain_request_is_taken(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST,
          "GET /a?b=c HTTP/1.1\r\nHost: A.example:8080\r\nAccept: */*\r\nX-Long: "
          "0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
          "GET /a?b=c 1.1 host=a.example:8080 body=none keep\naccept: */*\nx-long: "
          "0123456789012345678901234567890123456789012345678901234567890123456789");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST "X:\r\nY: \t\r\nZ:z\r\n\r\n",
          "GET / 1.1 host=a body=none keep\nx: \ny: \nz: z");
}

/* [S01] */
static void bare_line_ends_are_refused(void **state)
{
    (void)state;
    BAD("GET / HTTP/1.1\n" HOST "\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\n\n");
    BAD("GET / HTTP/1.1\rHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n");
    BAD_LINE("X: a\rb");
    BAD_LINE("X: a\r\rb");
    BAD_LINE("X: a\nb");
    BAD_LINE("X: a\r");
    BAD("\nGET / HTTP/1.1\r\n" HOST "\r\n");
}

/* [S02] */
static void control_bytes_in_a_value_are_refused(void **state)
{
    (void)state;
    BAD_LINE("X: a\0b");
    BAD_LINE("X: \0");
    BAD_LINE("X:\0");
    BAD_LINE("X: a\x01");
    BAD_LINE("X: a\x1f"
             "b");
    BAD_LINE("X: a\x7f"
             "b");
    BAD_LINE("X: a\v");
    BAD_LINE("X: \f a");
    BAD_LINE("Host: a\0.example");
    BAD_LINE("X: 0123456789012345678901234567890123456789\x08"
             "0123456789");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST "X: a\tb\r\n\r\n", "GET / 1.1 host=a body=none keep\nx: a\tb");
}

/* [S03] */
static void a_blank_before_the_colon_is_refused(void **state)
{
    (void)state;
    BAD_LINE("X : y");
    BAD_LINE("X\t: y");
    BAD_LINE("X-Y : z");
    BAD_LINE("X Y: z");
}

/* [S04] */
static void a_folded_line_is_refused(void **state)
{
    (void)state;
    BAD("GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\n" HOST " X: y\r\n\r\n");
    BAD_LINE("X: y\r\n z");
    BAD_LINE("X: y\r\n\tz: a");
    BAD_LINE("X:\r\n y");
    BAD("GET / HTTP/1.1\r\n \r\n" HOST "\r\n");
}

/* [S05] */
static void an_empty_field_name_is_refused(void **state)
{
    (void)state;
    BAD_LINE(": y");
    BAD_LINE(":");
    BAD_LINE("X: y\r\n:\r\nZ: a");
}

/* [S06] */
static void a_line_without_a_colon_is_refused(void **state)
{
    (void)state;
    BAD_LINE("X");
    BAD_LINE("X y");
    BAD_LINE("X\r\nY: z");
    BAD_LINE("Y: z\r\nX");
}

/* [S07] */
static void a_name_of_other_than_token_bytes_is_refused(void **state)
{
    (void)state;
    BAD_LINE("X\x80: y");
    BAD_LINE("\xc3\xa9: y");
    BAD_LINE("\"X\": y");
    BAD_LINE("X(): y");
    BAD_LINE("X[]: y");
    BAD_LINE("X/: y");
    BAD_LINE("X@: y");
    BAD_LINE("X\x7f: y");
    BAD_LINE("X\0: y");
    BAD_LINE("X\x01Y: y");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~09azAZ: y\r\n\r\n",
          "GET / 1.1 host=a body=none keep\n!#$%&'*+-.^_`|~09azaz: y");
}

/* [S08] */
static void a_head_ends_in_nothing_but_an_empty_line(void **state)
{
    (void)state;
    BAD("GET / HTTP/1.1\r\n" HOST "\rX");
    BAD("GET / HTTP/1.1\r\n" HOST "\r\r\n");
    BAD("GET / HTTP/1.1\r\n" HOST "\n");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST, "more");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST "\r", "more");
    TAKEN(FEED_REQUEST, "", "more");
}

/* [S09] */
static void long_names_and_values_are_whole_or_431(void **state)
{
    (void)state;
    static const size_t sizes[] = { 255, 256, 257, 8191, 40000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct tg_slice value = expect_repeat("GET / HTTP/1.1\r\n" HOST "X: ", "v", sizes[i], "\r\n\r\n");
        struct tg_slice value_outcome = expect_repeat("GET / 1.1 host=a body=none keep\nx: ", "v", sizes[i], "");
        struct tg_slice name = expect_repeat("GET / HTTP/1.1\r\n" HOST, "n", sizes[i], ": y\r\n\r\n");
        struct tg_slice name_outcome = expect_repeat("GET / 1.1 host=a body=none keep\n", "n", sizes[i], ": y");
        expect_taken(FEED_REQUEST, value, value_outcome.at, __LINE__);
        expect_taken(FEED_REQUEST, name, name_outcome.at, __LINE__);
        free((char *)value.at);
        free((char *)name.at);
        free((char *)value_outcome.at);
        free((char *)name_outcome.at);
    }
    static const size_t beyond[] = { 65535, 65536, 65537, 200000 };
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        struct tg_slice value = expect_repeat("GET / HTTP/1.1\r\n" HOST "X: ", "v", beyond[i], "\r\n\r\n");
        struct tg_slice name = expect_repeat("GET / HTTP/1.1\r\n" HOST, "n", beyond[i], ": y\r\n\r\n");
        expect_refused(FEED_REQUEST, value, 431, __LINE__);
        expect_refused(FEED_REQUEST, name, 431, __LINE__);
        free((char *)value.at);
        free((char *)name.at);
    }
}

/* [S09] With limits beyond 64 KB a name still has to fit. */
static void a_name_beyond_65535_bytes_is_431_whatever_the_limit(void **state)
{
    (void)state;
    feed_limits.head = 1 << 20;
    struct tg_slice name = expect_repeat("GET / HTTP/1.1\r\n" HOST, "n", 65536, ": y\r\n\r\n");
    expect_refused(FEED_REQUEST, name, 431, __LINE__);
    free((char *)name.at);
    feed_limits.head = 64 * 1024;
}

static void too_many_fields_are_431(void **state)
{
    (void)state;
    struct tg_slice most = expect_repeat("GET / HTTP/1.1\r\n" HOST, "A:b\r\n", 199, "\r\n");
    struct tg_slice outcome = expect_repeat("GET / 1.1 host=a body=none keep", "\na: b", 199, "");
    struct tg_slice beyond = expect_repeat("GET / HTTP/1.1\r\n" HOST, "A:b\r\n", 200, "\r\n");
    expect_taken(FEED_REQUEST, most, outcome.at, __LINE__);
    expect_refused(FEED_REQUEST, beyond, 431, __LINE__);
    free((char *)most.at);
    free((char *)outcome.at);
    free((char *)beyond.at);
}

static void a_long_target_is_414(void **state)
{
    (void)state;
    struct tg_slice most = expect_repeat("GET /", "a", 8191, " HTTP/1.1\r\n" HOST "\r\n");
    struct tg_slice outcome = expect_repeat("GET /", "a", 8191, " 1.1 host=a body=none keep");
    struct tg_slice beyond = expect_repeat("GET /", "a", 8192, " HTTP/1.1\r\n" HOST "\r\n");
    struct tg_slice endless = expect_repeat("GET /", "a", 20000, "");
    expect_taken(FEED_REQUEST, most, outcome.at, __LINE__);
    expect_refused(FEED_REQUEST, beyond, 414, __LINE__);
    expect_refused(FEED_REQUEST, endless, 414, __LINE__);
    free((char *)most.at);
    free((char *)outcome.at);
    free((char *)beyond.at);
    free((char *)endless.at);
}

/* [S10] */
static void a_method_is_a_token_kept_byte_for_byte(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "get / HTTP/1.1\r\n" HOST "\r\n", "get / 1.1 host=a body=none keep");
    TAKEN(FEED_REQUEST, "M-SEARCH / HTTP/1.1\r\n" HOST "\r\n", "M-SEARCH / 1.1 host=a body=none keep");
    BAD("G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n");
    BAD("GE\0T / HTTP/1.1\r\n" HOST "\r\n");
    BAD("GE(T / HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET: / HTTP/1.1\r\n" HOST "\r\n");
    BAD(" / HTTP/1.1\r\n" HOST "\r\n");
    struct tg_slice longest = expect_repeat("", "M", 64, " / HTTP/1.1\r\n" HOST "\r\n");
    struct tg_slice outcome = expect_repeat("", "M", 64, " / 1.1 host=a body=none keep");
    struct tg_slice beyond = expect_repeat("", "M", 65, " / HTTP/1.1\r\n" HOST "\r\n");
    struct tg_slice huge = expect_repeat("", "M", 5000, " / HTTP/1.1\r\n" HOST "\r\n");
    expect_taken(FEED_REQUEST, longest, outcome.at, __LINE__);
    expect_refused(FEED_REQUEST, beyond, 501, __LINE__);
    expect_refused(FEED_REQUEST, huge, 501, __LINE__);
    free((char *)longest.at);
    free((char *)outcome.at);
    free((char *)beyond.at);
    free((char *)huge.at);
}

/* [S11] */
static void other_versions_are_505_and_what_is_no_version_400(void **state)
{
    (void)state;
    REFUSED(FEED_REQUEST, 505, "GET / HTTP/1.2\r\n" HOST "\r\n");
    REFUSED(FEED_REQUEST, 505, "GET / HTTP/2.0\r\n" HOST "\r\n");
    REFUSED(FEED_REQUEST, 505, "GET / HTTP/0.9\r\n" HOST "\r\n");
    REFUSED(FEED_REQUEST, 505, "GET / HTTP/9.9\r\n" HOST "\r\n");
    REFUSED(FEED_REQUEST, 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    BAD("GET / HTTP/1.32\r\n" HOST "\r\n");
    BAD("GET / HTTP/11.1\r\n" HOST "\r\n");
    BAD("GET / HTTP/1.\r\n" HOST "\r\n");
    BAD("GET / HTTP/1\r\n" HOST "\r\n");
    BAD("GET / HTTP/2\r\n" HOST "\r\n");
    BAD("GET / HTTP/1.99999999999999999999\r\n" HOST "\r\n");
    BAD("GET / HTTP/+1.1\r\n" HOST "\r\n");
    BAD("GET / http/1.1\r\n" HOST "\r\n");
    BAD("GET / HTTPS/1.1\r\n" HOST "\r\n");
    BAD("GET / HTTP/1.1x\r\n" HOST "\r\n");
    BAD("GET / HTTP/1x1\r\n" HOST "\r\n");
    BAD("GET /\r\n" HOST "\r\n");
    BAD("GET /\r\n\r\n");
}

/* [S12] */
static void the_request_line_has_exactly_two_blanks(void **state)
{
    (void)state;
    BAD("GET  / HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /  HTTP/1.1\r\n" HOST "\r\n");
    BAD(" GET / HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET / HTTP/1.1 \r\n" HOST "\r\n");
    BAD("GET\t/ HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /\tHTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /a b HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /\0 HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /\x7f HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET /?q=\xff HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET  HTTP/1.1\r\n" HOST "\r\n");
    BAD("GET\r\n" HOST "\r\n");
    BAD("GET \r\n" HOST "\r\n");
    BAD("HTTP/1.1\r\n" HOST "\r\n");
}

static void one_empty_line_may_come_before_the_request(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET / 1.1 host=a body=none keep");
    TAKEN(FEED_REQUEST, "\r\n", "more");
    BAD("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    BAD("\r\n \r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    BAD("\rGET / HTTP/1.1\r\n" HOST "\r\n");
}

/* [S13] What follows a head is left alone. */
static void a_head_ends_where_it_ends(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n\r\n",
          "GET /1 1.1 host=a body=none keep\n(19 behind)");
    TAKEN(FEED_REQUEST, "GET /1 HTTP/1.1\r\n" HOST "\r\n\n\0\r", "GET /1 1.1 host=a body=none keep\n(3 behind)");
    BAD("GET /1 HTTP/1.1\r\n" HOST "X\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
}

/* [S14] */
static void bytes_beyond_ascii_in_a_value_pass_as_they_are(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\n" HOST "X: \x80\x85\xa0\xc3\xa9\xff\r\n\r\n",
          "GET / 1.1 host=a body=none keep\nx: \x80\x85\xa0\xc3\xa9\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_request_is_taken),
        cmocka_unit_test(bare_line_ends_are_refused),
        cmocka_unit_test(control_bytes_in_a_value_are_refused),
        cmocka_unit_test(a_blank_before_the_colon_is_refused),
        cmocka_unit_test(a_folded_line_is_refused),
        cmocka_unit_test(an_empty_field_name_is_refused),
        cmocka_unit_test(a_line_without_a_colon_is_refused),
        cmocka_unit_test(a_name_of_other_than_token_bytes_is_refused),
        cmocka_unit_test(a_head_ends_in_nothing_but_an_empty_line),
        cmocka_unit_test(long_names_and_values_are_whole_or_431),
        cmocka_unit_test(a_name_beyond_65535_bytes_is_431_whatever_the_limit),
        cmocka_unit_test(too_many_fields_are_431),
        cmocka_unit_test(a_long_target_is_414),
        cmocka_unit_test(a_method_is_a_token_kept_byte_for_byte),
        cmocka_unit_test(other_versions_are_505_and_what_is_no_version_400),
        cmocka_unit_test(the_request_line_has_exactly_two_blanks),
        cmocka_unit_test(one_empty_line_may_come_before_the_request),
        cmocka_unit_test(a_head_ends_where_it_ends),
        cmocka_unit_test(bytes_beyond_ascii_in_a_value_pass_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
