/* Where a message ends: Content-Length and Transfer-Encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "h1_expect.h"

#define LINE(text) REFUSED(FEED_REQUEST, 400, REQUEST(text))
#define TAKES(text, framing) TAKEN(FEED_REQUEST, REQUEST(text), "POST /p 1.1 host=a.example body=" framing " keep")

/* [L01] */
static void both_length_and_coding_are_refused(void **state)
{
    (void)state;
    LINE("Content-Length: 5\r\nTransfer-Encoding: chunked");
    LINE("Transfer-Encoding: chunked\r\nContent-Length: 5");
    LINE("content-length: 0\r\nTRANSFER-ENCODING: chunked");
    LINE("Transfer-Encoding: gzip\r\nContent-Length: 5");
}

/* [L02] [L03] The policy for two equal lengths and for lists is one: 400. */
static void a_second_length_is_refused(void **state)
{
    (void)state;
    LINE("Content-Length: 5\r\nContent-Length: 6");
    LINE("Content-Length: 6\r\nX: y\r\ncontent-length: 5");
    LINE("Content-Length: 5\r\nContent-Length: 5");
    LINE("Content-Length: 5, 5");
    LINE("Content-Length: 5,5");
    LINE("Content-Length: 5, 6");
    LINE("Content-Length: 5,");
}

/* [L04] */
static void an_empty_length_is_refused(void **state)
{
    (void)state;
    LINE("Content-Length:");
    LINE("Content-Length: ");
    LINE("Content-Length:\r\nContent-Length: 5");
    LINE("Content-Length: 5\r\nContent-Length: ");
}

/* [L05] */
static void a_length_of_other_than_digits_is_refused(void **state)
{
    (void)state;
    LINE("Content-Length: +5");
    LINE("Content-Length: -5");
    LINE("Content-Length: 0x5");
    LINE("Content-Length: 1_0");
    LINE("Content-Length: 1 0");
    LINE("Content-Length: 5a");
    LINE("Content-Length: 5.0");
    LINE("Content-Length: 5;");
    LINE("Content-Length: \"5\"");
    LINE("Content-Length: \xd9\xa5");
    LINE("Content-Length: 5\v");
}

/* [L06] */
static void leading_zeros_are_decimal_and_leave_as_canonical_digits(void **state)
{
    (void)state;
    TAKES("Content-Length: 010", "length:10");
    TAKES("Content-Length: 0000000000000000008", "length:8");
    TAKES("Content-Length:\t 5 \t", "length:5");
    LINE("Content-Length: 00000000000000000008");
}

/* [L07] */
static void large_lengths_are_exact_or_refused(void **state)
{
    (void)state;
    TAKES("Content-Length: 0", "length:0");
    TAKES("Content-Length: 2147483648", "length:2147483648");
    TAKES("Content-Length: 4294967296", "length:4294967296");
    TAKES("Content-Length: 9223372036854775807", "length:9223372036854775807");
    LINE("Content-Length: 9223372036854775808");
    LINE("Content-Length: 18446744073709551615");
    LINE("Content-Length: 18446744073709551616");
    LINE("Content-Length: 18446744073709551621");
    LINE("Content-Length: 99999999999999999999999999");
    LINE("Content-Length: -1");
}

/* [L08] */
static void a_final_coding_other_than_chunked_is_refused(void **state)
{
    (void)state;
    LINE("Transfer-Encoding: gzip");
    LINE("Transfer-Encoding: identity");
    LINE("Transfer-Encoding: chunked, gzip");
    LINE("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity");
    LINE("Transfer-Encoding: xchunked");
    LINE("Transfer-Encoding: chunkedx");
    LINE("Transfer-Encoding: chunked;q=1");
    LINE("Transfer-Encoding: chunked gzip");
    LINE("Transfer-Encoding: \"chunked\"");
    REFUSED(FEED_REQUEST, 501, REQUEST("Transfer-Encoding: gzip, chunked"));
    REFUSED(FEED_REQUEST, 501, REQUEST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"));
    TAKES("Transfer-Encoding: chunked", "chunked");
    TAKES("transfer-encoding:\tChUnKeD ", "chunked");
}

/* [L09] */
static void an_empty_coding_is_refused(void **state)
{
    (void)state;
    LINE("Transfer-Encoding:");
    LINE("Transfer-Encoding: ,chunked");
    LINE("Transfer-Encoding: chunked,");
    LINE("Transfer-Encoding: , ,chunked");
    LINE("Transfer-Encoding: chunked\r\nTransfer-Encoding:");
}

/* [L10] */
static void chunked_twice_is_refused(void **state)
{
    (void)state;
    LINE("Transfer-Encoding: chunked, chunked");
    LINE("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked");
    LINE("Transfer-Encoding: chunked, gzip, chunked");
}

/* [L11] */
static void only_space_and_tab_are_blanks_around_a_coding(void **state)
{
    (void)state;
    LINE("Transfer-Encoding: \vchunked");
    LINE("Transfer-Encoding: chunked\f");
    LINE("Transfer-Encoding: chunked\0");
    LINE("Transfer-Encoding: \x85"
         "chunked");
    LINE("Transfer-Encoding: \xa0"
         "chunked");
    LINE("Transfer-Encoding: chunked\xff");
}

/* [L12] */
static void http_1_0_knows_no_coding_and_without_a_length_no_body(void **state)
{
    (void)state;
    REFUSED(FEED_REQUEST, 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSED(FEED_REQUEST, 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n");
    TAKEN(FEED_REQUEST, "POST / HTTP/1.0\r\n\r\nabc", "POST / 1.0 host= body=none\n(3 behind)");
}

/* [L13] */
static void any_method_may_carry_a_body_and_its_framing_is_kept(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
          "GET / 1.1 host=a body=length:3 keep");
    TAKEN(FEED_REQUEST, "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HEAD / 1.1 host=a body=chunked keep");
    TAKEN(FEED_REQUEST, "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
          "DELETE / 1.1 host=a body=length:3 keep");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a body=none keep");
}

/* [L14] */
static void framing_is_not_removed_on_the_word_of_connection(void **state)
{
    (void)state;
    TAKES("Connection: Content-Length\r\nContent-Length: 3", "length:3");
    TAKES("Content-Length: 3\r\nConnection: X, content-length, keep-alive\r\nConnection: CONTENT-LENGTH", "length:3");
    TAKES("Transfer-Encoding: chunked\r\nConnection: transfer-encoding", "chunked");
}

/* [D04] */
static void near_names_of_framing_fields_are_refused(void **state)
{
    (void)state;
    LINE("Content_Length: 5");
    LINE("content.length: 5");
    LINE("Transfer_Encoding: chunked");
    LINE("TRANSFER.ENCODING: chunked");
    LINE("Content-Length : 5");
    LINE("Content-Length\t: 5");
    LINE(" Content-Length: 5");
    LINE("Content\rLength: 5");
    LINE("Content\x0dLength: 5");
    LINE("Content-Length\0: 5");
}

/* [L16] [R06] */
static void a_response_with_doubtful_framing_is_invalid(void **state)
{
    (void)state;
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Content-Length: 5\r\nTransfer-Encoding: chunked"));
    REFUSED(FEED_RESPONSE, 502, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Content-Length: 5\r\nContent-Length: 6"));
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Content-Length: 5\r\nContent-Length: 5"));
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Content-Length: 5, 5"));
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Content-Length: -5"));
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Transfer-Encoding: gzip"));
    REFUSED(FEED_RESPONSE, 502, RESPONSE("Transfer-Encoding: gzip, chunked"));
    TAKEN(FEED_RESPONSE, RESPONSE("Content-Length: 5"), "200 1.1 body=length:5 keep");
    TAKEN(FEED_RESPONSE, RESPONSE("Transfer-Encoding: chunked"), "200 1.1 body=chunked keep");
    TAKEN(FEED_RESPONSE, RESPONSE("X: y"), "200 1.1 body=close keep\nx: y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_length_and_coding_are_refused),
        cmocka_unit_test(a_second_length_is_refused),
        cmocka_unit_test(an_empty_length_is_refused),
        cmocka_unit_test(a_length_of_other_than_digits_is_refused),
        cmocka_unit_test(leading_zeros_are_decimal_and_leave_as_canonical_digits),
        cmocka_unit_test(large_lengths_are_exact_or_refused),
        cmocka_unit_test(a_final_coding_other_than_chunked_is_refused),
        cmocka_unit_test(an_empty_coding_is_refused),
        cmocka_unit_test(chunked_twice_is_refused),
        cmocka_unit_test(only_space_and_tab_are_blanks_around_a_coding),
        cmocka_unit_test(http_1_0_knows_no_coding_and_without_a_length_no_body),
        cmocka_unit_test(any_method_may_carry_a_body_and_its_framing_is_kept),
        cmocka_unit_test(framing_is_not_removed_on_the_word_of_connection),
        cmocka_unit_test(near_names_of_framing_fields_are_refused),
        cmocka_unit_test(a_response_with_doubtful_framing_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
