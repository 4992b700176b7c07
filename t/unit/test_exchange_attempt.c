/* Attempts of an exchange: what is sent again, where to, and what stays of the try before. */
#include <math.h>

#include "exchange_rig.h"
#include "proxy/peer.h"

static void upstream_fails(enum tg_reason reason)
{
    tg_exchange_from_upstream_failed(f->exchange, reason, NULL);
    turn();
}

static void post(const char *body)
{
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_LENGTH, strlen(body));
    tg_exchange_from_client_body(f->exchange, bytes(body));
    tg_exchange_from_client_end(f->exchange);
    turn();
}

/* [O02] [W01] */
static void test_what_upstream_did_not_process_goes_to_another_peer_whatever_the_method(void **state)
{
    (void)state;
    use_phase(TG_PHASE_UPSTREAM_REQUEST, TG_HOOK_DONE);
    post("hello");
    struct tg_peer *first = f->asked;
    assert_int_equal(tg_buffer_queue_length(&f->sent), 5);
    tg_buffer_queue_clear(&f->sent);
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_ptr_not_equal(f->asked, first);
    assert_false(f->fresh_asked);
    assert_int_equal(f->upstream_reset_reason, TG_REASON_UNPROCESSED);
    assert_int_equal(f->hook_runs, 2); /* the phase of an attempt runs for each */
    assert_int_equal(f->exchange->attempt, 2);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 5);
    assert_true(f->sent_end);
    answer_whole();
    assert_int_equal(f->status, 200);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
}

/* [O02] [W01] [O04] */
static void test_what_nobody_processes_is_503_after_the_attempts_allowed(void **state)
{
    (void)state;
    post("hello");
    struct tg_peer *peers[2] = { f->asked };
    upstream_fails(TG_REASON_UNPROCESSED);
    peers[1] = f->asked;
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_ptr_equal(f->asked, peers[1]); /* nobody else is left */
    assert_ptr_not_equal(peers[0], peers[1]);
    assert_true(f->fresh_asked);
    assert_int_equal(f->acquired, 3);
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_int_equal(f->acquired, 3);
    assert_int_equal(f->status, 503);
    assert_true(f->client_detached);
}

/* [Q07] [O02] */
static void test_a_body_that_was_not_kept_goes_nowhere_else(void **state)
{
    (void)state;
    f->snapshot->settings.replay_limit = 4;
    post("hello");
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_int_equal(f->acquired, 1);
    assert_int_equal(f->status, 503);
}

/* [Q07] */
static void test_the_rest_of_a_stream_follows_what_is_sent_again(void **state)
{
    (void)state;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_CHUNKED, 0);
    tg_exchange_from_client_body(f->exchange, bytes("one "));
    turn();
    assert_int_equal(tg_buffer_queue_length(&f->sent), 4);
    tg_buffer_queue_clear(&f->sent);
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_int_equal(tg_buffer_queue_length(&f->sent), 4);
    assert_false(f->sent_end);
    tg_exchange_from_client_body(f->exchange, bytes("two"));
    tg_exchange_from_client_end(f->exchange);
    turn();
    assert_int_equal(tg_buffer_queue_length(&f->sent), 7);
    assert_true(f->sent_end);
    answer_whole();
    assert_int_equal(f->status, 200);
}

/* [O04] */
static void test_the_last_failure_is_what_is_answered_for(void **state)
{
    (void)state;
    f->snapshot->groups[0].attempts = 5;
    post("hello");
    f->fail_connect = TG_REASON_REFUSED;
    upstream_fails(TG_REASON_UNPROCESSED);
    assert_int_equal(f->status, 502);
    assert_int_equal(f->acquired, 2);
}

/* [O03] */
static void test_nothing_of_a_try_is_left_in_the_next(void **state)
{
    (void)state;
    static const char *const fields[] = { "x-first", "1", NULL };
    f->reused = true;
    get();
    answer_head_with(421, TG_FRAMING_LENGTH, 3, fields);
    tg_exchange_from_upstream_body(f->exchange, bytes("no\n"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->status, 0);
    assert_int_equal(f->upstream_reset_reason, TG_REASON_MISDIRECTED);
    assert_true(f->fresh_asked);
    assert_int_equal(f->exchange->attempt, 1);
    assert_false(f->exchange->upstream_reused);
    answer_whole();
    assert_int_equal(f->status, 200);
    assert_false(has_line(f->head, "x-first: 1"));
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
}

static void test_a_421_over_a_fresh_connection_is_passed_on(void **state)
{
    (void)state;
    get();
    answer_head(421, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->acquired, 1);
    assert_int_equal(f->status, 421);
}

static void test_a_second_421_is_passed_on(void **state)
{
    (void)state;
    f->reused = true;
    post("hello");
    answer_head(421, TG_FRAMING_LENGTH, 0);
    turn();
    assert_int_equal(f->acquired, 2);
    answer_head(421, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->acquired, 2);
    assert_int_equal(f->status, 421);
}

static void test_a_421_to_a_body_that_was_not_kept_is_passed_on(void **state)
{
    (void)state;
    f->reused = true;
    f->snapshot->settings.replay_limit = 4;
    post("hello");
    answer_head(421, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->acquired, 1);
    assert_int_equal(f->status, 421);
}

/* [O01] Nothing is counted twice. */
static void test_a_repeat_counts_as_one_retry_and_no_failure(void **state)
{
    (void)state;
    struct tg_counters *counters = tg_loop_counters(f->loop);
    f->reused = true;
    get();
    upstream_fails(TG_REASON_RESET);
    answer_whole();
    assert_int_equal((int)counters->values[TG_COUNTER_UPSTREAM_RETRIES], 1);
    assert_int_equal((int)counters->values[TG_COUNTER_UPSTREAM_FAILURES], 0);
    assert_int_equal((int)counters->values[TG_COUNTER_REQUESTS], 1);
}

static void check_end(enum tg_reason reason, int status, const char *code)
{
    use_phase(TG_PHASE_ERROR, TG_HOOK_PENDING);
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_NONE, 0);
    tg_exchange_from_upstream_failed(f->exchange, reason, "what upstream said");
    turn();
    assert_int_equal(f->exchange->error.status, status);
    assert_string_equal(f->exchange->error.code, code);
    assert_string_equal(f->exchange->error.detail, "what upstream said");
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(f->status, status);
}

static void test_a_stream_that_upstream_cancels_is_502(void **state)
{
    (void)state;
    check_end(TG_REASON_CANCELLED, 502, "upstream_failed");
}

static void test_an_upstream_that_asks_for_calm_is_502(void **state)
{
    (void)state;
    check_end(TG_REASON_CALM, 502, "upstream_failed");
}

static void test_an_untrusted_upstream_is_502_and_the_error_phase_learns_why(void **state)
{
    (void)state;
    use_phase(TG_PHASE_ERROR, TG_HOOK_PENDING);
    f->fail_connect = TG_REASON_UNTRUSTED;
    get();
    assert_int_equal(f->acquired, 2);
    assert_int_equal(f->exchange->error.status, 502);
    assert_string_equal(f->exchange->error.code, "upstream_failed");
    assert_string_equal(f->exchange->error.detail, "why it failed");
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_int_equal(f->status, 502);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_upstream_did_not_process_goes_to_another_peer_whatever_the_method),
        TEST(test_what_nobody_processes_is_503_after_the_attempts_allowed),
        TEST(test_a_body_that_was_not_kept_goes_nowhere_else),
        TEST(test_the_rest_of_a_stream_follows_what_is_sent_again),
        TEST(test_the_last_failure_is_what_is_answered_for),
        TEST(test_nothing_of_a_try_is_left_in_the_next),
        TEST(test_a_421_over_a_fresh_connection_is_passed_on),
        TEST(test_a_second_421_is_passed_on),
        TEST(test_a_421_to_a_body_that_was_not_kept_is_passed_on),
        TEST(test_a_repeat_counts_as_one_retry_and_no_failure),
        TEST(test_a_stream_that_upstream_cancels_is_502),
        TEST(test_an_upstream_that_asks_for_calm_is_502),
        TEST(test_an_untrusted_upstream_is_502_and_the_error_phase_learns_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
