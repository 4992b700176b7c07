/* Exchanges of gRPC: deadlines, statuses that must not be missing, and ends between messages. */
#include <math.h>

#include "exchange_rig.h"
#include "proxy/grpc_call.h"

#define GRPC "content-type", "application/grpc+proto"

static const char *const plain[] = { GRPC, "te", "trailers", NULL };
static const char *const with_second[] = { GRPC, "grpc-timeout", "1S", NULL };
static const char *const response[] = { GRPC, NULL };

static void call(const char *const *fields)
{
    f->request_fields = fields;
    f->version = TG_HTTP_2;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_CHUNKED, 0);
}

static void call_whole(const char *const *fields)
{
    call(fields);
    tg_exchange_from_client_body(f->exchange, (struct tg_buffer){ NULL, "\0\0\0\0\1x", 6 });
    tg_exchange_from_client_end(f->exchange);
    turn();
}

static void message_comes(void)
{
    tg_exchange_from_upstream_body(f->exchange, (struct tg_buffer){ NULL, "\0\0\0\0\3abc", 8 });
    turn();
}

static void part_of_a_message_comes(void)
{
    tg_exchange_from_upstream_body(f->exchange, (struct tg_buffer){ NULL, "\0\0\0\0\3ab", 7 });
    turn();
}

static void trailers_come(const char *name, const char *value)
{
    struct tg_fields trailers;
    tg_fields_init(&trailers, &f->exchange->arena);
    assert_true(tg_fields_append(&trailers, TG_FIELD_OTHER, tg_slice_from_string(name), tg_slice_from_string(value)));
    tg_exchange_from_upstream_trailers(f->exchange, &trailers);
}

static void time_passes(double seconds)
{
    f->clock.now += seconds;
    turn(); /* the loop reads its clock once a turn */
    if (!f->client_reset && !f->client_detached)
        tg_deadline_set(&f->deadline, tg_exchange_tick(f->exchange));
    turn();
}

static void assert_answered(int status, const char *line)
{
    assert_int_equal(f->status, status);
    assert_true(has_line(f->head, line));
    assert_true(f->got_end);
    assert_false(f->declared_length && status == 200); /* the head is the end [Q01] */
    assert_int_equal(tg_buffer_queue_length(&f->got), 0);
}

static void assert_ended_with(const char *line)
{
    assert_true(f->got_end && !f->client_reset && f->client_detached);
    assert_true(has_line(f->trailers, line));
}

/* --- Our own answers --- */

/* [Q02] [O04] */
static void test_a_failure_of_ours_is_200_with_a_status_and_nothing_else(void **state)
{
    (void)state;
    f->refuse = true;
    call(plain);
    assert_answered(200, "grpc-status: 14");
    assert_true(has_line(f->head, "content-type: application/grpc+proto"));
    assert_non_null(strstr(f->head, "grpc-message: Bad Gateway; request "));
    assert_true(f->client_detached);
}

static void test_a_route_without_an_upstream_is_unavailable(void **state)
{
    (void)state;
    f->snapshot->routes[0].group = NULL;
    call(plain);
    assert_answered(200, "grpc-status: 14");
}

static void test_a_content_type_is_answered_without_its_parameters(void **state)
{
    (void)state;
    static const char *const fields[] = { "content-type", "application/grpc ; q=1", NULL };
    f->refuse = true;
    call(fields);
    assert_true(has_line(f->head, "content-type: application/grpc"));
}

static void test_grpc_web_and_other_methods_are_answered_as_ever(void **state)
{
    (void)state;
    static const char *const fields[] = { "content-type", "application/grpc-web+proto", NULL };
    f->refuse = true;
    call(fields);
    assert_int_equal(f->status, 502);
    f->request_fields = plain;
    get();
    assert_int_equal(f->status, 502);
}

static void test_a_body_over_the_limit_is_resource_exhausted(void **state)
{
    (void)state;
    f->snapshot->routes[0].body_limit = 4;
    call_whole(plain);
    assert_answered(200, "grpc-status: 8");
}

static void test_a_script_error_is_internal(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_FAILED);
    call(plain);
    assert_answered(200, "grpc-status: 13");
}

/* What a handler answers is its own. */
static void test_an_answer_of_a_handler_stays_as_it_is(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_ANSWERED);
    call(plain);
    assert_int_equal(f->status, 403);
    assert_string_equal(f->head, "");
}

static void test_the_error_phase_sees_what_the_status_means_in_http(void **state)
{
    (void)state;
    use_phase(TG_PHASE_ERROR, TG_HOOK_PENDING);
    f->refuse = true;
    call(plain);
    assert_int_equal(f->exchange->error.status, 502);
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_answered(200, "grpc-status: 14");
}

static void check_reset(enum tg_reason reason, const char *line)
{
    call_whole(plain);
    tg_exchange_from_upstream_failed(f->exchange, reason, "said so");
    turn();
    assert_answered(200, line);
}

static void test_a_reset_before_the_head_means_what_grpc_says(void **state)
{
    (void)state;
    check_reset(TG_REASON_CANCELLED, "grpc-status: 1");
    check_reset(TG_REASON_CALM, "grpc-status: 8");
    check_reset(TG_REASON_UNTRUSTED, "grpc-status: 7");
    check_reset(TG_REASON_INVALID, "grpc-status: 13");
    check_reset(TG_REASON_STREAM_RESET, "grpc-status: 13");
    check_reset(TG_REASON_RESET, "grpc-status: 14");
}

static void test_a_connect_that_takes_too_long_is_unavailable(void **state)
{
    (void)state;
    f->fail_connect = TG_REASON_TIMEOUT;
    call(plain);
    assert_answered(200, "grpc-status: 14");
}

/* --- Deadlines --- */

static void test_the_clients_deadline_is_the_limit_and_what_remains_goes_up(void **state)
{
    (void)state;
    use_phase(TG_PHASE_REQUEST, TG_HOOK_PENDING);
    call(with_second);
    assert_true(f->deadline.at < 1001.01);
    f->clock.now += 0.25;
    turn();
    tg_exchange_resume(f->exchange, TG_HOOK_DONE);
    turn();
    assert_non_null(strstr(f->outgoing, "grpc-timeout: 75"));
    time_passes(0.8);
    assert_answered(200, "grpc-status: 4");
    assert_true(f->upstream_reset);
    assert_int_equal(f->upstream_reset_reason, TG_REASON_TIMEOUT);
}

static void test_the_narrower_limit_holds(void **state)
{
    (void)state;
    static const char *const fields[] = { GRPC, "grpc-timeout", "1H", NULL };
    f->snapshot->routes[0].timeouts.total = 2;
    call(fields);
    assert_true(f->deadline.at < 1002.01);
    assert_true(has_line(f->outgoing, "grpc-timeout: 2000000u"));
    time_passes(3);
    assert_answered(200, "grpc-status: 4");
}

static void test_a_malformed_deadline_is_internal_and_nothing_goes_up(void **state)
{
    (void)state;
    static const char *const malformed[] = { GRPC, "grpc-timeout", "1second", NULL };
    static const char *const twice[] = { GRPC, "grpc-timeout", "1S", "grpc-timeout", "1S", NULL };
    call(malformed);
    assert_answered(200, "grpc-status: 13");
    call(twice);
    assert_answered(200, "grpc-status: 13");
    assert_int_equal(f->acquired, 0);
}

static void test_a_deadline_of_nothing_is_over_at_once(void **state)
{
    (void)state;
    static const char *const fields[] = { GRPC, "grpc-timeout", "0n", NULL };
    call(fields);
    assert_answered(200, "grpc-status: 4");
    assert_int_equal(f->acquired, 0);
}

static void test_a_deadline_between_messages_ends_the_stream_with_a_status(void **state)
{
    (void)state;
    call_whole(with_second);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    time_passes(2);
    assert_ended_with("grpc-status: 4");
    assert_int_equal(f->upstream_reset_reason, TG_REASON_TIMEOUT);
    assert_int_equal(tg_buffer_queue_length(&f->got), 8);
}

static void test_a_deadline_inside_a_message_resets_the_stream(void **state)
{
    (void)state;
    call_whole(with_second);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    part_of_a_message_comes();
    time_passes(2);
    assert_true(f->client_reset && !f->got_end);
    assert_int_equal(f->client_reset_reason, TG_REASON_TIMEOUT);
}

/* A stream may be silent for minutes. */
static void test_a_stream_outlasts_the_limit_of_silence_of_other_responses(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    time_passes(600);
    assert_false(f->client_reset || f->got_end);
    message_comes();
    trailers_come("grpc-status", "0");
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_ended_with("grpc-status: 0");
}

/* --- The upstream's response --- */

static void test_what_upstream_says_is_passed_on_as_it_comes(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    turn();
    assert_int_equal(f->status, 200); /* the head waits for no message */
    part_of_a_message_comes();
    assert_int_equal(tg_buffer_queue_length(&f->got), 7); /* and a part of one for no whole */
    tg_exchange_from_upstream_body(f->exchange, bytes("c"));
    trailers_come("grpc-status", "5");
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_ended_with("grpc-status: 5");
    assert_null(strstr(f->trailers, "grpc-message"));
}

/* [Q01] */
static void test_a_trailers_only_answer_stays_one(void **state)
{
    (void)state;
    static const char *const fields[] = { GRPC, "grpc-status", "3", NULL };
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_NONE, 0, fields);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_answered(200, "grpc-status: 3");
    assert_null(strstr(f->head, "grpc-message"));
}

/* [Q01] */
static void test_a_status_behind_an_empty_body_arrives(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    trailers_come("grpc-status", "9");
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_ended_with("grpc-status: 9");
}

/* [Q02] */
static void test_a_missing_status_is_made_of_the_http_status_and_is_never_0(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_ended_with("grpc-status: 2");
}

/* [Q02] */
static void test_a_missing_status_without_a_body_is_in_the_head(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head(503, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_answered(503, "grpc-status: 14");
}

/* [Q02] The length is given up for the trailers. */
static void test_a_page_with_a_length_gets_trailers(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head(404, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_int_equal(f->status, 404);
    assert_false(f->declared_length);
    assert_int_equal(tg_buffer_queue_length(&f->got), 5);
    assert_ended_with("grpc-status: 12");
}

/* [Q02] */
static void test_other_trailers_get_the_status_too(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    trailers_come("x-checksum", "1");
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_ended_with("x-checksum: 1");
    assert_true(has_line(f->trailers, "grpc-status: 2"));
}

/* [Q02] */
static void test_an_upstream_that_dies_between_messages_leaves_a_status(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, "gone");
    turn();
    assert_ended_with("grpc-status: 14");
    assert_true(f->upstream_reset);
}

/* [Q02] */
static void test_an_upstream_that_dies_inside_a_message_breaks_the_stream_off(void **state)
{
    (void)state;
    call_whole(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    part_of_a_message_comes();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_CANCELLED, "gone");
    turn();
    assert_true(f->client_reset && !f->got_end);
    assert_int_equal(f->client_reset_reason, TG_REASON_CANCELLED);
}

/* Such a client would take the last chunk for a good end. */
static void test_a_client_of_http_1_that_asks_for_no_trailers_is_broken_off(void **state)
{
    (void)state;
    f->request_fields = response;
    start(TG_METHOD_POST, TG_SLICE("POST"), TG_FRAMING_NONE, 0);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, "gone");
    turn();
    assert_true(f->client_reset && !f->got_end);
}

static void test_a_page_that_is_no_grpc_is_broken_off_where_it_fails(void **state)
{
    (void)state;
    static const char *const html[] = { "content-type", "text/html", NULL };
    call_whole(plain);
    answer_head_with(502, TG_FRAMING_CHUNKED, 0, html);
    turn();
    tg_exchange_from_upstream_failed(f->exchange, TG_REASON_RESET, "gone");
    turn();
    assert_true(f->client_reset && !f->got_end);
}

static void test_a_body_over_the_limit_ends_a_stream_that_has_begun(void **state)
{
    (void)state;
    f->snapshot->routes[0].body_limit = 10;
    call(plain);
    answer_head_with(200, TG_FRAMING_CHUNKED, 0, response);
    message_comes();
    tg_exchange_from_client_body(f->exchange, bytes("more than ten bytes"));
    turn();
    assert_ended_with("grpc-status: 8");
}

/* --- The request --- */

/* [Q04] */
static void test_a_status_that_the_client_sends_goes_nowhere(void **state)
{
    (void)state;
    static const char *const fields[] = {
        GRPC, "grpc-status", "0", "Grpc-Message", "x", "grpc-status-details-bin", "AAA", "grpc-encoding", "gzip", NULL
    };
    call(fields);
    assert_null(strstr(f->outgoing, "grpc-status"));
    assert_null(strstr(f->outgoing, "essage"));
    assert_true(has_line(f->outgoing, "grpc-encoding: gzip"));
    struct tg_fields trailers;
    tg_fields_init(&trailers, &f->exchange->arena);
    assert_true(tg_grpc_add_status(&trailers, TG_GRPC_OK, TG_SLICE("")));
    tg_exchange_from_client_trailers(f->exchange, &trailers);
    assert_false(tg_grpc_has_status(&f->exchange->request_trailers));
    answer_head(500, TG_FRAMING_LENGTH, 0);
    tg_exchange_from_upstream_end(f->exchange);
    turn();
    assert_answered(500, "grpc-status: 2");
}

static void test_trailers_are_asked_for_whatever_the_client_said(void **state)
{
    (void)state;
    call(response);
    assert_true(f->exchange->outgoing.te_trailers);
    tg_exchange_from_client_left(f->exchange, TG_REASON_CLIENT_LEFT);
    turn();
    assert_int_equal(f->upstream_reset_reason, TG_REASON_CLIENT_LEFT); /* cancels upstream at once */
}

/* Nobody has a word to say for longer than a tunnel may be silent, and nothing else would end it. */
static void test_a_call_that_nobody_goes_on_with_ends(void **state)
{
    (void)state;
    call(plain);
    for (int i = 0; i < 3; i++) {
        time_passes(3000);
        assert_int_equal(f->status, 0);
        tg_exchange_from_client_body(f->exchange, (struct tg_buffer){ NULL, "\0\0\0\0\1x", 6 });
        turn();
    }
    time_passes(3700);
    assert_answered(200, "grpc-status: 4");
    assert_true(f->upstream_reset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_failure_of_ours_is_200_with_a_status_and_nothing_else),
        TEST(test_a_route_without_an_upstream_is_unavailable),
        TEST(test_a_content_type_is_answered_without_its_parameters),
        TEST(test_grpc_web_and_other_methods_are_answered_as_ever),
        TEST(test_a_body_over_the_limit_is_resource_exhausted),
        TEST(test_a_script_error_is_internal),
        TEST(test_an_answer_of_a_handler_stays_as_it_is),
        TEST(test_the_error_phase_sees_what_the_status_means_in_http),
        TEST(test_a_reset_before_the_head_means_what_grpc_says),
        TEST(test_a_connect_that_takes_too_long_is_unavailable),
        TEST(test_the_clients_deadline_is_the_limit_and_what_remains_goes_up),
        TEST(test_the_narrower_limit_holds),
        TEST(test_a_malformed_deadline_is_internal_and_nothing_goes_up),
        TEST(test_a_deadline_of_nothing_is_over_at_once),
        TEST(test_a_deadline_between_messages_ends_the_stream_with_a_status),
        TEST(test_a_deadline_inside_a_message_resets_the_stream),
        TEST(test_a_stream_outlasts_the_limit_of_silence_of_other_responses),
        TEST(test_what_upstream_says_is_passed_on_as_it_comes),
        TEST(test_a_trailers_only_answer_stays_one),
        TEST(test_a_status_behind_an_empty_body_arrives),
        TEST(test_a_missing_status_is_made_of_the_http_status_and_is_never_0),
        TEST(test_a_missing_status_without_a_body_is_in_the_head),
        TEST(test_a_page_with_a_length_gets_trailers),
        TEST(test_other_trailers_get_the_status_too),
        TEST(test_an_upstream_that_dies_between_messages_leaves_a_status),
        TEST(test_an_upstream_that_dies_inside_a_message_breaks_the_stream_off),
        TEST(test_a_client_of_http_1_that_asks_for_no_trailers_is_broken_off),
        TEST(test_a_page_that_is_no_grpc_is_broken_off_where_it_fails),
        TEST(test_a_body_over_the_limit_ends_a_stream_that_has_begun),
        TEST(test_a_status_that_the_client_sends_goes_nowhere),
        TEST(test_trailers_are_asked_for_whatever_the_client_said),
        TEST(test_a_call_that_nobody_goes_on_with_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
