/* The chunked coding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "h1_expect.h"

#define BAD(text) REFUSED(FEED_CHUNKED, 400, text)
#define GOOD(text, outcome) TAKEN(FEED_CHUNKED, text, outcome)

static void chunks_become_data(void **state)
{
    (void)state;
    GOOD("5\r\nhello\r\n0\r\n\r\n", "hello|");
    GOOD("5\r\nhello\r\n7\r\n, world\r\n000\r\n\r\n", "hello, world|");
    GOOD("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789|");
    GOOD("0\r\n\r\n", "|");
    GOOD("005\r\nhello\r\n0\r\n\r\n", "hello|");
    GOOD("5\r\nhel", "hel...more");
    GOOD("5\r\nhello\r\n0\r\n", "hello...more");
    GOOD("5\r\nhello\r\n0\r\n\r", "hello...more");
}

/* [C01] [C03] */
static void a_size_is_hex_digits_and_nothing_else(void **state)
{
    (void)state;
    BAD("0x5\r\nhello\r\n0\r\n\r\n");
    BAD("+5\r\nhello\r\n0\r\n\r\n");
    BAD("-5\r\nhello\r\n0\r\n\r\n");
    BAD("5_0\r\nhello\r\n0\r\n\r\n");
    BAD(" 5\r\nhello\r\n0\r\n\r\n");
    BAD("\t5\r\nhello\r\n0\r\n\r\n");
    BAD("5 \r\nhello\r\n0\r\n\r\n");
    BAD("5 5\r\nhello\r\n0\r\n\r\n");
    BAD("5g\r\nhello\r\n0\r\n\r\n");
    BAD("5,\r\nhello\r\n0\r\n\r\n");
    BAD("5\0\r\nhello\r\n0\r\n\r\n");
    BAD("\r\nhello\r\n0\r\n\r\n");
    BAD(";a=b\r\nhello\r\n0\r\n\r\n");
    BAD("5\r\nhello\r\n\r\n\r\n");
    BAD("g\r\n");
}

/* [C02] [C14] */
static void a_size_never_wraps(void **state)
{
    (void)state;
    GOOD("0000000000000001\r\na\r\n0\r\n\r\n", "a|");
    GOOD("7fffffffffffffff\r\nabc", "abc...more");
    GOOD("100000000\r\nabc", "abc...more");
    BAD("00000000000000001\r\na\r\n0\r\n\r\n");
    BAD("8000000000000000\r\nabc");
    BAD("ffffffffffffffff\r\nabc");
    BAD("10000000000000000\r\nabc");
    BAD("fffffffffffffffff\r\nabc");
    BAD("1\r\na\r\n7fffffffffffffff\r\nabc");
    BAD("00000000000000000000000000000000");
}

/* [C04] */
static void a_bare_line_feed_is_refused_everywhere(void **state)
{
    (void)state;
    BAD("5\nhello\r\n0\r\n\r\n");
    BAD("5\r\nhello\n0\r\n\r\n");
    BAD("5\r\nhello\r\n0\n\r\n");
    BAD("5\r\nhello\r\n0\r\n\n");
    BAD("5;a\nhello\r\n0\r\n\r\n");
    BAD("5\r\nhello\r\n0\r\nX: y\n\r\n");
}

/* [C05] [C06] */
static void a_control_byte_in_a_size_line_is_refused(void **state)
{
    (void)state;
    BAD("5\rhello\r\n0\r\n\r\n");
    BAD("5\r\rhello\r\n0\r\n\r\n");
    BAD("5;a\rb\r\nhello\r\n0\r\n\r\n");
    BAD("5;a=\"\rb\"\r\nhello\r\n0\r\n\r\n");
    BAD("5;a=\"\nb\"\r\nhello\r\n0\r\n\r\n");
    BAD("5;a=\"\\\nb\"\r\nhello\r\n0\r\n\r\n");
    BAD("5;a=\"\\\rb\"\r\nhello\r\n0\r\n\r\n");
    BAD("5;\0\r\nhello\r\n0\r\n\r\n");
    BAD("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n");
    GOOD("5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n", "hello|");
    GOOD("5 ;a\r\nhello\r\n0\t;b\r\n\r\n", "hello|");
    GOOD("2;a=\"\r\nhe\r\n0\r\n\r\n", "he|");
}

/* [C07] */
static void extensions_beyond_the_limit_are_refused_and_small_chunks_are_not(void **state)
{
    (void)state;
    struct tg_slice extensions = expect_repeat("", "1;aaaaaaaaaaaaaaa\r\nx\r\n", 1100, "0\r\n\r\n");
    struct tg_slice endless = expect_repeat("1;", "a", 20000, "");
    struct tg_slice padding = expect_repeat("", "000000000000001\r\nx\r\n", 1300, "0\r\n\r\n");
    struct tg_slice small = expect_repeat("", "1\r\nx\r\n", 30000, "0\r\n\r\n");
    struct tg_slice data = expect_repeat("", "x", 30000, "|");
    expect_refused(FEED_CHUNKED, extensions, 400, __LINE__);
    expect_refused(FEED_CHUNKED, endless, 400, __LINE__);
    expect_refused(FEED_CHUNKED, padding, 400, __LINE__);
    expect_taken(FEED_CHUNKED, small, data.at, __LINE__);
    free((char *)extensions.at);
    free((char *)endless.at);
    free((char *)padding.at);
    free((char *)small.at);
    free((char *)data.at);
}

/* [C08] */
static void data_is_followed_by_crlf_and_nothing_else(void **state)
{
    (void)state;
    BAD("5\r\nhello!\r\n0\r\n\r\n");
    BAD("5\r\nhell\r\n0\r\n\r\n");
    BAD("5\r\nhelloab0\r\n\r\n");
    BAD("5\r\nhello\r\r\n0\r\n\r\n");
    BAD("5\r\nhello0\r\n\r\n");
}

/* [C09] */
static void trailer_lines_are_checked_as_head_lines_are(void **state)
{
    (void)state;
    GOOD("0\r\nX-Sum: 1\r\nY:2 \r\n\r\n", "|\nx-sum: 1\ny: 2");
    BAD("0\r\nX\r\n\r\n");
    BAD("0\r\nX : y\r\n\r\n");
    BAD("0\r\n X: y\r\n\r\n");
    BAD("0\r\n: y\r\n\r\n");
    BAD("0\r\nX: a\0\r\n\r\n");
    BAD("0\r\nX: a\rb\r\n\r\n");
    BAD("0\r\nX: y\r\n z\r\n\r\n");
    BAD("0\r\nX\xff: y\r\n\r\n");
    BAD("0\r\nContent_Length: 5\r\n\r\n");
    struct tg_slice lines = expect_repeat("0\r\n", "A:b\r\n", 201, "\r\n");
    struct tg_slice endless = expect_repeat("0\r\nX: ", "y", 70000, "");
    expect_refused(FEED_CHUNKED, lines, 431, __LINE__);
    expect_refused(FEED_CHUNKED, endless, 431, __LINE__);
    free((char *)lines.at);
    free((char *)endless.at);
}

/* [C10] */
static void trailers_that_would_change_the_message_are_dropped(void **state)
{
    (void)state;
    GOOD("0\r\nHost: b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nAuthorization: x\r\nX-Forwarded-For: y\r\n"
         "Cookie: a\r\nSet-Cookie: b\r\nContent-Type: c\r\nTrailer: d\r\nTE: e\r\nConnection: f\r\nX-Real-IP: g\r\n"
         "X-Request-Id: h\r\nForwarded: i\r\nCache-Control: j\r\nX-Forwarded-Ssl: k\r\nX_Forwarded_For: l\r\n"
         "X.Real.IP: m\r\nContent-Disposition: n\r\nMax-Forwards: 1\r\nIf-Range: o\r\nProxy-Status: p\r\n"
         "Grpc-Status: 0\r\nServer-Timing: q\r\nETag: r\r\nContent-Digest: s\r\n\r\n",
         "|\ngrpc-status: 0\nserver-timing: q\netag: r\ncontent-digest: s");
}

/* [C12] */
static void the_next_message_starts_at_the_next_byte(void **state)
{
    (void)state;
    GOOD("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a|\n(16 behind)");
    GOOD("0\r\nX: y\r\n\r\n\r\n", "|\nx: y\n(2 behind)");
}

/* [C13] [C14] */
static void a_chunk_head_has_the_digits_of_its_length(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *head;
    } cases[] = {
        { 1, "1\r\n" },
        { 0, "0\r\n" },
        { 10, "a\r\n" },
        { 16, "10\r\n" },
        { 255, "ff\r\n" },
        { 65536, "10000\r\n" },
        { 0x100000000, "100000000\r\n" },
        { UINT64_MAX, "ffffffffffffffff\r\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[TG_H1_CHUNK_HEAD_MAX];
        size_t length = tg_h1_chunk_head(cases[i].length, out);
        assert_int_equal(length, strlen(cases[i].head));
        assert_memory_equal(out, cases[i].head, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_become_data),
        cmocka_unit_test(a_size_is_hex_digits_and_nothing_else),
        cmocka_unit_test(a_size_never_wraps),
        cmocka_unit_test(a_bare_line_feed_is_refused_everywhere),
        cmocka_unit_test(a_control_byte_in_a_size_line_is_refused),
        cmocka_unit_test(extensions_beyond_the_limit_are_refused_and_small_chunks_are_not),
        cmocka_unit_test(data_is_followed_by_crlf_and_nothing_else),
        cmocka_unit_test(trailer_lines_are_checked_as_head_lines_are),
        cmocka_unit_test(trailers_that_would_change_the_message_are_dropped),
        cmocka_unit_test(the_next_message_starts_at_the_next_byte),
        cmocka_unit_test(a_chunk_head_has_the_digits_of_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
