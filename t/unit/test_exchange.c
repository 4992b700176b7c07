/* The exchange between two sides that are implemented here, with a clock that stands still unless moved: its life
 * without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "proxy/exchange.h"
#include "proxy/serve.h"

struct still_clock {
    struct tg_clock clock;
    double now;
};

static double clock_now(struct tg_clock *clock)
{
    return TG_CONTAINER_OF(clock, struct still_clock, clock)->now;
}

/* One client, one upstream connection at a time, one route to a group of two peers. */
static struct fixture {
    struct still_clock clock;
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_group group;
    struct tg_route route;
    struct tg_lease lease;
    struct tg_exchange *exchange;

    struct tg_client_side client;
    struct tg_deadline deadline;
    int status; /* of the head that the client got */
    struct tg_buffer_queue got;
    bool got_end, client_reset, client_detached, body_wanted, body_paused;
    int informational;

    struct tg_connector connector;
    struct tg_upstream_side upstream;
    bool refuse, reused, upstream_reset, upstream_detached, canceled, fresh_asked, never_connects, upstream_paused;
    bool upstream_held; /* told to pause */
    int acquired, heads_sent;
    bool expect_continue; /* in the request */
    struct tg_buffer_queue sent;
    bool sent_end;

    struct tg_hooks hooks;
    enum tg_hook_result hook_result;
    int hook_runs, hook_cancels;
} * f;

/* --- The client's end --- */

static void client_informational(struct tg_client_side *side, const struct tg_response_head *head)
{
    (void)side;
    (void)head;
    f->informational++;
}

static void client_head(struct tg_client_side *side, const struct tg_response_head *head, bool end)
{
    (void)side;
    f->status = head->status;
    f->got_end = end;
}

static void client_body_ready(struct tg_client_side *side)
{
    (void)side;
    const struct tg_fields *trailers;
    bool end;
    assert_true(tg_exchange_take_response(f->exchange, &f->got, SIZE_MAX, &end, &trailers));
    f->got_end = end;
}

static void client_want_body(struct tg_client_side *side, bool say_continue)
{
    (void)side;
    (void)say_continue;
    f->body_wanted = true;
}

static void client_pause(struct tg_client_side *side)
{
    (void)side;
    f->body_paused = true;
}

static void client_resume(struct tg_client_side *side)
{
    (void)side;
    f->body_paused = false;
}

static void client_tunnel(struct tg_client_side *side)
{
    (void)side;
}

static void client_reset(struct tg_client_side *side, enum tg_reason reason)
{
    (void)side;
    (void)reason;
    f->client_reset = true;
}

static void client_detach(struct tg_client_side *side)
{
    (void)side;
    f->client_detached = true;
}

static const struct tg_client_side_ops client_ops = {
    client_informational, client_head,   client_body_ready, client_want_body, client_pause,
    client_resume,        client_tunnel, client_reset,      client_detach,
};

/* --- The upstream's end --- */

static void upstream_head(struct tg_upstream_side *side, const struct tg_request_head *head, bool raw_path, bool end)
{
    (void)side;
    (void)head;
    (void)raw_path;
    f->heads_sent++;
    f->sent_end = end;
}

static void upstream_body_ready(struct tg_upstream_side *side)
{
    (void)side;
    const struct tg_fields *trailers;
    bool end;
    if (f->upstream_paused)
        return;
    assert_true(tg_exchange_take_request(f->exchange, &f->sent, SIZE_MAX, &end, &trailers));
    f->sent_end = end;
}

static void upstream_pause(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_held = true;
}

static void upstream_resume(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_held = false;
}

static void upstream_tunnel(struct tg_upstream_side *side)
{
    (void)side;
}

static void upstream_reset(struct tg_upstream_side *side, enum tg_reason reason)
{
    (void)side;
    (void)reason;
    f->upstream_reset = true;
}

static void upstream_detach(struct tg_upstream_side *side)
{
    (void)side;
    f->upstream_detached = true;
}

static const struct tg_upstream_side_ops upstream_ops = {
    upstream_head,   upstream_body_ready, upstream_pause,  upstream_resume,
    upstream_tunnel, upstream_reset,      upstream_detach,
};

static struct tg_upstream_side *acquire(struct tg_connector *connector, struct tg_exchange *exchange,
                                        struct tg_group *group, struct tg_peer *peer, double timeout, bool fresh,
                                        bool careful)
{
    (void)connector;
    (void)group;
    (void)timeout;
    (void)careful;
    f->acquired++;
    f->fresh_asked = fresh;
    if (f->refuse)
        tg_exchange_from_connector_failed(exchange, TG_REASON_REFUSED, NULL);
    if (f->refuse || f->never_connects)
        return NULL;
    f->upstream = (struct tg_upstream_side){ &upstream_ops, peer, f->reused && !fresh };
    return &f->upstream;
}

static void cancel(struct tg_connector *connector, struct tg_exchange *exchange)
{
    (void)connector;
    (void)exchange;
    f->canceled = true;
}

/* --- Handlers --- */

static enum tg_hook_result hook_run(struct tg_exchange *exchange, enum tg_phase phase)
{
    (void)phase;
    f->hook_runs++;
    if (f->hook_result == TG_HOOK_ANSWERED)
        assert_true(tg_exchange_respond(exchange, 403, NULL));
    return f->hook_result;
}

static void hook_cancel(struct tg_exchange *exchange)
{
    (void)exchange;
    f->hook_cancels++;
}

/* --- Driving it --- */

static void stop(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    tg_loop_stop(loop);
}

/* Runs what is due now. */
static void turn(void)
{
    struct tg_message message = { .run = stop };
    tg_loop_post(f->loop, &message);
    tg_loop_run(f->loop);
}

static void deadline_expired(struct tg_deadline *deadline)
{
    tg_deadline_set(deadline, tg_exchange_tick(f->exchange));
}

static struct tg_peer *make_peer(uint32_t index)
{
    struct tg_peer *peer = calloc(1, sizeof *peer);
    atomic_store(&peer->references, 1000);
    peer->index = index;
    peer->serial = index + 1;
    peer->name = TG_SLICE("127.0.0.1:1");
    return peer;
}

static void make_snapshot(void)
{
    f->snapshot = tg_snapshot_new();
    f->snapshot->settings.access_log_off = true;
    f->snapshot->groups = calloc(1, sizeof(struct tg_group));
    f->snapshot->group_count = 1;
    struct tg_group *group = f->snapshot->groups;
    group->name = TG_SLICE("app");
    group->peers = calloc(2, sizeof *group->peers);
    group->peer_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        group->peers[i].peer = make_peer(i);
        group->peers[i].weight = 1;
    }
    group->timeouts = f->snapshot->settings.timeouts;
    group->timeouts.first_byte = 60;
    group->attempts = 3;
    struct tg_route *route = calloc(1, sizeof *route);
    f->snapshot->routes = route;
    f->snapshot->route_count = 1;
    route->name = TG_SLICE("all");
    route->group = group;
    route->timeouts = f->snapshot->settings.timeouts;
    route->timeouts.connect = route->timeouts.send = route->timeouts.first_byte = route->timeouts.between_bytes =
        INFINITY;
    route->timeouts.total = INFINITY;
    route->body_limit = 1 << 20;
    f->snapshot->none = *route;
    f->snapshot->none.group = NULL;
    if (!f->snapshot->router)
        f->snapshot->router = tg_router_new();
    char why[512];
    assert_true(tg_router_add(f->snapshot->router, route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
    assert_true(tg_snapshot_finish(f->snapshot));
}

static int setup(void **state)
{
    (void)state;
    f = calloc(1, sizeof *f);
    f->clock.clock = (struct tg_clock){ clock_now, clock_now };
    f->clock.now = 1000;
    f->loop = tg_loop_new(&f->clock.clock, &f->worker);
    f->worker.count = 1;
    f->hooks = (struct tg_hooks){ .run = hook_run, .cancel = hook_cancel };
    assert_true(tg_worker_init(&f->worker, f->loop, &f->hooks, NULL));
    f->connector = (struct tg_connector){ acquire, cancel };
    f->worker.connector = &f->connector;
    make_snapshot();
    tg_list_init(&f->lease.exchanges);
    f->lease.snapshot = f->snapshot;
    f->lease.worker = &f->worker;
    tg_worker_switch(&f->worker, &f->lease);
    f->client = (struct tg_client_side){ &client_ops, &f->deadline };
    tg_deadline_init(&f->deadline, f->loop, deadline_expired);
    tg_deadline_set(&f->deadline, INFINITY);
    tg_buffer_queue_init(&f->got);
    tg_buffer_queue_init(&f->sent);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    turn();
    assert_int_equal(f->worker.exchanges, 0);
    assert_int_equal(f->lease.pinned, 0);
    tg_buffer_queue_deinit(&f->got);
    tg_buffer_queue_deinit(&f->sent);
    tg_deadline_deinit(&f->deadline);
    struct tg_group *group = f->snapshot->groups;
    struct tg_route *route = f->snapshot->routes;
    struct tg_peer *peers[2] = { group->peers[0].peer, group->peers[1].peer };
    struct tg_group_peer *entries = group->peers;
    group->peer_count = 0;
    tg_snapshot_unref(f->snapshot);
    for (int i = 0; i < 2; i++)
        free(peers[i]);
    free(entries);
    free(group);
    free(route);
    tg_worker_deinit(&f->worker);
    tg_loop_free(f->loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(f);
    return 0;
}

static void start(enum tg_method method, struct tg_slice text, enum tg_framing framing, uint64_t length)
{
    struct tg_arena arena;
    tg_arena_init(&arena);
    struct tg_request_head head = { .method = method,
                                    .version = TG_HTTP_1_1,
                                    .method_text = text,
                                    .framing = framing,
                                    .content_length = length,
                                    .expect_continue = f->expect_continue,
                                    .keep_alive = true };
    head.target.raw_path = head.target.path = TG_SLICE("/");
    head.authority.text = head.authority.host = TG_SLICE("a");
    tg_fields_init(&head.fields, &arena);
    struct tg_client_info info = { 0 };
    const char *why;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &info.peer, &why));
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:80"), &info.local, &why));
    f->exchange = tg_exchange_start(&f->worker, &arena, &head, &f->client, &info);
    assert_non_null(f->exchange);
    turn();
}

static void get(void)
{
    start(TG_METHOD_GET, TG_SLICE("GET"), TG_FRAMING_NONE, 0);
}

static struct tg_buffer bytes(const char *text)
{
    return (struct tg_buffer){ NULL, text, strlen(text) };
}

static void answer_head(int status, enum tg_framing framing, uint64_t length)
{
    struct tg_response_head head = { .status = (uint16_t)status,
                                     .version = TG_HTTP_1_1,
                                     .framing = framing,
                                     .content_length = length,
                                     .keep_alive = true };
    tg_fields_init(&head.fields, &f->exchange->arena);
    tg_exchange_from_upstream_head(f->exchange, &head);
}

static void answer_whole(void)
{
    answer_head(200, TG_FRAMING_LENGTH, 5);
    tg_exchange_from_upstream_body(f->exchange, bytes("hello"));
    tg_exchange_from_upstream_end(f->exchange);
    turn();
}

/* --- What must be true --- */

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

static void use_phase(enum tg_phase phase, enum tg_hook_result result)
{
    f->snapshot->routes[0].phases = 1u << phase;
    f->hook_result = result;
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
