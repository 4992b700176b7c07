/* The life of an exchange without a socket. */
#include <math.h>

#include "exchange_rig.h"
#include "tls_material.h"

static void test_a_request_goes_up_and_its_answer_comes_down(void **state)
{
    (void)state;
    get();
    assert_int_equal(f->heads_sent, 1);
    assert_true(f->sent_end);
    answer_whole();
    assert_int_equal(f->status, 200);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
    assert_true(f->got_end && f->client_detached && f->upstream_detached);
}

static void test_a_peer_that_refuses_is_tried_after_the_others(void **state)
{
    (void)state;
    f->refuse = true;
    get();
    assert_int_equal(f->acquired, 2); /* each peer once */
    assert_int_equal(f->status, 502);
    assert_true(f->client_detached);
}

/* [O04] */
static void test_peers_that_take_no_connection_in_time_are_answered_for_with_504(void **state)
{
    (void)state;
    f->never_connects = true;
    get();
    for (int i = 0; i < 2; i++) {
        tg_exchange_from_connector_failed(f->exchange, TG_REASON_TIMEOUT, NULL);
        turn();
    }
    assert_int_equal(f->acquired, 2);
    assert_int_equal(f->status, 504);
}

static void test_a_stale_connection_is_replaced_once_for_an_idempotent_request(void **state)
{
    (void)state;
    f->reused = true;
    get();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CUT, NULL);
    turn();
    assert_int_equal(f->acquired, 2);
    assert_true(f->fresh_asked);
    assert_int_equal(f->heads_sent, 2);
    assert_int_equal(f->exchange->attempt, 1); /* it isn't counted */
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CUT, NULL);
    turn();
    assert_int_equal(f->acquired, 2);
    assert_int_equal(f->status, 502);
}

static void test_a_post_is_never_sent_twice(void **state)
{
    (void)state;
    f->reused = true;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_NONE, 0);
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CUT, NULL);
    turn();
    assert_int_equal(f->heads_sent, 1);
    assert_int_equal(f->status, 502);
}

/* What counts is the method that goes up: a handler may have changed it for this attempt. */
static void test_a_get_that_goes_up_as_a_post_is_never_sent_twice(void **state)
{
    (void)state;
    f->reused = true;
    get();
    f->exchange->outgoing.method = TG_METHOD_POST;
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CUT, NULL);
    turn();
    assert_int_equal(f->heads_sent, 1);
    assert_int_equal(f->status, 502);
}

static void test_a_put_is_repeated_with_its_body(void **state)
{
    (void)state;
    f->reused = true;
    start(TG_METHOD_PUT, TG_SLICE("PUT"), TG_FRAMING_LENGTH, 5);
    assert_true(f->body_wanted);
    tg_exchange_from_client_body(f->exchange, bytes("abc"));
    turn();
    tg_exchange_from_client_body(f->exchange, bytes("de"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    assert_true(f->sent_end);
    tg_buffer_queue_clear(&f->sent);
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, NULL);
    turn();
    assert_int_equal(f->heads_sent, 2);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 5);
    assert_true(f->sent_end);
    answer_whole();
    assert_int_equal(f->status, 200);
}

/* [R04] [R08] */
static void test_an_answer_cut_short_is_never_passed_on_as_whole(void **state)
{
    (void)state;
    get();
    answer_head(200, TG_FRAMING_LENGTH, 10);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    turn();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CUT, "cut");
    turn();
    assert_int_equal(f->status, 200);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
    assert_false(f->got_end);
    assert_true(f->client_reset && f->upstream_reset);
}

static void test_upstream_work_is_cancelled_when_the_client_leaves(void **state)
{
    (void)state;
    get();
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
    assert_true(f->upstream_reset);
    assert_int_equal(f->status, 0);
}

/* [M04] in one event, in either order */
static void test_bytes_that_come_while_the_other_side_leaves_reach_nobody(void **state)
{
    (void)state;
    get();
    answer_head(200, TG_FRAMING_LENGTH, 10);
    turn();
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    tg_exchange_from_upstream_body(f->exchange, bytes("world"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_true(f->upstream_reset);
    assert_false(f->got_end);
    assert_int_equal(tg_buffer_queue_length(&f->got), 0);
}

static void test_a_connect_is_abandoned_when_the_client_leaves(void **state)
{
    (void)state;
    f->never_connects = true;
    get();
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
    assert_true(f->canceled);
}

static void test_a_silent_upstream_is_answered_for_with_504(void **state)
{
    (void)state;
    get();
    assert_true(f->deadline.at > 1059 && f->deadline.at < 1061);
    f->clock.now += 61;
    turn(); /* the loop reads its clock once a turn */
    assert_true(tg_exchange_tick(f->exchange) == INFINITY);
    turn();
    assert_int_equal(f->status, 504);
    assert_true(f->upstream_reset && f->client_detached);
}

/* [M02] The client's timer lives in its connection, which must outlast the call. */
static void test_a_timeout_in_the_middle_of_an_answer_is_acted_on_after_the_timers_event(void **state)
{
    (void)state;
    get();
    answer_head(200, TG_FRAMING_LENGTH, 10);
    turn();
    f->clock.now += 61;
    turn();
    assert_true(tg_exchange_tick(f->exchange) == INFINITY);
    assert_false(f->client_reset || f->upstream_reset);
    turn();
    assert_true(f->client_reset && f->upstream_reset);
}

/* [E03] */
static void test_an_upstream_that_never_says_continue_is_answered_for_with_504(void **state)
{
    (void)state;
    f->expect_continue = true;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 5);
    assert_true(f->deadline.at > 1059 && f->deadline.at < 1061);
    f->clock.now += 61;
    turn();
    tg_exchange_tick(f->exchange);
    turn();
    assert_int_equal(f->status, 504);
}

static void test_a_body_of_length_zero_is_whole_with_its_head(void **state)
{
    (void)state;
    start(TG_METHOD_PUT, TG_SLICE("PUT"), TG_FRAMING_LENGTH, 0);
    assert_true(f->sent_end);
    assert_false(f->body_wanted);
    answer_whole();
    assert_true(f->upstream_detached);
}

static void test_a_declared_body_over_the_limit_is_413_before_anything_goes_up(void **state)
{
    (void)state;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 2 << 20);
    assert_int_equal(f->status, 413);
    assert_int_equal(f->acquired, 0);
}

static void test_the_client_is_paused_while_upstream_takes_nothing(void **state)
{
    (void)state;
    f->upstream_paused = true;
    static char much[TG_PIPE_HIGH + 1];
    memset(much, 'x', sizeof much - 1);
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_CHUNKED, 0);
    tg_exchange_from_client_body(f->exchange, bytes(much));
    turn();
    assert_true(f->body_paused);
    f->upstream_paused = false;
    tg_exchange_from_upstream_drained(f->exchange);
    turn();
    assert_false(f->body_paused);
    tg_exchange_from_client_end(f->exchange);
    turn();
    answer_whole();
    assert_int_equal(f->status, 200);
}

static void test_a_phase_that_waits_holds_the_request_back_until_it_is_resumed(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_PENDING);
    get();
    assert_int_equal(f->acquired, 0);
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(f->hook_runs, 1);
    answer_whole();
    assert_int_equal(f->status, 200);
}

static char much[TG_PIPE_HIGH + 1];

static struct tg_buffer more_than_a_pipe_holds(void)
{
    memset(much, 'x', sizeof much - 1);
    return bytes(much);
}

static void test_upstream_is_paused_while_a_handler_keeps_its_answer_waiting(void **state)
{
    (void)state;
    use_phase(TG_PHASE_RESPONSE, TG_HOOK_PENDING);
    get();
    answer_head(200, TG_FRAMING_LENGTH, TG_PIPE_HIGH);
    tg_exchange_from_upstream_body(f->exchange, more_than_a_pipe_holds());
    turn();
    assert_true(f->upstream_held);
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_false(f->upstream_held);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_true(f->got_end && f->client_detached);
}

static void test_the_client_is_paused_while_a_request_is_sent_again(void **state)
{
    (void)state;
    f->reused = true;
    start(TG_METHOD_PUT, TG_SLICE("PUT"), TG_FRAMING_CHUNKED, 0);
    f->never_connects = true;
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, NULL);
    turn();
    assert_int_equal(f->acquired, 2);
    tg_exchange_from_client_body(f->exchange, more_than_a_pipe_holds());
    turn();
    assert_true(f->body_paused);
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
}

static void test_a_body_over_the_limit_is_answered_once_and_reads_no_further(void **state)
{
    (void)state;
    use_phase(TG_PHASE_ERROR, TG_HOOK_PENDING);
    f->snapshot->routes[0].body_limit = 4;
    start(TG_METHOD_PUT, TG_SLICE("PUT"), TG_FRAMING_CHUNKED, 0);
    tg_exchange_from_client_body(f->exchange, bytes("hello"));
    turn();
    assert_true(f->body_paused);
    tg_exchange_from_client_body(f->exchange, bytes("world"));
    turn();
    tg_exchange_from_client_problem(f->exchange, &(struct tg_problem){ 408, "too slow" });
    turn();
    assert_int_equal(f->hook_runs, 1);
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(f->status, 413);
    assert_true(f->got_end && f->client_detached);
}

/* [M01] */
static void test_what_upstream_still_sends_is_no_part_of_a_handlers_answer(void **state)
{
    (void)state;
    use_phase(TG_PHASE_RESPONSE, TG_HOOK_PENDING);
    get();
    answer_head(200, TG_FRAMING_LENGTH, 10);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    turn();
    assert_true(tg_exchange_respond(f->exchange, 403, NULL));
    assert_true(f->upstream_reset);
    tg_exchange_resume(f->exchange, TG_HOOK_ANSWERED);
    turn();
    assert_int_equal(f->status, 403);
    assert_int_equal(tg_buffer_queue_length(&f->got), 0);
    assert_true(f->got_end && f->client_detached);
}

/* [U03] */
static void test_a_tunnel_that_upstream_ends_right_behind_its_101_is_ended_for_the_client(void **state)
{
    (void)state;
    get();
    answer_head(101, TG_FRAMING_CLOSE, 0);
    tg_exchange_from_upstream_body(f->exchange, bytes("hi"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(tg_buffer_queue_length(&f->got), 2);
    assert_true(f->got_end);
    assert_false(f->client_detached); /* the client's direction is still open */
    tg_exchange_from_client_body(f->exchange, bytes("bye"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    assert_int_equal(tg_buffer_queue_length(&f->sent), 3);
    assert_true(f->sent_end && f->client_detached && f->upstream_detached);
}

/* [U04] [U05] */
static void test_only_a_101_becomes_the_tunnel_of_an_extended_connect(void **state)
{
    (void)state;
    f->extended_connect = true;
    get();
    answer_whole();
    assert_int_equal(f->status, 502);
    assert_true(f->upstream_reset && f->client_detached);
    tg_buffer_queue_clear(&f->got);
    get();
    answer_head(404, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->status, 404);
    f->snapshot->routes[0].respond_status = 200;
    get();
    assert_int_equal(f->status, 501);
}

/* [U04] */
static void test_what_comes_before_an_extended_connect_is_answered_waits_for_the_tunnel(void **state)
{
    (void)state;
    f->extended_connect = true;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_PENDING);
    get();
    tg_exchange_from_client_body(f->exchange, bytes("early"));
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(f->heads_sent, 1);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 0);
    answer_head(101, TG_FRAMING_NONE, 0);
    turn();
    assert_int_equal(f->status, 101);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 5);
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
}

/* [U04] [U05] */
static void test_a_tunnel_before_the_request_is_whole_is_502(void **state)
{
    (void)state;
    f->upstream_paused = true;
    start(TG_METHOD_GET, TG_SLICE("GET"), TG_FRAMING_LENGTH, 5);
    tg_exchange_from_client_body(f->exchange, bytes("hello"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    answer_head(101, TG_FRAMING_NONE, 0);
    turn();
    assert_int_equal(f->status, 502);
    assert_true(f->upstream_reset && f->client_detached);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 0);
}

static void test_a_listener_may_send_all_clients_to_https(void **state)
{
    (void)state;
    struct tg_listener_config listener = { .name = TG_SLICE("clear"), .redirect_to_https = true, .redirect_port = 443 };
    const char *why;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:80"), &listener.address, &why));
    f->snapshot->listeners = &listener;
    f->snapshot->listener_count = 1;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_ANSWERED);
    f->path = "//evil.example/%41?";
    get();
    assert_int_equal(f->status, 308);
    assert_true(has_line(f->head, "location: https://a//evil.example/%41?"));
    listener.redirect_port = 8443;
    f->path = "/b";
    get();
    assert_true(has_line(f->head, "location: https://a:8443/b"));
    assert_int_equal(f->hook_runs, 0);
    assert_int_equal(f->acquired, 0);
    f->snapshot->listener_count = 0;
}

static struct tg_tls_certificate certificate_of(const struct tls_identity *identity)
{
    return (struct tg_tls_certificate){ .cert = tls_file("a.pem", identity->cert_pem),
                                        .key = tls_file("a.key", identity->key_pem) };
}

/* [T03] */
static void test_a_host_that_the_tls_connection_is_not_for_is_421_and_seen_by_no_handler(void **state)
{
    (void)state;
    char why[512] = "";
    struct tls_identity authority = tls_authority_make("authority");
    struct tls_identity open = tls_server_identity_make("open.example", &authority);
    struct tls_identity closed = tls_server_identity_make("a", &authority);
    struct tg_tls_certificate entries[2] = { certificate_of(&open), certificate_of(&closed) };
    entries[1].client_auth = TG_CLIENT_AUTH_REQUIRE;
    entries[1].client_ca = tls_file("ca.pem", authority.cert_pem);
    struct tg_tls_library *library = tg_tls_library_open(false, why);
    struct tg_tls_server_options options = { .certificates = entries, .count = 2 };
    struct tg_tls_facts facts = { .references = 10, .server = tg_tls_server_new(library, NULL, &options, why) };
    assert_non_null(facts.server);
    facts.policy = tg_tls_server_policy_of(facts.server, TG_SLICE("open.example"));
    f->info.tls = &facts;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_ANSWERED);
    get(); /* of host "a" */
    assert_int_equal(f->status, 421);
    assert_int_equal(f->hook_runs, 0);
    facts.policy = tg_tls_server_policy_of(facts.server, TG_SLICE("a"));
    get();
    assert_int_equal(f->status, 403);
    assert_int_equal(facts.references, 10);
    tg_tls_server_unref(facts.server);
    tg_tls_library_close(library);
    tls_identity_deinit(&open);
    tls_identity_deinit(&closed);
    tls_identity_deinit(&authority);
}

/* [W03] */
static void test_an_answer_that_is_whole_while_the_body_still_comes_ends_the_exchange(void **state)
{
    (void)state;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, 100);
    tg_exchange_from_client_body(f->exchange, bytes("part"));
    turn();
    answer_head(200, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->status, 200);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
    assert_true(f->got_end && f->client_detached && !f->client_reset);
    assert_true(f->upstream_reset && !f->upstream_detached); /* the request is not over there [D01] */
    assert_int_equal(f->upstream_reset_reason, TG_REASON_NONE);
}

/* [W03] */
static void test_a_reset_behind_the_declared_length_takes_nothing_away(void **state)
{
    (void)state;
    get();
    answer_head(200, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CANCELLED, "CANCEL");
    turn();
    assert_int_equal(f->status, 200);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
    assert_true(f->got_end && f->client_detached && !f->client_reset);
    get();
    answer_head(200, TG_FRAMING_LENGTH, 6);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    turn();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_STREAM_RESET, "NO_ERROR");
    turn();
    assert_true(f->client_reset && !f->got_end);
}

/* Streams of one connection lend the same timer to their exchanges. */
static void test_exchanges_that_share_a_timer_only_move_it_earlier(void **state)
{
    (void)state;
    get();
    struct tg_exchange *slow = f->exchange;
    assert_true(f->deadline.at > 1059 && f->deadline.at < 1061);
    f->snapshot->routes[0].timeouts.total = 10;
    get();
    struct tg_exchange *quick = f->exchange;
    assert_true(f->deadline.at < 1010.01);
    f->clock.now += 5;
    turn();
    f->exchange = slow;
    answer_head(200, TG_FRAMING_CHUNKED, 0); /* silence has a later end now */
    turn();
    assert_true(f->deadline.at < 1010.01);
    f->exchange = quick;
    answer_whole();
    assert_true(f->client_detached);
    assert_true(f->deadline.at < 1010.01); /* it isn't theirs to clear */
    f->exchange = slow;
    assert_true(tg_exchange_tick(slow) > 1064 && tg_exchange_tick(slow) < 1066);
    f->clock.now += 61;
    turn();
    assert_true(tg_exchange_tick(slow) == INFINITY);
    turn();
    assert_true(f->client_reset);
}

static void test_one_exchanges_end_of_time_is_not_the_others(void **state)
{
    (void)state;
    get();
    struct tg_exchange *patient = f->exchange;
    f->snapshot->routes[0].timeouts.total = 10;
    get();
    struct tg_exchange *hasty = f->exchange;
    f->clock.now += 11;
    tg_deadline_set(&f->deadline, INFINITY); /* as its owner does when it fires, asking each of them */
    turn();
    assert_true(tg_exchange_tick(hasty) == INFINITY);
    assert_true(tg_exchange_tick(patient) > 1059);
    turn();
    assert_int_equal(f->status, 504);
    f->exchange = patient;
    answer_whole();
    assert_int_equal(f->status, 200);
}

static void test_interim_responses_are_passed_on_up_to_a_limit(void **state)
{
    (void)state;
    get();
    struct tg_response_head head = { .status = 103, .version = TG_HTTP_2 };
    tg_fields_init(&head.fields, &f->exchange->arena);
    for (int i = 0; i < 8; i++)
        tg_exchange_from_upstream_informational(f->exchange, &head);
    assert_int_equal(f->informational, 8);
    tg_exchange_from_upstream_informational(f->exchange, &head);
    turn();
    assert_int_equal(f->informational, 8);
    assert_int_equal(f->status, 502);
}

/* What HTTP/2 may carry beside a length. [V10] */
static void test_trailers_come_with_the_end_whatever_the_framing(void **state)
{
    (void)state;
    struct tg_fields trailers;
    get();
    tg_fields_init(&trailers, &f->exchange->arena);
    assert_true(tg_fields_append(&trailers, TG_FIELD_OTHER, TG_SLICE("x-sum"), TG_SLICE("5")));
    answer_head(200, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_trailers(f->exchange, &trailers);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_true(f->got_end && f->declared_length);
    assert_true(has_line(f->trailers, "x-sum: 5"));
    assert_true(f->client_detached && f->upstream_detached);
}

static void test_a_waiting_phase_is_cancelled_once_when_the_client_leaves(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_PENDING);
    get();
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
    assert_int_equal(f->hook_cancels, 1);
}

static void test_a_handler_may_answer_and_nothing_goes_up(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_ANSWERED);
    get();
    assert_int_equal(f->status, 403);
    assert_int_equal(f->acquired, 0);
}

static void test_a_script_error_before_the_head_is_500(void **state)
{
    (void)state;
    use_phase(TG_PHASE_RESPONSE, TG_HOOK_FAILED);
    get();
    answer_whole();
    assert_int_equal(f->status, 500);
    assert_int_equal(f->hook_runs, 1);
}

static void whole_ready(struct tg_exchange *exchange)
{
    (void)exchange;
}

/* A handler wants all of it; what the client's connection has room for says nothing about that. */
static void test_a_response_that_is_wanted_whole_comes_whole_to_a_client_with_little_room(void **state)
{
    (void)state;
    static const uint32_t room = 4;
    f->hooks.whole_ready = whole_ready;
    f->client.room = &room;
    use_phase(TG_PHASE_UPSTREAM_RESPONSE, TG_HOOK_PENDING);
    get();
    answer_head(200, TG_FRAMING_LENGTH, 15);
    turn();
    assert_false(tg_exchange_from_upstream_body(f->exchange, bytes("lazy ")));
    f->upstream_held = true;
    assert_int_equal(tg_exchange_whole_response(f->exchange, 100), TG_WHOLE_WAIT);
    turn();
    assert_false(f->upstream_held);
    assert_true(tg_exchange_from_upstream_body(f->exchange, bytes("lighthouse")));
    tg_exchange_from_upstream_end(f->exchange);
    assert_int_equal(tg_exchange_whole_response(f->exchange, 100), TG_WHOLE_READY);
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(tg_buffer_queue_length(&f->got), 15);
    assert_true(f->client_detached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_goes_up_and_its_answer_comes_down),
        TEST(test_a_peer_that_refuses_is_tried_after_the_others),
        TEST(test_peers_that_take_no_connection_in_time_are_answered_for_with_504),
        TEST(test_a_stale_connection_is_replaced_once_for_an_idempotent_request),
        TEST(test_a_post_is_never_sent_twice),
        TEST(test_a_get_that_goes_up_as_a_post_is_never_sent_twice),
        TEST(test_a_put_is_repeated_with_its_body),
        TEST(test_an_answer_cut_short_is_never_passed_on_as_whole),
        TEST(test_upstream_work_is_cancelled_when_the_client_leaves),
        TEST(test_bytes_that_come_while_the_other_side_leaves_reach_nobody),
        TEST(test_a_connect_is_abandoned_when_the_client_leaves),
        TEST(test_a_silent_upstream_is_answered_for_with_504),
        TEST(test_a_declared_body_over_the_limit_is_413_before_anything_goes_up),
        TEST(test_the_client_is_paused_while_upstream_takes_nothing),
        TEST(test_a_phase_that_waits_holds_the_request_back_until_it_is_resumed),
        TEST(test_a_waiting_phase_is_cancelled_once_when_the_client_leaves),
        TEST(test_a_handler_may_answer_and_nothing_goes_up),
        TEST(test_a_script_error_before_the_head_is_500),
        TEST(test_a_timeout_in_the_middle_of_an_answer_is_acted_on_after_the_timers_event),
        TEST(test_an_upstream_that_never_says_continue_is_answered_for_with_504),
        TEST(test_a_body_of_length_zero_is_whole_with_its_head),
        TEST(test_upstream_is_paused_while_a_handler_keeps_its_answer_waiting),
        TEST(test_the_client_is_paused_while_a_request_is_sent_again),
        TEST(test_a_body_over_the_limit_is_answered_once_and_reads_no_further),
        TEST(test_what_upstream_still_sends_is_no_part_of_a_handlers_answer),
        TEST(test_a_tunnel_that_upstream_ends_right_behind_its_101_is_ended_for_the_client),
        TEST(test_a_tunnel_before_the_request_is_whole_is_502),
        TEST(test_what_comes_before_an_extended_connect_is_answered_waits_for_the_tunnel),
        TEST(test_only_a_101_becomes_the_tunnel_of_an_extended_connect),
        TEST(test_a_listener_may_send_all_clients_to_https),
        TEST(test_a_host_that_the_tls_connection_is_not_for_is_421_and_seen_by_no_handler),
        TEST(test_an_answer_that_is_whole_while_the_body_still_comes_ends_the_exchange),
        TEST(test_a_reset_behind_the_declared_length_takes_nothing_away),
        TEST(test_exchanges_that_share_a_timer_only_move_it_earlier),
        TEST(test_one_exchanges_end_of_time_is_not_the_others),
        TEST(test_interim_responses_are_passed_on_up_to_a_limit),
        TEST(test_trailers_come_with_the_end_whatever_the_framing),
        TEST(test_a_response_that_is_wanted_whole_comes_whole_to_a_client_with_little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
