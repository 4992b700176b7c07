#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/balance.h"
#include "proxy/peer.h"
#include "proxy/worker.h"

enum { PEERS_MAX = 2048 };

/* A group of peers that are told apart by their index; a worker with nothing but positions. */
struct fixture {
    struct tg_worker worker;
    struct tg_arena arena;
    struct tg_group group;
    struct tg_group_peer members[PEERS_MAX];
    struct tg_peer peers[PEERS_MAX];
    uint32_t counts[PEERS_MAX];
};

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    tg_arena_init(&fixture->arena);
    fixture->group.name = TG_SLICE("app");
    fixture->group.peers = fixture->members;
    *state = fixture;
    return 0;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    tg_balance_free(fixture->worker.balance);
    tg_arena_deinit(&fixture->arena);
    free(fixture);
    return 0;
}

static void add_peer(struct fixture *fixture, uint32_t weight, uint32_t priority)
{
    size_t index = fixture->group.peer_count++;
    fixture->peers[index].index = (uint32_t)index;
    fixture->members[index] =
        (struct tg_group_peer){ .peer = &fixture->peers[index], .weight = weight, .priority = priority };
}

static void prepare(struct fixture *fixture)
{
    assert_true(tg_balance_prepare(&fixture->group, &fixture->arena));
}

static uint32_t choose(struct fixture *fixture)
{
    uint64_t tried = 0;
    struct tg_peer *peer = tg_balance_choose(&fixture->worker, &fixture->group, &tried);
    assert_non_null(peer);
    return peer->index;
}

static void choose_times(struct fixture *fixture, size_t times)
{
    memset(fixture->counts, 0, sizeof(fixture->counts));
    for (size_t i = 0; i < times; i++)
        fixture->counts[choose(fixture)]++;
}

static void a_round_meets_the_weights_exactly_wherever_it_starts(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t weights[] = { 5, 1, 90, 4 };
    for (size_t i = 0; i < 4; i++)
        add_peer(fixture, weights[i], 0);
    prepare(fixture);
    for (int start_at = 0; start_at < 7; start_at++) {
        choose(fixture);
        choose_times(fixture, 100);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(fixture->counts[i], weights[i]);
    }
}

static void equal_peers_take_turns(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 7; i++)
        add_peer(fixture, 30, 0);
    prepare(fixture);
    uint32_t order[7];
    for (size_t i = 0; i < 7; i++)
        order[i] = choose(fixture);
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(choose(fixture), order[i % 7]);
}

/* In any run of choices no peer is far from its share. */
static void the_order_is_smooth(void **state)
{
    struct fixture *fixture = *state;
    add_peer(fixture, 700, 0);
    add_peer(fixture, 200, 0);
    add_peer(fixture, 99, 0);
    add_peer(fixture, 1, 0);
    prepare(fixture);
    for (size_t run = 0; run < 40; run++) {
        choose_times(fixture, 50);
        assert_in_range(fixture->counts[0], 32, 38);
        assert_in_range(fixture->counts[1], 7, 13);
        assert_in_range(fixture->counts[2], 2, 8);
    }
}

static void a_reload_keeps_the_position(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++)
        add_peer(fixture, 1, 0);
    prepare(fixture);
    uint32_t first = choose(fixture), second = choose(fixture);
    struct tg_group reloaded = fixture->group;
    struct tg_arena arena;
    char name[] = "app";
    tg_arena_init(&arena);
    reloaded.name = tg_slice_of(name, 3);
    assert_true(tg_balance_prepare(&reloaded, &arena));
    uint64_t tried = 0;
    uint32_t third = tg_balance_choose(&fixture->worker, &reloaded, &tried)->index;
    assert_int_equal(first + second + third, 3);
    assert_true(first != second && second != third && third != first);
    tg_arena_deinit(&arena);
}

static void groups_keep_positions_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++)
        add_peer(fixture, 1, 0);
    prepare(fixture);
    struct tg_group other = fixture->group;
    other.name = TG_SLICE("other");
    uint32_t first = choose(fixture);
    for (int i = 0; i < 10; i++) {
        uint64_t tried = 0;
        assert_non_null(tg_balance_choose(&fixture->worker, &other, &tried));
        assert_int_equal(choose(fixture), i % 2 ? first : 1 - first);
    }
}

static void workers_start_at_different_places(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 16; i++)
        add_peer(fixture, 1, 0);
    prepare(fixture);
    memset(fixture->counts, 0, sizeof(fixture->counts));
    for (size_t i = 0; i < 64; i++) {
        fixture->counts[choose(fixture)]++;
        tg_balance_free(fixture->worker.balance);
        fixture->worker.balance = NULL;
    }
    size_t seen = 0;
    for (size_t i = 0; i < 16; i++)
        seen += fixture->counts[i] > 0;
    assert_true(seen > 4);
}

static void an_exchange_tries_each_peer_once(void **state)
{
    struct fixture *fixture = *state;
    add_peer(fixture, 1000, 0);
    for (size_t i = 1; i < 64; i++)
        add_peer(fixture, 1, 0);
    prepare(fixture);
    uint64_t tried = 0;
    for (size_t i = 0; i < 64; i++) {
        struct tg_peer *peer = tg_balance_choose(&fixture->worker, &fixture->group, &tried);
        assert_non_null(peer);
        assert_int_equal(fixture->counts[peer->index]++, 0);
    }
    assert_true(tried == UINT64_MAX);
    assert_null(tg_balance_choose(&fixture->worker, &fixture->group, &tried));
}

static void another_try_leaves_the_order_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 3; i++)
        add_peer(fixture, 1, 0);
    prepare(fixture);
    uint32_t order[3];
    for (size_t i = 0; i < 3; i++)
        order[i] = choose(fixture);
    for (size_t i = 0; i < 30; i++) {
        uint64_t tried = 0;
        assert_int_equal(tg_balance_choose(&fixture->worker, &fixture->group, &tried)->index, order[i % 3]);
        assert_non_null(tg_balance_choose(&fixture->worker, &fixture->group, &tried));
    }
}

/* What one dead peer would have got must not all fall on its neighbour. */
static void other_tries_are_spread_by_weight(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t weights[] = { 1, 1, 2, 1 };
    for (size_t i = 0; i < 4; i++)
        add_peer(fixture, weights[i], 0);
    prepare(fixture);
    for (size_t i = 0; i < 4000; i++) {
        uint64_t tried = 1;
        fixture->counts[tg_balance_choose(&fixture->worker, &fixture->group, &tried)->index]++;
    }
    assert_int_equal(fixture->counts[0], 0);
    assert_in_range(fixture->counts[1], 700, 1300);
    assert_in_range(fixture->counts[2], 1700, 2300);
    assert_in_range(fixture->counts[3], 700, 1300);
}

static void a_later_priority_serves_when_all_before_were_tried(void **state)
{
    struct fixture *fixture = *state;
    add_peer(fixture, 1, 2);
    add_peer(fixture, 1, 1);
    add_peer(fixture, 1, 2);
    add_peer(fixture, 1, 1);
    prepare(fixture);
    choose_times(fixture, 10);
    assert_int_equal(fixture->counts[1], 5);
    assert_int_equal(fixture->counts[3], 5);
    uint64_t tried = 0;
    uint32_t sum = 0, last[2];
    for (int i = 0; i < 2; i++)
        sum += tg_balance_choose(&fixture->worker, &fixture->group, &tried)->index;
    assert_int_equal(sum, 1 + 3);
    for (int i = 0; i < 2; i++)
        last[i] = tg_balance_choose(&fixture->worker, &fixture->group, &tried)->index;
    assert_int_equal(last[0] + last[1], 0 + 2);
    assert_null(tg_balance_choose(&fixture->worker, &fixture->group, &tried));
}

static void a_group_without_peers_has_none_to_choose(void **state)
{
    struct fixture *fixture = *state;
    uint64_t tried = 0;
    prepare(fixture);
    assert_null(tg_balance_choose(&fixture->worker, &fixture->group, &tried));
}

static double nanoseconds_for_choice(struct fixture *fixture)
{
    enum { CHOICES = 20000 };
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        struct timespec from, to;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (int i = 0; i < CHOICES; i++)
            choose(fixture);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
        best = seconds < best ? seconds : best;
    }
    return best / CHOICES * 1e9;
}

static void a_choice_among_two_thousand_costs_about_what_one_among_two_does(void **state)
{
    struct fixture *fixture = *state;
    add_peer(fixture, 1, 0);
    add_peer(fixture, 3, 0);
    prepare(fixture);
    double few = nanoseconds_for_choice(fixture);
    while (fixture->group.peer_count < PEERS_MAX)
        add_peer(fixture, (uint32_t)(fixture->group.peer_count * 7919 % 1000 + 1), 0);
    prepare(fixture);
    double many = nanoseconds_for_choice(fixture);
    print_message("2 peers: %.0f ns, %d peers: %.0f ns a choice\n", few, PEERS_MAX, many);
    assert_true(many < few * 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(a_round_meets_the_weights_exactly_wherever_it_starts),
        T(equal_peers_take_turns),
        T(the_order_is_smooth),
        T(a_reload_keeps_the_position),
        T(groups_keep_positions_of_their_own),
        T(workers_start_at_different_places),
        T(an_exchange_tries_each_peer_once),
        T(another_try_leaves_the_order_as_it_is),
        T(other_tries_are_spread_by_weight),
        T(a_later_priority_serves_when_all_before_were_tried),
        T(a_group_without_peers_has_none_to_choose),
        T(a_choice_among_two_thousand_costs_about_what_one_among_two_does),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
