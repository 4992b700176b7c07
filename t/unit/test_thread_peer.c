/* The registry of peers and the connections parked with it, while several threads use them. Runs under TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proxy/peer.h"

enum { THREADS = 4, ROUNDS = 1500, DESCRIPTORS = 4096, WAIT_MILLISECONDS = 10000 };

struct fixture {
    struct tg_loop *control;
    pthread_t thread;
    struct tg_peer_registry *registry;
    int descriptors_before;
};

static double now(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++)
        count += fcntl(descriptor, F_GETFD) != -1;
    return count;
}

static void *run_control(void *argument)
{
    struct fixture *fixture = argument;
    tg_loop_run(fixture->control);
    return NULL;
}

static void stop_control(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    tg_loop_stop(loop);
}

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->control = tg_loop_new(NULL, NULL);
    fixture->registry = tg_peer_registry_new(fixture->control);
    fixture->descriptors_before = count_descriptors();
    *state = fixture;
    return fixture->registry ? pthread_create(&fixture->thread, NULL, run_control, fixture) : 1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    struct tg_message message = { .run = stop_control };
    tg_loop_post(fixture->control, &message);
    pthread_join(fixture->thread, NULL);
    int left = count_descriptors();
    tg_peer_registry_free(fixture->registry);
    tg_loop_free(fixture->control);
    int before = fixture->descriptors_before;
    free(fixture);
    return left == before ? 0 : 1;
}

static struct tg_peer *get_peer(struct fixture *fixture, const char *identity)
{
    struct tg_address address;
    const char *problem;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:9001"), &address, &problem));
    struct tg_peer *peer = tg_peer_registry_get(fixture->registry, tg_slice_from_string(identity),
                                                TG_SLICE("127.0.0.1:9001"), &address, TG_PROTOCOL_H1, NULL);
    assert_non_null(peer);
    return peer;
}

/* One end to park, the other plays the upstream. */
static struct tg_socket connect_pair(int *upstream)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    *upstream = ends[1];
    return (struct tg_socket){ ends[0], NULL };
}

static void park(struct tg_peer *peer, struct tg_socket socket, double seconds, uint32_t limit)
{
    tg_peer_park(peer, socket, now(), now() + seconds, limit);
}

static void assert_closed_soon(int upstream)
{
    struct pollfd poller = { .fd = upstream, .events = POLLIN };
    char byte;
    assert_int_equal(poll(&poller, 1, WAIT_MILLISECONDS), 1);
    assert_int_equal(read(upstream, &byte, 1), 0);
    close(upstream);
}

static void wait_until_idle_is(struct tg_peer *peer, uint32_t count)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    for (int i = 0; i < WAIT_MILLISECONDS && atomic_load(&peer->idle) != count; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(atomic_load(&peer->idle), count);
}

static void the_newest_parked_connection_is_taken_first(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream[2];
    struct tg_socket older = connect_pair(&upstream[0]), newer = connect_pair(&upstream[1]);
    park(peer, older, 60, 8);
    park(peer, newer, 60, 8);
    assert_int_equal(atomic_load(&peer->idle), 2);
    assert_int_equal(tg_peer_take(peer, now()).descriptor, newer.descriptor);
    assert_int_equal(tg_peer_take(peer, now()).descriptor, older.descriptor);
    assert_int_equal(tg_peer_take(peer, now()).descriptor, -1);
    assert_int_equal(atomic_load(&peer->idle), 0);
    tg_socket_close(older);
    tg_socket_close(newer);
    close(upstream[0]);
    close(upstream[1]);
    tg_peer_unref(peer);
}

static void a_parked_connection_that_upstream_closes_is_gone_before_anyone_asks(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream[2];
    struct tg_socket kept = connect_pair(&upstream[0]), closed = connect_pair(&upstream[1]);
    park(peer, kept, 60, 8);
    park(peer, closed, 60, 8);
    close(upstream[1]);
    wait_until_idle_is(peer, 1);
    assert_int_equal(tg_peer_take(peer, now()).descriptor, kept.descriptor);
    tg_socket_close(kept);
    close(upstream[0]);
    tg_peer_unref(peer);
}

static void a_parked_connection_on_which_bytes_come_is_closed(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream;
    park(peer, connect_pair(&upstream), 60, 8);
    assert_int_equal(write(upstream, "HTTP/1.1 200 OK\r\n", 17), 17);
    wait_until_idle_is(peer, 0);
    assert_int_equal(tg_peer_take(peer, now()).descriptor, -1);
    close(upstream);
    tg_peer_unref(peer);
}

static void beyond_the_limit_the_oldest_is_closed(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream[3];
    for (int i = 0; i < 3; i++)
        park(peer, connect_pair(&upstream[i]), 60, 2);
    assert_int_equal(atomic_load(&peer->idle), 2);
    assert_closed_soon(upstream[0]);
    int unwanted;
    park(peer, connect_pair(&unwanted), 60, 0);
    assert_closed_soon(unwanted);
    assert_int_equal(atomic_load(&peer->idle), 2);
    tg_peer_unref(peer);
    assert_closed_soon(upstream[1]);
    assert_closed_soon(upstream[2]);
}

static void what_is_past_its_time_is_closed_and_never_taken(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream[2];
    park(peer, connect_pair(&upstream[0]), 60, 8);
    assert_int_equal(tg_peer_take(peer, now() + 61).descriptor, -1);
    assert_closed_soon(upstream[0]);
    park(peer, connect_pair(&upstream[1]), 0.01, 8);
    assert_closed_soon(upstream[1]);
    wait_until_idle_is(peer, 0);
    tg_peer_unref(peer);
}

static void the_last_reference_closes_what_is_parked(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    int upstream;
    park(peer, connect_pair(&upstream), 60, 8);
    assert_ptr_equal(get_peer(*state, "http 127.0.0.1:9001"), peer);
    tg_peer_unref(peer);
    assert_int_equal(atomic_load(&peer->idle), 1);
    tg_peer_unref(peer);
    assert_closed_soon(upstream);
}

static void a_peer_is_known_by_its_full_identity(void **state)
{
    struct tg_peer *plain = get_peer(*state, "http 127.0.0.1:9001");
    struct tg_peer *same = get_peer(*state, "http 127.0.0.1:9001");
    struct tg_peer *other = get_peer(*state, "https 127.0.0.1:9001 sni=a");
    assert_ptr_equal(plain, same);
    assert_ptr_not_equal(plain, other);
    assert_int_not_equal(plain->index, other->index);
    tg_peer_unref(plain);
    tg_peer_unref(same);
    tg_peer_unref(other);
}

static void an_index_is_used_again_under_another_serial(void **state)
{
    struct tg_peer *peer = get_peer(*state, "http 127.0.0.1:9001");
    uint32_t index = peer->index;
    uint64_t serial = peer->serial;
    tg_peer_unref(peer);
    peer = get_peer(*state, "http 127.0.0.1:9001");
    assert_int_equal(peer->index, index);
    assert_int_not_equal(peer->serial, serial);
    tg_peer_unref(peer);
}

static void count_peer(void *context, struct tg_peer *peer)
{
    assert_non_null(peer->name.at);
    (*(int *)context)++;
}

static void all_living_peers_are_visited(void **state)
{
    struct fixture *fixture = *state;
    struct tg_peer *one = get_peer(fixture, "one"), *two = get_peer(fixture, "two");
    int count = 0;
    tg_peer_registry_each(fixture->registry, count_peer, &count);
    assert_int_equal(count, 2);
    tg_peer_unref(one);
    tg_peer_unref(two);
}

/* --- threads against a real listener ------------------------------------------------------------------------------ */

struct crowd {
    struct fixture *fixture;
    struct sockaddr_in address;
    int listener;
    atomic_bool over;
    atomic_int taken_twice, failures, reused;
    _Atomic int owner[DESCRIPTORS]; /* which thread has a descriptor outside the registry */
};

/* Takes connections and closes most of them after a while, so that parked ones keep ending. */
static void *be_upstream(void *argument)
{
    struct crowd *crowd = argument;
    int held[32];
    size_t next = 0;
    for (size_t i = 0; i < 32; i++)
        held[i] = -1;
    struct pollfd poller = { .fd = crowd->listener, .events = POLLIN };
    while (!atomic_load(&crowd->over)) {
        if (poll(&poller, 1, 20) <= 0)
            continue;
        int accepted = accept4(crowd->listener, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0)
            continue;
        if (held[next % 32] >= 0)
            close(held[next % 32]);
        held[next++ % 32] = accepted;
    }
    for (size_t i = 0; i < 32; i++)
        if (held[i] >= 0)
            close(held[i]);
    return NULL;
}

static int connect_to(struct crowd *crowd)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || descriptor >= DESCRIPTORS ||
        connect(descriptor, (struct sockaddr *)&crowd->address, sizeof(crowd->address)) != 0) {
        atomic_fetch_add(&crowd->failures, 1);
        if (descriptor >= 0)
            close(descriptor);
        return -1;
    }
    return descriptor;
}

static void own(struct crowd *crowd, int descriptor, int thread)
{
    if (atomic_exchange(&crowd->owner[descriptor], thread) != 0)
        atomic_fetch_add(&crowd->taken_twice, 1);
}

/* As a worker does: takes an idle connection or makes one, uses it, parks it; and goes through reloads, in which peers
 * lose their last reference and come again. */
static void *be_worker(void *argument)
{
    struct crowd *crowd = argument;
    int me = (int)(tg_random_u64() % 1000000) + 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct tg_peer *peer = get_peer(crowd->fixture, round % 3 ? "http a" : "http b");
        int descriptor = tg_peer_take(peer, now()).descriptor;
        if (descriptor >= 0)
            atomic_fetch_add(&crowd->reused, 1);
        else
            descriptor = connect_to(crowd);
        if (descriptor >= 0) {
            own(crowd, descriptor, me);
            atomic_store(&crowd->owner[descriptor], 0);
            uint64_t luck = tg_random_u64();
            if (luck % 8 == 0)
                close(descriptor);
            else
                park(peer, (struct tg_socket){ descriptor, NULL }, luck % 16 == 1 ? 0.001 : 60, 8);
        }
        tg_peer_unref(peer);
    }
    return NULL;
}

static void listen_for(struct crowd *crowd)
{
    socklen_t length = sizeof(crowd->address);
    crowd->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    crowd->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(crowd->listener, (struct sockaddr *)&crowd->address, length), 0);
    assert_int_equal(listen(crowd->listener, 256), 0);
    assert_int_equal(getsockname(crowd->listener, (struct sockaddr *)&crowd->address, &length), 0);
}

static void no_connection_is_ever_given_to_two_threads(void **state)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    pthread_t upstream, workers[THREADS];
    crowd->fixture = *state;
    listen_for(crowd);
    /* One peer keeps a reference, the other is forgotten and made again all the time. */
    struct tg_peer *kept = get_peer(crowd->fixture, "http a");
    assert_int_equal(pthread_create(&upstream, NULL, be_upstream, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, be_worker, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
    atomic_store(&crowd->over, true);
    pthread_join(upstream, NULL);
    close(crowd->listener);
    wait_until_idle_is(kept, 0);
    tg_peer_unref(kept);
    assert_int_equal(atomic_load(&crowd->taken_twice), 0);
    assert_int_equal(atomic_load(&crowd->failures), 0);
    assert_true(atomic_load(&crowd->reused) > ROUNDS / 10);
    print_message("%d of %d taken from the registry\n", atomic_load(&crowd->reused), THREADS * ROUNDS);
    free(crowd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(the_newest_parked_connection_is_taken_first),
        T(a_parked_connection_that_upstream_closes_is_gone_before_anyone_asks),
        T(a_parked_connection_on_which_bytes_come_is_closed),
        T(beyond_the_limit_the_oldest_is_closed),
        T(what_is_past_its_time_is_closed_and_never_taken),
        T(the_last_reference_closes_what_is_parked),
        T(a_peer_is_known_by_its_full_identity),
        T(an_index_is_used_again_under_another_serial),
        T(all_living_peers_are_visited),
        T(no_connection_is_ever_given_to_two_threads),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
