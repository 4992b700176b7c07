#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "net/listener.h"

enum { WORKERS_LIMIT = 4 };

/* A worker that answers "!" to every byte and keeps its connections until the peer ends them. */
struct worker {
    struct tg_loop *loop;
    pthread_t thread;
    _Atomic uint32_t connections;
    _Atomic uint32_t arrivals;
    struct tg_acceptor **acceptor;
    struct tg_message stop;
};

static struct worker workers[WORKERS_LIMIT];
static struct tg_acceptor *acceptor;
static size_t worker_count;

static void end_connection(struct tg_stream *stream)
{
    struct worker *worker = tg_stream_owner(stream);
    tg_stream_close(stream);
    tg_accept_ended(*worker->acceptor, &worker->connections);
}

static void answer(struct tg_stream *stream, struct tg_buffer data)
{
    (void)data;
    tg_stream_send(stream, (struct tg_buffer){ NULL, "!", 1 });
}

static void fail_connection(struct tg_stream *stream, enum tg_stream_end end)
{
    (void)end;
    end_connection(stream);
}

static const struct tg_stream_ops ops = { .on_data = answer, .on_eof = end_connection, .on_failed = fail_connection };

static void accepted(struct tg_loop *loop, struct tg_stream *stream, struct tg_listener *listener)
{
    struct worker *worker = tg_loop_context(loop);
    assert_int_equal(tg_address_port(tg_stream_local(stream)), tg_address_port(tg_listener_address(listener)));
    tg_stream_set_owner(stream, &ops, worker);
    atomic_fetch_add(&worker->arrivals, 1);
}

static void *work(void *context)
{
    struct worker *worker = context;
    tg_loop_run(worker->loop);
    tg_block_release_thread_pool();
    tg_arena_release_thread_pool();
    return NULL;
}

static void stop(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    tg_loop_stop(loop);
}

static void start_workers(size_t count, uint32_t limit)
{
    struct tg_accept_target targets[WORKERS_LIMIT];
    worker_count = count;
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        *worker = (struct worker){ .acceptor = &acceptor, .stop.run = stop };
        worker->loop = tg_loop_new(NULL, worker);
        targets[i] = (struct tg_accept_target){ worker->loop, accepted, &worker->connections };
    }
    acceptor = tg_acceptor_new(targets, count, limit);
    assert_non_null(acceptor);
    for (size_t i = 0; i < count; i++)
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
}

static void stop_workers(void)
{
    for (size_t i = 0; i < worker_count; i++) {
        tg_loop_post(workers[i].loop, &workers[i].stop);
        pthread_join(workers[i].thread, NULL);
    }
    tg_acceptor_free(acceptor);
    for (size_t i = 0; i < worker_count; i++)
        tg_loop_free(workers[i].loop);
    tg_block_release_thread_pool();
}

static struct tg_listener *open_listener(void)
{
    struct tg_address address;
    const char *problem;
    char why[256];
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:0"), &address, &problem));
    struct tg_listener *listener = tg_listener_open(&address, why);
    assert_non_null(listener);
    return listener;
}

static int connect_to(const struct tg_address *address)
{
    int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { .tv_sec = 20 };
    assert_true(raw >= 0);
    setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(raw, &address->any, address->length), 0);
    return raw;
}

static void ask(int raw)
{
    assert_int_equal(send(raw, "?", 1, MSG_NOSIGNAL), 1);
}

static void hear_answer(int raw)
{
    char mark = 0;
    assert_int_equal(recv(raw, &mark, 1, 0), 1);
    assert_int_equal(mark, '!');
}

static bool answers_within(int raw, int milliseconds)
{
    struct timeval patience = { .tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000 };
    char mark;
    setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return recv(raw, &mark, 1, 0) == 1;
}

static void connect_many(int *raws, int count, const struct tg_address *address)
{
    for (int i = 0; i < count; i++)
        raws[i] = connect_to(address);
    for (int i = 0; i < count; i++)
        ask(raws[i]);
    for (int i = 0; i < count; i++)
        hear_answer(raws[i]);
}

static void close_many(const int *raws, int count)
{
    for (int i = 0; i < count; i++)
        close(raws[i]);
}

static void connections_are_spread_evenly(void **state)
{
    (void)state;
    int raws[150];
    start_workers(3, 1000);
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    connect_many(raws, 150, tg_listener_address(listener));
    for (size_t i = 0; i < 3; i++)
        assert_in_range(atomic_load(&workers[i].connections), 15, 120); /* a busy machine makes workers late */
    close_many(raws, 150);
    tg_acceptor_remove(acceptor, listener);
    stop_workers();
    tg_listener_close(listener);
}

static pthread_mutex_t held_up = PTHREAD_MUTEX_INITIALIZER;

static void be_held_up(struct tg_message *message, struct tg_loop *loop)
{
    (void)message, (void)loop;
    pthread_mutex_lock(&held_up);
    pthread_mutex_unlock(&held_up);
}

static void a_worker_that_is_held_up_delays_no_connection(void **state)
{
    (void)state;
    int raws[60];
    struct tg_message hold = { .run = be_held_up };
    start_workers(2, 1000);
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    pthread_mutex_lock(&held_up);
    tg_loop_post(workers[0].loop, &hold);
    connect_many(raws, 60, tg_listener_address(listener));
    assert_int_equal(atomic_load(&workers[0].arrivals), 0);
    assert_int_equal(atomic_load(&workers[1].connections), 60);
    pthread_mutex_unlock(&held_up);
    close_many(raws, 60);
    tg_acceptor_remove(acceptor, listener);
    stop_workers();
    tg_listener_close(listener);
}

static void when_all_workers_are_held_up_connections_wait(void **state)
{
    (void)state;
    int raws[20];
    struct tg_message holds[2] = { { .run = be_held_up }, { .run = be_held_up } };
    start_workers(2, 1000);
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    pthread_mutex_lock(&held_up);
    for (int i = 0; i < 2; i++)
        tg_loop_post(workers[i].loop, &holds[i]);
    for (int i = 0; i < 20; i++) {
        raws[i] = connect_to(tg_listener_address(listener));
        ask(raws[i]);
    }
    assert_false(answers_within(raws[0], 20));
    pthread_mutex_unlock(&held_up);
    assert_true(answers_within(raws[0], 20000));
    for (int i = 1; i < 20; i++)
        hear_answer(raws[i]);
    close_many(raws, 20);
    tg_acceptor_remove(acceptor, listener);
    stop_workers();
    tg_listener_close(listener);
}

static void beyond_the_limit_accepting_waits_for_an_end(size_t count)
{
    int raws[9];
    start_workers(count, (uint32_t)(8 / count));
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    connect_many(raws, 8, tg_listener_address(listener));
    raws[8] = connect_to(tg_listener_address(listener));
    ask(raws[8]);
    assert_false(answers_within(raws[8], 50));
    close(raws[0]);
    assert_true(answers_within(raws[8], 20000));
    raws[0] = connect_to(tg_listener_address(listener));
    ask(raws[0]);
    assert_false(answers_within(raws[0], 50));
    tg_acceptor_set_limit(acceptor, 100);
    assert_true(answers_within(raws[0], 20000));
    close_many(raws, 9);
    tg_acceptor_remove(acceptor, listener);
    stop_workers();
    tg_listener_close(listener);
    assert_true(tg_counters_total(TG_COUNTER_ACCEPT_PAUSES) > 0);
}

/* [E08] */
static void with_several_workers_accepting_pauses_at_the_limit(void **state)
{
    (void)state;
    beyond_the_limit_accepting_waits_for_an_end(2);
}

/* [E08] */
static void with_one_worker_accepting_pauses_at_the_limit(void **state)
{
    (void)state;
    beyond_the_limit_accepting_waits_for_an_end(1);
}

/* [A08] */
static void connections_that_wait_when_a_listener_goes_are_served(size_t count)
{
    int raws[20];
    start_workers(count, 5); /* so that some are left in the queue */
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    for (int i = 0; i < 20; i++)
        raws[i] = connect_to(tg_listener_address(listener));
    tg_acceptor_remove(acceptor, listener);
    tg_listener_close(listener);
    for (int i = 0; i < 20; i++) {
        ask(raws[i]);
        hear_answer(raws[i]);
    }
    close_many(raws, 20);
    stop_workers();
}

static void with_several_workers_a_listener_that_goes_is_emptied(void **state)
{
    (void)state;
    connections_that_wait_when_a_listener_goes_are_served(3);
}

static void with_one_worker_a_listener_that_goes_is_emptied(void **state)
{
    (void)state;
    connections_that_wait_when_a_listener_goes_are_served(1);
}

static void out_of_descriptors_accepting_pauses_and_goes_on(size_t count)
{
    struct rlimit limit, low;
    start_workers(count, 1000);
    struct tg_listener *listener = open_listener();
    assert_true(tg_acceptor_add(acceptor, listener));
    int first = connect_to(tg_listener_address(listener)), second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ask(first);
    hear_answer(first);
    int64_t pauses = tg_counters_total(TG_COUNTER_ACCEPT_PAUSES);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = (struct rlimit){ .rlim_cur = (rlim_t)second + 1, .rlim_max = limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &low);
    const struct tg_address *address = tg_listener_address(listener);
    assert_int_equal(connect(second, &address->any, address->length), 0);
    ask(second);
    assert_false(answers_within(second, 250));
    assert_in_range(tg_counters_total(TG_COUNTER_ACCEPT_PAUSES) - pauses, 1, 10);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(answers_within(second, 20000));
    close(first);
    close(second);
    tg_acceptor_remove(acceptor, listener);
    stop_workers();
    tg_listener_close(listener);
}

/* [E08] */
static void with_several_workers_missing_descriptors_do_not_spin(void **state)
{
    (void)state;
    out_of_descriptors_accepting_pauses_and_goes_on(2);
}

/* [E08] */
static void with_one_worker_missing_descriptors_do_not_spin(void **state)
{
    (void)state;
    out_of_descriptors_accepting_pauses_and_goes_on(1);
}

static void listeners_come_and_go_while_connections_arrive(void **state)
{
    (void)state;
    start_workers(3, 1000);
    struct tg_listener *stays = open_listener();
    assert_true(tg_acceptor_add(acceptor, stays));
    for (int round = 0; round < 50; round++) {
        struct tg_listener *goes = open_listener();
        int raws[2];
        assert_true(tg_acceptor_add(acceptor, goes));
        raws[0] = connect_to(tg_listener_address(goes));
        raws[1] = connect_to(tg_listener_address(stays));
        tg_acceptor_remove(acceptor, goes);
        tg_listener_close(goes);
        for (int i = 0; i < 2; i++) {
            ask(raws[i]);
            hear_answer(raws[i]);
            close(raws[i]);
        }
    }
    tg_acceptor_remove(acceptor, stays);
    stop_workers();
    tg_listener_close(stays);
}

/* A batch that is full is with its worker while the next connection is still being accepted. */
static void a_listener_outlives_all_batches_of_a_burst(void **state)
{
    (void)state;
    enum { BURST = 3 * 64 + 40 };
    int raws[BURST];
    start_workers(3, 1000);
    for (int round = 0; round < 8; round++) {
        struct tg_listener *listener = open_listener();
        for (int i = 0; i < BURST; i++)
            raws[i] = connect_to(tg_listener_address(listener));
        assert_true(tg_acceptor_add(acceptor, listener));
        tg_acceptor_remove(acceptor, listener);
        tg_listener_close(listener);
        for (int i = 0; i < BURST; i++)
            ask(raws[i]);
        for (int i = 0; i < BURST; i++)
            hear_answer(raws[i]);
        close_many(raws, BURST);
    }
    stop_workers();
}

static void an_acceptor_whose_workers_never_ran_can_be_freed(void **state)
{
    (void)state;
    for (size_t count = 1; count < 3; count++) {
        struct tg_accept_target targets[2];
        for (size_t i = 0; i < count; i++) {
            workers[i].loop = tg_loop_new(NULL, &workers[i]);
            targets[i] = (struct tg_accept_target){ workers[i].loop, accepted, &workers[i].connections };
        }
        tg_acceptor_free(tg_acceptor_new(targets, count, 10));
        for (size_t i = 0; i < count; i++)
            tg_loop_free(workers[i].loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_spread_evenly),
        cmocka_unit_test(a_worker_that_is_held_up_delays_no_connection),
        cmocka_unit_test(when_all_workers_are_held_up_connections_wait),
        cmocka_unit_test(with_several_workers_accepting_pauses_at_the_limit),
        cmocka_unit_test(with_one_worker_accepting_pauses_at_the_limit),
        cmocka_unit_test(with_several_workers_a_listener_that_goes_is_emptied),
        cmocka_unit_test(with_one_worker_a_listener_that_goes_is_emptied),
        cmocka_unit_test(with_several_workers_missing_descriptors_do_not_spin),
        cmocka_unit_test(with_one_worker_missing_descriptors_do_not_spin),
        cmocka_unit_test(listeners_come_and_go_while_connections_arrive),
        cmocka_unit_test(a_listener_outlives_all_batches_of_a_burst),
        cmocka_unit_test(an_acceptor_whose_workers_never_ran_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
