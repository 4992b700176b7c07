/* Addresses, and what is said to upstream about the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "http/forward.h"
#include "http/h1_parse.h"

static struct tg_ip ip_of(const char *text)
{
    struct tg_ip ip;
    if (!tg_ip_parse(tg_slice_from_string(text), &ip))
        fail_msg("<%s> is refused", text);
    return ip;
}

static void ip_is(const char *text, const char *formatted)
{
    char out[46];
    struct tg_ip ip = ip_of(text);
    size_t length = tg_ip_format(&ip, out);
    assert_int_equal(length, strlen(formatted));
    assert_memory_equal(out, formatted, length);
}

/* [H10] */
static void an_address_has_one_form(void **state)
{
    (void)state;
    ip_is("192.0.2.1", "192.0.2.1");
    ip_is("0.0.0.0", "0.0.0.0");
    ip_is("255.255.255.255", "255.255.255.255");
    ip_is("::ffff:192.0.2.1", "192.0.2.1");
    ip_is("::FFFF:c000:201", "192.0.2.1");
    ip_is("[2001:DB8:0::1]", "2001:db8::1");
    ip_is("::", "::");
}

/* [H10] */
static void a_malformed_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",         "1.2.3",      "1.2.3.4.5", "1.2.3.256",         "01.2.3.4",
        "1.2.3.4 ", " 1.2.3.4",   "1.2.3.4:5", "fe80::1%eth0",      "[::1",
        "::1]",     "[1.2.3.4]",  ":::1",      "unknown",           "_hidden",
        "0x7f.1",   "2130706433", "[]",        "1:2:3:4:5:6:7:8:9", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"
    };
    struct tg_ip ip;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (tg_ip_parse(tg_slice_from_string(wrong[i]), &ip))
            fail_msg("<%s> is taken", wrong[i]);
    assert_false(tg_ip_parse(TG_SLICE("1.2.3.4\0"), &ip));
}

static bool in_range(const char *range, const char *address)
{
    struct tg_cidr cidr;
    struct tg_ip ip = ip_of(address);
    if (!tg_cidr_parse(tg_slice_from_string(range), &cidr))
        fail_msg("<%s> is refused", range);
    return tg_cidr_has(&cidr, &ip);
}

/* [H10] */
static void a_range_holds_both_spellings_of_its_addresses(void **state)
{
    (void)state;
    assert_true(in_range("10.0.0.0/8", "10.255.0.1"));
    assert_true(in_range("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_false(in_range("10.0.0.0/8", "11.0.0.0"));
    assert_true(in_range("10.1.2.3/8", "10.9.9.9"));
    assert_true(in_range("192.0.2.4/30", "192.0.2.7"));
    assert_false(in_range("192.0.2.4/30", "192.0.2.8"));
    assert_true(in_range("192.0.2.1", "192.0.2.1"));
    assert_false(in_range("192.0.2.1", "192.0.2.2"));
    assert_true(in_range("0.0.0.0/0", "1.2.3.4"));
    assert_false(in_range("0.0.0.0/0", "::1"));
    assert_true(in_range("::/0", "1.2.3.4"));
    assert_true(in_range("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(in_range("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(in_range("::1/128", "::1"));
    static const char *const wrong[] = { "", "/", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "::/x", "a/8" };
    struct tg_cidr cidr;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(tg_cidr_parse(tg_slice_from_string(wrong[i]), &cidr));
}

static struct tg_arena arena;
static struct tg_request_head head;
static struct tg_trusted_proxies trusted;
static struct tg_cidr ranges[2];

static int start(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    if (!tg_cidr_parse(TG_SLICE("10.0.0.0/8"), &ranges[0]) || !tg_cidr_parse(TG_SLICE("fd00::/8"), &ranges[1]))
        return 1;
    trusted = (struct tg_trusted_proxies){ ranges, 2 };
    return 0;
}

static int end(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    return 0;
}

static void parse(const char *lines)
{
    static struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
    static char text[4096];
    struct tg_problem problem;
    int length = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a.example:81\r\n%s\r\n", lines);
    if (!tg_h1_parse_request(tg_slice_of(text, (size_t)length), &limits, &arena, &head, &problem))
        fail_msg("%s", problem.reason);
}

/* "address scheme" */
static void identity_is(const char *peer, const char *lines, const char *expected)
{
    struct tg_client_identity identity;
    struct tg_ip ip = ip_of(peer);
    char out[80];
    parse(lines);
    tg_client_identify(&head, &ip, TG_SLICE("http"), &trusted, &identity);
    size_t length = tg_ip_format(&identity.ip, out);
    length +=
        (size_t)snprintf(out + length, sizeof out - length, " %.*s", (int)identity.scheme.length, identity.scheme.at);
    out[length] = '\0';
    assert_string_equal(out, expected);
}

/* [H09] */
static void an_untrusted_peer_is_the_client_whatever_it_says(void **state)
{
    (void)state;
    identity_is("192.0.2.1", "", "192.0.2.1 http");
    identity_is("192.0.2.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1 http");
    identity_is("192.0.2.1", "Forwarded: for=1.1.1.1;proto=https\r\n", "192.0.2.1 http");
}

static void behind_trusted_proxies_the_rightmost_other_address_is_the_client(void **state)
{
    (void)state;
    identity_is("10.0.0.1", "", "10.0.0.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: HTTPS\r\n", "1.1.1.1 https");
    identity_is("::ffff:10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.2\r\n", "1.1.1.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\nX-Forwarded-For: 10.0.0.2,fd00::1\r\n",
                "1.1.1.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1:1234\r\n", "1.1.1.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: [2001:db8::1]:1234\r\n", "2001:db8::1 http");
    identity_is("10.0.0.1", "Forwarded: for=6.6.6.6, For=\"[2001:db8::1]:47\";proto=https;host=\"a;b\"\r\n",
                "2001:db8::1 https");
    identity_is("10.0.0.1", "Forwarded: proto=http;for=1.1.1.1, for=10.0.0.9;proto=https\r\n", "1.1.1.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=2.2.2.2\r\n", "1.1.1.1 http");
}

static void a_malformed_entry_stops_the_walk(void **state)
{
    (void)state;
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1, unknown\r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1, , 10.0.0.2\r\n", "10.0.0.2 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1:x\r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: fe80::1%eth0\r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: \r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "Forwarded: for=_secret\r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "Forwarded: by=1.1.1.1;;=;for\r\n", "10.0.0.1 http");
    identity_is("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: gopher\r\n", "1.1.1.1 http");
}

static void a_long_chain_is_believed_for_a_bounded_number_of_hops(void **state)
{
    (void)state;
    char lines[2048] = "X-Forwarded-For: 1.1.1.1";
    for (int i = 0; i < 40; i++)
        strcat(lines, ", 10.0.0.2");
    strcat(lines, "\r\n");
    identity_is("10.0.0.1", lines, "10.0.0.2 http");
}

static void family_is(const char *peer, const char *lines, const char *expected)
{
    struct tg_client_identity identity;
    struct tg_ip ip = ip_of(peer);
    struct tg_text out;
    parse(lines);
    tg_client_identify(&head, &ip, TG_SLICE("http"), &trusted, &identity);
    assert_true(tg_forward_set(&head.fields, &head, &ip, &identity, 8080));
    tg_text_init(&out);
    for (uint32_t i = 0; i < head.fields.count; i++) {
        const struct tg_field *line = &head.fields.lines[i];
        if (!line->removed && !line->own)
            tg_text_appendf(&out, "%.*s: %.*s\n", (int)line->name.length, line->name.at, (int)line->value.length,
                            line->value.at);
    }
    assert_string_equal(out.at, expected);
    tg_text_deinit(&out);
}

/* [H01] [H04] [H09] */
static void from_an_untrusted_peer_the_whole_family_is_replaced(void **state)
{
    (void)state;
    static const char family[] = "x-forwarded-for: 192.0.2.1\nx-forwarded-host: a.example:81\nx-forwarded-proto: http\n"
                                 "x-forwarded-port: 8080\nx-real-ip: 192.0.2.1\n"
                                 "forwarded: for=192.0.2.1;host=\"a.example:81\";proto=http\n";
    family_is("192.0.2.1", "", family);
    family_is("192.0.2.1", "Connection: X-Forwarded-For, x-real-ip, Forwarded\r\n", family);
    family_is(
        "192.0.2.1",
        "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: e\r\n"
        "X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /e\r\nX-Forwarded-Uri: /e\r\nX-Forwarded-Method: E\r\n"
        "X-Forwarded-Server: e\r\nX-Real-Ip: 3.3.3.3\r\nForwarded: for=4.4.4.4\r\nX-Forwarded-Ssl: on\r\n"
        "X_Forwarded_For: 5.5.5.5\r\nX.Forwarded.For: 6.6.6.6\r\nx_real_ip: 7.7.7.7\r\nX-Forwarded_Proto: https\r\n"
        "X-Forwarded: e\r\n",
        family);
}

static void other_fields_are_left_alone(void **state)
{
    (void)state;
    family_is(
        "2001:db8::1", "X-Real-Ipa: 1\r\nX-Fo: 2\r\nForwarded-For: 3\r\nX: 4\r\n",
        "X-Real-Ipa: 1\nX-Fo: 2\nForwarded-For: 3\nX: 4\nx-forwarded-for: 2001:db8::1\n"
        "x-forwarded-host: a.example:81\nx-forwarded-proto: http\nx-forwarded-port: 8080\nx-real-ip: 2001:db8::1\n"
        "forwarded: for=\"[2001:db8::1]\";host=\"a.example:81\";proto=http\n");
}

static void what_a_trusted_peer_says_is_continued(void **state)
{
    (void)state;
    family_is("10.0.0.1",
              "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n"
              "X-Forwarded-Host: Shop.example\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /p\r\n"
              "X-Forwarded-Ssl: on\r\nX_Forwarded_For: 5.5.5.5\r\n",
              "X-Forwarded-Prefix: /p\nX-Forwarded-Ssl: on\nx-forwarded-for: 1.1.1.1, 10.0.0.2, 10.0.0.1\n"
              "x-forwarded-host: shop.example\nx-forwarded-proto: https\nx-forwarded-port: 443\nx-real-ip: 1.1.1.1\n"
              "forwarded: for=1.1.1.1;host=\"shop.example\";proto=https, for=10.0.0.1\n");
    family_is("10.0.0.1", "Forwarded: for=1.1.1.1;proto=https\r\nX-Forwarded-Host: a, b\r\nX-Forwarded-Port: 0\r\n",
              "x-forwarded-for: 1.1.1.1, 10.0.0.1\nx-forwarded-host: a.example:81\nx-forwarded-proto: https\n"
              "x-forwarded-port: 8080\nx-real-ip: 1.1.1.1\nforwarded: for=1.1.1.1;proto=https, for=10.0.0.1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_one_form),
        cmocka_unit_test(a_malformed_address_is_refused),
        cmocka_unit_test(a_range_holds_both_spellings_of_its_addresses),
        cmocka_unit_test_setup_teardown(an_untrusted_peer_is_the_client_whatever_it_says, start, end),
        cmocka_unit_test_setup_teardown(behind_trusted_proxies_the_rightmost_other_address_is_the_client, start, end),
        cmocka_unit_test_setup_teardown(a_malformed_entry_stops_the_walk, start, end),
        cmocka_unit_test_setup_teardown(a_long_chain_is_believed_for_a_bounded_number_of_hops, start, end),
        cmocka_unit_test_setup_teardown(from_an_untrusted_peer_the_whole_family_is_replaced, start, end),
        cmocka_unit_test_setup_teardown(other_fields_are_left_alone, start, end),
        cmocka_unit_test_setup_teardown(what_a_trusted_peer_says_is_continued, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
