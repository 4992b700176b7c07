/* Exchanges over HTTP/2 to an upstream that speaks through nghttp2, well and badly: messages and streams. */
#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/upstream_h2_state.h"
#include "run_loop.h"

#define LINE(name, value)                                                                                              \
    {                                                                                                                  \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, sizeof(value) - 1,              \
            NGHTTP2_NV_FLAG_NONE                                                                                       \
    }

/* The server has got so many requests and answers none. */
static void hold(int requests)
{
    up->server.answer = UP_HOLD;
    for (int i = 0; i < requests; i++)
        up_get();
    up_until(&up->server.requests, up->server.requests + requests);
}

static int32_t stream_at(int index)
{
    return up_connection(0)->streams[index];
}

/* A neighbour on the same connection is answered. */
static void assert_neighbour_lives(void)
{
    up->server.answer = UP_HELLO;
    int over = up->over, accepted = up->server.accepted;
    struct up_call *call = up_get();
    up_until(&up->over, over + 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->got, 5);
    assert_int_equal(up->server.accepted, accepted);
}

/* --- messages --- */

static void test_a_request_and_its_answer(void **state)
{
    (void)state;
    struct up_call *call = up_get();
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->got, 5);
    assert_true(call->end && !call->reset);
    assert_string_equal(call->server_field, "yes");
    assert_non_null(strstr(up->server.head, ":method: GET\n:scheme: http\n:authority: a\n:path: /\n"));
}

static void test_many_at_a_time_share_a_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++)
        up_get();
    up_until(&up->over, 70);
    assert_int_equal(up->ends, 70);
    assert_int_equal(up->server.accepted, 1);
}

static void test_a_head_that_is_the_whole_response_stays_one(void **state)
{
    (void)state;
    up->server.answer = UP_EMPTY;
    struct up_call *call = up_get();
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_true(call->end_with_head);
}

static void test_trailers_come_after_the_body(void **state)
{
    (void)state;
    hold(1);
    up_respond(up_connection(0), stream_at(0), "200", "hello", false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    up_trailers(up_connection(0), stream_at(0), "grpc-status", "0");
    up_until(&up->over, 1);
    assert_true(up->calls[0].trailers);
    assert_int_equal(up->calls[0].got, 5);
}

static void test_informational_responses_pass(void **state)
{
    (void)state;
    hold(1);
    nghttp2_nv early[] = { LINE(":status", "103"), LINE("link", "</a.css>") };
    assert_int_equal(
        nghttp2_submit_headers(up_connection(0)->session, NGHTTP2_FLAG_NONE, stream_at(0), NULL, early, 2, NULL), 0);
    up_respond(up_connection(0), stream_at(0), "200", "hello", true);
    up_flush(up_connection(0));
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].informational, 1);
    assert_int_equal(up->calls[0].status, 200);
    assert_int_equal(up->calls[0].got, 5);
}

static void test_informational_responses_have_an_end(void **state)
{
    (void)state;
    hold(1);
    nghttp2_nv early[] = { LINE(":status", "103") };
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            nghttp2_submit_headers(up_connection(0)->session, NGHTTP2_FLAG_NONE, stream_at(0), NULL, early, 1, NULL),
            0);
    up_flush(up_connection(0));
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].status, 502);
    assert_true(up->calls[0].informational <= 8);
    assert_neighbour_lives();
}

static void test_a_body_goes_up_with_its_end(void **state)
{
    (void)state;
    up->server.answer_at_end = true;
    struct up_call *call = up_start("POST", 1000000);
    run_turns(up->loop, 3);
    assert_true(call->want_body);
    up_send(call, 1000000, true);
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(up_connection(0)->body, 1000000);
    assert_non_null(strstr(up->server.head, "content-length: 1000000\n"));
}

/* The length after which no window is left, so that nothing asks for the rest any more. */
static void test_an_end_after_exactly_a_window_arrives(void **state)
{
    (void)state;
    up->server.answer_at_end = true;
    up->server.window = 65535;
    struct up_call *call = up_start("POST", SIZE_MAX);
    up_until(&up->server.requests, 1);
    nghttp2_session_set_local_window_size(up_connection(0)->session, NGHTTP2_FLAG_NONE, 0, 1 << 20);
    up_flush(up_connection(0));
    run_turns(up->loop, 5);
    up_send(call, 65535, false);
    for (int i = 0; i < 200 && up_connection(0)->body < 65535; i++)
        run_turns(up->loop, 1);
    assert_int_equal(up_connection(0)->body, 65535);
    up_send(call, 0, true);
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
}

static void test_head_has_no_body_whatever_its_length_says(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    struct up_call *call = up_start("HEAD", 0);
    up_until(&up->server.requests, 1);
    nghttp2_nv lines[] = { LINE(":status", "200"), LINE("content-length", "1234") };
    up_submit(up_connection(0), stream_at(0), lines, 2, true);
    up_flush(up_connection(0));
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_true(call->end_with_head);
    assert_neighbour_lives();
}

/* --- what a peer may say beside its responses --- */

static void test_a_peer_that_says_goaway_without_end_is_given_up(void **state)
{
    (void)state;
    static const char frame[] = "\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x02";
    hold(1);
    for (int i = 0; i < 1001 && !up->calls[0].status; i++)
        up_write(up_connection(0), frame, sizeof frame - 1);
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].status, 502);
}

/* --- how a response may end --- */

/* [W03] */
static void test_a_reset_after_the_whole_response_is_no_error(void **state)
{
    (void)state;
    static const uint32_t codes[] = { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR };
    up->server.answer = UP_HOLD;
    for (int i = 0; i < 3; i++) {
        struct up_call *call = up_start("POST", SIZE_MAX);
        up_until(&up->server.requests, i + 1);
        up_send(call, 1000, false);
        up_respond(up_connection(0), stream_at(i), "200", "hello", true);
        up_flush(up_connection(0));
        up_reset(up_connection(0), stream_at(i), codes[i]);
        up_until(&up->over, i + 1);
        assert_int_equal(call->status, 200);
        assert_int_equal(call->got, 5);
        assert_true(call->end && !call->reset);
    }
    assert_neighbour_lives();
}

static void answered_by_reset(uint32_t code, int status)
{
    int over = up->over, requests = up->server.requests;
    struct up_call *call = up_get();
    up_until(&up->server.requests, requests + 1);
    up_reset(up_connection(0), stream_at(requests), code);
    up_until(&up->over, over + 1);
    assert_int_equal(call->status, status);
}

static void test_a_reset_before_the_response_is_answered_for(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    answered_by_reset(NGHTTP2_CANCEL, 502);
    answered_by_reset(NGHTTP2_NO_ERROR, 502);
    answered_by_reset(NGHTTP2_ENHANCE_YOUR_CALM, 502);
    answered_by_reset(NGHTTP2_INADEQUATE_SECURITY, 502);
    answered_by_reset(NGHTTP2_INTERNAL_ERROR, 502);
    assert_neighbour_lives();
}

static void test_a_reset_within_the_body_cuts_the_client_off(void **state)
{
    (void)state;
    hold(1);
    up_respond(up_connection(0), stream_at(0), "200", "hello", false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    up_reset(up_connection(0), stream_at(0), NGHTTP2_NO_ERROR);
    up_until(&up->over, 1);
    assert_true(up->calls[0].reset && !up->calls[0].end);
    assert_int_equal(up->calls[0].reason, TG_REASON_STREAM_RESET);
    assert_neighbour_lives();
}

/* [W06] */
static void test_a_reset_glued_to_the_head_ends_the_stream_once(void **state)
{
    (void)state;
    hold(1);
    up_respond(up_connection(0), stream_at(0), "200", NULL, false);
    up_flush(up_connection(0));
    up_reset(up_connection(0), stream_at(0), NGHTTP2_INTERNAL_ERROR);
    up_until(&up->over, 1);
    assert_neighbour_lives();
}

/* --- responses that aren't --- */

static void answered_by(const nghttp2_nv *lines, size_t count, bool end)
{
    int over = up->over, requests = up->server.requests;
    struct up_call *call = up_get();
    up->server.answer = UP_HOLD;
    up_until(&up->server.requests, requests + 1);
    up_submit(up_connection(0), stream_at(requests), lines, count, end);
    up_flush(up_connection(0));
    up_until(&up->over, over + 1);
    assert_int_equal(call->status, 502);
}

/* [V11] */
static void test_a_malformed_response_fails_its_stream_alone(void **state)
{
    (void)state;
    hold(1); /* a neighbour that waits through all of it */
    static const nghttp2_nv no_status[] = { LINE("x-test", "no") };
    static const nghttp2_nv long_status[] = { LINE(":status", "2000") };
    static const nghttp2_nv zero[] = { LINE(":status", "000") };
    static const nghttp2_nv switching[] = { LINE(":status", "101") };
    static const nghttp2_nv upper[] = { LINE(":status", "200"),
                                        { (uint8_t *)(uintptr_t) "X-Upper", (uint8_t *)(uintptr_t) "a", 7, 1,
                                          NGHTTP2_NV_FLAG_NO_COPY_NAME } };
    static const nghttp2_nv connection[] = { LINE(":status", "200"), LINE("connection", "close") };
    static const nghttp2_nv chunked[] = { LINE(":status", "200"), LINE("transfer-encoding", "chunked") };
    static const nghttp2_nv pseudo[] = { LINE(":status", "200"), LINE(":path", "/") };
    static const nghttp2_nv late[] = { LINE("a", "b"), LINE(":status", "200") };
    static const nghttp2_nv twice[] = { LINE(":status", "200"), LINE(":status", "200") };
    static const nghttp2_nv line_end[] = { LINE(":status", "200"), LINE("a", "b\r\nc: d") };
    static const nghttp2_nv lengths[] = { LINE(":status", "200"), LINE("content-length", "1"),
                                          LINE("content-length", "2") };
    static const nghttp2_nv unmet[] = { LINE(":status", "200"), LINE("content-length", "5") };
    answered_by(no_status, 1, true);
    answered_by(long_status, 1, true);
    answered_by(zero, 1, true);
    answered_by(switching, 1, false);
    answered_by(upper, 2, true);
    answered_by(connection, 2, true);
    answered_by(chunked, 2, true);
    answered_by(pseudo, 2, true);
    answered_by(late, 2, true);
    answered_by(twice, 2, true);
    answered_by(line_end, 2, true);
    answered_by(lengths, 3, true);
    answered_by(unmet, 2, true);
    assert_int_equal(up->server.accepted, 1);
    int over = up->over;
    up_respond(up_connection(0), stream_at(0), "200", "hello", true);
    up_flush(up_connection(0));
    up_until(&up->over, over + 1);
    assert_int_equal(up->calls[0].got, 5);
}

static void test_more_body_than_its_length_says_is_cut_off(void **state)
{
    (void)state;
    hold(1);
    nghttp2_nv lines[] = { LINE(":status", "200"), LINE("content-length", "5") };
    up_submit(up_connection(0), stream_at(0), lines, 2, false);
    up_data(up_connection(0), stream_at(0), 6, true);
    up_until(&up->over, 1);
    assert_true(up->calls[0].reset || up->calls[0].status == 502);
    assert_false(up->calls[0].end && up->calls[0].got == 6 && !up->calls[0].reset && up->calls[0].status == 200);
    assert_neighbour_lives();
}

static void short_of_its_length(const char *trailer)
{
    int over = up->over, requests = up->server.requests;
    nghttp2_nv lines[] = { LINE(":status", "200"), LINE("content-length", "10") };
    up->server.answer = UP_HOLD;
    struct up_call *call = up_get();
    up_until(&up->server.requests, requests + 1);
    up_submit(up_connection(0), stream_at(requests), lines, 2, false);
    up_data(up_connection(0), stream_at(requests), 5, !trailer);
    if (trailer)
        up_trailers(up_connection(0), stream_at(requests), trailer, "0");
    up_until(&up->over, over + 1);
    assert_true(call->reset || call->status == 502);
    assert_neighbour_lives();
}

static void test_less_body_than_its_length_says_is_cut_off(void **state)
{
    (void)state;
    short_of_its_length(NULL);
    short_of_its_length("grpc-status");
}

static void test_a_head_larger_than_the_limit_fails_its_stream(void **state)
{
    (void)state;
    static char value[9000];
    memset(value, 'v', sizeof value);
    nghttp2_nv lines[12] = { LINE(":status", "200") };
    for (int i = 1; i < 12; i++)
        lines[i] =
            (nghttp2_nv){ (uint8_t *)(uintptr_t) "x-long", (uint8_t *)value, 6, sizeof value, NGHTTP2_NV_FLAG_NONE };
    hold(1);
    up->server.answer = UP_HOLD;
    struct up_call *call = up_get();
    up_until(&up->server.requests, 2);
    up_submit(up_connection(0), stream_at(1), lines, 12, true);
    up_flush(up_connection(0));
    up_until(&up->over, 1);
    assert_int_equal(call->status, 502);
}

/* --- back-pressure --- */

static void test_a_stalled_reader_stops_no_neighbour(void **state)
{
    (void)state;
    hold(2);
    struct up_call *stalled = &up->calls[0], *other = &up->calls[1];
    stalled->stalled = true;
    for (int i = 0; i < 2; i++) {
        up_respond(up_connection(0), stream_at(i), "200", NULL, false);
        up_data(up_connection(0), stream_at(i), 8 << 20, true);
    }
    up_until(&up->over, 1);
    assert_int_equal(other->got, 8 << 20);
    assert_true(other->end);
    run_turns(up->loop, 10);
    uint64_t held = tg_buffer_queue_length(&stalled->exchange->response_pipe.waiting);
    assert_true(held > 0 && held <= 1024 * 1024);
    assert_neighbour_lives();
    up_drain(stalled);
    up_until(&up->over, 3);
    assert_int_equal(stalled->got, 8 << 20);
    assert_true(stalled->end);
}

/* Nobody is far away here, but the connection may believe so. */
static void test_the_window_of_a_fast_stream_far_away_grows(void **state)
{
    (void)state;
    hold(1);
    struct tg_upstream_h2 *connection = up_pooled_at(0);
    struct tg_upstream_h2_stream *stream =
        TG_CONTAINER_OF(connection->streams.next, struct tg_upstream_h2_stream, link);
    connection->round_trip = 1;
    up_respond(up_connection(0), stream_at(0), "200", NULL, false);
    up_data(up_connection(0), stream_at(0), 20 << 20, false);
    for (int i = 0; i < 20000 && up->calls[0].got < 20 << 20; i++)
        run_turns(up->loop, 1);
    assert_int_equal(up->calls[0].got, 20 << 20);
    assert_int_equal(stream->window, TG_UPSTREAM_H2_WINDOW_MAX);
    up_data(up_connection(0), stream_at(0), 0, true);
    up_until(&up->over, 1);
    assert_neighbour_lives();
    assert_int_equal(connection->widened, 0);
}

static void test_a_slow_upstream_pauses_the_client(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    up->server.window = 1000;
    struct up_call *call = up_start("POST", SIZE_MAX);
    up_until(&up->server.requests, 1);
    up_send(call, 400 * 1024, false);
    run_turns(up->loop, 5);
    assert_true(call->paused);
    up_leave(call);
    up_until(&up->server.resets, 1);
}

enum { PIECE = 1000, PADDING = 255 };

/* DATA whose padding is counted by the windows, as its length is [W05]. */
static void write_padded(int32_t id, uint8_t padding, bool end)
{
    uint8_t frame[9 + 1 + PIECE + PADDING] = { 0 };
    size_t length = 1 + PIECE + PADDING;
    frame[1] = (uint8_t)(length >> 8);
    frame[2] = (uint8_t)length;
    frame[4] = NGHTTP2_FLAG_PADDED | (end ? NGHTTP2_FLAG_END_STREAM : 0);
    frame[8] = (uint8_t)id;
    frame[9] = padding;
    up_write(up_connection(0), frame, sizeof frame);
    run_turns(up->loop, 2);
}

/* [W05] */
static void test_padding_leaves_the_body_and_the_windows(void **state)
{
    (void)state;
    hold(1);
    up_respond(up_connection(0), stream_at(0), "200", NULL, false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    for (int i = 1; i <= 1000; i++)
        write_padded(stream_at(0), PADDING, i == 1000);
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].got, 1000 * PIECE);
    assert_true(up->calls[0].end);
    assert_neighbour_lives();
}

/* [W05] */
static void test_padding_longer_than_its_frame_ends_the_connection(void **state)
{
    (void)state;
    uint8_t frame[9 + 2] = { 0, 0, 2, 0, NGHTTP2_FLAG_PADDED, 0, 0, 0, 1, 200, 0 };
    hold(1);
    up_respond(up_connection(0), stream_at(0), "200", NULL, false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    up_write(up_connection(0), frame, sizeof frame);
    up_until(&up->over, 1);
    assert_true(up->calls[0].reset);
    up_until(&up->server.closed, 1);
}

/* --- giving up --- */

static void test_a_client_that_leaves_cancels_its_stream(void **state)
{
    (void)state;
    hold(2);
    up_leave(&up->calls[0]);
    up_until(&up->server.resets, 1);
    assert_int_equal(up_connection(0)->reset_code, NGHTTP2_CANCEL);
    assert_neighbour_lives();
}

/* Takes what the server's windows allow, and all that its socket takes, until more than the codec may leave unsent
 * waits: a reset that is queued now doesn't go out. */
static void stuff_the_connection(struct up_call *upload)
{
    struct up_connection *connection = up_connection(0);
    assert_int_equal(nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, 64 * 1024 * 1024),
                     0);
    up_flush(connection);
    run_turns(up->loop, 10);
    tg_stream_pause(connection->stream);
    for (int i = 0; i < 100 && tg_stream_unsent(up_pooled_at(0)->stream) < TG_H2_UNSENT_HIGH; i++) {
        up_send(upload, 512 * 1024, false);
        run_turns(up->loop, 3);
    }
    assert_true(tg_stream_unsent(up_pooled_at(0)->stream) >= TG_H2_UNSENT_HIGH);
}

static void test_a_head_that_is_half_there_when_its_client_leaves_is_dropped(void **state)
{
    (void)state;
    static const char block[] = "\x88\x00\x06x-test\x03yes\x00\x06x-more\x03yes";
    uint8_t header[9] = { 0, 0, sizeof block - 1, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS };
    up->server.window = 64 * 1024 * 1024;
    hold(1);
    struct up_call *upload = up_start("POST", SIZE_MAX);
    up_until(&up->server.requests, 2);
    header[8] = (uint8_t)stream_at(0);
    stuff_the_connection(upload);
    up_write(up_connection(0), header, sizeof header);
    up_write(up_connection(0), block, 13);
    run_turns(up->loop, 3);
    up_leave(&up->calls[0]);
    run_turns(up->loop, 3);
    up_write(up_connection(0), block + 13, sizeof block - 14);
    run_turns(up->loop, 3);
    tg_stream_resume(up_connection(0)->stream);
    up_until(&up->server.resets, 1);
    up_leave(upload);
    up_until(&up->server.resets, 2);
    assert_neighbour_lives();
}

/* [W09] [W04] */
static void test_bodies_of_cancelled_streams_leave_the_connection_usable(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    for (int i = 0; i < 300; i++) {
        up->call_count = 0;
        struct up_call *call = up_get();
        *call = (struct up_call){ .side = call->side, .deadline = call->deadline, .exchange = call->exchange };
        call->stalled = true;
        up_until(&up->server.requests, i + 1);
        up_respond(up_connection(0), stream_at(i), "200", NULL, false);
        up_data(up_connection(0), stream_at(i), 100000, false);
        up_until(&up->heads, i + 1);
        up_leave(call);
        run_turns(up->loop, 2);
    }
    up->call_count = 0;
    struct up_call *last = up_get();
    *last = (struct up_call){ .side = last->side, .deadline = last->deadline, .exchange = last->exchange };
    up_until(&up->server.requests, 301);
    up_respond(up_connection(0), stream_at(300), "200", NULL, false);
    up_data(up_connection(0), stream_at(300), 10 << 20, true);
    up_until(&up->over, 301);
    assert_int_equal(last->got, 10 << 20);
    assert_int_equal(up->server.accepted, 1);
}

static void test_an_upload_is_dropped_when_the_response_is_over(void **state)
{
    (void)state;
    struct up_call *call = up_start("POST", SIZE_MAX);
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(call->got, 5);
    up_until(&up->server.resets, 1);
    assert_int_equal(up_connection(0)->reset_code, NGHTTP2_NO_ERROR);
    assert_neighbour_lives();
}

static void test_ten_thousand_streams_one_after_another(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        up->call_count = 0;
        up_get();
        up_until(&up->over, i + 1);
    }
    assert_int_equal(up->ends, 10000);
    assert_int_equal(up->server.accepted, 1);
    assert_true(up_pooled_at(0)->session.memory < 100 * 1024);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up_setup, up_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_and_its_answer),
        TEST(test_many_at_a_time_share_a_connection),
        TEST(test_a_head_that_is_the_whole_response_stays_one),
        TEST(test_trailers_come_after_the_body),
        TEST(test_informational_responses_pass),
        TEST(test_informational_responses_have_an_end),
        TEST(test_a_body_goes_up_with_its_end),
        TEST(test_an_end_after_exactly_a_window_arrives),
        TEST(test_head_has_no_body_whatever_its_length_says),
        TEST(test_a_peer_that_says_goaway_without_end_is_given_up),
        TEST(test_a_reset_after_the_whole_response_is_no_error),
        TEST(test_a_reset_before_the_response_is_answered_for),
        TEST(test_a_reset_within_the_body_cuts_the_client_off),
        TEST(test_a_reset_glued_to_the_head_ends_the_stream_once),
        TEST(test_a_malformed_response_fails_its_stream_alone),
        TEST(test_more_body_than_its_length_says_is_cut_off),
        TEST(test_less_body_than_its_length_says_is_cut_off),
        TEST(test_a_head_larger_than_the_limit_fails_its_stream),
        TEST(test_a_stalled_reader_stops_no_neighbour),
        TEST(test_the_window_of_a_fast_stream_far_away_grows),
        TEST(test_a_slow_upstream_pauses_the_client),
        TEST(test_padding_leaves_the_body_and_the_windows),
        TEST(test_padding_longer_than_its_frame_ends_the_connection),
        TEST(test_a_client_that_leaves_cancels_its_stream),
        TEST(test_a_head_that_is_half_there_when_its_client_leaves_is_dropped),
        TEST(test_bodies_of_cancelled_streams_leave_the_connection_usable),
        TEST(test_an_upload_is_dropped_when_the_response_is_over),
        TEST(test_ten_thousand_streams_one_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
