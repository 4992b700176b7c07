/* Fields of one hop, Host and targets, expectations, upgrades; and what the writer makes of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "h1_expect.h"
#include "http/date.h"
#include "http/h1_write.h"

#define BAD(text) REFUSED(FEED_REQUEST, 400, text)
#define BAD_LINE(text) REFUSED(FEED_REQUEST, 400, REQUEST(text))
#define GET(lines) "GET / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n"
#define TAKES(lines, outcome) TAKEN(FEED_REQUEST, GET(lines), "GET / 1.1 host=a body=none" outcome)

static void fields_of_the_hop_are_removed(void **state)
{
    (void)state;
    TAKES("Keep-Alive: 5\r\nProxy-Connection: close\r\nConnection: keep-alive\r\nX: y", " keep\nx: y");
    TAKES("Connection: X-Private, keep-alive\r\nX-Private: 1\r\nx-private: 2\r\nY: z", " keep\ny: z");
    TAKES("X-Private: 1\r\nConnection: Other\r\nconnection: x-PRIVATE", " keep");
    TAKES("TE: gzip, trailers;q=1\r\nConnection: TE", " keep");
    TAKES("TE: trailers\r\nConnection: TE", " keep te");
    TAKES("Trailer: X-Sum", " keep\ntrailer: X-Sum");
    TAKES("Connection: , ,", " keep");
    TAKES("Connection: @, \"x, y\"\r\nX: 1", " keep\nx: 1");
    TAKES("Proxy-Authorization: a", " keep\nproxy-authorization: a");
    TAKEN(FEED_RESPONSE,
          RESPONSE("Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2\r\nY: z"),
          "200 1.1 body=close keep\ny: z");
}

/* [H01] [H02] */
static void fields_that_the_gateway_sets_cannot_be_listed_away(void **state)
{
    (void)state;
    TAKES("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1", " keep\nx-forwarded-for: 1");
    TAKES("Connection: x-FORWARDED-for, X-Forwarded-For, X-Real-IP\r\nX-Forwarded-For: 1\r\nX-Real-Ip: 2",
          " keep\nx-forwarded-for: 1\nx-real-ip: 2");
    TAKES("Connection: X-Forwarded-Ssl, X-Request-Id\r\nX-Forwarded-Ssl: on\r\nX-Request-Id: 3",
          " keep\nx-forwarded-ssl: on\nx-request-id: 3");
}

/* [H03] */
static void end_to_end_fields_cannot_be_listed_away(void **state)
{
    (void)state;
    TAKES("Connection: Host, Cookie, Authorization, Content-Type, Content-Disposition, If-None-Match, "
          "If-Unmodified-Since,"
          " Cache-Control, Sec-WebSocket-Protocol, Expect\r\n"
          "Cookie: 1\r\nAuthorization: 2\r\nContent-Type: 3\r\nContent-Disposition: 4\r\nIf-None-Match: 5\r\n"
          "If-Unmodified-Since: 6\r\nCache-Control: 7\r\nSec-WebSocket-Protocol: 8",
          " keep\ncookie: 1\nauthorization: 2\ncontent-type: 3\ncontent-disposition: 4\nif-none-match: 5\n"
          "if-unmodified-since: 6\ncache-control: 7\nsec-websocket-protocol: 8");
    TAKEN(FEED_RESPONSE,
          RESPONSE("Connection: Set-Cookie, Content-Length, Location\r\nSet-Cookie: 1\r\nLocation: /\r\n"
                   "Content-Length: 2"),
          "200 1.1 body=length:2 keep\nset-cookie: 1\nlocation: /");
}

static void connection_says_whether_the_connection_is_kept(void **state)
{
    (void)state;
    TAKES("Connection: close", "");
    TAKES("Connection: foo, CLOSE", "");
    TAKES("Connection: keep-alive, close", "");
    TAKES("Connection: foo\r\nConnection: close", "");
    TAKES("Connection: closed", " keep");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 host= body=none");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 host= body=none keep");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / 1.0 host= body=none");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", "GET / 1.0 host= body=none");
    TAKEN(FEED_RESPONSE, "HTTP/1.0 200 OK\r\n\r\n", "200 1.0 body=close");
    TAKEN(FEED_RESPONSE, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
          "200 1.0 body=length:1 keep");
    TAKEN(FEED_RESPONSE, RESPONSE("Connection: close\r\nContent-Length: 0"), "200 1.1 body=length:0");
}

/* [P02] [P06] */
static void a_request_has_one_valid_host(void **state)
{
    (void)state;
    BAD("GET / HTTP/1.1\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nX: y\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: b\r\n\r\n");
    BAD("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
    BAD("GET / HTTP/1.0\r\nHost: a b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n");
    BAD("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n");
}

/* [P01] [P03] */
static void the_authority_of_an_absolute_target_wins_over_host(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "GET http://B.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /x?y 1.1 host=b.example:81 body=none keep");
    TAKEN(FEED_REQUEST, "GET HTTP://b?y=/z HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?y=/z 1.1 host=b body=none keep");
    TAKEN(FEED_REQUEST, "GET http://b HTTP/1.0\r\n\r\n", "GET / 1.0 host=b body=none");
    TAKEN(FEED_REQUEST, "GET https://b:443/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=b body=none keep");
    TAKEN(FEED_REQUEST, "GET https://b:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=b:80 body=none keep");
    BAD("GET http://b/ HTTP/1.1\r\n\r\n");
    BAD("GET http://b/ HTTP/1.1\r\nHost: a, c\r\n\r\n");
    BAD("GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    BAD("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET http://b#/ HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET httpx://b/ HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET http:/b HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* [P06] */
static void other_forms_of_target_go_with_their_methods_only(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 host=a body=none keep");
    BAD("GET * HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("OPTIONS *?x HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET x HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSED(FEED_REQUEST, 405, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    REFUSED(FEED_REQUEST, 405, "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n");
    TAKEN(FEED_REQUEST, "connect / HTTP/1.1\r\nHost: a\r\n\r\n", "connect / 1.1 host=a body=none keep");
}

/* [P02] [P07] [P08] */
static void a_target_with_wrong_bytes_is_refused(void **state)
{
    (void)state;
    BAD("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /\\x HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n");
    BAD("GET /x?y#z HTTP/1.1\r\nHost: a\r\n\r\n");
    TAKEN(FEED_REQUEST, "GET /a/%7Eb/../c%2fd//e?x=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /a/c%2Fd//e?x=%zz 1.1 host=a body=none keep");
}

/* [D07] */
static void an_expectation_is_one_100_continue_or_417(void **state)
{
    (void)state;
    TAKEN(FEED_REQUEST, REQUEST("Expect: 100-Continue\r\nContent-Length: 5"),
          "POST /p 1.1 host=a.example body=length:5 keep continue\nexpect: 100-Continue");
    TAKEN(FEED_REQUEST, REQUEST("Transfer-Encoding: chunked\r\nExpect: 100-continue"),
          "POST /p 1.1 host=a.example body=chunked keep continue\nexpect: 100-continue");
    TAKEN(FEED_REQUEST, REQUEST("Expect: 100-continue\r\nContent-Length: 0"),
          "POST /p 1.1 host=a.example body=length:0 keep");
    TAKEN(FEED_REQUEST, REQUEST("Expect: 100-continue"), "POST /p 1.1 host=a.example body=none keep");
    TAKEN(FEED_REQUEST, "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
          "POST / 1.0 host=a body=length:5");
    REFUSED(FEED_REQUEST, 417, REQUEST("Expect: 200-ok\r\nContent-Length: 5"));
    REFUSED(FEED_REQUEST, 417, REQUEST("Expect:\r\nContent-Length: 5"));
    REFUSED(FEED_REQUEST, 417, REQUEST("Expect: 100-continue, x\r\nContent-Length: 5"));
    REFUSED(FEED_REQUEST, 417, REQUEST("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5"));
}

/* [D11] [D12] */
static void an_upgrade_needs_both_fields_and_one_protocol(void **state)
{
    (void)state;
    TAKES("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k",
          " keep upgrade=websocket\nsec-websocket-key: k");
    TAKES("Upgrade: foo/2\r\nConnection: upgrade", " keep upgrade=foo/2");
    TAKES("Upgrade: websocket", " keep");
    TAKES("Connection: upgrade", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: websocket, foo", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: foo", " keep");
    TAKES("Connection: upgrade\r\nUpgrade:", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: a b", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: a/", " keep");
    TAKES("Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: H2C, websocket", " keep");
    TAKES("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c", " keep");
    TAKEN(FEED_REQUEST, "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
          "GET / 1.0 host=a body=none");
    TAKEN(FEED_RESPONSE, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
          "101 1.1 body=close keep upgrade=websocket");
    TAKEN(FEED_RESPONSE, "HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 1.1 body=close keep");
    TAKEN(FEED_RESPONSE, RESPONSE("Connection: Upgrade\r\nUpgrade: websocket"), "200 1.1 body=close keep");
}

/* [R05] [R06] */
static void a_status_line_is_strict(void **state)
{
    (void)state;
    TAKEN(FEED_RESPONSE, "HTTP/1.1 200 \r\n\r\n", "200 1.1 body=close keep");
    TAKEN(FEED_RESPONSE, "HTTP/1.1 200\r\n\r\n", "200 1.1 body=close keep");
    TAKEN(FEED_RESPONSE, "HTTP/1.1 599 Caf\xc3\xa9 au lait\r\n\r\n", "599 1.1 body=close keep");
    TAKEN(FEED_RESPONSE, "HTTP/1.1 100 Continue\r\n\r\n", "100 1.1 body=close keep");
#define INVALID(text) REFUSED(FEED_RESPONSE, 502, text)
    INVALID("HTTP/1.1 20 OK\r\n\r\n");
    INVALID("HTTP/1.1 2000 OK\r\n\r\n");
    INVALID("HTTP/1.1 65736 OK\r\n\r\n");
    INVALID("HTTP/1.1 099 OK\r\n\r\n");
    INVALID("HTTP/1.1 600 OK\r\n\r\n");
    INVALID("HTTP/1.1 99 \r\n\r\n");
    INVALID("HTTP/1.1 -20 \r\n\r\n");
    INVALID("HTTP/1.1 2x0 OK\r\n\r\n");
    INVALID("HTTP/1.1  200 OK\r\n\r\n");
    INVALID("HTTP/1.1\t200 OK\r\n\r\n");
    INVALID("HTTP/1.2 200 OK\r\n\r\n");
    INVALID("HTTP/2 200 OK\r\n\r\n");
    INVALID("http/1.1 200 OK\r\n\r\n");
    INVALID("ICY 200 OK\r\n\r\n");
    INVALID("HTTP/1.1 200 O\0K\r\n\r\n");
    INVALID("HTTP/1.1 200 O\x7fK\r\n\r\n");
    INVALID("\r\nHTTP/1.1 200 OK\r\n\r\n");
    INVALID("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n");
    INVALID("HTTP/1.1 200 OK\r\nX : y\r\n\r\n");
    INVALID("HTTP/1.1 200 OK\r\n X: y\r\n\r\n");
    INVALID("HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n");
    INVALID("HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
    INVALID("HTTP/1.1 304 Not Modified\r\n: y\r\n\r\n");
    REFUSED(FEED_RESPONSE, 400, "HTTP/1.1 200 OK\nX: y\r\n\r\n");
    REFUSED(FEED_RESPONSE, 400, "HTTP/1.1 200 OK\r\nX: y\rz\r\n\r\n");
}

static struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;

static void expect_written(const char *text, size_t length, const char *expected)
{
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void a_request_is_written_from_the_message(void **state)
{
    (void)state;
    static const char text[] = "GET http://B/a/./%62?c HTTP/1.1\r\nHost: a\r\nAccept:x\r\nConnection: upgrade, foo\r\n"
                               "Foo: 1\r\nUpgrade: WebSocket\r\nTE: trailers\r\nContent-Length: 007\r\n\r\n";
    char out[1024];
    struct tg_arena arena;
    struct tg_request_head head;
    struct tg_problem problem;
    tg_arena_init(&arena);
    assert_true(tg_h1_parse_request(TG_SLICE(text), &limits, &arena, &head, &problem));
    struct tg_h1_framing plain = { .framing = head.framing, .length = head.content_length };
    expect_written(out, tg_h1_write_request(&head, &plain, false, out, tg_h1_request_bound(&head, &plain)),
                   "GET /a/b?c HTTP/1.1\r\nhost: b\r\nAccept: x\r\ncontent-length: 7\r\n\r\n");
    struct tg_h1_framing full = {
        .framing = TG_FRAMING_CHUNKED, .close = true, .upgrade = head.upgrade, .te_trailers = true
    };
    expect_written(out, tg_h1_write_request(&head, &full, true, out, tg_h1_request_bound(&head, &full)),
                   "GET /a/./%62?c HTTP/1.1\r\nhost: b\r\nAccept: x\r\ntransfer-encoding: chunked\r\n"
                   "connection: close, upgrade, te\r\nte: trailers\r\nupgrade: websocket\r\n\r\n");
    assert_int_equal(tg_h1_write_request(&head, &full, true, out, 10), 0);
    tg_arena_deinit(&arena);
}

static void a_response_is_written_with_a_date_of_its_own_only(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.0 200 Fine\r\nX: y\r\nContent-Length: 5\r\n\r\n";
    char out[1024];
    struct tg_slice date = tg_http_date(784111777.25);
    struct tg_arena arena;
    struct tg_response_head head;
    struct tg_problem problem;
    tg_arena_init(&arena);
    assert_true(tg_h1_parse_response(TG_SLICE(text), &limits, &arena, &head, &problem));
    struct tg_h1_framing bodyless = { .length = 5, .write_length = true, .keep_alive = true };
    expect_written(out, tg_h1_write_response(&head, &bodyless, date, out, tg_h1_response_bound(&head, &bodyless)),
                   "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX: y\r\ncontent-length: 5\r\n"
                   "connection: keep-alive\r\n\r\n");
    assert_true(tg_fields_append(&head.fields, TG_FIELD_DATE, TG_SLICE("Date"), TG_SLICE("today")));
    head.status = 299;
    struct tg_h1_framing none = { .framing = TG_FRAMING_CLOSE, .close = true };
    expect_written(out, tg_h1_write_response(&head, &none, date, out, tg_h1_response_bound(&head, &none)),
                   "HTTP/1.1 299 \r\nX: y\r\nDate: today\r\nconnection: close\r\n\r\n");
    tg_arena_deinit(&arena);
}

/* [R07] */
static void framing_lines_added_by_others_are_never_doubled(void **state)
{
    (void)state;
    char out[1024];
    const char *wrong = NULL;
    struct tg_arena arena;
    tg_arena_init(&arena);
    struct tg_response_head head = { .status = 200 };
    tg_fields_init(&head.fields, &arena);
    assert_true(tg_fields_add(&head.fields, TG_SLICE("Content-Length"), TG_SLICE("9"), &wrong));
    assert_true(tg_fields_add(&head.fields, TG_SLICE("date"), TG_SLICE("d"), &wrong));
    assert_false(tg_fields_add(&head.fields, TG_SLICE("x"), TG_SLICE("a\r\nb: c"), &wrong));
    struct tg_h1_framing framing = { .framing = TG_FRAMING_LENGTH, .length = 2 };
    expect_written(out, tg_h1_write_response(&head, &framing, TG_SLICE(""), out, sizeof out),
                   "HTTP/1.1 200 OK\r\ndate: d\r\ncontent-length: 2\r\n\r\n");
    tg_arena_deinit(&arena);
}

static void the_last_chunk_carries_the_trailers(void **state)
{
    (void)state;
    char out[64];
    const char *wrong = NULL;
    struct tg_arena arena;
    struct tg_fields trailers;
    tg_arena_init(&arena);
    tg_fields_init(&trailers, &arena);
    expect_written(out, tg_h1_write_last_chunk(NULL, out, tg_h1_last_chunk_bound(NULL)), "0\r\n\r\n");
    assert_true(tg_fields_add(&trailers, TG_SLICE("X-Sum"), TG_SLICE("1"), &wrong));
    size_t bound = tg_h1_last_chunk_bound(&trailers);
    expect_written(out, tg_h1_write_last_chunk(&trailers, out, bound), "0\r\nX-Sum: 1\r\n\r\n");
    assert_int_equal(tg_h1_write_last_chunk(&trailers, out, bound - 1), 0);
    tg_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_the_hop_are_removed),
        cmocka_unit_test(fields_that_the_gateway_sets_cannot_be_listed_away),
        cmocka_unit_test(end_to_end_fields_cannot_be_listed_away),
        cmocka_unit_test(connection_says_whether_the_connection_is_kept),
        cmocka_unit_test(a_request_has_one_valid_host),
        cmocka_unit_test(the_authority_of_an_absolute_target_wins_over_host),
        cmocka_unit_test(other_forms_of_target_go_with_their_methods_only),
        cmocka_unit_test(a_target_with_wrong_bytes_is_refused),
        cmocka_unit_test(an_expectation_is_one_100_continue_or_417),
        cmocka_unit_test(an_upgrade_needs_both_fields_and_one_protocol),
        cmocka_unit_test(a_status_line_is_strict),
        cmocka_unit_test(a_request_is_written_from_the_message),
        cmocka_unit_test(a_response_is_written_with_a_date_of_its_own_only),
        cmocka_unit_test(framing_lines_added_by_others_are_never_doubled),
        cmocka_unit_test(the_last_chunk_carries_the_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
