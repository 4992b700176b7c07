/* A client's HTTP/1 connection over a pair of sockets: what only shows with bytes on their way. The routes answer by
 * themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/client_h1.h"
#include "proxy/exchange.h"
#include "proxy/serve.h"
#include "run_loop.h"

enum { BIG = 300 * 1000 };

static struct fixture {
    struct tg_loop *loop;
    struct tg_worker worker;
    struct tg_snapshot *snapshot;
    struct tg_route routes[2];
    struct tg_lease lease;
    struct tg_accept_target target;
    struct tg_stream *stream; /* the gateway's end */
    int client;               /* the client's */
    size_t received;
    size_t answers;
} * f;

static char big[BIG];

static void add_route(struct tg_route *route, const char *path, struct tg_slice body)
{
    char why[512];
    route->name = TG_SLICE("route");
    route->timeouts = f->snapshot->settings.timeouts;
    route->body_limit = 1 << 20;
    route->respond_status = 200;
    route->respond_body = body;
    assert_true(tg_router_add(f->snapshot->router, route, TG_SLICE(""), TG_SLICE(""), tg_slice_from_string(path), 0,
                              NULL, 0, why));
}

static void open_connection(void)
{
    int ends[2];
    struct tg_address peer = { 0 };
    const char *why;
    static const struct tg_stream_ops none;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9"), &peer, &why));
    f->client = ends[0];
    f->stream = tg_stream_attach(f->loop, (struct tg_socket){ ends[1], NULL }, &peer, &none, NULL);
    assert_non_null(f->stream);
    f->worker.connections++;
    struct tg_client_info info = { tg_stream_peer(f->stream), tg_stream_peer(f->stream), NULL };
    assert_true(
        tg_client_h1_new(&f->worker, f->stream, &info, tg_loop_now(f->loop) + f->snapshot->settings.timeouts.header));
}

static int setup(void **state)
{
    (void)state;
    f = calloc(1, sizeof *f);
    f->loop = tg_loop_new(NULL, &f->worker);
    f->worker.count = 1;
    assert_true(tg_worker_init(&f->worker, f->loop, NULL, NULL));
    f->snapshot = tg_snapshot_new();
    f->snapshot->settings.access_log_off = true;
    memset(big, 'b', sizeof big);
    add_route(&f->routes[0], "/small", TG_SLICE("ok"));
    add_route(&f->routes[1], "/big", tg_slice_of(big, sizeof big));
    assert_true(tg_snapshot_finish(f->snapshot));
    tg_list_init(&f->lease.exchanges);
    f->lease.snapshot = f->snapshot;
    f->lease.worker = &f->worker;
    tg_worker_switch(&f->worker, &f->lease);
    f->target = (struct tg_accept_target){ f->loop, tg_worker_accepted, &f->worker.connections };
    f->worker.acceptor = tg_acceptor_new(&f->target, 1, 100);
    open_connection();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(f->client);
    run_turns(f->loop, 4);
    assert_int_equal(f->worker.exchanges, 0);
    assert_true(tg_list_empty(&f->worker.clients));
    tg_acceptor_free(f->worker.acceptor);
    tg_worker_deinit(&f->worker);
    tg_snapshot_unref(f->snapshot);
    tg_loop_free(f->loop);
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    free(f);
    return 0;
}

/* Heads are told by their first line, which no body of these routes holds; none is cut here. */
static void count_answers(const char *bytes, size_t length)
{
    static const char mark[] = "HTTP/1.1 200";
    static size_t matched;
    for (size_t i = 0; i < length; i++) {
        matched = bytes[i] == mark[matched] ? matched + 1 : bytes[i] == mark[0];
        if (matched == sizeof mark - 1) {
            f->answers++;
            matched = 0;
        }
    }
}

static void read_all(void)
{
    static char room[65536];
    ssize_t got;
    for (int idle = 0; idle<20; idle = got> 0 ? 0 : idle + 1) {
        run_turns(f->loop, 2);
        got = recv(f->client, room, sizeof room, 0);
        if (got > 0) {
            f->received += (size_t)got;
            count_answers(room, (size_t)got);
        }
    }
}

static void send_text(const char *text, int times)
{
    for (int i = 0; i < times; i++)
        assert_int_equal(send(f->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static const char get_small[] = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
static const char get_big[] = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";

/* [E04] However many came in one go, what comes after them is read. */
static void test_a_request_behind_any_number_of_pipelined_ones_is_answered(void **state)
{
    (void)state;
    size_t sent = 0;
    for (int together = 1; together <= 40; together++) {
        send_text(get_small, together);
        read_all();
        sent += (size_t)together;
        assert_int_equal(f->answers, sent);
    }
}

/* [E07] Each answer is more than may wait in the stream, and fits into the socket at times. */
static void test_answers_larger_than_what_may_wait_are_sent_whole(void **state)
{
    (void)state;
    int room = 4 << 20;
    setsockopt(f->client, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    send_text(get_big, 5);
    read_all();
    assert_int_equal(f->answers, 5);
    assert_true(f->received > (size_t)5 * BIG);
}

/* [E02] */
static void test_a_client_that_takes_no_answers_gets_no_further_ones(void **state)
{
    (void)state;
    static const char head[] = "HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t sent = 0;
    for (int refused = 0; refused < 200;) {
        bool taken = send(f->client, head, sizeof head - 1, MSG_NOSIGNAL) == (ssize_t)sizeof head - 1;
        sent += taken;
        refused = taken ? 0 : refused + 1;
        if (!taken)
            run_turns(f->loop, 1);
        assert_true(tg_stream_unsent(f->stream) < 512 * 1024);
        assert_true(sent < 1000 * 1000);
    }
    read_all();
    assert_int_equal(f->answers, sent);
}

static void test_a_body_of_length_zero_needs_no_byte_after_its_head(void **state)
{
    (void)state;
    send_text("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 1);
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    read_all();
    assert_int_equal(f->answers, 1);
}

/* [D02] */
static void test_an_unread_body_with_trailers_is_eaten_before_the_next_request(void **state)
{
    (void)state;
    send_text("POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n",
              3);
    send_text(get_small, 1);
    read_all();
    assert_int_equal(f->answers, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_behind_any_number_of_pipelined_ones_is_answered),
        TEST(test_answers_larger_than_what_may_wait_are_sent_whole),
        TEST(test_a_client_that_takes_no_answers_gets_no_further_ones),
        TEST(test_a_body_of_length_zero_needs_no_byte_after_its_head),
        TEST(test_an_unread_body_with_trailers_is_eaten_before_the_next_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
