/* Requests and answers over a client's HTTP/2 connection. */
#include <stdlib.h>

#include "h2_rig.h"

enum { WINDOW = 65535 };

static char much[1 << 20];

/* --- In order --- */

static void test_a_request_goes_up_and_its_answer_comes_down(void **state)
{
    (void)state;
    int32_t id = h2_get("/x?y=1");
    assert_int_equal(r->up_count, 1);
    assert_true(h2_up(0)->head_end);
    assert_non_null(strstr(h2_up(0)->head, "GET /x a none"));
    h2_up_answer(h2_up(0), 200, "hello");
    assert_int_equal(h2_seen(id)->status, 200);
    assert_int_equal(h2_seen(id)->body, 5);
    assert_true(h2_seen(id)->end && h2_seen(id)->closed && !h2_seen(id)->reset);
    assert_true(h2_says(h2_seen(id)->head, "content-length: 5"));
    assert_non_null(strstr(h2_seen(id)->head, "date: "));
    assert_non_null(strstr(r->order, "H1 D1+ "));
    assert_true(h2_up(0)->detached);
}

static void test_a_body_goes_up_with_its_trailers(void **state)
{
    (void)state;
    nghttp2_nv sum = { (uint8_t *)"x-sum", (uint8_t *)"1", 5, 1, 0 };
    int32_t id = h2_post("/", NULL);
    h2_body(id, "hello", 5, false);
    assert_int_equal(h2_up(0)->body, 5);
    assert_false(h2_up(0)->end);
    assert_int_equal(nghttp2_submit_trailer(r->client, id, &sum, 1), 0);
    h2_settle();
    assert_true(h2_up(0)->end);
    assert_true(h2_says(h2_up(0)->trailers, "x-sum: 1"));
    h2_up_answer(h2_up(0), 200, "ok");
    assert_true(h2_seen(id)->closed);
}

static void test_trailers_come_down_behind_the_body_without_an_empty_frame(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "0", NULL };
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_settle();
    h2_up_body(h2_up(0), "hello", 5);
    h2_settle();
    h2_up_trailers(h2_up(0), status);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->trailers && h2_seen(id)->end);
    assert_true(h2_says(h2_seen(id)->head, "grpc-status: 0"));
    assert_non_null(strstr(r->order, "H1 D1 H1+ "));
}

static void test_body_and_trailers_that_are_there_with_the_head_leave_in_order(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "0", NULL };
    h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(0), "hello", 5);
    h2_up_trailers(h2_up(0), status);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_non_null(strstr(r->order, "H1 D1 H1+ "));
    h2_get("/");
    h2_up_head(h2_up(1), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_trailers(h2_up(1), status);
    h2_up_end(h2_up(1));
    h2_settle();
    assert_non_null(strstr(r->order, "H3 H3+ "));
}

/* HEAD, 204, and an answer that is a head alone: no DATA at all. */
static void test_a_head_that_is_the_whole_answer_ends_the_stream(void **state)
{
    (void)state;
    const char *const head[] = { ":method", "HEAD", ":scheme", "http", ":path", "/", ":authority", "a", NULL };
    const char *const status[] = { "grpc-status", "5", NULL };
    int32_t id = h2_request(head, true);
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, 7, NULL);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_non_null(strstr(r->order, "H1+ "));
    assert_true(h2_says(h2_seen(id)->head, "content-length: 7"));
    h2_get("/");
    h2_up_head(h2_up(1), 204, TG_FRAMING_NONE, 0, NULL);
    h2_up_end(h2_up(1));
    h2_settle();
    assert_non_null(strstr(r->order, "H3+ "));
    id = h2_get("/");
    h2_up_head(h2_up(2), 200, TG_FRAMING_NONE, 0, status);
    h2_up_end(h2_up(2));
    h2_settle();
    assert_non_null(strstr(r->order, "H5+ "));
    assert_true(h2_says(h2_seen(id)->head, "grpc-status: 5"));
    assert_int_equal(r->frames[NGHTTP2_DATA], 0);
    assert_int_equal(r->resets, 0);
}

static void test_informational_heads_come_before_the_final_one(void **state)
{
    (void)state;
    const char *const pairs[] = { ":method",    "POST", ":scheme", "http",         ":path", "/",
                                  ":authority", "a",    "expect",  "100-continue", NULL };
    int32_t id = h2_request(pairs, false);
    h2_up_head(h2_up(0), 103, TG_FRAMING_NONE, 0, NULL);
    h2_up_head(h2_up(0), 100, TG_FRAMING_NONE, 0, NULL);
    h2_up_head(h2_up(0), 100, TG_FRAMING_NONE, 0, NULL); /* [D07] nobody waits for a second */
    h2_settle();
    assert_int_equal(h2_seen(id)->informational, 2);
    h2_body(id, "x", 1, true);
    h2_up_answer(h2_up(0), 200, "ok");
    assert_int_equal(h2_seen(id)->status, 200);
    assert_true(h2_seen(id)->closed && !h2_seen(id)->reset);
}

static void test_many_streams_are_answered_in_any_order(void **state)
{
    (void)state;
    int32_t ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = h2_post("/", "3");
    for (int i = 99; i >= 0; i--)
        h2_body(ids[i], "abc", 3, true);
    for (int i = 0; i < 100; i += 2)
        h2_up_answer(h2_up(i), 200, "even");
    for (int i = 99; i >= 0; i -= 2)
        h2_up_answer(h2_up(i), 404, "odd");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(h2_seen(ids[i])->status, i % 2 ? 404 : 200);
        assert_int_equal(h2_seen(ids[i])->body, i % 2 ? 3 : 4);
        assert_true(h2_seen(ids[i])->closed);
    }
    assert_int_equal(r->goaways, 0);
}

/* However many come in one go, and however they fall into the shares of turns, what comes behind them is read. */
static void test_any_number_of_requests_in_one_go_is_answered(void **state)
{
    (void)state;
    static uint8_t bytes[64 * 1024];
    uint32_t id = 1;
    for (int together = 1; together <= 100; together++) {
        size_t at = 0;
        int before = r->up_count;
        for (int i = 0; i < together; i++, id += 2) {
            size_t length = h2_raw_block(bytes + at + 9, h2_raw_get);
            const uint8_t head[] = { 0, 0, (uint8_t)length, NGHTTP2_HEADERS, 5, 0, 0, (uint8_t)(id >> 8), (uint8_t)id };
            memcpy(bytes + at, head, sizeof head);
            at += sizeof head + length;
        }
        h2_raw_bytes(bytes, at);
        h2_settle();
        assert_int_equal(r->up_count, before + together);
        for (int i = 0; i < together; i++) {
            h2_up_head(h2_up(before + i), 204, TG_FRAMING_NONE, 0, NULL);
            h2_up_end(h2_up(before + i));
        }
        h2_settle();
        assert_int_equal(r->worker.exchanges, 0);
    }
}

static void test_a_megabyte_goes_each_way(void **state)
{
    (void)state;
    int32_t id = h2_post("/", "1048576");
    h2_body(id, much, sizeof much, true);
    assert_int_equal(h2_up(0)->body, sizeof much);
    assert_true(h2_up(0)->end);
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, sizeof much, NULL);
    h2_up_body(h2_up(0), much, sizeof much);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_int_equal(h2_seen(id)->body, sizeof much);
    assert_true(h2_seen(id)->closed && !h2_seen(id)->reset);
}

/* --- The end, in every position of the window --- */

static int32_t answer_that_uses_the_window_up(size_t length)
{
    r->holds_windows = true;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(0), much, length);
    h2_settle();
    assert_int_equal(h2_seen(id)->body, length < WINDOW ? length : WINDOW);
    assert_false(h2_seen(id)->end);
    return id;
}

static void test_late_trailers_need_no_window(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "0", NULL };
    int32_t id = answer_that_uses_the_window_up(WINDOW);
    h2_up_trailers(h2_up(0), status);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->end && h2_seen(id)->trailers);
    assert_true(h2_says(h2_seen(id)->head, "grpc-status: 0"));
    assert_true(h2_up(0)->detached);
}

static void test_a_late_end_needs_no_window(void **state)
{
    (void)state;
    int32_t id = answer_that_uses_the_window_up(WINDOW);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->end && h2_seen(id)->closed && !h2_seen(id)->reset);
}

static void test_a_late_end_with_room_in_the_window_is_an_empty_frame(void **state)
{
    (void)state;
    int32_t id = answer_that_uses_the_window_up(WINDOW - 1);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->end);
    assert_non_null(strstr(r->order, "D1=0+ "));
}

static void test_an_end_behind_more_than_the_window_waits_for_it(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "0", NULL };
    int32_t id = answer_that_uses_the_window_up(WINDOW + 1);
    h2_up_trailers(h2_up(0), status);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_false(h2_seen(id)->end);
    nghttp2_session_consume(r->client, id, WINDOW);
    h2_settle();
    assert_int_equal(h2_seen(id)->body, WINDOW + 1);
    assert_true(h2_seen(id)->end && h2_seen(id)->trailers);
}

static void test_a_known_end_comes_with_the_last_bytes(void **state)
{
    (void)state;
    r->holds_windows = true;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, WINDOW, NULL);
    h2_up_body(h2_up(0), much, WINDOW);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->end);
    assert_null(strstr(r->order, "=0"));
}

static void test_an_answer_begun_without_any_window_ends_with_its_trailers(void **state)
{
    (void)state;
    const char *const status[] = { "grpc-status", "3", NULL };
    answer_that_uses_the_window_up(WINDOW);
    int32_t id = h2_get("/"); /* the connection's window is used up, too */
    h2_up_head(h2_up(1), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_settle();
    assert_int_equal(h2_seen(id)->status, 200);
    h2_up_trailers(h2_up(1), status);
    h2_up_end(h2_up(1));
    h2_settle();
    assert_true(h2_seen(id)->end && h2_seen(id)->trailers);
    id = h2_get("/");
    h2_up_head(h2_up(2), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_trailers(h2_up(2), status);
    h2_up_end(h2_up(2));
    h2_settle();
    assert_true(h2_seen(id)->end && h2_seen(id)->trailers);
}

/* [F13] The peer's first window falls below what is on its way, and rises again. */
static void test_windows_that_become_negative_are_waited_for(void **state)
{
    (void)state;
    int32_t id = answer_that_uses_the_window_up(WINDOW + 100);
    nghttp2_settings_entry none = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };
    nghttp2_settings_entry large = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2 * WINDOW };
    assert_int_equal(nghttp2_submit_settings(r->client, 0, &none, 1), 0);
    h2_settle();
    nghttp2_session_consume_connection(r->client, WINDOW);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_int_equal(h2_seen(id)->body, WINDOW);
    assert_int_equal(nghttp2_submit_settings(r->client, 0, &large, 1), 0);
    h2_settle();
    assert_int_equal(h2_seen(id)->body, WINDOW + 100);
    assert_true(h2_seen(id)->end);
}

/* --- Flow toward us --- */

static void test_a_body_that_upstream_does_not_take_is_held_back_by_its_window(void **state)
{
    (void)state;
    r->ups_paused = true;
    int32_t id = h2_post("/", NULL);
    h2_body(id, much, sizeof much, true);
    struct tg_exchange *exchange = h2_up(0)->exchange;
    assert_true(exchange->bytes_in >= TG_PIPE_HIGH && exchange->bytes_in <= TG_PIPE_HIGH + 2 * WINDOW);
    int32_t other = h2_post("/other", "3"); /* a neighbour isn't stopped */
    h2_body(other, "abc", 3, true);
    r->ups_paused = false;
    tg_exchange_from_upstream_drained(h2_up(1)->exchange);
    h2_settle();
    assert_int_equal(h2_up(1)->body, 3);
    assert_false(h2_up(0)->end);
    tg_exchange_from_upstream_drained(exchange);
    h2_settle();
    assert_int_equal(h2_up(0)->body, sizeof much);
    assert_true(h2_up(0)->end);
    h2_up_answer(h2_up(0), 200, "");
    h2_up_answer(h2_up(1), 200, "");
    assert_true(h2_seen(id)->closed && h2_seen(other)->closed);
}

/* [W09] What a dead stream had received goes back to the connection's window. */
static void test_cancelled_uploads_leave_the_connections_window_whole(void **state)
{
    (void)state;
    r->snapshot->settings.h2.connection_window = 2 * WINDOW;
    h2_reconnect(false);
    r->ups_paused = true;
    for (int i = 0; i < 20; i++) {
        int32_t id = h2_post("/", NULL);
        h2_body(id, much, 60000, false);
        nghttp2_submit_rst_stream(r->client, 0, id, NGHTTP2_CANCEL);
        h2_settle();
        assert_true(h2_up(i)->reset);
    }
    r->ups_paused = false;
    h2_post("/", NULL);
    h2_body((int32_t)nghttp2_session_get_next_stream_id(r->client) - 2, much, sizeof much, true);
    assert_int_equal(h2_up(20)->body, sizeof much);
}

/* --- Early ends --- */

static void test_an_answer_before_the_whole_request_stops_it(void **state)
{
    (void)state;
    int32_t id = h2_post("/", NULL);
    h2_body(id, "begin", 5, false);
    h2_up_answer(h2_up(0), 403, "no");
    assert_int_equal(h2_seen(id)->status, 403);
    assert_true(h2_seen(id)->end && h2_seen(id)->reset);
    assert_int_equal(h2_seen(id)->reset_code, NGHTTP2_NO_ERROR);
    assert_non_null(strstr(r->order, "H1 D1+ R1 "));
    id = h2_get("/");
    h2_up_answer(h2_up(1), 200, "ok");
    assert_int_equal(h2_seen(id)->status, 200);
}

/* The answer waits for the client's window: the body that still comes is thrown away, the windows stay open. */
static void test_what_comes_behind_an_early_answer_is_thrown_away(void **state)
{
    (void)state;
    h2_post("/", NULL);
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_non_null(strstr(r->order, "H1+ R1 "));
}

static void test_a_client_that_resets_cancels_upstream_work_at_once(void **state)
{
    (void)state;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(0), "hello", 5);
    h2_settle();
    nghttp2_submit_rst_stream(r->client, 0, id, NGHTTP2_CANCEL);
    h2_settle();
    assert_true(h2_up(0)->reset);
    assert_int_equal(r->resets, 0);
    assert_int_equal(r->worker.exchanges, 0);
}

/* [W06] */
static void test_a_reset_right_behind_its_head_cleans_up_once(void **state)
{
    (void)state;
    uint8_t bytes[256] = { 0, 0, 0, NGHTTP2_HEADERS, 5, 0, 0, 0, 1 };
    size_t length = h2_raw_block(bytes + 9, h2_raw_get);
    const uint8_t reset[] = { 0, 0, 4, NGHTTP2_RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 8 };
    bytes[2] = (uint8_t)length;
    memcpy(bytes + 9 + length, reset, sizeof reset);
    h2_raw_bytes(bytes, 9 + length + sizeof reset);
    h2_settle();
    assert_int_equal(r->worker.exchanges, 0);
    assert_int_equal(r->up_count, 0);
    assert_int_equal(r->resets + r->goaways, 0);
}

static void breaks_off(enum tg_reason reason, uint32_t code)
{
    int before = r->up_count;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(before), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(before), "hello", 5);
    h2_settle();
    tg_exchange_from_upstream_failed(h2_up(before)->exchange, reason, "why");
    h2_settle();
    assert_true(h2_seen(id)->reset && !h2_seen(id)->end);
    assert_int_equal(h2_seen(id)->reset_code, code);
    assert_int_equal(h2_seen(id)->body, 5);
}

static void test_an_answer_that_breaks_off_is_reset_and_never_ended(void **state)
{
    (void)state;
    breaks_off(TG_REASON_CUT, NGHTTP2_INTERNAL_ERROR);
    breaks_off(TG_REASON_CANCELLED, NGHTTP2_CANCEL);
    breaks_off(TG_REASON_TIMEOUT, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(r->goaways, 0);
}

static void test_an_answer_of_another_length_than_promised_is_reset(void **state)
{
    (void)state;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, 10, NULL);
    h2_up_body(h2_up(0), "hello", 5);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->reset && !h2_seen(id)->end);
    id = h2_get("/");
    h2_up_head(h2_up(1), 200, TG_FRAMING_LENGTH, 3, NULL);
    h2_settle();
    h2_up_body(h2_up(1), "hello", 5);
    h2_settle();
    assert_true(h2_seen(id)->reset && !h2_seen(id)->end);
    assert_int_equal(r->worker.exchanges, 0);
}

/* --- Malformed --- */

static void test_a_malformed_request_is_reset_and_seen_by_nobody(void **state)
{
    (void)state;
    const char *const differs[] = { ":method",    "GET", ":scheme", "http", ":path", "/",
                                    ":authority", "a",   "host",    "b",    NULL };
    const char *const user[] = { ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a", NULL };
    const char *const fragment[] = { ":method", "GET", ":scheme", "http", ":path", "/#x", ":authority", "a", NULL };
    const char *const scheme[] = { ":method", "GET", ":scheme", "ftp", ":path", "x", ":authority", "a", NULL };
    const char *const *const all[] = { differs, user, fragment, scheme };
    for (int i = 0; i < 4; i++) {
        h2_raw_headers((uint32_t)(2 * i + 1), NGHTTP2_FLAG_END_STREAM, all[i]);
        h2_settle();
        assert_int_equal(r->resets, i + 1);
        assert_int_equal(r->last_reset_code, NGHTTP2_PROTOCOL_ERROR);
    }
    assert_int_equal(r->up_count, 0);
    assert_int_equal(r->goaways, 0);
}

/* [V06] [V01] [V02] The codec alone would drop these fields in silence. */
static void test_an_illegal_field_refuses_the_stream(void **state)
{
    (void)state;
    const char *const values[] = { "a\rb", "a\nb", " a", "a ", "\ta" };
    uint32_t id = 1;
    for (int i = 0; i < 5; i++, id += 2) {
        const char *const pairs[] = { ":method",    "GET", ":scheme", "http",    ":path", "/",
                                      ":authority", "a",   "x-bad",   values[i], NULL };
        h2_raw_headers(id, NGHTTP2_FLAG_END_STREAM, pairs);
        h2_settle();
        assert_int_equal(r->resets, (int)id / 2 + 1);
    }
    const char *const names[] = { "x bad", "x:bad", "X-Bad", "" };
    for (int i = 0; i < 4; i++, id += 2) {
        const char *const pairs[] = { ":method",    "GET", ":scheme", "http", ":path", "/",
                                      ":authority", "a",   names[i],  "v",    NULL };
        h2_raw_headers(id, NGHTTP2_FLAG_END_STREAM, pairs);
        h2_settle();
        assert_int_equal(r->resets, (int)id / 2 + 1);
    }
    assert_int_equal(r->up_count, 0);
    assert_int_equal(r->last_reset_code, NGHTTP2_PROTOCOL_ERROR);
}

static void post_of_three(uint32_t id, uint8_t flags)
{
    const char *const pairs[] = { ":method",    "POST", ":scheme",        "http", ":path", "/",
                                  ":authority", "a",    "content-length", "3",    NULL };
    h2_raw_headers(id, flags, pairs);
}

/* [V05] less, more, an end on the head, an end on trailers */
static void test_a_body_of_another_length_than_declared_is_reset(void **state)
{
    (void)state;
    const char *const trailer[] = { "x-sum", "1", NULL };
    post_of_three(1, 0);
    h2_raw_frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "ab", 2);
    h2_settle();
    assert_int_equal(r->resets, 1);
    post_of_three(3, 0);
    h2_raw_frame(NGHTTP2_DATA, 0, 3, "abcd", 4);
    h2_settle();
    assert_int_equal(r->resets, 2);
    post_of_three(5, NGHTTP2_FLAG_END_STREAM);
    h2_settle();
    assert_int_equal(r->resets, 3);
    post_of_three(7, 0);
    h2_raw_frame(NGHTTP2_DATA, 0, 7, "ab", 2);
    h2_raw_headers(7, NGHTTP2_FLAG_END_STREAM, trailer);
    h2_settle();
    assert_int_equal(r->resets, 4);
    assert_int_equal(r->last_reset_code, NGHTTP2_PROTOCOL_ERROR);
    for (int i = 0; i < r->up_count; i++)
        assert_true(!h2_up(i)->end && (h2_up(i)->reset || h2_up(i)->head[0] == '\0'));
    assert_int_equal(r->worker.exchanges, 0);
    assert_int_equal(r->goaways, 0);
    post_of_three(9, 0);
    h2_raw_frame(NGHTTP2_DATA, 0, 9, "abc", 3);
    h2_raw_frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 9, NULL, 0); /* [V12] one end */
    h2_settle();
    assert_int_equal(r->resets, 4);
    assert_true(h2_up(r->up_count - 1)->end);
}

/* [V04] */
static void test_trailers_with_a_pseudo_field_or_without_an_end_are_reset(void **state)
{
    (void)state;
    const char *const pseudo[] = { ":path", "/", NULL };
    const char *const trailer[] = { "x-sum", "1", NULL };
    h2_raw_headers(1, 0, h2_raw_post);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, pseudo);
    h2_settle();
    assert_int_equal(r->resets, 1);
    h2_raw_headers(3, 0, h2_raw_post);
    h2_raw_headers(3, 0, trailer);
    h2_settle();
    assert_int_equal(r->resets, 2);
    assert_int_equal(r->worker.exchanges, 0);
}

static void test_a_request_beyond_a_limit_gets_an_answer(void **state)
{
    (void)state;
    static char long_path[9000], long_value[20000];
    memset(long_path, 'x', sizeof long_path - 1);
    memset(long_value, 'y', sizeof long_value - 1);
    long_path[0] = '/';
    int32_t id = h2_get(long_path);
    assert_int_equal(h2_seen(id)->status, 414);
    const char *const pairs[] = { ":method", "GET",    ":scheme",  "http",   ":path",    "/", ":authority",
                                  "a",       "x-long", long_value, "x-more", long_value, NULL };
    r->snapshot->settings.limits.head = 32 * 1024;
    id = h2_request(pairs, true);
    assert_int_equal(h2_seen(id)->status, 431);
    const char *const connect[] = { ":method", "CONNECT", ":authority", "a:1", NULL };
    id = h2_request(connect, false);
    assert_int_equal(h2_seen(id)->status, 405);
    assert_int_equal(r->up_count, 0);
    assert_int_equal(r->goaways, 0);
    id = h2_get("/");
    assert_int_equal(r->up_count, 1);
}

/* --- Tunnels --- */

static const char *const websocket[] = { ":method",
                                         "CONNECT",
                                         ":protocol",
                                         "websocket",
                                         ":scheme",
                                         "http",
                                         ":path",
                                         "/chat",
                                         ":authority",
                                         "a",
                                         "sec-websocket-version",
                                         "13",
                                         NULL };

static void test_an_extended_connect_becomes_a_tunnel(void **state)
{
    (void)state;
    const char *const accept[] = { "sec-websocket-accept", "x", "sec-websocket-protocol", "chat", NULL };
    assert_int_equal(nghttp2_session_get_remote_settings(r->client, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), 1);
    int32_t id = h2_request(websocket, false);
    assert_non_null(strstr(h2_up(0)->head, "GET /chat a none websocket"));
    assert_true(h2_up(0)->exchange->request.extended_connect);
    h2_up_head(h2_up(0), 101, TG_FRAMING_NONE, 0, accept);
    h2_settle();
    assert_true(h2_up(0)->tunnel);
    assert_int_equal(h2_seen(id)->status, 200);
    assert_true(h2_says(h2_seen(id)->head, "sec-websocket-protocol: chat"));
    assert_null(strstr(h2_seen(id)->head, "accept"));
    assert_null(strstr(h2_seen(id)->head, "upgrade"));
    h2_body(id, "ping", 4, false);
    assert_int_equal(h2_up(0)->body, 4);
    h2_up_body(h2_up(0), "pong", 4);
    h2_settle();
    assert_int_equal(h2_seen(id)->body, 4);
    h2_body(id, "end", 3, true);
    assert_true(h2_up(0)->end);
    assert_int_equal(h2_up(0)->body, 7);
    assert_false(h2_seen(id)->end);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->end && h2_seen(id)->closed && !h2_seen(id)->reset);
}

/* The stream is over before upstream has taken what came on it; then the connection ends, too. */
static void test_a_tunnel_outlives_its_stream_but_not_its_connection(void **state)
{
    (void)state;
    int32_t id = h2_request(websocket, false);
    h2_up_head(h2_up(0), 101, TG_FRAMING_NONE, 0, NULL);
    h2_settle();
    r->ups_paused = true;
    h2_body(id, "ping", 4, true);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_true(h2_seen(id)->closed && h2_up(0)->body == 0);
    h2_get("/");
    h2_reconnect(false);
    assert_true(h2_up(0)->reset);
    assert_int_equal(r->worker.exchanges, 0);
}

static void test_an_extended_connect_that_upstream_declines_is_answered(void **state)
{
    (void)state;
    int32_t id = h2_request(websocket, false);
    h2_up_answer(h2_up(0), 403, "no");
    assert_int_equal(h2_seen(id)->status, 403);
    assert_true(h2_seen(id)->end);
}

static void test_an_extended_connect_for_another_protocol_is_501(void **state)
{
    (void)state;
    const char *const other[] = { ":method", "CONNECT", ":protocol",  "connect-udp", ":scheme", "http",
                                  ":path",   "/",       ":authority", "a",           NULL };
    int32_t id = h2_request(other, false);
    assert_int_equal(h2_seen(id)->status, 501);
}

/* --- Generations --- */

static void test_each_stream_begins_under_the_generation_of_its_time(void **state)
{
    (void)state;
    struct tg_lease next = { .snapshot = r->snapshot, .worker = &r->worker };
    tg_list_init(&next.exchanges);
    h2_get("/old");
    tg_worker_switch(&r->worker, &next);
    h2_get("/new");
    assert_ptr_equal(h2_up(0)->exchange->lease, &r->lease);
    assert_ptr_equal(h2_up(1)->exchange->lease, &next);
    h2_up_answer(h2_up(0), 200, "old");
    h2_up_answer(h2_up(1), 200, "new");
    tg_worker_switch(&r->worker, &r->lease);
}

int main(void)
{
    memset(much, 'm', sizeof much);
    const struct CMUnitTest tests[] = {
        H2_TEST(test_a_request_goes_up_and_its_answer_comes_down),
        H2_TEST(test_a_body_goes_up_with_its_trailers),
        H2_TEST(test_trailers_come_down_behind_the_body_without_an_empty_frame),
        H2_TEST(test_body_and_trailers_that_are_there_with_the_head_leave_in_order),
        H2_TEST(test_a_head_that_is_the_whole_answer_ends_the_stream),
        H2_TEST(test_informational_heads_come_before_the_final_one),
        H2_TEST(test_many_streams_are_answered_in_any_order),
        H2_RAW_TEST(test_any_number_of_requests_in_one_go_is_answered),
        H2_TEST(test_a_megabyte_goes_each_way),
        H2_TEST(test_late_trailers_need_no_window),
        H2_TEST(test_a_late_end_needs_no_window),
        H2_TEST(test_a_late_end_with_room_in_the_window_is_an_empty_frame),
        H2_TEST(test_an_end_behind_more_than_the_window_waits_for_it),
        H2_TEST(test_a_known_end_comes_with_the_last_bytes),
        H2_TEST(test_an_answer_begun_without_any_window_ends_with_its_trailers),
        H2_TEST(test_windows_that_become_negative_are_waited_for),
        H2_TEST(test_a_body_that_upstream_does_not_take_is_held_back_by_its_window),
        H2_TEST(test_cancelled_uploads_leave_the_connections_window_whole),
        H2_TEST(test_an_answer_before_the_whole_request_stops_it),
        H2_TEST(test_what_comes_behind_an_early_answer_is_thrown_away),
        H2_TEST(test_a_client_that_resets_cancels_upstream_work_at_once),
        H2_RAW_TEST(test_a_reset_right_behind_its_head_cleans_up_once),
        H2_TEST(test_an_answer_that_breaks_off_is_reset_and_never_ended),
        H2_TEST(test_an_answer_of_another_length_than_promised_is_reset),
        H2_RAW_TEST(test_a_malformed_request_is_reset_and_seen_by_nobody),
        H2_RAW_TEST(test_an_illegal_field_refuses_the_stream),
        H2_RAW_TEST(test_a_body_of_another_length_than_declared_is_reset),
        H2_RAW_TEST(test_trailers_with_a_pseudo_field_or_without_an_end_are_reset),
        H2_TEST(test_a_request_beyond_a_limit_gets_an_answer),
        H2_TEST(test_an_extended_connect_becomes_a_tunnel),
        H2_TEST(test_a_tunnel_outlives_its_stream_but_not_its_connection),
        H2_TEST(test_an_extended_connect_that_upstream_declines_is_answered),
        H2_TEST(test_an_extended_connect_for_another_protocol_is_501),
        H2_TEST(test_each_stream_begins_under_the_generation_of_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
