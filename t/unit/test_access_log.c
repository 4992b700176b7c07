#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/access_log.h"

struct fixture {
    struct tg_clock clock;
    struct tg_worker worker;
    struct tg_snapshot snapshot;
    struct tg_lease lease;
    struct tg_route route;
    struct tg_group group;
    struct tg_peer peer;
    struct tg_exchange exchange;
    struct tg_text extra;
    char line[64 * 1024];
    size_t length, lines;
};

static double fixed_wall(struct tg_clock *clock)
{
    (void)clock;
    return 1764000000.0625;
}

static double fixed_monotonic(struct tg_clock *clock)
{
    (void)clock;
    return 50;
}

static struct tg_ip ip_of(const char *text)
{
    struct tg_ip ip;
    assert_true(tg_ip_parse(tg_slice_from_string(text), &ip));
    return ip;
}

static void describe_request(struct tg_exchange *exchange)
{
    struct tg_request_head *head = &exchange->request;
    head->method_text = TG_SLICE("GET");
    head->version = TG_HTTP_1_1;
    head->authority.text = TG_SLICE("shop.example");
    head->target.path = TG_SLICE("/cart");
    head->target.raw_path = TG_SLICE("/%63art");
    exchange->client.ip = exchange->peer_ip = ip_of("203.0.113.9");
    exchange->listener = TG_SLICE("127.0.0.1:8080");
    memcpy(exchange->id, "0123456789abcdef0123456789abcdef", 32);
}

static void describe_response(struct tg_exchange *exchange)
{
    exchange->logged_status = 200;
    exchange->from = TG_FROM_UPSTREAM;
    exchange->bytes_in = 7;
    exchange->bytes_out = 128;
    exchange->attempt = 2;
    exchange->upstream_reused = true;
    exchange->times = (struct tg_exchange_times){
        .started = 10,
        .routed = 10,
        .request_done = 10.001,
        .connect_started = 10.0015,
        .connected = 10.0025,
        .first_byte = 10.0105,
        .head_sent = 10.011,
        .ended = 10.0125,
        .script = 0.0002,
    };
}

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct tg_exchange *exchange = &fixture->exchange;
    fixture->clock = (struct tg_clock){ fixed_monotonic, fixed_wall };
    fixture->worker.id = 3;
    fixture->worker.loop = tg_loop_new(&fixture->clock, &fixture->worker);
    fixture->worker.log = tg_log_ring_new(256 * 1024, NULL, NULL);
    tg_text_init(&fixture->worker.line);
    tg_text_init(&fixture->extra);
    fixture->snapshot.generation = 42;
    fixture->lease.snapshot = &fixture->snapshot;
    fixture->route.name = TG_SLICE("cart");
    fixture->group.name = TG_SLICE("app");
    fixture->peer.name = TG_SLICE("10.0.0.1:9000");
    exchange->worker = &fixture->worker;
    exchange->lease = &fixture->lease;
    exchange->route = &fixture->route;
    exchange->group = &fixture->group;
    exchange->peer = &fixture->peer;
    describe_request(exchange);
    describe_response(exchange);
    *state = fixture;
    return fixture->worker.loop && fixture->worker.log ? 0 : 1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    tg_log_ring_free(fixture->worker.log);
    tg_text_deinit(&fixture->worker.line);
    tg_text_deinit(&fixture->extra);
    tg_loop_free(fixture->worker.loop);
    free(fixture);
    return 0;
}

static bool take_line(void *context, enum tg_log_target target, struct tg_slice line)
{
    struct fixture *fixture = context;
    assert_int_equal(target, TG_LOG_TO_ACCESS);
    assert_true(line.length < sizeof(fixture->line));
    memcpy(fixture->line, line.at, line.length);
    fixture->length = line.length;
    fixture->lines++;
    return true;
}

/* The one line that was written; it must be one line of JSON in UTF-8. */
static json_t *written_line(struct fixture *fixture)
{
    json_error_t error;
    fixture->lines = 0;
    tg_access_log_write(&fixture->exchange);
    tg_log_ring_drain(fixture->worker.log, take_line, fixture);
    assert_int_equal(fixture->lines, 1);
    assert_int_equal(fixture->line[fixture->length - 1], '\n');
    assert_null(memchr(fixture->line, '\n', fixture->length - 1));
    json_t *parsed = json_loadb(fixture->line, fixture->length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!parsed)
        fail_msg("%s: %.*s", error.text, (int)fixture->length, fixture->line);
    return parsed;
}

static const char *text_of(json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void a_line_tells_who_asked_what_and_how_it_was_answered(void **state)
{
    json_t *line = written_line(*state);
    assert_string_equal(text_of(line, "time"), "2025-11-24T16:00:00.062Z");
    assert_string_equal(text_of(line, "id"), "0123456789abcdef0123456789abcdef");
    assert_string_equal(text_of(line, "ip"), "203.0.113.9");
    assert_null(json_object_get(line, "peer_ip"));
    assert_string_equal(text_of(line, "method"), "GET");
    assert_string_equal(text_of(line, "host"), "shop.example");
    assert_string_equal(text_of(line, "path"), "/cart");
    assert_null(json_object_get(line, "query"));
    assert_string_equal(text_of(line, "version"), "1.1");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    assert_string_equal(text_of(line, "from"), "upstream");
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_in")), 7);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_out")), 128);
    json_decref(line);
}

static void a_line_tells_where_the_request_went(void **state)
{
    json_t *line = written_line(*state);
    assert_string_equal(text_of(line, "upstream"), "app");
    assert_string_equal(text_of(line, "peer"), "10.0.0.1:9000");
    assert_int_equal(json_integer_value(json_object_get(line, "attempts")), 2);
    assert_true(json_is_true(json_object_get(line, "reused")));
    assert_string_equal(text_of(line, "route"), "cart");
    assert_int_equal(json_integer_value(json_object_get(line, "generation")), 42);
    assert_string_equal(text_of(line, "listener"), "127.0.0.1:8080");
    assert_int_equal(json_integer_value(json_object_get(line, "worker")), 3);
    assert_null(json_object_get(line, "error"));
    json_decref(line);
}

static void times_are_milliseconds_of_each_stage_that_was_reached(void **state)
{
    struct fixture *fixture = *state;
    json_t *line = written_line(fixture);
    assert_non_null(strstr(fixture->line, "\"ms\":{\"total\":12.500,\"queue\":0.500,\"connect\":1.000,"
                                          "\"first_byte\":8.000,\"script\":0.200}"));
    json_decref(line);
    fixture->exchange.times = (struct tg_exchange_times){ .started = 1, .ended = 3.25 };
    line = written_line(fixture);
    assert_non_null(strstr(fixture->line, "\"ms\":{\"total\":2250.000}"));
    json_decref(line);
}

static void a_client_behind_a_trusted_proxy_is_told_from_the_proxy(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.client.ip = ip_of("2001:db8::7");
    json_t *line = written_line(fixture);
    assert_string_equal(text_of(line, "ip"), "2001:db8::7");
    assert_string_equal(text_of(line, "peer_ip"), "203.0.113.9");
    json_decref(line);
}

static void an_answer_of_the_gateway_itself_says_why(void **state)
{
    struct fixture *fixture = *state;
    struct tg_exchange *exchange = &fixture->exchange;
    exchange->attempt = 0;
    exchange->from = TG_FROM_GATEWAY;
    exchange->logged_status = 499;
    exchange->error = (struct tg_exchange_error){ 404, "no_route", "nothing matches", TG_REASON_NONE };
    exchange->end_reason = TG_REASON_CLIENT_LEFT;
    json_t *line = written_line(fixture);
    assert_null(json_object_get(line, "upstream"));
    assert_null(json_object_get(line, "reused"));
    assert_string_equal(text_of(line, "from"), "gateway");
    assert_string_equal(text_of(line, "error"), "no_route");
    assert_string_equal(text_of(line, "detail"), "nothing matches");
    assert_string_equal(text_of(line, "ended"), "client_left");
    json_decref(line);
}

static void what_scripts_add_stands_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    tg_text_append(&fixture->extra, TG_SLICE(",\"user\":\"u1\",\"plan\":2"));
    fixture->exchange.log_fields = &fixture->extra;
    json_t *line = written_line(fixture);
    assert_string_equal(text_of(line, "user"), "u1");
    assert_int_equal(json_integer_value(json_object_get(line, "plan")), 2);
    json_decref(line);
}

/* [A01] */
static void no_byte_of_a_request_can_forge_a_line_or_break_the_json(void **state)
{
    struct fixture *fixture = *state;
    struct tg_request_head *head = &fixture->exchange.request;
    const char hostile[] = "a\"b\\c\r\n{\"status\":200}\x1b[31m\x7f\x01\xff\xc0\xaf\xed\xa0\x80\xe2\x82";
    head->method_text = head->authority.text = head->target.path = TG_SLICE(hostile);
    head->target.query = TG_SLICE(hostile);
    head->target.has_query = true;
    fixture->route.name = fixture->group.name = fixture->exchange.listener = TG_SLICE(hostile);
    json_t *line = written_line(fixture);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    for (size_t i = 0; i < fixture->length - 1; i++)
        assert_true((unsigned char)fixture->line[i] >= 0x20 && fixture->line[i] != 0x7f);
    json_decref(line);
}

/* [A02] Each length, so that the escape is the last thing that fits the text's room, and each byte. */
static void values_that_end_in_a_control_byte_are_whole_at_every_length(void **state)
{
    struct fixture *fixture = *state;
    char path[1200];
    memset(path, 'x', sizeof(path));
    for (size_t length = 1; length < sizeof(path); length++) {
        path[length - 1] = (char)(length % 256);
        fixture->exchange.request.target.path = tg_slice_of(path, length);
        json_t *line = written_line(fixture);
        assert_true(json_string_length(json_object_get(line, "path")) >= length);
        json_decref(line);
        path[length - 1] = 'x';
    }
}

static void a_request_that_could_not_be_parsed_still_has_a_line(void **state)
{
    struct fixture *fixture = *state;
    struct tg_exchange *exchange = &fixture->exchange;
    exchange->request = (struct tg_request_head){ 0 };
    exchange->route = NULL;
    exchange->group = NULL;
    exchange->peer = NULL;
    exchange->lease = NULL;
    exchange->attempt = 0;
    exchange->logged_status = 400;
    json_t *line = written_line(fixture);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 400);
    assert_null(json_object_get(line, "path"));
    assert_null(json_object_get(line, "generation"));
    json_decref(line);
}

static void no_line_is_written_where_settings_or_a_handler_say_so(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.log_skip = true;
    tg_access_log_write(&fixture->exchange);
    fixture->exchange.log_skip = false;
    fixture->snapshot.settings.access_log_off = true;
    tg_access_log_write(&fixture->exchange);
    assert_int_equal(tg_log_ring_drain(fixture->worker.log, take_line, fixture), 0);
}

static int64_t counted(struct fixture *fixture, enum tg_counter counter)
{
    return atomic_load(&tg_loop_counters(fixture->worker.loop)->values[counter]);
}

static void lines_are_counted_and_so_are_those_that_find_no_room(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2000; i++)
        tg_access_log_write(&fixture->exchange);
    int64_t dropped = counted(fixture, TG_COUNTER_LOG_LINES_DROPPED);
    assert_true(dropped > 0);
    assert_int_equal(counted(fixture, TG_COUNTER_LOG_LINES) + dropped, 2000);
    assert_int_equal(tg_log_ring_dropped(fixture->worker.log), dropped);
    tg_log_ring_drain(fixture->worker.log, take_line, fixture);
    assert_int_equal(fixture->lines, counted(fixture, TG_COUNTER_LOG_LINES));
}

static bool drop_line(void *context, enum tg_log_target target, struct tg_slice line)
{
    (void)context, (void)target, (void)line;
    return true;
}

static void a_line_costs_a_few_microseconds_at_most(void **state)
{
    struct fixture *fixture = *state;
    double best = 1e9;
    for (int round = 0; round < 20; round++) {
        struct timespec from, to;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (int i = 0; i < 200; i++)
            tg_access_log_write(&fixture->exchange);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        tg_log_ring_drain(fixture->worker.log, drop_line, NULL);
        double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
        best = seconds < best ? seconds : best;
    }
    print_message("%.2f us a line\n", best / 200 * 1e6);
    assert_true(best / 200 < 30e-6);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(a_line_tells_who_asked_what_and_how_it_was_answered),
        T(a_line_tells_where_the_request_went),
        T(times_are_milliseconds_of_each_stage_that_was_reached),
        T(a_client_behind_a_trusted_proxy_is_told_from_the_proxy),
        T(an_answer_of_the_gateway_itself_says_why),
        T(what_scripts_add_stands_at_the_end),
        T(no_byte_of_a_request_can_forge_a_line_or_break_the_json),
        T(values_that_end_in_a_control_byte_are_whole_at_every_length),
        T(a_request_that_could_not_be_parsed_still_has_a_line),
        T(no_line_is_written_where_settings_or_a_handler_say_so),
        T(lines_are_counted_and_so_are_those_that_find_no_room),
        T(a_line_costs_a_few_microseconds_at_most),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
