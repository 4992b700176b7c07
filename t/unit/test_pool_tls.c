/* Peers under TLS: what is spoken by ALPN, what is trusted, what a cut is, and how idle connections change hands. */
#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/stream_state.h"
#include "run_loop.h"

static struct up_call *get_one(void)
{
    int over = up->over;
    struct up_call *call = up_get();
    up_until(&up->over, over + 1);
    return call;
}

static void assert_answered(const struct up_call *call)
{
    assert_int_equal(call->status, 200);
    assert_int_equal(call->got, 5);
    assert_true(call->end && !call->reset);
}

static void get_many(int count)
{
    int over = up->over;
    for (int i = 0; i < count; i++)
        up_get();
    up_until(&up->over, over + count);
    for (int i = up->call_count - count; i < up->call_count; i++)
        assert_answered(&up->calls[i]);
}

/* --- what is spoken --- */

static void test_a_peer_that_chooses_h2_is_spoken_to_so(void **state)
{
    (void)state;
    assert_answered(get_one());
    assert_non_null(strstr(up->server.head, ":scheme: https\n"));
    get_many(30);
    assert_int_equal(up->server.accepted, 1);
    assert_int_equal(up->server.h1_requests, 0);
    assert_int_equal(atomic_load(&up->peer->alpn), TG_ALPN_H2);
}

static void test_a_first_burst_ends_on_the_connection_that_is_ready_first(void **state)
{
    (void)state;
    get_many(20);
    run_turns(up->loop, 20);
    assert_int_equal(up_pooled(), 1);
    get_many(20);
    assert_int_equal(up_pooled(), 1);
}

/* The server wants it so: RFC 9113 7. */
static void ask_for_h1(struct up_call *call, int requests)
{
    int over = up->over;
    up->server.answer = UP_HOLD;
    up_until(&up->server.requests, requests);
    if (call->want_body)
        up_send(call, 100, true);
    run_turns(up->loop, 5);
    up_reset(up_connection(0), up_connection(0)->streams[requests - 1], NGHTTP2_HTTP_1_1_REQUIRED);
    up_until(&up->over, over + 1);
    assert_answered(call);
    assert_string_equal(call->server_field, "h1");
}

static void test_a_request_that_has_to_go_over_h1_does(void **state)
{
    (void)state;
    assert_answered(get_one());
    ask_for_h1(up_get(), 2);
    ask_for_h1(up_start("POST", 100), 3);
    assert_int_equal(up->server.h1_requests, 2);
    assert_int_equal(up_pooled(), 1);
    up->server.answer = UP_HELLO;
    assert_answered(get_one());
    assert_int_equal(up->server.h1_requests, 2);
}

/* As if the other had been started first. */
static void cross_dials(struct tg_dial *one, struct tg_dial *other)
{
    struct tg_pool_waiter *waiter = one->context, *second = other->context;
    waiter->dial = other;
    second->dial = one;
    one->context = second;
    other->context = waiter;
}

/* The second's dial is ready first, and the first takes it: the second waits with the others, and no longer than they.
 */
static void test_who_gave_his_connection_away_doesn_t_wait_for_ever(void **state)
{
    (void)state;
    up->group->h2_streams = up->group->h2_connections = 1;
    up->group->timeouts.connect = up->group->timeouts.tls = 0.2;
    up->server.answer = UP_HOLD;
    up_get();
    up_get();
    run_turns(up->loop, 1);
    cross_dials(TG_CONTAINER_OF(up_entry()->dials.next, struct tg_dial, link),
                TG_CONTAINER_OF(up_entry()->dials.next->next, struct tg_dial, link));
    up_until(&up->server.requests, 1);
    up_until(&up->over, 1);
    assert_int_equal(up->calls[1].status, 504);
    assert_int_equal(up->server.requests, 1);
}

/* A worker that ends has no generation any more, in what remains of its turn. */
static void test_a_dial_that_ends_behind_its_worker_is_dropped(void **state)
{
    (void)state;
    up_get();
    run_turns(up->loop, 1);
    assert_false(tg_list_empty(&up_entry()->dials));
    up_leave(&up->calls[0]);
    up->worker.current = NULL;
    up_until(&up->server.closed, 1);
    up->worker.current = &up->lease;
    assert_int_equal(up_pooled(), 0);
}

static void test_clients_that_leave_leave_few_dials(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        up_get();
    run_turns(up->loop, 1);
    int dials = 0;
    for (int i = 0; i < 50; i++)
        up_leave(&up->calls[i]);
    run_turns(up->loop, 1);
    for (struct tg_list *link = up_entry()->dials.next; link != &up_entry()->dials; link = link->next)
        dials++;
    assert_true(dials + up_pooled() >= 1 && dials + up_pooled() <= 10);
    run_turns(up->loop, 100);
    assert_answered(get_one());
}

static void test_requests_wait_for_the_one_dial_to_a_peer_known_for_h2(void **state)
{
    (void)state;
    assert_answered(get_one());
    up_close(up_connection(0));
    for (int i = 0; i < 200 && up_pooled() > 0; i++)
        run_turns(up->loop, 1);
    get_many(40);
    assert_int_equal(up->server.accepted, 2);
}

static void test_a_peer_that_chooses_h1_is_spoken_to_so(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    assert_string_equal(get_one()->server_field, "h1");
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 1);
    get_many(10);
    assert_int_equal(up->server.h1_requests, 12);
    assert_int_equal(atomic_load(&up->peer->alpn), TG_ALPN_H1);
}

static void test_a_connection_paused_by_its_last_piece_reads_again(void **state)
{
    (void)state;
    static const uint32_t room = 4;
    up->server.tls = up->h1_only;
    for (int i = 1; i <= 3; i++) {
        struct up_call *call = up_get();
        call->side.room = &room;
        up_until(&up->over, i);
        assert_answered(call);
    }
    assert_int_equal(up->server.accepted, 1);
}

/* [X09] */
static void test_a_peer_that_chooses_otherwise_after_a_restart_is_followed(void **state)
{
    (void)state;
    assert_answered(get_one());
    up->server.tls = up->h1_only;
    up_close(up_connection(0));
    for (int i = 0; i < 200 && up_pooled() > 0; i++)
        run_turns(up->loop, 1);
    get_many(10);
    assert_int_equal(up->server.h1_requests, 10);
    assert_int_equal(up_pooled(), 0);
    up->server.tls = up->both;
    for (int i = 1; i < up->server.accepted; i++)
        up_close(up_connection(i));
    for (int i = 0; i < 200 && atomic_load(&up->peer->idle) > 0; i++)
        run_turns(up->loop, 1);
    assert_answered(get_one());
    assert_int_equal(up->server.h1_requests, 10);
    assert_int_equal(up_pooled(), 1);
}

/* [X09] */
static void test_a_failed_handshake_makes_the_peer_unknown(void **state)
{
    (void)state;
    assert_answered(get_one());
    up->server.tls = up->untrusted;
    up_close(up_connection(0));
    for (int i = 0; i < 200 && up_pooled() > 0; i++)
        run_turns(up->loop, 1);
    assert_int_equal(get_one()->status, 502);
    assert_int_equal(atomic_load(&up->peer->alpn), TG_ALPN_NONE);
}

static void test_an_upgrade_goes_over_http_1(void **state)
{
    (void)state;
    assert_answered(get_one());
    up->server.h1 = "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 5\r\n\r\nhello";
    struct up_call *call = up_websocket();
    up_until(&up->over, 2);
    assert_int_equal(call->status, 426);
    assert_int_equal(up->server.h1_requests, 1);
    assert_int_equal(atomic_load(&up->peer->alpn), TG_ALPN_H2);
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 2);
}

static void test_an_upgrade_goes_over_h2_where_that_is_announced(void **state)
{
    (void)state;
    up->server.websocket = true;
    assert_answered(get_one());
    up->server.answer = UP_HOLD;
    up_websocket();
    up_until(&up->server.requests, 2);
    assert_int_equal(up->server.h1_requests, 0);
    assert_int_equal(up->server.accepted, 1);
}

/* --- what is trusted --- */

/* [X06] */
static void test_a_certificate_that_is_not_trusted_is_answered_for(void **state)
{
    (void)state;
    up->server.tls = up->untrusted;
    for (int i = 0; i < 5; i++)
        up_get();
    up_until(&up->over, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(up->calls[i].status, 502);
    assert_int_equal(up->server.requests + up->server.h1_requests, 0);
}

/* [X08] */
static void test_bytes_before_the_handshake_are_no_response(void **state)
{
    (void)state;
    up->server.tls = NULL;
    up->server.raw = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    struct up_call *call = get_one();
    assert_int_equal(call->status, 502);
    assert_int_not_equal(call->got, 5);
}

static void test_a_handshake_that_never_ends_is_given_up(void **state)
{
    (void)state;
    up->server.tls = NULL;
    up->server.raw = "";
    up->group->timeouts.connect = up->group->timeouts.tls = 0.03;
    assert_int_equal(get_one()->status, 504);
}

static void test_a_second_connection_resumes_the_session_of_the_first(void **state)
{
    (void)state;
    assert_answered(get_one());
    run_turns(up->loop, 5);
    up_close(up_connection(0));
    for (int i = 0; i < 200 && up_pooled() > 0; i++)
        run_turns(up->loop, 1);
    assert_answered(get_one());
    assert_int_equal(up->server.resumed, 1);
}

/* --- cuts --- */

static void cut(int index)
{
    shutdown(up_connection(index)->stream->watch.descriptor, SHUT_WR);
}

/* [T13] */
static void test_a_body_without_length_must_end_with_close_notify(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    up->server.h1 = "HTTP/1.1 200 OK\r\n\r\nhello";
    struct up_call *call = up_get();
    up_until(&up->heads, 1);
    cut(0);
    up_until(&up->over, 1);
    assert_true(call->reset);
    up->server.h1_closes = true;
    assert_answered(get_one());
}

/* [T13] */
static void test_a_body_with_its_length_needs_no_close_notify(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    up->server.h1 = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
    struct up_call *call = up_get();
    up_until(&up->server.h1_requests, 1);
    run_turns(up->loop, 1);
    cut(0);
    up_until(&up->over, 1);
    assert_answered(call);
}

static void test_a_connection_cut_while_idle_is_not_used_again(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    assert_answered(get_one());
    cut(0);
    for (int i = 0; i < 2000 && atomic_load(&up->peer->idle) > 0; i++)
        run_turns(up->loop, 1);
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 2);
}

/* --- who may use a connection --- */

static void test_an_idle_connection_under_tls_is_shared_and_taken_again(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    up->worker.count = 2;
    assert_answered(get_one());
    for (int i = 0; i < 10; i++) {
        int shared = 0;
        for (int turns = 0; turns < 100000 && !shared; turns++) {
            run_turns(up->loop, 1);
            shared = up->peer->parked_count == 1;
        }
        assert_int_equal(shared, 1);
        assert_answered(get_one());
    }
    assert_int_equal(up->server.accepted, 1);
}

/* The group's peer from now on: the same address under other settings, as a plan makes it. */
static void change_peer(const struct tg_tls_client_options *options)
{
    char why[512], identity[1024];
    struct tg_tls_client *client = tg_tls_client_new(up->library, options, why);
    assert_non_null(client);
    struct tg_slice told = tg_tls_client_identity(client);
    int length = snprintf(identity, sizeof identity, "%.*s %.*s", (int)told.length, told.at, (int)up->peer->name.length,
                          up->peer->name.at);
    struct tg_peer *peer = tg_peer_registry_get(up->registry, tg_slice_of(identity, (size_t)length), up->peer->name,
                                                &up->peer->address, TG_PROTOCOL_AUTO, client);
    assert_non_null(peer);
    tg_tls_client_unref(client);
    tg_peer_unref(up->group->peers[0].peer);
    up->group->peers[0].peer = up->peer = peer;
}

/* [X01] [X02] [X03] [X05] */
static void test_settings_that_differ_share_no_connection_and_no_session(void **state)
{
    (void)state;
    struct tls_identity user = tls_server_identity_make("user.example", &up->authority);
    struct tg_tls_client_options plain = { .verify = true,
                                           .ca = tls_file("ca.pem", up->authority.cert_pem),
                                           .offer_h1 = true };
    struct tg_tls_client_options variants[] = { plain, plain, plain, plain };
    variants[1].name = TG_SLICE("a.example");
    variants[2].verify = false;
    variants[3].cert = tls_file("user.pem", user.cert_pem);
    variants[3].key = tls_file("user.key", user.key_pem);
    assert_answered(get_one());
    for (int i = 0; i < 4; i++) {
        change_peer(&variants[i]);
        assert_answered(get_one());
        assert_answered(get_one());
        assert_int_equal(up->server.accepted, i + 2);
    }
    assert_int_equal(up->server.resumed, 0);
    tls_identity_deinit(&user);
}

/* [X04] */
static void test_a_connection_that_stands_for_a_user_is_not_used_again(void **state)
{
    (void)state;
    up->server.tls = up->h1_only;
    up->server.h1 = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic, NTLM TlRM\r\ncontent-length: 5\r\n\r\nhello";
    assert_int_equal(get_one()->status, 401);
    up->server.h1 = NULL;
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 2);
    up_next_field("authorization", "Negotiate YII=");
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 2);
    assert_answered(get_one());
    assert_int_equal(up->server.accepted, 3);
}

/* [X04] */
static void test_credentials_for_a_connection_never_share_one_of_h2(void **state)
{
    (void)state;
    assert_answered(get_one());
    up_next_field("authorization", "NTLM TlRM");
    assert_string_equal(get_one()->server_field, "h1");
    assert_int_equal(up->server.requests, 1);
    assert_int_equal(up->server.accepted, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, up_setup_tls, up_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_peer_that_chooses_h2_is_spoken_to_so),
        TEST(test_a_first_burst_ends_on_the_connection_that_is_ready_first),
        TEST(test_a_request_that_has_to_go_over_h1_does),
        TEST(test_who_gave_his_connection_away_doesn_t_wait_for_ever),
        TEST(test_a_dial_that_ends_behind_its_worker_is_dropped),
        TEST(test_clients_that_leave_leave_few_dials),
        TEST(test_requests_wait_for_the_one_dial_to_a_peer_known_for_h2),
        TEST(test_a_peer_that_chooses_h1_is_spoken_to_so),
        TEST(test_a_connection_paused_by_its_last_piece_reads_again),
        TEST(test_a_peer_that_chooses_otherwise_after_a_restart_is_followed),
        TEST(test_a_failed_handshake_makes_the_peer_unknown),
        TEST(test_an_upgrade_goes_over_http_1),
        TEST(test_an_upgrade_goes_over_h2_where_that_is_announced),
        TEST(test_a_certificate_that_is_not_trusted_is_answered_for),
        TEST(test_bytes_before_the_handshake_are_no_response),
        TEST(test_a_handshake_that_never_ends_is_given_up),
        TEST(test_a_second_connection_resumes_the_session_of_the_first),
        TEST(test_a_body_without_length_must_end_with_close_notify),
        TEST(test_a_body_with_its_length_needs_no_close_notify),
        TEST(test_a_connection_cut_while_idle_is_not_used_again),
        TEST(test_an_idle_connection_under_tls_is_shared_and_taken_again),
        TEST(test_settings_that_differ_share_no_connection_and_no_session),
        TEST(test_a_connection_that_stands_for_a_user_is_not_used_again),
        TEST(test_credentials_for_a_connection_never_share_one_of_h2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
