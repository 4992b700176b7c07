#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "http/h1_parse.h"
#include "proxy/error_page.h"
#include "proxy/forwarding.h"
#include "proxy/reason.h"

struct fixture {
    struct tg_exchange exchange;
    struct tg_route route;
    struct tg_peer peer;
};

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct tg_exchange *exchange = &fixture->exchange;
    const char *problem;
    tg_arena_init(&exchange->arena);
    tg_buffer_queue_init(&exchange->answer_body);
    exchange->route = &fixture->route;
    exchange->peer = &fixture->peer;
    exchange->listener_port = 8080;
    fixture->peer.name = TG_SLICE("10.0.0.1:9000");
    *state = fixture;
    return tg_address_parse(fixture->peer.name, &fixture->peer.address, &problem) ? 0 : 1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    tg_buffer_queue_deinit(&fixture->exchange.answer_body);
    tg_arena_deinit(&fixture->exchange.arena);
    free(fixture);
    return 0;
}

/* As if this head had come from 203.0.113.9. */
static void receive_by(struct fixture *fixture, struct tg_slice scheme, const char *text)
{
    struct tg_exchange *exchange = &fixture->exchange;
    const struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
    const struct tg_trusted_proxies none = { 0 };
    struct tg_problem problem = { 0 };
    struct tg_slice head = tg_arena_copy(&exchange->arena, tg_slice_from_string(text));
    if (!tg_h1_parse_request(head, &limits, &exchange->arena, &exchange->request, &problem))
        fail_msg("%s", problem.reason);
    assert_true(tg_ip_parse(TG_SLICE("203.0.113.9"), &exchange->peer_ip));
    tg_client_identify(&exchange->request, &exchange->peer_ip, scheme, &none, &exchange->client);
}

static void receive(struct fixture *fixture, const char *text)
{
    receive_by(fixture, TG_SLICE("http"), text);
}

static void prepare(struct fixture *fixture)
{
    const char *problem = "";
    if (!tg_forwarding_prepare(&fixture->exchange, &problem))
        fail_msg("%s", problem);
}

static void assert_slice(struct tg_slice slice, const char *text)
{
    if (!tg_slice_equal(slice, tg_slice_from_string(text)))
        fail_msg("\"%.*s\" isn't \"%s\"", (int)slice.length, slice.at ? slice.at : "", text);
}

static void assert_field(const struct tg_fields *fields, const char *name, const char *value)
{
    struct tg_slice text = tg_slice_from_string(name);
    const struct tg_field *field = tg_fields_find(fields, tg_field_name_of(text), text);
    assert_non_null(field);
    assert_slice(field->value, value);
}

static void what_an_attempt_changes_leaves_the_request_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    const char *problem;
    receive(fixture, "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nX-Arm: a\r\n\r\n");
    prepare(fixture);
    struct tg_request_head *out = &fixture->exchange.outgoing;
    assert_true(tg_fields_set(&out->fields, TG_SLICE("x-arm"), TG_SLICE("b"), &problem));
    assert_field(&fixture->exchange.request.fields, "x-arm", "a");
    assert_field(&out->fields, "x-arm", "b");
    prepare(fixture);
    assert_field(&fixture->exchange.outgoing.fields, "x-arm", "a");
    assert_slice(out->target.path, "/a");
    assert_slice(out->target.query, "b=c");
}

static void the_forwarded_family_is_our_own_word(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n\r\n");
    prepare(fixture);
    const struct tg_fields *fields = &fixture->exchange.outgoing.fields;
    assert_field(fields, "x-forwarded-for", "203.0.113.9");
    assert_field(fields, "x-real-ip", "203.0.113.9");
    assert_field(fields, "x-forwarded-host", "shop.example");
    assert_field(fields, "x-forwarded-proto", "http");
}

static void what_came_under_tls_says_so(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.listener_port = 8443;
    receive_by(fixture, TG_SLICE("https"), "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: http\r\n\r\n");
    prepare(fixture);
    const struct tg_fields *fields = &fixture->exchange.outgoing.fields;
    assert_field(fields, "x-forwarded-proto", "https");
    assert_field(fields, "x-forwarded-port", "8443");
    assert_field(fields, "forwarded", "for=203.0.113.9;host=\"shop.example\";proto=https");
}

static void the_wish_for_trailers_goes_up_where_it_came(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n");
    prepare(fixture);
    assert_true(fixture->exchange.outgoing.te_trailers);
    receive(fixture, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    prepare(fixture);
    assert_false(fixture->exchange.outgoing.te_trailers);
}

static void the_host_is_preserved_unless_the_route_says_otherwise(void **state)
{
    struct fixture *fixture = *state;
    struct tg_authority *authority = &fixture->exchange.outgoing.authority;
    receive(fixture, "GET / HTTP/1.1\r\nHost: Shop.Example\r\n\r\n");
    prepare(fixture);
    assert_slice(authority->text, "shop.example");
    fixture->route.host_header = TG_HOST_UPSTREAM;
    prepare(fixture);
    assert_slice(authority->text, "10.0.0.1:9000");
    fixture->route.host_header = TG_HOST_NAME;
    fixture->route.host_name = TG_SLICE("inner.example");
    prepare(fixture);
    assert_slice(authority->text, "inner.example");
    assert_field(&fixture->exchange.outgoing.fields, "x-forwarded-host", "shop.example");
}

static void a_host_that_a_handler_set_wins_over_the_route(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    fixture->route.host_header = TG_HOST_UPSTREAM;
    fixture->exchange.host_changed = true;
    prepare(fixture);
    assert_slice(fixture->exchange.outgoing.authority.text, "shop.example");
}

static void a_request_without_host_goes_up_with_that_of_the_peer(void **state)
{
    struct fixture *fixture = *state;
    const char *problem;
    receive(fixture, "GET / HTTP/1.0\r\n\r\n");
    prepare(fixture);
    assert_slice(fixture->exchange.outgoing.authority.text, "10.0.0.1:9000");
    fixture->peer.name = TG_SLICE("unix:/run/app.sock");
    assert_true(tg_address_parse(fixture->peer.name, &fixture->peer.address, &problem));
    prepare(fixture);
    assert_slice(fixture->exchange.outgoing.authority.text, "localhost");
}

static void capture(struct fixture *fixture, const char *name, const char *value)
{
    struct tg_route_parameters *parameters = &fixture->exchange.parameters;
    parameters->at[parameters->count].name = tg_slice_from_string(name);
    parameters->at[parameters->count++].value = tg_slice_from_string(value);
}

/* [P11] What was captured is never decoded on its way. */
static void a_rewrite_is_filled_with_the_parameters_and_keeps_the_query(void **state)
{
    struct fixture *fixture = *state;
    struct tg_target *target = &fixture->exchange.outgoing.target;
    receive(fixture, "GET /api/7/x%2Fy?q=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    fixture->route.rewrite = TG_SLICE("/v1/:id/*rest");
    capture(fixture, "id", "7");
    capture(fixture, "rest", "x%2Fy");
    prepare(fixture);
    assert_slice(target->path, "/v1/7/x%2Fy");
    assert_slice(target->query, "q=1");
    assert_slice(fixture->exchange.request.target.path, "/api/7/x%2Fy");
}

/* [P10] */
static void a_rewritten_path_is_normalised_and_checked_again(void **state)
{
    struct fixture *fixture = *state;
    const char *problem = NULL;
    receive(fixture, "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    fixture->route.rewrite = TG_SLICE("/a/%7e/../:x/b");
    capture(fixture, "x", "y");
    prepare(fixture);
    assert_slice(fixture->exchange.outgoing.target.path, "/a/y/b");
    fixture->exchange.parameters.at[0].value = TG_SLICE("../../../admin");
    assert_false(tg_forwarding_prepare(&fixture->exchange, &problem));
    assert_non_null(problem);
    fixture->exchange.parameters.at[0].value = TG_SLICE("a b\r\n");
    assert_false(tg_forwarding_prepare(&fixture->exchange, &problem));
    fixture->exchange.parameters.count = 0;
    assert_false(tg_forwarding_prepare(&fixture->exchange, &problem));
}

static void received_bytes_never_undo_a_rewrite(void **state)
{
    struct fixture *fixture = *state;
    struct tg_target *target = &fixture->exchange.outgoing.target;
    receive(fixture, "GET /%61/x HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    prepare(fixture);
    assert_slice(target->raw_path, "/%61/x");
    fixture->route.rewrite = TG_SLICE("/b");
    prepare(fixture);
    assert_slice(target->raw_path, "/b");
    fixture->exchange.rewritten = true;
    fixture->exchange.request.target.path = TG_SLICE("/by/handler");
    prepare(fixture);
    assert_slice(target->path, "/by/handler");
    assert_slice(target->raw_path, "/by/handler");
}

static void an_absolute_target_goes_up_as_a_path(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, "GET http://shop.example/a HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    prepare(fixture);
    assert_int_equal(fixture->exchange.outgoing.target.form, TG_TARGET_ORIGIN);
    assert_int_equal(fixture->exchange.outgoing.target.authority.length, 0);
    assert_slice(fixture->exchange.outgoing.target.path, "/a");
}

static void an_asterisk_goes_up_as_it_came(void **state)
{
    struct fixture *fixture = *state;
    receive(fixture, "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    fixture->route.rewrite = TG_SLICE("/b");
    prepare(fixture);
    assert_int_equal(fixture->exchange.outgoing.target.form, TG_TARGET_ASTERISK);
    assert_slice(fixture->exchange.outgoing.target.raw_path, "*");
}

static void the_gateways_own_page_names_status_and_request(void **state)
{
    struct fixture *fixture = *state;
    struct tg_exchange *exchange = &fixture->exchange;
    tg_fields_init(&exchange->response.fields, &exchange->arena);
    memcpy(exchange->id, "0123456789abcdef0123456789abcdef", 32);
    exchange->error.status = 502;
    assert_true(tg_error_page_make(exchange));
    assert_slice(tg_buffer_slice(tg_buffer_queue_peek(&exchange->answer_body)),
                 "502 Bad Gateway\nrequest 0123456789abcdef0123456789abcdef\n");
    assert_field(&exchange->response.fields, "content-type", "text/plain; charset=utf-8");
}

static void a_page_without_id_or_phrase_is_a_page_still(void **state)
{
    (void)state;
    char page[TG_ERROR_PAGE_MAX];
    assert_slice(tg_slice_of(page, tg_error_page_write(400, (struct tg_slice){ 0 }, page)), "400 Bad Request\n");
    assert_slice(tg_slice_of(page, tg_error_page_write(499, (struct tg_slice){ 0 }, page)), "499\n");
}

static void each_reason_has_a_name_and_a_status(void **state)
{
    (void)state;
    for (int reason = TG_REASON_NONE + 1; reason <= TG_REASON_STREAM_RESET; reason++) {
        assert_true(strlen(tg_reason_name((enum tg_reason)reason)) > 0);
        assert_true(strlen(tg_reason_code((enum tg_reason)reason)) > 0);
        assert_in_range(tg_reason_status((enum tg_reason)reason), 400, 599);
    }
    assert_int_equal(tg_reason_status(TG_REASON_TIMEOUT), 504);
    assert_int_equal(tg_reason_status(TG_REASON_REFUSED), 502);
    assert_int_equal(tg_reason_status(TG_REASON_UNTRUSTED), 502);
    assert_int_equal(tg_reason_status(TG_REASON_UNPROCESSED), 503);
    assert_string_equal(tg_reason_name(TG_REASON_NONE), "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(what_an_attempt_changes_leaves_the_request_as_it_was),
        T(the_forwarded_family_is_our_own_word),
        T(what_came_under_tls_says_so),
        T(the_wish_for_trailers_goes_up_where_it_came),
        T(the_host_is_preserved_unless_the_route_says_otherwise),
        T(a_host_that_a_handler_set_wins_over_the_route),
        T(a_request_without_host_goes_up_with_that_of_the_peer),
        T(a_rewrite_is_filled_with_the_parameters_and_keeps_the_query),
        T(a_rewritten_path_is_normalised_and_checked_again),
        T(received_bytes_never_undo_a_rewrite),
        T(an_absolute_target_goes_up_as_a_path),
        T(an_asterisk_goes_up_as_it_came),
        T(the_gateways_own_page_names_status_and_request),
        T(a_page_without_id_or_phrase_is_a_page_still),
        T(each_reason_has_a_name_and_a_status),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
