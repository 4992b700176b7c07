/* The life of a client's HTTP/2 connection: its times, its drain, its end. */
#include "h2_rig.h"

#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 65535 };

static char much[1 << 20];

static void drain(double idle)
{
    struct tg_list *link = tg_list_first(&r->worker.clients);
    r->worker.draining = true;
    r->worker.drain_idle_until = r->clock.now + idle;
    assert_non_null(link);
    tg_client_drain(link, r->worker.drain_idle_until);
}

/* --- Drain --- */

/* [W02] The first GOAWAY names no last stream; what the client sent in the meantime is served. */
static void test_a_drain_takes_two_goaways_and_loses_no_request(void **state)
{
    (void)state;
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    drain(1);
    h2_settle();
    assert_int_equal(r->goaways, 1);
    assert_int_equal(r->goaway_last, 0x7fffffff);
    assert_int_equal(r->frames[NGHTTP2_PING], 1);
    h2_raw_headers(3, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    assert_int_equal(r->up_count, 2);
    h2_raw_frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, r->payload, 8);
    h2_settle();
    assert_int_equal(r->goaways, 2);
    assert_int_equal(r->goaway_last, 3);
    assert_int_equal(r->goaway_code, NGHTTP2_NO_ERROR);
    h2_raw_headers(5, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    assert_int_equal(r->up_count, 2);
    h2_up_answer(h2_up(0), 200, "one");
    assert_false(r->closed_by_gateway);
    h2_up_answer(h2_up(1), 200, "two");
    assert_non_null(strstr(r->order, "D1+ "));
    assert_non_null(strstr(r->order, "D3+ "));
    assert_true(r->closed_by_gateway);
    assert_true(tg_list_empty(&r->worker.clients));
}

static void test_a_drain_does_not_wait_for_a_client_that_answers_no_ping(void **state)
{
    (void)state;
    drain(1);
    h2_settle();
    assert_int_equal(r->goaways, 1);
    h2_wait(0.5);
    assert_int_equal(r->goaways, 1);
    h2_wait(0.6);
    assert_int_equal(r->goaways, 2);
    assert_true(r->closed_by_gateway);
}

static void test_an_idle_connection_with_a_codec_is_gone_after_a_round_trip(void **state)
{
    (void)state;
    int32_t id = h2_get("/");
    h2_up_answer(h2_up(0), 200, "ok");
    assert_true(h2_seen(id)->closed);
    drain(1);
    h2_settle();
    assert_int_equal(r->goaways, 2);
    assert_true(r->closed_by_gateway);
}

static void test_a_connection_that_comes_during_a_drain_gets_its_answer_and_ends(void **state)
{
    (void)state;
    r->worker.draining = true;
    h2_reconnect(true);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    assert_int_equal(r->goaways, 1);
    h2_up_answer(h2_up(0), 200, "ok");
    h2_wait(2);
    assert_int_equal(r->goaways, 2);
    assert_non_null(strstr(r->order, "D1+ "));
    assert_true(r->closed_by_gateway);
}

static void test_a_killed_connection_ends_its_exchanges(void **state)
{
    (void)state;
    h2_get("/");
    h2_post("/", NULL);
    tg_client_kill(tg_list_first(&r->worker.clients));
    h2_settle();
    assert_true(h2_up(0)->reset && h2_up(1)->reset);
    assert_int_equal(r->worker.exchanges, 0);
}

/* --- Times --- */

static void test_an_idle_connection_ends_with_goaway(void **state)
{
    (void)state;
    double idle = r->snapshot->settings.timeouts.idle;
    h2_get("/");
    h2_wait(2 * idle); /* busy */
    assert_int_equal(r->goaways, 0);
    h2_up_answer(h2_up(0), 200, "ok");
    h2_wait(idle - 1);
    assert_int_equal(r->goaways, 0);
    h2_wait(2);
    assert_int_equal(r->goaways, 2);
    assert_int_equal(r->goaway_code, NGHTTP2_NO_ERROR);
    assert_true(r->closed_by_gateway);
}

static void test_a_connection_without_a_request_has_the_time_of_a_head(void **state)
{
    (void)state;
    h2_wait(r->snapshot->settings.timeouts.header + 1);
    assert_true(r->goaways > 0);
    h2_wait(2);
    assert_true(r->closed_by_gateway);
}

static void test_a_preface_that_does_not_come_closes_the_connection(void **state)
{
    (void)state;
    r->mute = true;
    h2_reconnect(false);
    h2_wait(r->snapshot->settings.timeouts.header + 3);
    assert_true(r->closed_by_gateway);
}

/* [E01] */
static void test_a_header_section_that_does_not_end_closes_the_connection(void **state)
{
    (void)state;
    uint8_t block[256];
    size_t length = h2_raw_block(block, h2_raw_get);
    h2_raw_headers(1, NGHTTP2_FLAG_END_STREAM, h2_raw_get);
    h2_settle();
    h2_raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, block, length);
    h2_settle();
    h2_wait(r->snapshot->settings.timeouts.header - 1);
    assert_int_equal(r->goaways, 0);
    h2_wait(2);
    assert_int_equal(r->goaways, 1);
    assert_true(r->closed_by_gateway);
    assert_true(h2_up(0)->reset);
}

/* [E01] */
static void test_an_upload_that_comes_too_slowly_is_answered_with_408(void **state)
{
    (void)state;
    int32_t id = h2_post("/", "100000");
    h2_body(id, much, 100, false);
    h2_wait(9);
    assert_int_equal(h2_seen(id)->status, 0);
    h2_wait(12);
    assert_int_equal(h2_seen(id)->status, 408);
    assert_true(h2_up(0)->reset);
    assert_true(h2_seen(id)->closed);
    id = h2_get("/");
    h2_up_answer(h2_up(1), 200, "ok"); /* the connection lives */
    assert_int_equal(h2_seen(id)->status, 200);
}

static void test_an_upload_that_upstream_holds_back_is_not_too_slow(void **state)
{
    (void)state;
    r->ups_paused = true;
    int32_t id = h2_post("/", "1048576");
    h2_body(id, much, sizeof much, true);
    for (int i = 0; i < 10; i++)
        h2_wait(10);
    assert_int_equal(h2_seen(id)->status, 0);
    assert_false(h2_seen(id)->closed);
}

/* [F12] [E02] */
static void test_an_answer_whose_window_stays_at_zero_is_reset(void **state)
{
    (void)state;
    r->holds_windows = true;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, sizeof much, NULL);
    h2_up_body(h2_up(0), much, sizeof much);
    h2_settle();
    for (int i = 0; i < 3; i++)
        h2_wait(11);
    assert_true(h2_seen(id)->reset);
    assert_int_equal(h2_seen(id)->reset_code, NGHTTP2_CANCEL);
    assert_true(h2_up(0)->reset);
    assert_int_equal(r->worker.exchanges, 0);
}

/* [F12] What waits for a connection is bounded, however many streams it has. */
static void test_many_streams_share_what_may_wait(void **state)
{
    enum { STREAMS = 64, PIECE = 4096 };
    (void)state;
    size_t waiting = 0;
    r->holds_windows = true;
    nghttp2_settings_entry shut = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };
    assert_int_equal(nghttp2_submit_settings(r->client, 0, &shut, 1), 0);
    for (int i = 0; i < STREAMS; i++)
        h2_get("/");
    h2_settle();
    for (int i = 0; i < STREAMS; i++) {
        h2_up_head(h2_up(i), 200, TG_FRAMING_CHUNKED, 0, NULL);
        while (!h2_up(i)->full) {
            h2_up_body(h2_up(i), much, PIECE);
            waiting += PIECE;
            assert_true(waiting <= 2 * 1024 * 1024);
        }
    }
    h2_settle();
    assert_int_equal(r->worker.exchanges, STREAMS);
}

/* [F12] opened by a byte at a time */
static void test_a_window_opened_byte_by_byte_is_too_slow(void **state)
{
    (void)state;
    r->holds_windows = true;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_LENGTH, sizeof much, NULL);
    h2_up_body(h2_up(0), much, sizeof much);
    h2_settle();
    for (int i = 0; i < 40 && !h2_seen(id)->reset; i++) {
        nghttp2_submit_window_update(r->client, 0, id, 1);
        nghttp2_submit_window_update(r->client, 0, 0, 1);
        h2_wait(1);
    }
    assert_true(h2_seen(id)->reset);
}

static void test_an_idle_stream_in_the_middle_of_its_answer_lives_on(void **state)
{
    (void)state;
    int32_t id = h2_get("/");
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    h2_up_body(h2_up(0), "hello", 5);
    h2_settle();
    for (int i = 0; i < 30; i++)
        h2_wait(11);
    h2_up_body(h2_up(0), "world", 5);
    h2_up_end(h2_up(0));
    h2_settle();
    assert_int_equal(h2_seen(id)->body, 10);
    assert_true(h2_seen(id)->end && !h2_seen(id)->reset);
}

/* [E02] */
static void test_a_client_that_reads_nothing_is_closed(void **state)
{
    (void)state;
    nghttp2_settings_entry large = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30 };
    assert_int_equal(nghttp2_submit_settings(r->client, 0, &large, 1), 0);
    assert_int_equal(nghttp2_session_set_local_window_size(r->client, 0, 0, 1 << 30), 0);
    h2_settle();
    h2_get("/");
    r->deaf = true;
    h2_up_head(h2_up(0), 200, TG_FRAMING_CHUNKED, 0, NULL);
    for (int i = 0; i < 4; i++)
        h2_up_body(h2_up(0), much, sizeof much);
    h2_settle();
    assert_true(tg_stream_unsent(r->stream) < 256 * 1024);
    for (int i = 0; i < 3 && r->worker.exchanges; i++)
        h2_wait(11);
    assert_int_equal(r->worker.exchanges, 0);
    assert_true(tg_list_empty(&r->worker.clients));
}

/* An exchange's own time limit runs on the connection's one timer. */
static void test_the_limits_of_each_exchange_are_kept_on_one_timer(void **state)
{
    (void)state;
    r->snapshot->groups[0].timeouts.first_byte = 30;
    int32_t first = h2_get("/first");
    h2_wait(20);
    int32_t second = h2_get("/second");
    h2_wait(11);
    assert_int_equal(h2_seen(first)->status, 504);
    assert_int_equal(h2_seen(second)->status, 0);
    h2_wait(20);
    assert_int_equal(h2_seen(second)->status, 504);
    assert_int_equal(r->goaways, 0);
}

/* --- Its end --- */

static void test_a_client_that_ends_its_direction_gets_the_answers_of_whole_requests(void **state)
{
    (void)state;
    h2_get("/");
    int32_t upload = h2_post("/", NULL);
    assert_int_equal(shutdown(r->socket, SHUT_WR), 0);
    h2_settle();
    assert_true(h2_up(1)->reset);
    assert_true(h2_seen(upload)->reset);
    h2_up_answer(h2_up(0), 200, "hello");
    assert_int_equal(h2_seen(1)->status, 200);
    assert_true(h2_seen(1)->end);
    assert_true(r->closed_by_gateway);
}

/* What came last is always the first half of a section, of another one each time. */
static void test_sections_that_follow_each_other_have_each_their_time(void **state)
{
    (void)state;
    uint8_t block[256];
    size_t length = h2_raw_block(block, h2_raw_get);
    uint8_t header[9] = { 0, 0, (uint8_t)length, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS };
    int times = 2 * (int)r->snapshot->settings.timeouts.header;
    for (int i = 0; i < times; i++) {
        if (i > 0)
            h2_raw_bytes(block + 10, length - 10);
        header[8] = (uint8_t)(2 * i + 1);
        h2_raw_bytes(header, sizeof header);
        h2_raw_bytes(block, 10);
        h2_wait(1);
        for (int up = 0; up < r->up_count; up++)
            if (h2_up(up)->exchange)
                h2_up_answer(h2_up(up), 200, "x");
    }
    h2_settle();
    assert_int_equal(r->goaways, 0);
    assert_int_equal(r->up_count, times - 1);
}

static void test_a_client_that_ends_its_direction_inside_a_section_is_closed(void **state)
{
    (void)state;
    uint8_t block[256];
    h2_raw_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, h2_raw_block(block, h2_raw_get));
    h2_settle();
    assert_int_equal(shutdown(r->socket, SHUT_WR), 0);
    h2_settle();
    assert_true(r->closed_by_gateway);
    assert_true(tg_list_empty(&r->worker.clients));
}

static void test_a_connection_that_breaks_cancels_all_upstream_work(void **state)
{
    (void)state;
    h2_get("/");
    h2_post("/", NULL);
    close(r->socket);
    r->socket = -1;
    nghttp2_session_del(r->client);
    r->client = NULL;
    h2_settle();
    assert_true(h2_up(0)->reset && h2_up(1)->reset);
    assert_int_equal(r->worker.exchanges, 0);
}

int main(void)
{
    memset(much, 'm', sizeof much);
    const struct CMUnitTest tests[] = {
        H2_RAW_TEST(test_a_drain_takes_two_goaways_and_loses_no_request),
        H2_RAW_TEST(test_a_drain_does_not_wait_for_a_client_that_answers_no_ping),
        H2_TEST(test_an_idle_connection_with_a_codec_is_gone_after_a_round_trip),
        H2_RAW_TEST(test_a_connection_that_comes_during_a_drain_gets_its_answer_and_ends),
        H2_TEST(test_a_killed_connection_ends_its_exchanges),
        H2_TEST(test_an_idle_connection_ends_with_goaway),
        H2_TEST(test_a_connection_without_a_request_has_the_time_of_a_head),
        H2_TEST(test_a_preface_that_does_not_come_closes_the_connection),
        H2_RAW_TEST(test_a_header_section_that_does_not_end_closes_the_connection),
        H2_TEST(test_an_upload_that_comes_too_slowly_is_answered_with_408),
        H2_TEST(test_an_upload_that_upstream_holds_back_is_not_too_slow),
        H2_TEST(test_an_answer_whose_window_stays_at_zero_is_reset),
        H2_TEST(test_many_streams_share_what_may_wait),
        H2_TEST(test_a_window_opened_byte_by_byte_is_too_slow),
        H2_TEST(test_an_idle_stream_in_the_middle_of_its_answer_lives_on),
        H2_TEST(test_a_client_that_reads_nothing_is_closed),
        H2_TEST(test_the_limits_of_each_exchange_are_kept_on_one_timer),
        H2_TEST(test_a_client_that_ends_its_direction_gets_the_answers_of_whole_requests),
        H2_RAW_TEST(test_sections_that_follow_each_other_have_each_their_time),
        H2_RAW_TEST(test_a_client_that_ends_its_direction_inside_a_section_is_closed),
        H2_TEST(test_a_connection_that_breaks_cancels_all_upstream_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
