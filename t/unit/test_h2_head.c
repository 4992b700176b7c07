/* HTTP/2 header sections to heads, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "http/h2_head.h"

static struct tg_arena arena;
static struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
static struct tg_h2_section section;
static struct tg_request_head request;
static struct tg_response_head response;
static struct tg_problem problem;
static struct tg_h2_request_context context;
static char text[16384];

static int setup(void **state)
{
    (void)state;
    tg_arena_init(&arena);
    limits = (struct tg_http_limits)TG_HTTP_LIMITS_DEFAULT;
    context = (struct tg_h2_request_context){ .end = true, .extended_connect = true };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_arena_deinit(&arena);
    tg_arena_release_thread_pool();
    return 0;
}

/* Names and values from memory of their own, which goes: nothing may be borrowed. */
static void add(const char *name, const char *value)
{
    char *name_copy = strdup(name), *value_copy = strdup(value);
    tg_h2_section_add(&section, tg_slice_from_string(name_copy), tg_slice_from_string(value_copy), false);
    free(name_copy);
    free(value_copy);
}

static void collect(enum tg_h2_section_kind kind, const char *const *pairs)
{
    tg_h2_section_init(&section, kind, &arena, &limits);
    for (; *pairs; pairs += 2)
        add(pairs[0], pairs[1]);
}

static const char *print(const struct tg_fields *fields)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (!line->removed && !line->own)
            at += (size_t)snprintf(text + at, sizeof text - at, "%.*s: %.*s\n", (int)line->name.length, line->name.at,
                                   (int)line->value.length, line->value.at);
    }
    return text;
}

static bool parse(const char *const *pairs)
{
    collect(TG_H2_REQUEST, pairs);
    return tg_h2_request_head(&section, &context, &request, &problem);
}

static bool is(struct tg_slice slice, const char *expected)
{
    return tg_slice_equal(slice, tg_slice_from_string(expected));
}

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define TARGET(path) ":method", "GET", ":scheme", "http", ":path", (path), ":authority", "a"
#define GET TARGET("/")
#define TAKES(...) assert_true(parse(PAIRS(__VA_ARGS__)))
#define REFUSES(code, ...)                                                                                             \
    do {                                                                                                               \
        assert_false(parse(PAIRS(__VA_ARGS__)));                                                                       \
        assert_int_equal(problem.status, (code));                                                                      \
        assert_non_null(problem.reason);                                                                               \
    } while (0)

static void test_a_request_is_read(void **state)
{
    (void)state;
    TAKES(":method", "GET", ":scheme", "https", ":path", "/a/../b?c=%41", ":authority", "EXAMPLE.com:80", "accept",
          "*/*", "x-empty", "");
    assert_int_equal(request.version, TG_HTTP_2);
    assert_int_equal(request.method, TG_METHOD_GET);
    assert_true(is(request.target.path, "/b") && is(request.target.raw_path, "/a/../b"));
    assert_true(is(request.target.query, "c=%41"));
    assert_true(is(request.authority.text, "example.com"));
    assert_int_equal(request.framing, TG_FRAMING_NONE);
    assert_true(request.keep_alive && !request.expect_continue && !request.te_trailers);
    assert_string_equal(print(&request.fields), "accept: */*\nx-empty: \n");
    const struct tg_field *host = tg_fields_find(&request.fields, TG_FIELD_HOST, (struct tg_slice){ 0 });
    assert_true(host && host->own && is(host->value, "example.com"));
}

/* [V04] */
static void test_pseudo_fields_come_once_first_and_all(void **state)
{
    (void)state;
    REFUSES(400, GET, ":path", "/");
    REFUSES(400, "accept", "*/*", GET);
    REFUSES(400, ":method", "GET", "accept", "*/*", ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, GET, ":status", "200");
    REFUSES(400, GET, ":unknown", "x");
    REFUSES(400, GET, ":", "x");
    REFUSES(400, ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":path", "/");
    REFUSES(400, ":method", "", ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":path", "", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "");
}

/* [V01] [V02] */
static void test_bytes_that_no_field_has_are_refused(void **state)
{
    (void)state;
    REFUSES(400, GET, "x", "a\rb");
    REFUSES(400, GET, "x", "a\nb");
    REFUSES(400, GET, "x", "a\x01");
    REFUSES(400, GET, "x", "a\x7f");
    REFUSES(400, GET, "x", " a");
    REFUSES(400, GET, "x", "a ");
    REFUSES(400, GET, "x", "\ta");
    REFUSES(400, GET, "X", "a");
    REFUSES(400, GET, "Content-Length", "0");
    REFUSES(400, GET, "", "a");
    REFUSES(400, GET, "x y", "a");
    REFUSES(400, GET, "x:y", "a");
    REFUSES(400, GET, "x\n", "a");
    REFUSES(400, ":method", "GE T", ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET\r\nX", ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1\r\nx: y", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a\r\nx: y");
    tg_h2_section_init(&section, TG_H2_REQUEST, &arena, &limits);
    tg_h2_section_add(&section, TG_SLICE("x"), tg_slice_of("a\0b", 3), false);
    assert_int_equal(section.problem.status, 400);
    TAKES(GET, "x", "a\tb \xc3\xa9");
}

/* [V06] */
static void test_a_field_that_the_codec_drops_makes_the_section_malformed(void **state)
{
    (void)state;
    collect(TG_H2_REQUEST, PAIRS(GET));
    tg_h2_section_add_invalid(&section, TG_SLICE("x"), TG_SLICE(" a"));
    assert_false(tg_h2_request_head(&section, &context, &request, &problem));
    assert_int_equal(problem.status, 400);
}

/* [V03] */
static void test_fields_of_a_connection_are_refused(void **state)
{
    (void)state;
    REFUSES(400, GET, "connection", "close");
    REFUSES(400, GET, "keep-alive", "5");
    REFUSES(400, GET, "proxy-connection", "close");
    REFUSES(400, GET, "transfer-encoding", "chunked");
    REFUSES(400, GET, "upgrade", "websocket");
    REFUSES(400, GET, "te", "gzip");
    REFUSES(400, GET, "te", "trailers, gzip");
    REFUSES(400, GET, "content_length", "5");
    REFUSES(400, GET, "transfer.encoding", "chunked");
    TAKES(GET, "te", "trailers", "http2-settings", "AAMAAABk");
    assert_true(request.te_trailers);
    assert_string_equal(print(&request.fields), "");
}

/* [Q03] */
static void test_a_path_begins_with_a_slash(void **state)
{
    (void)state;
    REFUSES(400, ":method", "POST", ":scheme", "http", ":path", "greet.Greeter/Say", ":authority", "a");
    REFUSES(400, ":method", "POST", ":scheme", "http", ":path", "*", ":authority", "a");
    REFUSES(400, ":method", "POST", ":scheme", "http", ":path", "?greet", ":authority", "a");
    TAKES(":method", "POST", ":scheme", "http", ":path", "/greet.Greeter/Say", ":authority", "a");
}

/* [V07] */
static void test_only_http_has_a_scheme_here(void **state)
{
    (void)state;
    REFUSES(400, ":method", "GET", ":scheme", "ftp", ":path", "x", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "GET", ":scheme", "http:", ":path", "/", ":authority", "a");
    TAKES(":method", "GET", ":scheme", "HTTPS", ":path", "/", ":authority", "a:443");
    assert_true(is(request.authority.text, "a:443")); /* the connection is clear, whatever :scheme says */
    context.secure = true;
    TAKES(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a:443");
    assert_true(is(request.authority.text, "a"));
}

static void test_targets_mean_what_they_mean_in_http_1(void **state)
{
    (void)state;
    REFUSES(400, TARGET("x"));
    REFUSES(400, TARGET("http://a/"));
    REFUSES(400, TARGET("/#x"));
    REFUSES(400, TARGET("/?#x"));
    REFUSES(400, TARGET("/%zz"));
    REFUSES(400, TARGET("/../x"));
    REFUSES(400, TARGET("/a%00"));
    REFUSES(400, TARGET("*"));
    REFUSES(400, TARGET("?x"));
    TAKES(":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a");
    assert_int_equal(request.target.form, TG_TARGET_ASTERISK);
    limits.target = 10;
    TAKES(TARGET("/123456789"));
    REFUSES(414, TARGET("/1234567890"));
}

/* [V08] */
static void test_authority_and_host_say_the_same(void **state)
{
    (void)state;
#define HEAD ":method", "GET", ":scheme", "http", ":path", "/"
    REFUSES(400, HEAD, ":authority", "a", "host", "b");
    REFUSES(400, HEAD, ":authority", "a", "host", "a:8080");
    REFUSES(400, HEAD, ":authority", "a", "host", "");
    REFUSES(400, HEAD, ":authority", "a", "host", "a", "host", "a");
    REFUSES(400, HEAD, ":authority", "user@a");
    REFUSES(400, HEAD, "host", "user@a");
    REFUSES(400, HEAD, ":authority", "a/b");
    REFUSES(400, HEAD, ":authority", "a,b");
    REFUSES(400, HEAD, ":authority", "a:0");
    TAKES(HEAD, ":authority", "a", "host", "a");
    TAKES(HEAD, ":authority", "A", "host", "a:80");
    assert_true(is(request.authority.text, "a"));
    TAKES(HEAD, "host", "B:8080");
    assert_true(is(request.authority.text, "b:8080"));
    assert_string_equal(print(&request.fields), "");
}

/* [V09] */
static void test_cookie_crumbs_are_joined(void **state)
{
    (void)state;
    TAKES(GET, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "", "cookie", "c=3");
    assert_string_equal(print(&request.fields), "cookie: a=1; b=2; ; c=3\nx: y\n");
    TAKES(GET, "cookie", "a=1; b=2");
    assert_string_equal(print(&request.fields), "cookie: a=1; b=2\n");
}

/* [F10] [F11] */
static void test_lines_are_charged_and_counted_before_they_are_stored(void **state)
{
    (void)state;
    limits.fields = 3;
    TAKES(GET, "a", "1", "b", "2", "c", "3");
    REFUSES(431, GET, "a", "1", "b", "2", "c", "3", "d", "4");
    REFUSES(431, GET, "cookie", "1", "cookie", "2", "cookie", "3", "cookie", "4");
    REFUSES(431, GET, "host", "a", "host", "a", "host", "a", "host", "a");
    limits.fields = 200;
    limits.head = 300;
    TAKES(GET, "x", "y");
    REFUSES(431, GET, "a", "", "b", "", "c", "", "d", "", "e", "", "f", "");
    assert_true(section.charged > 300);
    uint32_t stored = section.fields.count;
    for (int i = 0; i < 1000; i++)
        add("y", "z");
    assert_int_equal(section.fields.count, stored);
    assert_true(section.charged > 1000 * 34);
    assert_true(is(request.method_text, "GET")); /* for the log */
}

/* [V05] What the head itself shows of it. */
static void test_a_declared_length_agrees_with_the_end(void **state)
{
    (void)state;
    REFUSES(400, GET, "content-length", "5");
    TAKES(GET, "content-length", "0");
    assert_int_equal(request.framing, TG_FRAMING_LENGTH);
    REFUSES(400, GET, "content-length", "+0");
    REFUSES(400, GET, "content-length", "0", "content-length", "0");
    REFUSES(400, GET, "content-length", "");
    context.end = false;
    TAKES(GET, "content-length", "5");
    assert_true(request.framing == TG_FRAMING_LENGTH && request.content_length == 5);
    TAKES(GET);
    assert_int_equal(request.framing, TG_FRAMING_CHUNKED);
    assert_string_equal(print(&request.fields), "");
}

static void test_an_expectation_is_read_as_in_http_1(void **state)
{
    (void)state;
    REFUSES(417, GET, "expect", "magic");
    TAKES(GET, "expect", "100-continue");
    assert_false(request.expect_continue);
    context.end = false;
    TAKES(GET, "expect", "100-continue");
    assert_true(request.expect_continue);
}

static void test_methods_are_read_as_in_http_1(void **state)
{
    (void)state;
    char method[80];
    memset(method, 'M', sizeof method);
    method[65] = '\0';
    REFUSES(501, ":method", method, ":scheme", "http", ":path", "/", ":authority", "a");
    method[64] = '\0';
    TAKES(":method", method, ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(405, ":method", "CONNECT", ":authority", "a:1");
    REFUSES(400, ":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a:1");
}

static void test_an_extended_connect_is_an_upgrade(void **state)
{
    (void)state;
#define EXTENDED(protocol)                                                                                             \
    ":method", "CONNECT", ":protocol", protocol, ":scheme", "http", ":path", "/chat?x", ":authority", "a"
    context.end = false;
    TAKES(EXTENDED("websocket"), "sec-websocket-version", "13", "content-length", "5");
    assert_int_equal(request.method, TG_METHOD_GET);
    assert_true(is(request.method_text, "GET") && is(request.upgrade, "websocket"));
    assert_true(request.extended_connect);
    assert_int_equal(request.framing, TG_FRAMING_NONE);
    assert_true(is(request.target.path, "/chat"));
    REFUSES(501, EXTENDED("connect-udp"));
    REFUSES(400, ":method", "GET", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a");
    REFUSES(400, ":method", "CONNECT", ":protocol", "websocket", ":authority", "a");
    context.extended_connect = false;
    REFUSES(400, EXTENDED("websocket"));
}

/* --- Responses, trailers --- */

#define ANSWERED(end, ...)                                                                                             \
    (collect(TG_H2_RESPONSE, PAIRS(__VA_ARGS__)), tg_h2_response_head(&section, end, &response, &problem))

static void test_a_response_is_read(void **state)
{
    (void)state;
    assert_true(ANSWERED(false, ":status", "200", "x", "y"));
    assert_int_equal(response.status, 200);
    assert_int_equal(response.framing, TG_FRAMING_CHUNKED);
    assert_string_equal(print(&response.fields), "x: y\n");
    assert_true(ANSWERED(true, ":status", "204"));
    assert_int_equal(response.framing, TG_FRAMING_NONE);
    assert_true(ANSWERED(true, ":status", "200", "content-length", "7")); /* to HEAD */
    assert_true(response.has_content_length && response.content_length == 7);
    assert_true(ANSWERED(false, ":status", "103"));
}

/* [V11] */
static void test_a_malformed_response_is_refused(void **state)
{
    (void)state;
    assert_false(ANSWERED(false, "x", "y"));
    assert_int_equal(problem.status, 502);
    assert_false(ANSWERED(false, ":status", "101"));
    assert_false(ANSWERED(true, ":status", "103"));
    assert_false(ANSWERED(false, ":status", "99"));
    assert_false(ANSWERED(false, ":status", "600"));
    assert_false(ANSWERED(false, ":status", "20x"));
    assert_false(ANSWERED(false, ":status", "0200"));
    assert_false(ANSWERED(false, ":status", ""));
    assert_false(ANSWERED(false, ":status", "200", ":status", "200"));
    assert_false(ANSWERED(false, ":status", "200", ":method", "GET"));
    assert_false(ANSWERED(false, "x", "y", ":status", "200"));
    assert_false(ANSWERED(false, ":status", "200", "connection", "close"));
    assert_false(ANSWERED(false, ":status", "200", "content-length", "1", "content-length", "1"));
    assert_false(ANSWERED(false, ":status", "200", "x", "a\r"));
}

static bool read_trailers(bool end, const char *const *pairs, struct tg_fields *fields)
{
    collect(TG_H2_TRAILERS, pairs);
    return tg_h2_trailers(&section, end, fields, &problem);
}

/* [V04] */
static void test_trailers_are_read(void **state)
{
    (void)state;
    struct tg_fields fields;
    assert_true(
        read_trailers(true, PAIRS("grpc-status", "0", "content-length", "5", "x-bin", "a", "x-bin", "b"), &fields));
    assert_string_equal(print(&fields), "grpc-status: 0\nx-bin: a\nx-bin: b\n");
    assert_false(read_trailers(false, PAIRS("x", "y"), &fields));
    assert_false(read_trailers(true, PAIRS(":path", "/"), &fields));
    assert_false(read_trailers(true, PAIRS("x", "a\n"), &fields));
    limits.fields = 1;
    assert_false(read_trailers(true, PAIRS("x", "1", "y", "2"), &fields));
    assert_int_equal(problem.status, 431);
}

/* --- Writing --- */

static const char *print_lines(const struct tg_h2_lines *lines)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < lines->count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%.*s: %.*s%s\n", (int)lines->at[i].namelen,
                               (const char *)lines->at[i].name, (int)lines->at[i].valuelen,
                               (const char *)lines->at[i].value,
                               lines->at[i].flags & NGHTTP2_NV_FLAG_NO_INDEX ? " !" : "");
    return text;
}

static void append(struct tg_fields *fields, const char *const *pairs)
{
    tg_fields_init(fields, &arena);
    for (; *pairs; pairs += 2) {
        struct tg_slice name = tg_slice_from_string(pairs[0]);
        assert_true(tg_fields_append(fields, tg_field_name_of(name), name, tg_slice_from_string(pairs[1])));
    }
}

/* [V10] Framing is made anew, names are lower case, nothing of the hop goes on. */
static void test_a_response_is_written(void **state)
{
    (void)state;
    struct tg_h2_lines lines;
    struct tg_response_head head = { .status = 200, .content_length = 70000, .has_content_length = true };
    append(&head.fields,
           PAIRS("Content-Type", "a/b", "X-Custom", "1", "Connection", "x", "Content-Length", "9", "Transfer-Encoding",
                 "chunked", "Upgrade", "h2c", "Set-Cookie", "a", "set-cookie", "b", "Keep-Alive", "5"));
    assert_true(tg_h2_write_response(&head, true, TG_SLICE("now"), &arena, &lines));
    assert_string_equal(print_lines(&lines), ":status: 200\ncontent-type: a/b\nx-custom: 1\nset-cookie: a\n"
                                             "set-cookie: b\ndate: now\ncontent-length: 70000\n");
    append(&head.fields, PAIRS("Date", "then"));
    head.status = 404;
    assert_true(tg_h2_write_response(&head, false, TG_SLICE("now"), &arena, &lines));
    assert_string_equal(print_lines(&lines), ":status: 404\ndate: then\n");
    append(&head.fields, PAIRS("link", "x"));
    head.status = 103;
    assert_true(tg_h2_write_response(&head, false, TG_SLICE("now"), &arena, &lines));
    assert_string_equal(print_lines(&lines), ":status: 103\nlink: x\n");
    append(&head.fields, PAIRS("sec-websocket-accept", "x", "sec-websocket-protocol", "chat", "upgrade", "websocket"));
    head.status = 101;
    assert_true(tg_h2_write_response(&head, false, TG_SLICE("now"), &arena, &lines));
    assert_string_equal(print_lines(&lines), ":status: 200\nsec-websocket-protocol: chat\ndate: now\n");
}

static void test_what_is_secret_or_new_each_time_is_never_indexed(void **state)
{
    (void)state;
    struct tg_h2_lines lines;
    struct tg_fields fields;
    append(&fields, PAIRS("authorization", "b", "cookie", "short", "x-request-id", "1", "traceparent", "2",
                          "x-forwarded-for", "3", "forwarded", "4", "grpc-timeout", "5", "x", "y", "secret", "z",
                          "cookie", "a value that is long enough"));
    fields.lines[8].sensitive = true;
    assert_true(tg_h2_write_trailers(&fields, &arena, &lines));
    assert_string_equal(print_lines(&lines),
                        "authorization: b !\ncookie: short !\nx-request-id: 1 !\ntraceparent: 2 !\n"
                        "x-forwarded-for: 3 !\nforwarded: 4 !\ngrpc-timeout: 5 !\nx: y\nsecret: z !\n"
                        "cookie: a value that is long enough\n");
    tg_h2_section_init(&section, TG_H2_REQUEST, &arena, &limits);
    tg_h2_section_add(&section, TG_SLICE("secret"), TG_SLICE("z"), true);
    assert_true(section.fields.lines[0].sensitive);
}

/* [V10] */
static void test_a_request_is_written(void **state)
{
    (void)state;
    struct tg_h2_lines lines;
    struct tg_h2_request_writing writing = { .scheme = TG_SLICE("https"), .write_length = true, .te_trailers = true };
    TAKES(":method", "PUT", ":scheme", "http", ":path", "/a/../b?c", ":authority", "a", "te", "trailers", "x", "y",
          "content-length", "0");
    assert_true(tg_h2_write_request(&request, &writing, &arena, &lines));
    assert_string_equal(print_lines(&lines), ":method: PUT\n:scheme: https\n:authority: a\n:path: /b?c\nx: y\n"
                                             "te: trailers\ncontent-length: 0\n");
    writing = (struct tg_h2_request_writing){ .scheme = TG_SLICE("http"), .raw_path = true };
    assert_true(tg_h2_write_request(&request, &writing, &arena, &lines));
    assert_string_equal(print_lines(&lines), ":method: PUT\n:scheme: http\n:authority: a\n:path: /a/../b?c\nx: y\n");
    context.end = false;
    TAKES(EXTENDED("websocket"), "sec-websocket-key", "k", "sec-websocket-version", "13");
    assert_true(tg_h2_write_request(&request, &writing, &arena, &lines));
    assert_string_equal(print_lines(&lines), ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a\n"
                                             ":path: /chat?x\nsec-websocket-version: 13\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_is_read),
        TEST(test_pseudo_fields_come_once_first_and_all),
        TEST(test_bytes_that_no_field_has_are_refused),
        TEST(test_a_field_that_the_codec_drops_makes_the_section_malformed),
        TEST(test_fields_of_a_connection_are_refused),
        TEST(test_a_path_begins_with_a_slash),
        TEST(test_only_http_has_a_scheme_here),
        TEST(test_targets_mean_what_they_mean_in_http_1),
        TEST(test_authority_and_host_say_the_same),
        TEST(test_cookie_crumbs_are_joined),
        TEST(test_lines_are_charged_and_counted_before_they_are_stored),
        TEST(test_a_declared_length_agrees_with_the_end),
        TEST(test_an_expectation_is_read_as_in_http_1),
        TEST(test_methods_are_read_as_in_http_1),
        TEST(test_an_extended_connect_is_an_upgrade),
        TEST(test_a_response_is_read),
        TEST(test_a_malformed_response_is_refused),
        TEST(test_trailers_are_read),
        TEST(test_a_response_is_written),
        TEST(test_what_is_secret_or_new_each_time_is_never_indexed),
        TEST(test_a_request_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
