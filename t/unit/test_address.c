#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/address.h"

static void assert_round_trip(const char *text, const char *expected)
{
    struct tg_address address;
    const char *problem = NULL;
    char out[128];
    assert_true(tg_address_parse(tg_slice_from_string(text), &address, &problem));
    assert_int_equal(tg_address_format(&address, out), strlen(expected));
    assert_memory_equal(out, expected, strlen(expected));
}

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    assert_round_trip("1.2.3.4:80", "1.2.3.4:80");
    assert_round_trip("*:8080", "0.0.0.0:8080");
    assert_round_trip("localhost:1", "127.0.0.1:1");
    assert_round_trip("[::1]:65535", "[::1]:65535");
    assert_round_trip("[2001:DB8::0:1]:443", "[2001:db8::1]:443");
    assert_round_trip("127.0.0.1:0", "127.0.0.1:0");
    assert_round_trip("unix:/run/tidegate.sock", "unix:/run/tidegate.sock");
}

static void the_longest_path_fits_and_one_more_byte_does_not(void **state)
{
    (void)state;
    char text[160];
    struct tg_address address;
    const char *problem = NULL;
    memset(text, 'p', sizeof(text));
    memcpy(text, "unix:/", 6);
    text[5 + 107] = '\0';
    assert_round_trip(text, text);
    text[5 + 107] = 'p';
    assert_false(tg_address_parse(tg_slice_of(text, 5 + 108), &address, &problem)); /* [N09] */
    assert_non_null(strstr(problem, "107"));
}

/* [N09] */
static void what_is_no_address_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",           ":",        "80",          "1.2.3.4",        "1.2.3.4:",    "1.2.3.4:65536",
        "1.2.3.4:-1", "1.2.3:80", "1.2.3.4:8 0", "1.2.3.4:0x50",   "example:80",  "[::1]",
        "::1:80",     "[::1:80",  "[]:80",       "[1.2.3.4]:80",   "unix:",       "unix:relative",
        ":80",        "[::g]:80", "1.2.3.4:+1",  "[fe80::1%lo]:1", "1.2.3.4%x:1", "1.2.3.4:000080",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tg_address address;
        const char *problem = NULL;
        if (tg_address_parse(tg_slice_from_string(wrong[i]), &address, &problem))
            fail_msg("%s was taken", wrong[i]);
        assert_non_null(problem);
    }
    struct tg_address address;
    const char *problem = NULL;
    assert_false(tg_address_parse(TG_SLICE("unix:/a\0b"), &address, &problem));
    assert_false(tg_address_parse(TG_SLICE("1.2.3.4\0:80"), &address, &problem));
}

static struct tg_address parse(const char *text)
{
    struct tg_address address;
    const char *problem;
    assert_true(tg_address_parse(tg_slice_from_string(text), &address, &problem));
    return address;
}

static void addresses_are_compared_by_what_they_name(void **state)
{
    (void)state;
    static const char *const texts[] = { "1.2.3.4:80",          "1.2.3.4:81", "1.2.3.5:80", "[::1]:80",
                                         "[::ffff:1.2.3.4]:80", "unix:/a",    "unix:/ab" };
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 7; j++) {
            struct tg_address a = parse(texts[i]), b = parse(texts[j]);
            memset((char *)&b + sizeof(b) - 8, 0x55, 8); /* bytes that mean nothing */
            assert_int_equal(tg_address_equal(&a, &b), i == j);
        }
    }
}

/* [H10] */
static void an_ipv4_address_is_the_same_ip_as_its_mapped_form(void **state)
{
    (void)state;
    struct tg_address plain = parse("1.2.3.4:80"), mapped = parse("[::ffff:1.2.3.4]:80"), path = parse("unix:/a");
    uint8_t a[16], b[16], none[16] = { 0 };
    tg_address_ip(&plain, a);
    tg_address_ip(&mapped, b);
    assert_memory_equal(a, b, 16);
    tg_address_ip(&path, a);
    assert_memory_equal(a, none, 16);
    assert_int_equal(tg_address_port(&path), 0);
    assert_true(tg_address_is_unix(&path));
    assert_false(tg_address_is_unix(&plain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(the_longest_path_fits_and_one_more_byte_does_not),
        cmocka_unit_test(what_is_no_address_is_refused_with_a_reason),
        cmocka_unit_test(addresses_are_compared_by_what_they_name),
        cmocka_unit_test(an_ipv4_address_is_the_same_ip_as_its_mapped_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
