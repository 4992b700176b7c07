/* Paths, hosts, targets, percent-encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/uri.h"

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

static void expect_slice(struct tg_slice got, const char *expected)
{
    if (!tg_slice_equal(got, tg_slice_from_string(expected)))
        fail_msg("expected <%s>, but it is <%.*s>", expected, (int)got.length, got.at);
}

static void path_is(const char *path, const char *normal)
{
    struct tg_slice out, again;
    const char *problem = NULL;
    if (!tg_path_normalise(tg_slice_from_string(path), &arena, &out, &problem))
        fail_msg("<%s> is refused: %s", path, problem);
    expect_slice(out, normal);
    assert_true(tg_path_normalise(out, &arena, &again, &problem));
    assert_ptr_equal(again.at, out.at);
}

static void path_is_refused(struct tg_slice path)
{
    struct tg_slice out;
    const char *problem = NULL;
    if (tg_path_normalise(path, &arena, &out, &problem))
        fail_msg("<%.*s> is taken as <%.*s>", (int)path.length, path.at, (int)out.length, out.at);
    assert_non_null(problem);
}

#define PATH_REFUSED(text) path_is_refused(TG_SLICE(text))

static void a_normal_path_stays_where_it_is(void **state)
{
    (void)state;
    static const char *const normal[] = { "/",      "/a",       "/a/b.html",    "/a//b",     "/a;x=1/b",
                                          "/%2F",   "/%C3%A9",  "/a/.b",        "/a/..b",    "/a/b..",
                                          "/a/...", "/a/.../b", "/a%20b;c=%2C", "/{}|^`<>\"" };
    for (size_t i = 0; i < sizeof normal / sizeof *normal; i++) {
        struct tg_slice path = tg_slice_from_string(normal[i]), out;
        const char *problem;
        assert_true(tg_path_normalise(path, &arena, &out, &problem));
        assert_ptr_equal(out.at, path.at);
        assert_int_equal(out.length, path.length);
    }
}

/* [P07] */
static void dot_segments_are_resolved(void **state)
{
    (void)state;
    path_is("/a/%7Eb/../c%2Fd//e", "/a/c%2Fd//e");
    path_is("/a/./b", "/a/b");
    path_is("/a/.", "/a/");
    path_is("/.", "/");
    path_is("/./", "/");
    path_is("/a/..", "/");
    path_is("/a/../", "/");
    path_is("/a/b/..", "/a/");
    path_is("/a/b/../../c", "/c");
    path_is("/a//../b", "/a/b");
    path_is("//../b", "/b");
    path_is("/a/%2e/b", "/a/b");
    path_is("/a/%2E%2e/b", "/b");
    path_is("/a/.%2e/b", "/b");
    path_is("/%61/%7e%5f", "/a/~_");
    path_is("/%2f%c3%a9%3b", "/%2F%C3%A9%3B");
}

/* [P07] */
static void dotdot_above_the_root_is_refused(void **state)
{
    (void)state;
    PATH_REFUSED("/..");
    PATH_REFUSED("/../");
    PATH_REFUSED("/../a");
    PATH_REFUSED("/a/../..");
    PATH_REFUSED("/a/../../b");
    PATH_REFUSED("/%2e%2e/a");
    PATH_REFUSED("/./../a");
    PATH_REFUSED("/..;x/a");
}

/* [P08] */
static void encoded_delimiters_have_one_meaning(void **state)
{
    (void)state;
    PATH_REFUSED("/a/..%2Fb");
    PATH_REFUSED("/a/..%2f..%2fb");
    PATH_REFUSED("/a/b%2F..");
    PATH_REFUSED("/a/b%2F../c");
    PATH_REFUSED("/a/%2e%2e%2Fb");
    PATH_REFUSED("/a/x%2F..;y%2Fz");
    PATH_REFUSED("/a/..%3Bx");
    PATH_REFUSED("/%5c");
    PATH_REFUSED("/a%5Cb");
    PATH_REFUSED("/a\\b");
    PATH_REFUSED("/%00");
    PATH_REFUSED("/a\0b");
    PATH_REFUSED("/%");
    PATH_REFUSED("/%a");
    PATH_REFUSED("/%zz");
    PATH_REFUSED("/%2");
    PATH_REFUSED("/a%2 b");
    path_is("/%252e%252e/a", "/%252e%252e/a");
    path_is("/%c0%ae%c0%ae/a", "/%C0%AE%C0%AE/a");
    path_is("/%0a%0d", "/%0A%0D");
}

/* [P09] */
static void parameters_do_not_hide_dot_segments(void **state)
{
    (void)state;
    path_is("/a/..;x=1/admin", "/admin");
    path_is("/a/..;/admin", "/admin");
    path_is("/a/.;x/b", "/a/b");
    path_is("/a/b/..;x%20y", "/a/");
    path_is("/a/%2e%2e;x/b", "/b");
    path_is("/a/b;..", "/a/b;..");
}

static void a_path_of_wrong_bytes_is_refused(void **state)
{
    (void)state;
    PATH_REFUSED("");
    PATH_REFUSED("a");
    PATH_REFUSED("*");
    PATH_REFUSED("/a b");
    PATH_REFUSED("/a\tb");
    PATH_REFUSED("/a\r\nb");
    PATH_REFUSED("/a\x7f");
    PATH_REFUSED("/\xc3\xa9");
    PATH_REFUSED("/a?b");
    PATH_REFUSED("/a#b");
    PATH_REFUSED("/0123456789abcdef0123456789abcde\x01");
}

static void host_is(const char *value, const char *text, const char *host, uint16_t port)
{
    struct tg_authority authority, again;
    const char *problem = NULL;
    if (!tg_authority_parse(tg_slice_from_string(value), &arena, &authority, &problem))
        fail_msg("<%s> is refused: %s", value, problem);
    expect_slice(authority.text, text);
    expect_slice(authority.host, host);
    assert_int_equal(authority.port, port);
    assert_true(tg_authority_parse(authority.text, &arena, &again, &problem));
    expect_slice(again.text, text);
}

/* [P05] */
static void a_host_has_one_form(void **state)
{
    (void)state;
    host_is("a.example", "a.example", "a.example", 0);
    host_is("A.Example", "a.example", "a.example", 0);
    host_is("a.example.", "a.example", "a.example", 0);
    host_is("a.example.:8080", "a.example:8080", "a.example", 8080);
    host_is("A.EXAMPLE.:80", "a.example", "a.example", 80);
    host_is("a.example:80", "a.example", "a.example", 80);
    host_is("a.example:443", "a.example:443", "a.example", 443);
    host_is("127.0.0.1:65535", "127.0.0.1:65535", "127.0.0.1", 65535);
    host_is("[::1]", "[::1]", "[::1]", 0);
    host_is("[0:0:0:0:0:0:0:1]:81", "[::1]:81", "[::1]", 81);
    host_is("[2001:DB8::A]:80", "[2001:db8::a]", "[2001:db8::a]", 80);
    host_is("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", 0);
    host_is("xn--exmple-cua.example", "xn--exmple-cua.example", "xn--exmple-cua.example", 0);
    host_is("a_b-c~d.example", "a_b-c~d.example", "a_b-c~d.example", 0);
}

/* [P02] [P04] */
static void a_wrong_host_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "a:",
        "a:0",
        "a:65536",
        "a:99999",
        "a:100000",
        "a:8x",
        "a:-1",
        "a:+80",
        "a: 80",
        "a:080",
        ":80",
        "a, b",
        "a,b",
        "u@a",
        "u:p@a",
        "a/b",
        "a\\b",
        "a#b",
        "a?b",
        "a b",
        "a\tb",
        "a\x01",
        "a\x7f",
        "\xc3\xa9",
        "a%41",
        "a..b",
        ".a",
        ".",
        "a..",
        "[",
        "[]",
        "[::1",
        "[::1]x",
        "[::1]x:80",
        "[::1]:",
        "[::1",
        "[::1]:0",
        "[1.2.3.4]",
        "[::g]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "::1",
        "a:1:2",
        "a]",
        "<a>",
        "\"a\"",
        "a|b",
        "[:::1]",
        "[1:2:3:4:5:6:7:8:9]",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tg_authority authority;
        const char *problem = NULL;
        if (tg_authority_parse(tg_slice_from_string(wrong[i]), &arena, &authority, &problem))
            fail_msg("<%s> is taken", wrong[i]);
        assert_non_null(problem);
    }
    char longest[256];
    struct tg_authority authority;
    const char *problem = NULL;
    memset(longest, 'a', sizeof longest);
    assert_true(tg_authority_parse(tg_slice_of(longest, 255), &arena, &authority, &problem));
    assert_false(tg_authority_parse(tg_slice_of(longest, 256), &arena, &authority, &problem));
    assert_false(tg_authority_parse(TG_SLICE("a\0b"), &arena, &authority, &problem));
    assert_false(tg_authority_parse(TG_SLICE("[::1\0]"), &arena, &authority, &problem));
}

/* [P03] [P06] */
static void a_target_is_split_by_its_form(void **state)
{
    (void)state;
    struct tg_target target;
    struct tg_problem problem;
    assert_true(tg_target_parse(TG_SLICE("/a/../b?c?d/.."), false, &arena, &target, &problem));
    assert_int_equal(target.form, TG_TARGET_ORIGIN);
    expect_slice(target.raw_path, "/a/../b");
    expect_slice(target.path, "/b");
    expect_slice(target.query, "c?d/..");
    assert_true(target.has_query);
    assert_true(tg_target_parse(TG_SLICE("/a?"), false, &arena, &target, &problem));
    assert_true(target.has_query);
    expect_slice(target.query, "");
    assert_true(tg_target_parse(TG_SLICE("HTTPS://H:1?x"), false, &arena, &target, &problem));
    assert_int_equal(target.form, TG_TARGET_ABSOLUTE);
    expect_slice(target.scheme, "https");
    expect_slice(target.authority, "H:1");
    expect_slice(target.raw_path, "/");
    expect_slice(target.query, "x");
    assert_true(tg_target_parse(TG_SLICE("*"), false, &arena, &target, &problem));
    assert_int_equal(target.form, TG_TARGET_ASTERISK);
    expect_slice(target.path, "*");
    assert_true(tg_target_parse(TG_SLICE("h:443"), true, &arena, &target, &problem));
    assert_int_equal(target.form, TG_TARGET_AUTHORITY);
    expect_slice(target.authority, "h:443");
    assert_false(tg_target_parse(TG_SLICE("h:443"), false, &arena, &target, &problem));
    assert_int_equal(problem.status, 400);
    assert_false(tg_target_parse(TG_SLICE(""), false, &arena, &target, &problem));
    assert_false(tg_target_parse(TG_SLICE("http://h#x"), false, &arena, &target, &problem));
}

/* [P12] */
static void a_query_keeps_its_bytes_or_is_refused(void **state)
{
    (void)state;
    assert_true(tg_query_valid(TG_SLICE("")));
    assert_true(tg_query_valid(TG_SLICE("a=%zz;b&c=\\'\"{}?/")));
    assert_false(tg_query_valid(TG_SLICE("a b")));
    assert_false(tg_query_valid(TG_SLICE("a#b")));
    assert_false(tg_query_valid(TG_SLICE("a\0b")));
    assert_false(tg_query_valid(TG_SLICE("\xff")));
    assert_false(tg_query_valid(TG_SLICE("\r\n")));
}

/* [P11] [P13] */
static void what_is_put_into_a_path_or_query_is_encoded_whole(void **state)
{
    (void)state;
    struct tg_slice out;
    assert_true(tg_percent_encode(TG_SLICE("a-b_c.d~9"), &arena, &out));
    expect_slice(out, "a-b_c.d~9");
    assert_true(tg_percent_encode(TG_SLICE("//evil\\\r\n \0%\xff?#"), &arena, &out));
    expect_slice(out, "%2F%2Fevil%5C%0D%0A%20%00%25%FF%3F%23");
    assert_true(tg_percent_decode(out, &arena, &out));
    assert_true(tg_slice_equal(out, TG_SLICE("//evil\\\r\n \0%\xff?#")));
    assert_true(tg_percent_decode(TG_SLICE("a+b%2f%2F"), &arena, &out));
    expect_slice(out, "a+b//");
    assert_false(tg_percent_decode(TG_SLICE("%"), &arena, &out));
    assert_false(tg_percent_decode(TG_SLICE("a%2"), &arena, &out));
    assert_false(tg_percent_decode(TG_SLICE("%2g"), &arena, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_normal_path_stays_where_it_is, start, end),
        cmocka_unit_test_setup_teardown(dot_segments_are_resolved, start, end),
        cmocka_unit_test_setup_teardown(dotdot_above_the_root_is_refused, start, end),
        cmocka_unit_test_setup_teardown(encoded_delimiters_have_one_meaning, start, end),
        cmocka_unit_test_setup_teardown(parameters_do_not_hide_dot_segments, start, end),
        cmocka_unit_test_setup_teardown(a_path_of_wrong_bytes_is_refused, start, end),
        cmocka_unit_test_setup_teardown(a_host_has_one_form, start, end),
        cmocka_unit_test_setup_teardown(a_wrong_host_is_refused, start, end),
        cmocka_unit_test_setup_teardown(a_target_is_split_by_its_form, start, end),
        cmocka_unit_test_setup_teardown(a_query_keeps_its_bytes_or_is_refused, start, end),
        cmocka_unit_test_setup_teardown(what_is_put_into_a_path_or_query_is_encoded_whole, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
