/* PROXY headers of both versions: whole, split at every byte, and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_BLOCK "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x01\xbb"

/* In memory of just that length, so that a step beyond it is seen. */
static enum tg_proxy_result read_header(struct tg_slice bytes, struct tg_proxy_header *header)
{
    const char *problem = NULL;
    char *exact = malloc(bytes.length ? bytes.length : 1);
    assert_non_null(exact);
    memcpy(exact, bytes.at, bytes.length);
    enum tg_proxy_result result = tg_proxy_header_read(tg_slice_of(exact, bytes.length), header, &problem);
    assert_int_equal(result == TG_PROXY_ERROR, problem != NULL);
    free(exact);
    return result;
}

/* `bytes`: a header and what follows it. */
static void accept_at_every_split(struct tg_slice bytes, size_t length, const char *client)
{
    struct tg_proxy_header header;
    char text[128];
    for (size_t came = 0; came <= bytes.length; came++) {
        enum tg_proxy_result result = read_header(tg_slice_of(bytes.at, came), &header);
        assert_int_equal(result, came < length ? TG_PROXY_MORE : TG_PROXY_DONE);
    }
    assert_int_equal(header.length, length);
    assert_int_equal(header.has_client, client != NULL);
    if (!client)
        return;
    assert_int_equal(tg_address_format(&header.client, text), strlen(client));
    assert_memory_equal(text, client, strlen(client));
}

/* Refused when whole, and at no split taken for one. */
static void refuse(struct tg_slice bytes)
{
    struct tg_proxy_header header;
    for (size_t came = 0; came < bytes.length; came++)
        assert_int_not_equal(read_header(tg_slice_of(bytes.at, came), &header), TG_PROXY_DONE);
    assert_int_equal(read_header(bytes, &header), TG_PROXY_ERROR);
}

#define ACCEPT(header, rest, client) accept_at_every_split(TG_SLICE(header rest), sizeof(header) - 1, client)
#define REFUSE(header) refuse(TG_SLICE(header))

/* [N08] */
static void test_a_line_is_read_at_every_split(void **state)
{
    (void)state;
    ACCEPT("PROXY TCP4 10.1.2.3 127.0.0.1 12345 443\r\n", "GET / HTTP/1.1\r\n", "10.1.2.3:12345");
    ACCEPT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "\x16\x03\x01", "255.255.255.255:65535");
    ACCEPT("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", "PROXY TCP4 9.9.9.9 9.9.9.9 1 1\r\n", "1.2.3.4:0");
    ACCEPT("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "", "[2001:db8::1]:1");
    ACCEPT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
           "x", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

/* [N07] */
static void test_a_line_of_an_unknown_protocol_names_nobody(void **state)
{
    (void)state;
    ACCEPT("PROXY UNKNOWN\r\n", "GET", NULL);
    ACCEPT("PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n", "", NULL);
    ACCEPT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
           "65535\r\n",
           "x", NULL);
}

/* [N07] */
static void test_a_wrong_line_is_refused(void **state)
{
    (void)state;
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 65536 1\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 1 -1\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 01 1\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n");
    REFUSE("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n");
    REFUSE("PROXY TCP4 1.2.3.4 5.6.7.8  1 2\r\n");
    REFUSE("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n");
    REFUSE("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n");
    REFUSE("PROXY TCP4 ::1 ::1 1 2\r\n");
    REFUSE("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n");
    REFUSE("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n");
    REFUSE("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n");
    REFUSE("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n");
    REFUSE("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n");
    REFUSE("PROXY \r\n");
    REFUSE("PROXY TCP4\r\n");
    REFUSE("PROXY \n");
    REFUSE("PROXY UNKNOWN\n");
    REFUSE("PROXY\t");
    REFUSE("proxy ");
    REFUSE("GET / HTTP/1.1\r\n");
    REFUSE("\x16\x03\x01");
}

/* [N07] */
static void test_a_line_ends_within_107_bytes(void **state)
{
    (void)state;
    char line[200];
    struct tg_proxy_header header;
    memset(line, 'a', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(read_header(tg_slice_of(line, 106), &header), TG_PROXY_MORE);
    assert_int_equal(read_header(tg_slice_of(line, 107), &header), TG_PROXY_ERROR);
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(read_header(tg_slice_of(line, 107), &header), TG_PROXY_DONE);
    memcpy(line + 105, "a\r\n", 3);
    assert_int_equal(read_header(tg_slice_of(line, 108), &header), TG_PROXY_ERROR);
}

/* [N08] */
static void test_a_block_is_read_at_every_split(void **state)
{
    (void)state;
    ACCEPT(SIGNATURE "\x21\x11\x00\x0c" IPV4_BLOCK, "GET / HTTP/1.1\r\n", "10.1.2.3:12345");
    ACCEPT(SIGNATURE "\x21\x11\x00\x0c" IPV4_BLOCK, "", "10.1.2.3:12345");
    ACCEPT(SIGNATURE "\x21\x11\x00\x11" IPV4_BLOCK "\x04\x00\x02xy", "\x16\x03\x01", "10.1.2.3:12345");
    ACCEPT(SIGNATURE "\x21\x11\x00\x0f" IPV4_BLOCK "\x04\x00\x00", "x", "10.1.2.3:12345");
    ACCEPT(SIGNATURE "\x21\x21\x00\x24"
                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                     "\x00\x50\x01\xbb",
           "x", "[2001:db8::1]:80");
}

/* [N07] */
static void test_a_block_without_a_tcp_address_names_nobody(void **state)
{
    (void)state;
    ACCEPT(SIGNATURE "\x20\x00\x00\x00", "GET", NULL);             /* LOCAL */
    ACCEPT(SIGNATURE "\x20\x11\x00\x0c" IPV4_BLOCK, "GET", NULL);  /* its family is not looked at */
    ACCEPT(SIGNATURE "\x20\xff\x00\x03\x04\x00\xff", "GET", NULL); /* nor what follows */
    ACCEPT(SIGNATURE "\x21\x00\x00\x00", "GET", NULL);             /* UNSPEC */
    ACCEPT(SIGNATURE "\x21\x00\x00\x02zz", "GET", NULL);
    ACCEPT(SIGNATURE "\x21\x12\x00\x0c" IPV4_BLOCK, "GET", NULL); /* UDP */
}

/* [N07] */
static void test_a_block_whose_lengths_lie_is_refused(void **state)
{
    (void)state;
    REFUSE(SIGNATURE "\x21\x11\x00\x0b\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x01");
    REFUSE(SIGNATURE "\x21\x21\x00\x0c" IPV4_BLOCK);
    REFUSE(SIGNATURE "\x21\x11\x00\x0d" IPV4_BLOCK "\x04");
    REFUSE(SIGNATURE "\x21\x11\x00\x0e" IPV4_BLOCK "\x04\x00");
    REFUSE(SIGNATURE "\x21\x11\x00\x0f" IPV4_BLOCK "\x04\x00\x01");
    REFUSE(SIGNATURE "\x21\x11\x00\x11" IPV4_BLOCK "\x04\xff\xffxy");
    REFUSE(SIGNATURE "\x21\x11\x00\x13" IPV4_BLOCK "\x04\x00\x01x\x05\x00\x01");
    REFUSE(SIGNATURE "\x21\x11\xff\xff");
    REFUSE(SIGNATURE "\x21\x11\x0f\xf1");
}

static void test_a_block_of_an_unknown_kind_is_refused(void **state)
{
    (void)state;
    REFUSE(SIGNATURE "\x11\x11\x00\x0c");
    REFUSE(SIGNATURE "\x22\x11\x00\x0c");
    REFUSE(SIGNATURE "\x31\x11\x00\x0c");
    REFUSE(SIGNATURE "\x21\x13\x00\x00");
    REFUSE(SIGNATURE "\x21\x41\x00\x00");
    REFUSE("\r\n\r\n\0\r\nQUIT\r");
    REFUSE("\r\n\r\n\r");
}

static void test_the_longest_block_is_taken(void **state)
{
    (void)state;
    static char bytes[TG_PROXY_HEADER_MAX];
    struct tg_proxy_header header;
    memcpy(bytes, SIGNATURE "\x21\x11\x0f\xf0" IPV4_BLOCK, 28);
    size_t rest = TG_PROXY_HEADER_MAX - 28 - 3;
    bytes[28] = 4;
    bytes[29] = (char)(rest >> 8);
    bytes[30] = (char)(rest & 0xff);
    assert_int_equal(read_header(tg_slice_of(bytes, sizeof bytes - 1), &header), TG_PROXY_MORE);
    assert_int_equal(read_header(tg_slice_of(bytes, sizeof bytes), &header), TG_PROXY_DONE);
    assert_int_equal(header.length, TG_PROXY_HEADER_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_read_at_every_split),
        cmocka_unit_test(test_a_line_of_an_unknown_protocol_names_nobody),
        cmocka_unit_test(test_a_wrong_line_is_refused),
        cmocka_unit_test(test_a_line_ends_within_107_bytes),
        cmocka_unit_test(test_a_block_is_read_at_every_split),
        cmocka_unit_test(test_a_block_without_a_tcp_address_names_nobody),
        cmocka_unit_test(test_a_block_whose_lengths_lie_is_refused),
        cmocka_unit_test(test_a_block_of_an_unknown_kind_is_refused),
        cmocka_unit_test(test_the_longest_block_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
