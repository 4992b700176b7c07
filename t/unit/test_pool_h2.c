/* How HTTP/2 connections are opened, chosen, filled, left and lost. */
#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "run_loop.h"

/* One request goes through, so that the peer's settings are known. */
static void get_to_know_it(void)
{
    int over = up->over;
    up_get();
    up_until(&up->over, over + 1);
}

static void start_many(int count)
{
    for (int i = 0; i < count; i++)
        up_get();
}

/* Answers what waits, over and over, until all calls are over; looks at the limit all the time. */
static void answer_all(int over, int most_open)
{
    for (int turns = 0; up->over < over && turns < 20000; turns++) {
        for (int i = 0; i < up->server.accepted; i++) {
            struct up_connection *connection = up_connection(i);
            assert_true(connection->most_open <= most_open);
            for (int j = 0; connection->open && j < connection->requests; j++) {
                if (nghttp2_session_find_stream(connection->session, connection->streams[j]) &&
                    !nghttp2_session_get_stream_user_data(connection->session, connection->streams[j]))
                    up_respond(connection, connection->streams[j], "200", "hello", true);
            }
            up_flush(connection);
        }
        run_turns(up->loop, 1);
    }
    assert_int_equal(up->over, over);
}

static void assert_all_were_answered(int first)
{
    for (int i = first; i < up->call_count; i++) {
        assert_int_equal(up->calls[i].status, 200);
        assert_int_equal(up->calls[i].got, 5);
    }
}

/* --- limits --- */

static void keep_to_limit(uint32_t limit)
{
    up->server.limit = limit;
    get_to_know_it();
    up->server.answer = UP_HOLD;
    start_many(50);
    answer_all(51, (int)limit);
    assert_all_were_answered(0);
    assert_int_equal(up->server.requests, 51);
    assert_true(up->server.accepted <= 33);
}

static void test_fifty_requests_keep_to_a_limit_of_one_stream(void **state)
{
    (void)state;
    keep_to_limit(1);
}

static void test_fifty_requests_keep_to_a_limit_of_three_streams(void **state)
{
    (void)state;
    keep_to_limit(3);
}

static void test_fifty_requests_fit_a_limit_of_a_hundred_streams(void **state)
{
    (void)state;
    keep_to_limit(100);
    assert_int_equal(up->server.accepted, 1);
}

static void test_what_came_before_the_limit_was_known_is_sent_again(void **state)
{
    (void)state;
    up->server.limit = 3;
    start_many(50);
    up_until(&up->over, 50);
    assert_all_were_answered(0);
    assert_true(up->server.accepted <= 32);
}

static void test_a_group_s_own_limits_hold(void **state)
{
    (void)state;
    up->group->h2_streams = 4;
    up->group->h2_connections = 2;
    up->server.answer = UP_HOLD;
    start_many(20);
    up_until(&up->server.requests, 8);
    run_turns(up->loop, 10);
    assert_int_equal(up->server.requests, 8);
    assert_int_equal(up->server.accepted, 2);
    answer_all(20, 4);
    assert_all_were_answered(0);
    assert_int_equal(up->server.accepted, 2);
}

static void test_a_limit_lowered_in_use_is_kept_to(void **state)
{
    (void)state;
    up->group->h2_connections = 1;
    up->server.answer = UP_HOLD;
    start_many(10);
    up_until(&up->server.requests, 10);
    up_greet(up_connection(0), 2);
    run_turns(up->loop, 5);
    assert_true(tg_upstream_h2_free_streams(up_pooled_at(0), &up_entry()->terms.h2, NULL) < 0);
    up_connection(0)->most_open = 0;
    start_many(10);
    run_turns(up->loop, 10);
    assert_int_equal(up->server.requests, 10);
    for (int i = 0; i < 9; i++)
        up_respond(up_connection(0), up_connection(0)->streams[i], "200", "hello", true);
    up_flush(up_connection(0));
    up_until(&up->server.requests, 11);
    answer_all(20, 2);
    assert_all_were_answered(0);
    assert_int_equal(up->server.accepted, 1);
}

static void test_a_connection_is_added_before_the_others_are_full(void **state)
{
    (void)state;
    up->server.limit = 10;
    get_to_know_it();
    up->server.answer = UP_HOLD;
    start_many(7);
    up_until(&up->server.requests, 8);
    run_turns(up->loop, 10);
    assert_int_equal(up->server.accepted, 1);
    start_many(1);
    up_until(&up->server.accepted, 2);
    start_many(4);
    up_until(&up->server.requests, 13);
    assert_true(up_connection(1)->requests >= 3); /* the least loaded takes them */
    answer_all(13, 10);
    assert_int_equal(up->server.accepted, 2);
}

/* --- waiting --- */

static void test_a_wait_for_a_stream_ends_with_its_time(void **state)
{
    (void)state;
    up->group->h2_streams = up->group->h2_connections = 1;
    up->group->timeouts.connect = 0.05;
    up->server.answer = UP_HOLD;
    start_many(2);
    up_until(&up->over, 1);
    assert_int_equal(up->calls[1].status, 504);
    assert_int_equal(up->server.requests, 1);
}

static void test_a_client_that_leaves_while_it_waits_is_forgotten(void **state)
{
    (void)state;
    up->group->h2_streams = up->group->h2_connections = 1;
    up->server.answer = UP_HOLD;
    start_many(3);
    up_until(&up->server.requests, 1);
    up_leave(&up->calls[1]);
    run_turns(up->loop, 3);
    answer_all(3, 1);
    assert_int_equal(up->calls[0].status, 200);
    assert_int_equal(up->calls[2].status, 200);
    assert_int_equal(up->server.requests, 2);
}

static void test_clients_that_leave_during_the_dial_leave_a_connection(void **state)
{
    (void)state;
    start_many(5);
    run_turns(up->loop, 1);
    for (int i = 0; i < 5; i++)
        up_leave(&up->calls[i]);
    up_until(&up->server.accepted, 1);
    for (int i = 0; i < 200 && up_pooled() == 0; i++)
        run_turns(up->loop, 1);
    assert_int_equal(up_pooled(), 1);
    get_to_know_it();
    assert_int_equal(up->server.accepted, 1);
}

static void test_a_failed_dial_fails_all_that_wait_for_it(void **state)
{
    (void)state;
    up_stop_listening();
    start_many(20);
    up_until(&up->over, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(up->calls[i].status, 502);
}

static void test_a_peer_that_speaks_http_1_is_no_peer_of_http_2(void **state)
{
    (void)state;
    up->server.raw = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    start_many(3);
    up_until(&up->over, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(up->calls[i].status, 502);
    assert_true(up->server.accepted <= 3);
}

/* Others are first in line, and could do with the connection that is there. */
static void test_a_refused_stream_behind_a_line_gets_a_connection_too(void **state)
{
    (void)state;
    up->group->h2_streams = 2;
    up->group->h2_connections = 1;
    up->server.answer = UP_HOLD;
    start_many(5);
    up_until(&up->server.requests, 2);
    run_turns(up->loop, 3);
    up_advance(0.01);
    up_reset(up_connection(0), up_connection(0)->streams[0], NGHTTP2_REFUSED_STREAM);
    up_until(&up->server.accepted, 2);
    answer_all(5, 2);
    assert_all_were_answered(0);
}

/* Who waits for the peer's settings waits for no connection that never brings them: each would be followed by the next
 * at once. */
static void test_connections_that_end_before_the_settings_aren_t_opened_over_and_over(void **state)
{
    (void)state;
    up->server.late_settings = true;
    struct up_call *call = up_websocket();
    for (int turns = 0; turns < 400 && up->over == 0; turns++) {
        for (int i = 0; i < up->server.accepted; i++)
            if (up_connection(i)->open)
                up_close(up_connection(i));
        run_turns(up->loop, 1);
    }
    assert_int_equal(up->over, 1);
    assert_int_equal(call->status, 502);
    assert_true(up->server.accepted <= 3);
}

/* --- GOAWAY --- */

/* [W01] */
static void test_streams_beyond_goaway_go_elsewhere_and_those_below_go_on(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    start_many(6);
    up_until(&up->server.requests, 6);
    struct up_connection *first = up_connection(0);
    up_goaway(first, first->streams[2], NGHTTP2_NO_ERROR, NULL);
    up_until(&up->server.requests, 9);
    assert_int_equal(up->server.accepted, 2);
    assert_int_equal(up_connection(1)->requests, 3);
    answer_all(6, 100);
    assert_all_were_answered(0);
    up_until(&up->server.closed, 1);
    assert_false(first->open);
}

/* [W01] A method that can't be repeated otherwise. */
static void test_a_post_beyond_goaway_goes_elsewhere(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    struct up_call *call = up_start("POST", 10);
    up_until(&up->server.requests, 1);
    up_send(call, 10, true);
    up_until(&up_connection(0)->ended, 1);
    up->server.answer = UP_HELLO;
    up->server.answer_at_end = true;
    up_goaway(up_connection(0), 0, NGHTTP2_NO_ERROR, NULL);
    up_until(&up->over, 1);
    assert_int_equal(call->status, 200);
    assert_int_equal(up_connection(1)->body, 10);
}

static void test_a_goaway_that_names_no_stream_ends_the_connection_s_use(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    start_many(2);
    up_until(&up->server.requests, 2);
    up_goaway(up_connection(0), INT32_MAX, NGHTTP2_NO_ERROR, NULL);
    for (int i = 0; i < 200 && !up_pooled_at(0)->draining; i++)
        run_turns(up->loop, 1);
    start_many(1);
    up_until(&up->server.requests, 3);
    assert_int_equal(up_connection(1)->requests, 1);
    answer_all(3, 100);
    assert_all_were_answered(0);
}

/* [W01] The peer takes nothing for a while, so that a request is still with us when the word comes. */
static void test_a_request_that_has_not_left_before_goaway_goes_elsewhere(void **state)
{
    (void)state;
    enum { LARGE = 16 << 20 };
    up->server.answer = UP_HOLD;
    up->server.window = LARGE;
    struct up_call *upload = up_start("POST", SIZE_MAX);
    up_until(&up->server.requests, 1);
    nghttp2_session_set_local_window_size(up_connection(0)->session, NGHTTP2_FLAG_NONE, 0, LARGE);
    up_flush(up_connection(0));
    run_turns(up->loop, 5);
    tg_stream_pause(up_connection(0)->stream);
    for (int i = 0; i < 400 && !upload->paused; i++) {
        up_send(upload, 64 * 1024, false);
        run_turns(up->loop, 2);
    }
    assert_true(upload->paused);
    struct up_call *late = up_start("POST", 0);
    run_turns(up->loop, 5);
    assert_int_equal(up->server.requests, 1);
    up_goaway(up_connection(0), 1, NGHTTP2_NO_ERROR, NULL);
    up->server.answer = UP_HELLO;
    run_turns(up->loop, 5);
    tg_stream_resume(up_connection(0)->stream);
    up_until(&up->over, 1);
    assert_int_equal(late->status, 200);
    assert_int_equal(up->server.accepted, 2);
}

static void test_a_goaway_on_an_idle_connection_closes_it(void **state)
{
    (void)state;
    get_to_know_it();
    up_goaway(up_connection(0), 1, NGHTTP2_NO_ERROR, NULL);
    up_until(&up->server.closed, 1);
    assert_int_equal(up_pooled(), 0);
    get_to_know_it();
    assert_all_were_answered(0);
    assert_int_equal(up->server.accepted, 2);
}

/* --- refused and lost --- */

static void test_refused_streams_are_tried_again_and_not_for_ever(void **state)
{
    (void)state;
    up->server.answer = UP_REFUSE;
    struct up_call *call = up_start("POST", 0);
    up_until(&up->over, 1);
    assert_int_equal(call->status, 503);
    assert_int_equal(up->server.refused, 3); /* attempts */
}

/* [O01] */
static void test_a_connection_lost_before_an_answer_is_replaced_once(void **state)
{
    (void)state;
    get_to_know_it();
    up->server.answer = UP_HOLD;
    start_many(5);
    struct up_call *post = up_start("POST", 0);
    up_until(&up->server.requests, 7);
    up->server.answer = UP_HELLO;
    up_close(up_connection(0));
    up_until(&up->over, 7);
    for (int i = 1; i < 6; i++)
        assert_int_equal(up->calls[i].status, 200);
    assert_int_equal(post->status, 502);
    assert_int_equal(up->server.accepted, 2);
}

/* [O04] */
static void test_a_connection_lost_twice_is_answered_for(void **state)
{
    (void)state;
    get_to_know_it();
    up->server.answer = UP_HOLD;
    struct up_call *call = up_get();
    up_until(&up->server.requests, 2);
    up_close(up_connection(0));
    up_until(&up->server.requests, 3);
    up_close(up_connection(1));
    up_until(&up->over, 2);
    assert_int_equal(call->status, 502);
    assert_int_equal(up->server.requests, 3);
}

static void test_a_connection_lost_within_bodies_cuts_the_clients_off(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    start_many(2);
    up_until(&up->server.requests, 2);
    for (int i = 0; i < 2; i++)
        up_respond(up_connection(0), up_connection(0)->streams[i], "200", "hello", false);
    up_flush(up_connection(0));
    up_until(&up->heads, 2);
    up_close(up_connection(0));
    up_until(&up->over, 2);
    assert_true(up->calls[0].reset && up->calls[1].reset);
    assert_int_equal(up_pooled(), 0);
}

static void test_a_response_that_is_whole_outlives_its_connection(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    up->calls[0].stalled = true;
    up_respond(up_connection(0), up_connection(0)->streams[0], "200", "hello", true);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    up_close(up_connection(0));
    for (int i = 0; i < 200 && up_pooled() > 0; i++)
        run_turns(up->loop, 1);
    up_drain(&up->calls[0]);
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].got, 5);
    assert_false(up->calls[0].reset);
}

/* --- liveness --- */

static void test_an_idle_connection_is_closed_in_time(void **state)
{
    (void)state;
    get_to_know_it();
    up_advance(61);
    assert_true(tg_upstream_h2_free_streams(up_pooled_at(0), &up_entry()->terms.h2, NULL) <= 0);
    up_fire(&up_pooled_at(0)->timer);
    up_until(&up->server.closed, 1);
    assert_int_equal(up_pooled(), 0);
}

static void test_a_silent_connection_is_asked_and_given_up(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    up->server.no_ping_ack = true;
    start_many(2);
    up_until(&up->server.requests, 2);
    up_advance(6);
    up_fire(&up_pooled_at(0)->timer);
    up_until(&up->server.pings, 1);
    up_advance(1.5);
    up_fire(&up_pooled_at(0)->timer);
    up_until(&up->over, 2);
    assert_int_equal(up->calls[0].status, 502);
    assert_int_equal(up_pooled(), 0);
}

static void test_a_connection_that_answers_is_kept(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    for (int i = 1; i <= 3; i++) {
        up_advance(6);
        up_fire(&up_pooled_at(0)->timer);
        up_until(&up->server.pings, i);
        run_turns(up->loop, 5);
        up_advance(1.5);
        up_fire(&up_pooled_at(0)->timer);
        assert_int_equal(up_pooled(), 1);
    }
    answer_all(1, 100);
    assert_all_were_answered(0);
}

static void test_a_rested_connection_is_asked_when_it_is_used_again(void **state)
{
    (void)state;
    get_to_know_it();
    up_advance(7);
    get_to_know_it();
    up_until(&up->server.pings, 1);
    get_to_know_it();
    run_turns(up->loop, 5);
    assert_int_equal(up->server.pings, 1);
    assert_int_equal(up->server.accepted, 1);
}

static void test_grpc_gets_few_pings_and_fewer_when_it_complains(void **state)
{
    (void)state;
    up->server.answer = UP_HOLD;
    up_next_field("content-type", "application/grpc");
    up_start("POST", SIZE_MAX);
    up_until(&up->server.requests, 1);
    for (int i = 0; i < 40; i++) { /* 400 seconds */
        up_advance(10);
        up_fire(&up_pooled_at(0)->timer);
        run_turns(up->loop, 5);
    }
    assert_true(up->server.pings <= 2);
    up_goaway(up_connection(0), INT32_MAX, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    for (int i = 0; i < 200 && up_entry()->facts.ping_gap == 0; i++)
        run_turns(up->loop, 1);
    assert_true(up_entry()->facts.ping_gap >= 600);
}

/* --- abuse --- */

static void test_a_flood_of_settings_ends_the_connection(void **state)
{
    (void)state;
    static const uint8_t settings[9] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    for (int i = 0; i < 3000 && up->over == 0; i++) {
        up_write(up_connection(0), settings, sizeof settings);
        if (i % 50 == 0)
            run_turns(up->loop, 1);
    }
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].status, 502);
}

static void test_a_flood_of_empty_data_ends_the_connection(void **state)
{
    (void)state;
    uint8_t data[9] = { 0, 0, 0, 0, 0, 0, 0, 0, 1 };
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    up_respond(up_connection(0), 1, "200", NULL, false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    for (int i = 0; i < 8000 && up->over == 0; i++) {
        up_write(up_connection(0), data, sizeof data);
        if (i % 200 == 0)
            run_turns(up->loop, 1);
    }
    up_until(&up->over, 1);
    assert_true(up->calls[0].reset);
}

/* [W05] Frames of nothing but padding are as empty. */
static void test_a_flood_of_padding_ends_the_connection(void **state)
{
    (void)state;
    uint8_t data[9 + 1] = { 0, 0, 1, 0, NGHTTP2_FLAG_PADDED, 0, 0, 0, 1, 0 };
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    up_respond(up_connection(0), 1, "200", NULL, false);
    up_flush(up_connection(0));
    up_until(&up->heads, 1);
    for (int i = 0; i < 8000 && up->over == 0; i++) {
        up_write(up_connection(0), data, sizeof data);
        if (i % 200 == 0)
            run_turns(up->loop, 1);
    }
    up_until(&up->over, 1);
    assert_true(up->calls[0].reset);
}

static void test_an_endless_header_section_ends_the_connection(void **state)
{
    (void)state;
    static uint8_t frame[9 + 1000] = { 0, 3, 232, 1, 0, 0, 0, 0, 1 }; /* HEADERS without END_HEADERS */
    memset(frame + 9, 0x88, 1000);
    up->server.answer = UP_HOLD;
    start_many(1);
    up_until(&up->server.requests, 1);
    for (int i = 0; i < 100 && up->over == 0; i++) {
        up_write(up_connection(0), frame, sizeof frame);
        frame[3] = 9; /* CONTINUATION */
        run_turns(up->loop, 1);
    }
    up_until(&up->over, 1);
    assert_int_equal(up->calls[0].status, 502);
}

/* --- WebSocket --- */

static void test_a_websocket_goes_over_an_extended_connect(void **state)
{
    (void)state;
    up->server.websocket = true;
    up->server.answer = UP_HOLD;
    up_next_field("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    struct up_call *call = up_websocket();
    up_until(&up->server.requests, 1);
    assert_non_null(strstr(up->server.head, ":method: CONNECT\n:protocol: websocket\n"));
    assert_null(strstr(up->server.head, "sec-websocket-key"));
    up_respond(up_connection(0), 1, "200", NULL, false);
    up_flush(up_connection(0));
    up_until(&up->tunnels, 1);
    assert_int_equal(call->status, 101);
    up_send(call, 1000, false);
    for (int i = 0; i < 200 && up_connection(0)->body < 1000; i++)
        run_turns(up->loop, 1);
    assert_int_equal(up_connection(0)->body, 1000);
    up_data(up_connection(0), 1, 500, true);
    up_until(&up->ends, 1);
    assert_int_equal(call->got, 500);
    up_send(call, 0, true);
    up_until(&up->over, 1);
    assert_false(call->reset);
    up_until(&up_connection(0)->ended, 1);
}

/* Upstream has ended its direction in order, and then it is gone: nobody takes what the client still sends. */
static void test_a_tunnel_whose_second_half_is_reset_ends(void **state)
{
    (void)state;
    up->server.websocket = true;
    up->server.answer = UP_HOLD;
    struct up_call *call = up_websocket();
    up_until(&up->server.requests, 1);
    up_respond(up_connection(0), 1, "200", "hello", false);
    up_flush(up_connection(0));
    up_until(&up->tunnels, 1);
    up_data(up_connection(0), 1, 0, true);
    up_until(&up->ends, 1);
    up_reset(up_connection(0), 1, NGHTTP2_CANCEL);
    up_until(&up->over, 1);
    assert_int_equal(call->got, 5);
}

static void test_a_websocket_that_is_declined_gets_its_answer(void **state)
{
    (void)state;
    up->server.websocket = true;
    up->server.answer = UP_HOLD;
    struct up_call *call = up_websocket();
    up_until(&up->server.requests, 1);
    up_respond(up_connection(0), 1, "403", "hello", true);
    up_flush(up_connection(0));
    up_until(&up->over, 1);
    assert_int_equal(call->status, 403);
    assert_int_equal(call->got, 5);
    up->server.answer = UP_HELLO;
    get_to_know_it();
    assert_int_equal(up->server.accepted, 1);
}

static void test_a_websocket_to_a_peer_that_knows_none_is_refused(void **state)
{
    (void)state;
    struct up_call *call = up_websocket();
    up_until(&up->over, 1);
    assert_int_equal(call->status, 502);
    call = up_websocket();
    up_until(&up->over, 2);
    assert_int_equal(call->status, 502);
    assert_int_equal(up->server.requests, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up_setup, up_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fifty_requests_keep_to_a_limit_of_one_stream),
        TEST(test_fifty_requests_keep_to_a_limit_of_three_streams),
        TEST(test_fifty_requests_fit_a_limit_of_a_hundred_streams),
        TEST(test_what_came_before_the_limit_was_known_is_sent_again),
        TEST(test_a_group_s_own_limits_hold),
        TEST(test_a_limit_lowered_in_use_is_kept_to),
        TEST(test_a_connection_is_added_before_the_others_are_full),
        TEST(test_a_wait_for_a_stream_ends_with_its_time),
        TEST(test_a_client_that_leaves_while_it_waits_is_forgotten),
        TEST(test_clients_that_leave_during_the_dial_leave_a_connection),
        TEST(test_a_failed_dial_fails_all_that_wait_for_it),
        TEST(test_a_peer_that_speaks_http_1_is_no_peer_of_http_2),
        TEST(test_a_refused_stream_behind_a_line_gets_a_connection_too),
        TEST(test_connections_that_end_before_the_settings_aren_t_opened_over_and_over),
        TEST(test_streams_beyond_goaway_go_elsewhere_and_those_below_go_on),
        TEST(test_a_post_beyond_goaway_goes_elsewhere),
        TEST(test_a_goaway_that_names_no_stream_ends_the_connection_s_use),
        TEST(test_a_request_that_has_not_left_before_goaway_goes_elsewhere),
        TEST(test_a_goaway_on_an_idle_connection_closes_it),
        TEST(test_refused_streams_are_tried_again_and_not_for_ever),
        TEST(test_a_connection_lost_before_an_answer_is_replaced_once),
        TEST(test_a_connection_lost_twice_is_answered_for),
        TEST(test_a_connection_lost_within_bodies_cuts_the_clients_off),
        TEST(test_a_response_that_is_whole_outlives_its_connection),
        TEST(test_an_idle_connection_is_closed_in_time),
        TEST(test_a_silent_connection_is_asked_and_given_up),
        TEST(test_a_connection_that_answers_is_kept),
        TEST(test_a_rested_connection_is_asked_when_it_is_used_again),
        TEST(test_grpc_gets_few_pings_and_fewer_when_it_complains),
        TEST(test_a_flood_of_settings_ends_the_connection),
        TEST(test_a_flood_of_empty_data_ends_the_connection),
        TEST(test_a_flood_of_padding_ends_the_connection),
        TEST(test_an_endless_header_section_ends_the_connection),
        TEST(test_a_websocket_goes_over_an_extended_connect),
        TEST(test_a_tunnel_whose_second_half_is_reset_ends),
        TEST(test_a_websocket_that_is_declined_gets_its_answer),
        TEST(test_a_websocket_to_a_peer_that_knows_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
