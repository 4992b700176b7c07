/* Exchanges, a pool and servers of HTTP/2 that do anything at any time, in an order that a seed decides. What must
 * hold: nothing leaks, nothing is used after its end, every exchange ends, and no response that was cut is told as
 * whole. */
#include "upstream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "run_loop.h"

enum { RUNS = 60, STEPS = 400 };

static uint32_t seed;

static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

/* --- what may happen --- */

static struct up_call *some_call(void)
{
    for (int tries = 0; up->call_count > 0 && tries < 8; tries++) {
        struct up_call *call = &up->calls[pick((uint32_t)up->call_count)];
        if (call->exchange)
            return call;
    }
    return NULL;
}

static struct up_connection *some_connection(void)
{
    for (int tries = 0; up->server.accepted > 0 && tries < 8; tries++) {
        struct up_connection *connection = up_connection((int)pick((uint32_t)up->server.accepted));
        if (connection->open && connection->session)
            return connection;
    }
    return NULL;
}

/* One that is open, answered as asked; 0: none was found. */
static int32_t some_stream(struct up_connection *connection, bool answered)
{
    for (int tries = 0; connection->requests > 0 && tries < 8; tries++) {
        int32_t id =
            connection->streams[pick((uint32_t)(connection->requests < UP_CALLS ? connection->requests : UP_CALLS))];
        if (nghttp2_session_find_stream(connection->session, id) &&
            (nghttp2_session_get_stream_user_data(connection->session, id) != NULL) == answered)
            return id;
    }
    return 0;
}

static void start_something(void)
{
    static const char *const methods[] = { "GET", "GET", "HEAD", "POST", "PUT" };
    if (up->call_count == UP_CALLS)
        return;
    if (pick(10) == 0) {
        up_websocket();
        return;
    }
    uint32_t kind = pick(5);
    struct up_call *call = up_start(methods[kind], kind < 3 ? 0 : pick(2) ? SIZE_MAX : 70000);
    call->stalled = pick(8) == 0;
}

static void upload(void)
{
    struct up_call *call = some_call();
    struct tg_exchange *exchange = call ? call->exchange : NULL;
    if (!exchange || exchange->client_request_ended)
        return;
    if (exchange->request.framing == TG_FRAMING_LENGTH) {
        up_send(call, 70000, true);
    } else if (call->want_body || call->tunnel) {
        up_send(call, pick(3) * pick(40000), pick(3) == 0);
    }
}

static void leave_or_drain(void)
{
    struct up_call *call = some_call();
    if (!call)
        return;
    if (call->stalled && call->head && pick(2))
        up_drain(call);
    else if (pick(3) == 0)
        up_leave(call);
}

static void respond(void)
{
    static const char *const statuses[] = { "200", "200", "404", "103", "204", "500", "20x" };
    struct up_connection *connection = some_connection();
    int32_t id = connection ? some_stream(connection, false) : 0;
    if (id == 0)
        return;
    bool end = pick(2);
    up_respond(connection, id, statuses[pick(7)], pick(2) ? "hello" : NULL, end);
    up_flush(connection);
}

static void go_on_responding(void)
{
    struct up_connection *connection = some_connection();
    int32_t id = connection ? some_stream(connection, true) : 0;
    if (id != 0 && pick(4))
        up_data(connection, id, pick(2) * pick(100000), pick(3) == 0);
    else if (id != 0)
        up_trailers(connection, id, "grpc-status", "0");
}

/* The first half of a head; what the server writes next is taken for the second. */
static void begin_a_head(struct up_connection *connection, int32_t id)
{
    static const uint8_t half[] = "\x88\x00\x06x-test\x03yes\x00\x06x-mo";
    uint8_t header[9] = { 0, 0, 60, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0, 0, (uint8_t)(id >> 8), (uint8_t)id };
    up_write(connection, header, sizeof header);
    up_write(connection, half, sizeof half - 1);
}

static void break_something(void)
{
    struct up_connection *connection = some_connection();
    int32_t id = connection ? some_stream(connection, pick(2)) : 0;
    if (!connection)
        return;
    switch (pick(28)) {
    case 0: up_close(connection); break;
    case 1: up_goaway(connection, INT32_MAX, NGHTTP2_NO_ERROR, NULL); break;
    case 2: up_goaway(connection, id, pick(14), NULL); break;
    case 3: up_greet(connection, pick(6)); break;
    case 4: up_write(connection, "\0\0\0\x63\0\0\0\0\x01", 9); break; /* an unknown frame */
    case 5: up_write(connection, "\0\0\0\0\0\0\0\0\x03", 9); break;   /* DATA, wherever it falls */
    case 6: up_write(connection, "garbage that is no frame", 24); break;
    case 7: up_advance(pick(8)); break;
    case 8: tg_stream_pause(connection->stream); break;
    case 9:
    case 10: tg_stream_resume(connection->stream); break;
    case 11: begin_a_head(connection, id); break;
    default:
        if (id != 0 && pick(3) == 0)
            up_reset(connection, id, pick(14));
    }
}

static void time_passes(void)
{
    if (!up_entry() || up_pooled() == 0)
        return;
    up_fire(&up_pooled_at((int)pick((uint32_t)up_pooled()))->timer);
}

static void step(void)
{
    switch (pick(16)) {
    case 0:
    case 1:
    case 2: start_something(); break;
    case 3:
    case 4: upload(); break;
    case 5: leave_or_drain(); break;
    case 6:
    case 7:
    case 8: respond(); break;
    case 9:
    case 10: go_on_responding(); break;
    case 11: break_something(); break;
    case 12: time_passes(); break;
    default: run_turns(up->loop, (int)pick(3)); break;
    }
}

/* --- a run --- */

static void set_the_scene(void)
{
    static const uint32_t limits[] = { 1, 2, 3, 10, 100 };
    up->server.limit = limits[pick(5)];
    up->server.answer = pick(3) ? UP_HOLD : UP_HELLO;
    up->server.websocket = pick(2);
    up->server.window = (int32_t)(pick(2) ? 0 : 1 + pick(70000));
    up->group->h2_connections = 1 + pick(4);
    up->group->h2_streams = 1 + pick(30);
}

static void let_all_end(void)
{
    for (int i = 0; i < up->call_count; i++) {
        if (up->calls[i].exchange)
            up_leave(&up->calls[i]);
    }
    run_turns(up->loop, 3);
    assert_int_equal(up->over, up->call_count);
    assert_int_equal(up->worker.exchanges, 0);
}

static void run_once(uint32_t first, int (*set_up)(void **state))
{
    void *none = NULL;
    seed = first;
    assert_int_equal(set_up(&none), 0);
    set_the_scene();
    for (int i = 0; i < STEPS && up->server.accepted < UP_CONNECTIONS - 4; i++)
        step();
    let_all_end();
    assert_int_equal(up_teardown(&none), 0);
}

static void run_many(int (*set_up)(void **state))
{
    const char *one = getenv("TIDEGATE_SEED"), *many = getenv("TIDEGATE_RUNS");
    if (one) {
        run_once((uint32_t)strtoul(one, NULL, 10), set_up);
        return;
    }
    uint32_t runs = many ? (uint32_t)strtoul(many, NULL, 10) : RUNS;
    for (uint32_t i = 1; i <= runs; i++) {
        print_message("seed %u\n", i * 2654435761u);
        run_once(i * 2654435761u, set_up);
    }
}

static void test_any_order_of_events_in_clear(void **state)
{
    (void)state;
    run_many(up_setup);
}

static void test_any_order_of_events_under_tls(void **state)
{
    (void)state;
    run_many(up_setup_tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_of_events_in_clear),
        cmocka_unit_test(test_any_order_of_events_under_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
