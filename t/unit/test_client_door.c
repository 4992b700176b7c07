/* The door over pairs of sockets: what comes before a connection's codec. The route answers by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/client_door.h"
#include "proxy/exchange.h"
#include "proxy/serve.h"
#include "run_loop.h"

static struct fixture {
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_route route;
    struct tg_listener_config listener;
    struct tg_lease lease;
    struct tg_accept_target target;
    int client;
    char got[65536];
    size_t length;
    bool ended; /* the gateway closed, in order or not */
    double opened;
} * f;

static void open_from(const char *peer_text)
{
    int ends[2];
    struct tg_address peer = { 0 };
    const char *why;
    static const struct tg_stream_ops none;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(tg_address_parse(tg_slice_from_string(peer_text), &peer, &why));
    f->client = ends[0];
    f->length = 0;
    f->got[0] = 0;
    f->ended = false;
    struct tg_stream *stream = tg_stream_attach(f->loop, (struct tg_socket){ ends[1], NULL }, &peer, &none, NULL);
    assert_non_null(stream);
    f->listener.address = *tg_stream_local(stream);
    f->worker.connections++;
    f->opened = tg_loop_now_fresh(f->loop);
    assert_true(tg_client_door_open(&f->worker, stream));
}

static void heed_quiet(struct tg_worker *worker)
{
    (void)worker;
}

static void close_client(void)
{
    close(f->client);
    run_turns(f->loop, 4);
    assert_true(tg_list_empty(&f->worker.clients));
    assert_int_equal(f->worker.connections, 0);
}

static int setup(void **state)
{
    (void)state;
    char why[512];
    f = calloc(1, sizeof *f);
    f->loop = tg_loop_new(NULL, &f->worker);
    f->worker.count = 1;
    f->worker.quiet = heed_quiet;
    assert_true(tg_worker_init(&f->worker, f->loop, NULL, NULL));
    f->snapshot = tg_snapshot_new();
    f->snapshot->settings.access_log_off = true;
    f->snapshot->listeners = &f->listener;
    f->snapshot->listener_count = 1;
    f->listener.name = TG_SLICE("test");
    f->route.name = TG_SLICE("route");
    f->route.timeouts = f->snapshot->settings.timeouts;
    f->route.body_limit = 1 << 20;
    f->route.respond_status = 200;
    f->route.respond_body = TG_SLICE("ok");
    assert_true(
        tg_router_add(f->snapshot->router, &f->route, TG_SLICE(""), TG_SLICE(""), TG_SLICE("/*"), 0, NULL, 0, why));
    assert_true(tg_snapshot_finish(f->snapshot));
    tg_list_init(&f->lease.exchanges);
    tg_list_init(&f->lease.calls);
    f->lease.snapshot = f->snapshot;
    f->lease.worker = &f->worker;
    tg_worker_switch(&f->worker, &f->lease);
    f->target = (struct tg_accept_target){ f->loop, tg_worker_accepted, &f->worker.connections };
    f->worker.acceptor = tg_acceptor_new(&f->target, 1, 100);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(f->worker.exchanges, 0);
    assert_int_equal(f->lease.pinned, 0);
    assert_true(tg_list_empty(&f->worker.clients));
    tg_acceptor_free(f->worker.acceptor);
    tg_worker_deinit(&f->worker);
    f->snapshot->listener_count = 0;
    tg_snapshot_unref(f->snapshot);
    tg_loop_free(f->loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(f);
    return 0;
}

static void read_some(void)
{
    ssize_t got;
    run_turns(f->loop, 2);
    do {
        got = recv(f->client, f->got + f->length, sizeof f->got - 1 - f->length, 0);
        f->length += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        f->ended = true;
    f->got[f->length] = '\0';
}

static void send_bytes(const char *bytes, size_t length)
{
    assert_int_equal(send(f->client, bytes, length, MSG_NOSIGNAL), length);
    run_turns(f->loop, 1);
}

static double elapsed(void)
{
    return tg_loop_now_fresh(f->loop) - f->opened;
}

static void wait_for_answer(const char *text)
{
    do
        read_some();
    while (!strstr(f->got, text) && !f->ended && elapsed() < 20);
    assert_non_null(strstr(f->got, text));
}

static void wait_for_end(void)
{
    while (!f->ended && elapsed() < 20)
        read_some();
    assert_true(f->ended);
}

/* --- Clear connections --- */

static void test_a_request_is_answered_wherever_its_first_bytes_are_split(void **state)
{
    (void)state;
    static const char post[] = "PRIX / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t split = 1; split < sizeof post - 1; split++) {
        open_from("127.0.0.1:9");
        send_bytes(post, split);
        send_bytes(post + split, sizeof post - 1 - split);
        wait_for_answer("HTTP/1.1 200");
        close_client();
    }
}

static void test_what_begins_like_the_preface_and_goes_on_otherwise_is_http_1(void **state)
{
    (void)state;
    open_from("127.0.0.1:9");
    send_bytes("PR", 2);
    assert_false(tg_list_empty(&f->worker.clients));
    send_bytes("OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 30);
    wait_for_answer("HTTP/1.1 200");
    close_client();
}

/* --- Time, and the end --- */

static void pass_time_until(double seconds)
{
    while (elapsed() < seconds)
        run_turns(f->loop, 1);
}

/* [T11] The limit counts from the accept. */
static void test_a_silent_connection_is_closed_in_time(void **state)
{
    (void)state;
    f->snapshot->settings.timeouts.header = 0.2;
    open_from("127.0.0.1:9");
    wait_for_end();
    assert_true(elapsed() >= 0.2);
    assert_int_equal(f->length, 0);
    close_client();
}

/* [T11] Were the limit to begin anew with the codec, the end would come after 1.7 s. */
static void test_no_step_gets_time_of_its_own(void **state)
{
    (void)state;
    f->snapshot->settings.timeouts.header = 1;
    open_from("127.0.0.1:9");
    pass_time_until(0.7);
    send_bytes("PR", 2);
    send_bytes("OPFIND / HT", 11);
    wait_for_answer("HTTP/1.1 408");
    assert_true(elapsed() < 1.4);
    close_client();
}

/* [T11] */
static void test_half_a_preface_is_a_head_that_comes_too_slowly(void **state)
{
    (void)state;
    f->snapshot->settings.timeouts.header = 0.2;
    open_from("127.0.0.1:9");
    send_bytes("PRI *", 5);
    wait_for_answer("HTTP/1.1 408");
    close_client();
}

static void test_an_end_before_the_first_byte_ends_it(void **state)
{
    (void)state;
    open_from("127.0.0.1:9");
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    wait_for_end();
    close_client();
    open_from("127.0.0.1:9");
    close_client();
}

static void test_a_drain_closes_what_is_idle_in_the_door(void **state)
{
    (void)state;
    open_from("127.0.0.1:9");
    tg_worker_drain(&f->worker, 0.2, tg_loop_now_fresh(f->loop) + 30);
    read_some();
    assert_false(f->ended);
    wait_for_end();
    close_client();
}

static void test_a_kill_ends_it_at_once(void **state)
{
    (void)state;
    open_from("127.0.0.1:9");
    tg_client_kill(tg_list_first(&f->worker.clients));
    wait_for_end();
    close_client();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_is_answered_wherever_its_first_bytes_are_split),
        TEST(test_what_begins_like_the_preface_and_goes_on_otherwise_is_http_1),
        TEST(test_a_silent_connection_is_closed_in_time),
        TEST(test_no_step_gets_time_of_its_own),
        TEST(test_half_a_preface_is_a_head_that_comes_too_slowly),
        TEST(test_an_end_before_the_first_byte_ends_it),
        TEST(test_a_drain_closes_what_is_idle_in_the_door),
        TEST(test_a_kill_ends_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
