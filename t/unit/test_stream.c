#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "net/stream.h"
#include "run_loop.h"

static struct tg_loop *loop;

/* What an owner heard. */
struct ear {
    struct tg_stream *stream;
    struct tg_text text;
    int connects, calls, bytes, eofs, drains, failures, finishes;
    enum tg_stream_end end;
    bool close_on_data, pause_on_data;
    struct tg_buffer_queue *keeps; /* the buffers themselves */
    struct ear *closes;            /* the stream of this one is closed when data comes */
};

static void close_ear(struct ear *ear)
{
    if (ear->stream)
        tg_stream_close(ear->stream);
    ear->stream = NULL;
    tg_text_deinit(&ear->text);
}

static void hear_connected(struct tg_stream *stream)
{
    ((struct ear *)tg_stream_owner(stream))->connects++;
}

static void hear_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct ear *ear = tg_stream_owner(stream);
    tg_text_append(&ear->text, tg_buffer_slice(data));
    if (ear->keeps)
        assert_true(tg_buffer_queue_push(ear->keeps, tg_buffer_ref(data)));
    ear->calls++;
    ear->bytes += (int)data.length;
    if (ear->pause_on_data)
        tg_stream_pause(stream);
    if (ear->closes)
        close_ear(ear->closes);
    if (ear->close_on_data)
        close_ear(ear);
}

static void hear_eof(struct tg_stream *stream)
{
    ((struct ear *)tg_stream_owner(stream))->eofs++;
}

static void hear_drained(struct tg_stream *stream)
{
    ((struct ear *)tg_stream_owner(stream))->drains++;
}

static void hear_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct ear *ear = tg_stream_owner(stream);
    ear->failures++;
    ear->end = end;
}

static void hear_peer_finished(struct tg_stream *stream)
{
    ((struct ear *)tg_stream_owner(stream))->finishes++;
}

static const struct tg_stream_ops ops = { hear_connected, hear_data,   hear_eof,
                                          hear_drained,   hear_failed, hear_peer_finished };

static struct tg_buffer static_buffer(const char *text)
{
    return (struct tg_buffer){ NULL, text, strlen(text) };
}

static struct tg_address address_of(const char *text)
{
    struct tg_address address;
    const char *problem;
    assert_true(tg_address_parse(tg_slice_from_string(text), &address, &problem));
    return address;
}

/* A blocking socket that listens on a free port. */
static int listen_raw(struct tg_address *address)
{
    *address = address_of("127.0.0.1:0");
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, &address->any, address->length), 0);
    assert_int_equal(listen(descriptor, 8), 0);
    assert_int_equal(getsockname(descriptor, &address->any, &address->length), 0);
    return descriptor;
}

/* A stream of ours that is connected over TCP to the raw socket which this returns. */
static int connect_raw(struct ear *ear)
{
    struct tg_address address;
    int listener = listen_raw(&address);
    ear->stream = tg_stream_connect(loop, &address, NULL, &ops, ear);
    assert_non_null(ear->stream);
    assert_int_equal(ear->connects, 0);
    run_until(loop, &ear->connects, 1);
    int raw = accept(listener, NULL, NULL);
    close(listener);
    return raw;
}

/* Two streams that are each other's peer. */
static void connect_pair(struct ear *left, struct ear *right)
{
    int ends[2];
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    left->stream = tg_stream_attach(loop, (struct tg_socket){ ends[0], NULL }, &nobody, &ops, left);
    right->stream = tg_stream_attach(loop, (struct tg_socket){ ends[1], NULL }, &nobody, &ops, right);
    assert_non_null(left->stream);
    assert_non_null(right->stream);
}

static void write_raw(int raw, const char *text)
{
    assert_int_equal(send(raw, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void reset_raw(int raw)
{
    struct linger at_once = { .l_onoff = 1 };
    setsockopt(raw, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(raw);
}

static int set_up(void **state)
{
    (void)state;
    loop = tg_loop_new(NULL, NULL);
    return loop ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tg_loop_free(loop);
    tg_block_release_thread_pool();
    return 0;
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    char room[16];
    int raw = connect_raw(&ear);
    tg_stream_send(ear.stream, static_buffer("high "));
    tg_stream_send(ear.stream, static_buffer("tide"));
    write_raw(raw, "low tide");
    run_until(loop, &ear.bytes, 8);
    assert_string_equal(ear.text.at, "low tide");
    assert_int_equal(recv(raw, room, 9, MSG_WAITALL), 9);
    assert_memory_equal(room, "high tide", 9);
    assert_int_equal(tg_stream_sent(ear.stream), 9);
    assert_int_equal(tg_stream_received(ear.stream), 8);
    assert_int_equal(tg_stream_unsent(ear.stream), 0);
    close(raw);
    close_ear(&ear);
}

static void what_is_sent_before_the_connection_stands_goes_out_then(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    struct tg_address address;
    char room[4];
    int listener = listen_raw(&address);
    ear.stream = tg_stream_connect(loop, &address, NULL, &ops, &ear);
    tg_stream_send(ear.stream, static_buffer("soon"));
    tg_stream_finish(ear.stream);
    run_until(loop, &ear.connects, 1);
    int raw = accept(listener, NULL, NULL);
    assert_int_equal(recv(raw, room, 4, MSG_WAITALL), 4);
    assert_int_equal(recv(raw, room, 4, 0), 0);
    assert_int_equal(tg_address_port(tg_stream_peer(ear.stream)), tg_address_port(&address));
    assert_true(tg_address_port(tg_stream_local(ear.stream)) > 0);
    close(raw);
    close(listener);
    close_ear(&ear);
}

static void a_refused_connection_is_told_after_the_call(void **state)
{
    (void)state;
    struct tg_address closed;
    close(listen_raw(&closed));
    struct tg_address targets[] = { closed, address_of("unix:/nonexistent/socket") };
    for (int i = 0; i < 2; i++) {
        struct ear ear = { 0 };
        ear.stream = tg_stream_connect(loop, &targets[i], NULL, &ops, &ear);
        assert_non_null(ear.stream);
        assert_int_equal(ear.failures, 0);
        tg_stream_send(ear.stream, static_buffer("dropped"));
        run_until(loop, &ear.failures, 1);
        assert_int_equal(ear.end, TG_STREAM_REFUSED);
        assert_int_equal(ear.connects, 0);
        tg_stream_send(ear.stream, static_buffer("dropped too"));
        run_turns(loop, 3);
        assert_int_equal(ear.failures, 1);
        close_ear(&ear);
    }
}

static void a_connecting_stream_can_be_closed_at_once(void **state)
{
    (void)state;
    struct tg_address address, nowhere = address_of("unix:/nonexistent/socket");
    struct ear ear = { 0 };
    int listener = listen_raw(&address);
    tg_stream_close(tg_stream_connect(loop, &address, NULL, &ops, &ear));
    tg_stream_close(tg_stream_connect(loop, &nowhere, NULL, &ops, &ear));
    tg_stream_linger(tg_stream_connect(loop, &address, NULL, &ops, &ear));
    run_turns(loop, 3);
    assert_int_equal(ear.connects + ear.failures, 0);
    close(listener);
}

static void the_end_comes_once_and_after_the_data(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    int raw = connect_raw(&ear);
    write_raw(raw, "last words");
    shutdown(raw, SHUT_WR);
    run_until(loop, &ear.eofs, 1);
    assert_string_equal(ear.text.at, "last words");
    run_turns(loop, 5);
    assert_int_equal(ear.eofs, 1);
    tg_stream_send(ear.stream, static_buffer("heard"));
    run_turns(loop, 1);
    char room[5];
    assert_int_equal(recv(raw, room, 5, MSG_WAITALL), 5);
    close(raw);
    run_turns(loop, 5);
    assert_int_equal(ear.eofs, 1);
    close_ear(&ear);
}

static void a_paused_stream_gives_nothing_but_tells_that_the_peer_finished(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    int raw = connect_raw(&ear);
    tg_stream_pause(ear.stream);
    write_raw(raw, "waits");
    run_turns(loop, 5);
    assert_int_equal(ear.calls + ear.finishes, 0);
    shutdown(raw, SHUT_WR);
    run_until(loop, &ear.finishes, 1);
    run_turns(loop, 5);
    assert_int_equal(ear.calls + ear.eofs, 0);
    assert_int_equal(ear.finishes, 1);
    tg_stream_resume(ear.stream);
    run_until(loop, &ear.eofs, 1);
    assert_string_equal(ear.text.at, "waits");
    assert_int_equal(ear.finishes, 1);
    close(raw);
    close_ear(&ear);
}

static void a_paused_stream_whose_peer_closed_whole_can_be_resumed(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 };
    connect_pair(&left, &right);
    tg_stream_pause(left.stream);
    tg_stream_send(right.stream, static_buffer("waits"));
    run_turns(loop, 2);
    close_ear(&right);
    run_until(loop, &left.finishes, 1);
    run_turns(loop, 5);
    tg_stream_resume(left.stream);
    run_until(loop, &left.eofs, 1);
    assert_string_equal(left.text.at, "waits");
    close_ear(&left);
}

static void a_paused_stream_hears_of_a_reset(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    int raw = connect_raw(&ear);
    tg_stream_pause(ear.stream);
    reset_raw(raw);
    run_until(loop, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_RESET);
    run_turns(loop, 3);
    assert_int_equal(ear.failures, 1);
    close_ear(&ear);
}

static void an_owner_that_pauses_in_between_gets_the_rest_later(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { .pause_on_data = true };
    connect_pair(&left, &right);
    static char large[100000];
    memset(large, 'x', sizeof(large));
    tg_stream_send(left.stream, (struct tg_buffer){ NULL, large, sizeof(large) });
    int calls = 0;
    while (right.bytes < (int)sizeof(large)) {
        run_until(loop, &right.calls, calls + 1);
        run_turns(loop, 2);
        calls++;
        assert_int_equal(right.calls, calls);
        tg_stream_resume(right.stream);
    }
    close_ear(&left);
    close_ear(&right);
}

static void a_slow_peer_makes_bytes_wait_and_the_drain_is_told(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 };
    connect_pair(&left, &right);
    size_t size = 4 << 20;
    struct tg_block *block = tg_block_new_of(size);
    for (size_t i = 0; i < size; i++)
        block->data[i] = (char)(i * 7 % 251);
    tg_stream_pause(right.stream);
    tg_stream_send(left.stream, (struct tg_buffer){ block, block->data, size });
    tg_block_ref(block);
    run_turns(loop, 3);
    assert_true(tg_stream_unsent(left.stream) > size / 2);
    assert_int_equal(left.drains, 0);
    tg_stream_resume(right.stream);
    run_until(loop, &right.bytes, (int)size);
    run_until(loop, &left.drains, 1);
    run_turns(loop, 3);
    assert_int_equal(left.drains, 1);
    assert_int_equal(right.bytes, size);
    assert_memory_equal(right.text.at, block->data, size);
    tg_block_unref(block);
    close_ear(&left);
    close_ear(&right);
}

static void many_buffers_leave_in_order(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 };
    struct tg_buffer_queue queue;
    connect_pair(&left, &right);
    tg_buffer_queue_init(&queue);
    for (int i = 0; i < 500; i++)
        assert_true(tg_buffer_queue_push(&queue, static_buffer(i % 2 ? "ebb " : "flow ")));
    tg_stream_send_queue(left.stream, &queue);
    assert_int_equal(tg_buffer_queue_length(&queue), 0);
    tg_stream_finish(left.stream);
    run_until(loop, &right.eofs, 1);
    assert_int_equal(right.bytes, 250 * 9);
    assert_memory_equal(right.text.at, "flow ebb flow ebb ", 18);
    tg_buffer_queue_deinit(&queue);
    close_ear(&left);
    close_ear(&right);
}

static void kept_buffers_stay_as_they_were(void **state)
{
    (void)state;
    struct tg_buffer_queue kept;
    struct ear left = { 0 }, right = { .keeps = &kept };
    connect_pair(&left, &right);
    tg_buffer_queue_init(&kept);
    for (int i = 0; i < 100; i++) {
        tg_stream_send(left.stream, static_buffer(i % 2 ? "ping" : "pong"));
        run_until(loop, &right.calls, i + 1);
    }
    assert_int_equal(tg_buffer_queue_length(&kept), 400);
    for (int i = 0; i < 100; i++) {
        struct tg_buffer piece = tg_buffer_queue_pop(&kept, 4);
        assert_memory_equal(piece.at, i % 2 ? "ping" : "pong", 4);
        tg_buffer_unref(piece);
    }
    tg_buffer_queue_deinit(&kept);
    close_ear(&left);
    close_ear(&right);
}

/* [M03] data, end and hang-up are one event; a close in the first step stops the rest */
static void an_owner_that_closes_on_data_hears_nothing_more(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { .close_on_data = true };
    connect_pair(&left, &right);
    tg_stream_send(left.stream, static_buffer("bye"));
    run_turns(loop, 1);
    close_ear(&left);
    run_until(loop, &right.calls, 1);
    run_turns(loop, 3);
    assert_int_equal(right.calls, 1);
    assert_int_equal(right.eofs + right.failures + right.finishes, 0);
}

/* [M02] both have an event in the same batch; the first to be told closes the other */
static void a_stream_closed_by_another_ones_event_hears_nothing(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 }, other_left = { 0 }, other_right = { 0 };
    connect_pair(&left, &right);
    connect_pair(&other_left, &other_right);
    right.closes = &other_right;
    other_right.closes = &right;
    tg_stream_send(left.stream, static_buffer("a"));
    tg_stream_send(other_left.stream, static_buffer("b"));
    run_turns(loop, 5);
    assert_int_equal(right.calls + other_right.calls, 1);
    assert_true(!right.stream || !other_right.stream);
    close_ear(&left);
    close_ear(&right);
    close_ear(&other_left);
    close_ear(&other_right);
}

static void an_answer_that_came_before_a_failed_send_is_given_first(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    int raw = connect_raw(&ear);
    tg_stream_pause(ear.stream); /* so that the answer lies unread while we send */
    write_raw(raw, "too large");
    reset_raw(raw);
    tg_stream_resume(ear.stream);
    tg_stream_send(ear.stream, static_buffer("more"));
    run_until(loop, &ear.failures, 1);
    assert_string_equal(ear.text.at, "too large");
    assert_int_equal(ear.end, TG_STREAM_RESET);
    close_ear(&ear);
}

static void a_reset_is_seen_as_one_by_the_peer(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    char room[16];
    int raw = connect_raw(&ear);
    tg_stream_send(ear.stream, static_buffer("half a mess"));
    run_turns(loop, 1);
    tg_stream_reset(ear.stream);
    ssize_t got;
    while ((got = recv(raw, room, sizeof(room), 0)) > 0)
        ;
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
    close(raw);
    ear.stream = NULL;
    close_ear(&ear);
}

static bool has_ended(int raw)
{
    struct pollfd entry = { .fd = raw, .events = POLLIN | POLLRDHUP };
    return poll(&entry, 1, 0) == 1 && entry.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void a_lingering_stream_delivers_its_answer_though_the_peer_still_sends(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    char room[32];
    int raw = connect_raw(&ear);
    write_raw(raw, "unread ");
    tg_stream_pause(ear.stream);
    tg_stream_send(ear.stream, static_buffer("413"));
    tg_stream_linger(ear.stream);
    ear.stream = NULL;
    run_turns(loop, 2);
    for (int i = 0; i < 10; i++) {
        write_raw(raw, "still sending ");
        run_turns(loop, 2);
    }
    assert_int_equal(recv(raw, room, sizeof(room), 0), 3);
    assert_int_equal(recv(raw, room, sizeof(room), 0), 0);
    assert_int_equal(ear.calls, 0);
    close(raw);
    run_turns(loop, 3);
    close_ear(&ear);
}

static void a_lingering_stream_does_not_read_for_ever(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    static char large[1 << 16];
    int raw = connect_raw(&ear);
    tg_stream_linger(ear.stream);
    ear.stream = NULL;
    int rounds = 0;
    fcntl(raw, F_SETFL, O_NONBLOCK);
    do {
        if (send(raw, large, sizeof(large), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            break;
        run_turns(loop, 2);
    } while (++rounds < 100);
    assert_in_range(rounds, 1, 20);
    assert_true(has_ended(raw));
    close(raw);
    close_ear(&ear);
}

static void a_detached_socket_goes_on_in_another_stream(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 };
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    connect_pair(&left, &right);
    struct tg_socket socket = tg_stream_detach(left.stream);
    run_turns(loop, 1);
    left.stream = tg_stream_attach(loop, socket, &nobody, &ops, &left);
    assert_non_null(left.stream);
    tg_stream_send(right.stream, static_buffer("again"));
    run_until(loop, &left.bytes, 5);
    close_ear(&left);
    close_ear(&right);
}

/* [D13] */
static void a_socket_that_stirred_is_not_attached(void **state)
{
    (void)state;
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    int ends[2];
    for (int closes = 0; closes < 2; closes++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        if (closes)
            shutdown(ends[1], SHUT_WR);
        else
            write_raw(ends[1], "x");
        assert_null(tg_stream_attach(loop, (struct tg_socket){ ends[0], NULL }, &nobody, &ops, NULL));
        assert_int_equal(fcntl(ends[0], F_GETFD), -1);
        close(ends[1]);
    }
    tg_socket_close((struct tg_socket){ -1, NULL });
}

static void silence_is_known_without_reading(void **state)
{
    (void)state;
    struct ear ear = { 0 };
    int raw = connect_raw(&ear);
    assert_true(tg_stream_silent(ear.stream));
    write_raw(raw, "x");
    assert_false(tg_stream_silent(ear.stream));
    run_until(loop, &ear.bytes, 1);
    assert_true(tg_stream_silent(ear.stream));
    close(raw);
    assert_false(tg_stream_silent(ear.stream));
    close_ear(&ear);
}

static void streams_left_open_go_with_the_loop(void **state)
{
    (void)state;
    struct ear left = { 0 }, right = { 0 };
    connect_pair(&left, &right);
    tg_stream_linger(left.stream);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(bytes_go_both_ways),
        STREAM_TEST(what_is_sent_before_the_connection_stands_goes_out_then),
        STREAM_TEST(a_refused_connection_is_told_after_the_call),
        STREAM_TEST(a_connecting_stream_can_be_closed_at_once),
        STREAM_TEST(the_end_comes_once_and_after_the_data),
        STREAM_TEST(a_paused_stream_gives_nothing_but_tells_that_the_peer_finished),
        STREAM_TEST(a_paused_stream_whose_peer_closed_whole_can_be_resumed),
        STREAM_TEST(a_paused_stream_hears_of_a_reset),
        STREAM_TEST(an_owner_that_pauses_in_between_gets_the_rest_later),
        STREAM_TEST(a_slow_peer_makes_bytes_wait_and_the_drain_is_told),
        STREAM_TEST(many_buffers_leave_in_order),
        STREAM_TEST(kept_buffers_stay_as_they_were),
        STREAM_TEST(an_owner_that_closes_on_data_hears_nothing_more),
        STREAM_TEST(a_stream_closed_by_another_ones_event_hears_nothing),
        STREAM_TEST(an_answer_that_came_before_a_failed_send_is_given_first),
        STREAM_TEST(a_reset_is_seen_as_one_by_the_peer),
        STREAM_TEST(a_lingering_stream_delivers_its_answer_though_the_peer_still_sends),
        STREAM_TEST(a_lingering_stream_does_not_read_for_ever),
        STREAM_TEST(a_detached_socket_goes_on_in_another_stream),
        STREAM_TEST(a_socket_that_stirred_is_not_attached),
        STREAM_TEST(silence_is_known_without_reading),
        STREAM_TEST(streams_left_open_go_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
