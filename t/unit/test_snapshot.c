#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdatomic.h>

#include "proxy/peer.h"
#include "proxy/router.h"
#include "proxy/snapshot.h"

struct fixture {
    struct tg_loop *loop;
    struct tg_peer_registry *registry;
    struct tg_snapshot *snapshot;
};

static int start(void **state)
{
    static struct fixture fixture;
    fixture.loop = tg_loop_new(NULL, NULL);
    fixture.registry = tg_peer_registry_new(fixture.loop);
    fixture.snapshot = tg_snapshot_new();
    *state = &fixture;
    return fixture.registry && fixture.snapshot ? 0 : 1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    tg_snapshot_unref(fixture->snapshot);
    tg_peer_registry_free(fixture->registry);
    tg_loop_free(fixture->loop);
    return 0;
}

static struct tg_peer *peer_at(struct fixture *fixture, const char *text)
{
    struct tg_address address;
    const char *problem;
    struct tg_slice name = tg_slice_from_string(text);
    assert_true(tg_address_parse(name, &address, &problem));
    struct tg_peer *peer = tg_peer_registry_get(fixture->registry, name, name, &address, TG_PROTOCOL_H1, NULL);
    assert_non_null(peer);
    return peer;
}

static void *allocate(struct fixture *fixture, size_t size)
{
    void *memory = tg_arena_alloc_zeroed(&fixture->snapshot->arena, size);
    assert_non_null(memory);
    return memory;
}

/* Two groups; the first has two peers, the second one of these again. */
static void fill(struct fixture *fixture)
{
    struct tg_snapshot *snapshot = fixture->snapshot;
    snapshot->groups = allocate(fixture, 2 * sizeof(struct tg_group));
    snapshot->group_count = 2;
    snapshot->groups[0].name = TG_SLICE("app");
    snapshot->groups[0].peers = allocate(fixture, 2 * sizeof(struct tg_group_peer));
    snapshot->groups[0].peer_count = 2;
    snapshot->groups[0].peers[0] = (struct tg_group_peer){ peer_at(fixture, "127.0.0.1:9002"), 1, 5 };
    snapshot->groups[0].peers[1] = (struct tg_group_peer){ peer_at(fixture, "127.0.0.1:9001"), 3, 0 };
    snapshot->groups[1].name = TG_SLICE("app-v2");
    snapshot->groups[1].peers = allocate(fixture, sizeof(struct tg_group_peer));
    snapshot->groups[1].peer_count = 1;
    snapshot->groups[1].peers[0] = (struct tg_group_peer){ peer_at(fixture, "127.0.0.1:9001"), 1, 0 };
    snapshot->routes = allocate(fixture, sizeof(struct tg_route));
    snapshot->route_count = 1;
    snapshot->routes[0].name = TG_SLICE("all");
    snapshot->routes[0].group = &snapshot->groups[0];
}

static void a_new_snapshot_has_settings_that_are_safe_on_the_open_internet(void **state)
{
    const struct tg_settings *settings = &((struct fixture *)*state)->snapshot->settings;
    assert_int_equal(settings->limits.head, 64 * 1024);
    assert_int_equal(settings->limits.fields, 200);
    assert_true(settings->timeouts.header == 15);
    assert_true(settings->timeouts.idle == 75);
    assert_true(settings->timeouts.body_rate == 500);
    assert_true(isinf(settings->timeouts.total));
    assert_int_equal(settings->connections, 8192);
    assert_int_equal(settings->trusted_proxies.count, 0);
}

static void requests_that_no_route_takes_have_a_route_without_destination(void **state)
{
    struct fixture *fixture = *state;
    assert_true(tg_slice_equal(fixture->snapshot->none.name, TG_SLICE("none")));
    assert_null(fixture->snapshot->none.group);
    assert_null(tg_snapshot_route(fixture->snapshot, TG_SLICE("none")));
}

static void groups_and_routes_are_found_by_name_before_and_after_the_last_step(void **state)
{
    struct fixture *fixture = *state;
    struct tg_snapshot *snapshot = fixture->snapshot;
    fill(fixture);
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(tg_snapshot_group(snapshot, TG_SLICE("app-v2")), &snapshot->groups[1]);
        assert_null(tg_snapshot_group(snapshot, TG_SLICE("ap")));
        assert_ptr_equal(tg_snapshot_route(snapshot, TG_SLICE("all")), &snapshot->routes[0]);
        assert_null(tg_snapshot_route(snapshot, TG_SLICE("")));
        if (i == 0)
            assert_true(tg_snapshot_finish(snapshot));
    }
}

static void the_last_step_puts_peers_in_the_order_of_their_priority(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    assert_true(tg_snapshot_finish(fixture->snapshot));
    const struct tg_group *group = &fixture->snapshot->groups[0];
    assert_int_equal(group->tier_count, 2);
    assert_int_equal(group->peers[0].priority, 0);
    assert_true(tg_slice_equal(group->peers[0].peer->name, TG_SLICE("127.0.0.1:9001")));
    assert_int_equal(group->peers[1].priority, 5);
}

static void the_last_reference_releases_the_peers(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    struct tg_peer *peer = tg_peer_ref(fixture->snapshot->groups[1].peers[0].peer);
    assert_int_equal(atomic_load(&peer->references), 3);
    struct tg_snapshot *second = tg_snapshot_ref(fixture->snapshot);
    tg_snapshot_unref(second);
    assert_int_equal(atomic_load(&peer->references), 3);
    tg_snapshot_unref(fixture->snapshot);
    assert_int_equal(atomic_load(&peer->references), 1);
    tg_peer_unref(peer);
    fixture->snapshot = tg_snapshot_new();
}

static void a_peer_lives_on_in_the_next_snapshot(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture);
    uint64_t serial = fixture->snapshot->groups[0].peers[0].peer->serial;
    struct tg_snapshot *old = fixture->snapshot;
    fixture->snapshot = tg_snapshot_new();
    fill(fixture);
    tg_snapshot_unref(old);
    assert_int_equal(fixture->snapshot->groups[0].peers[0].peer->serial, serial);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        T(a_new_snapshot_has_settings_that_are_safe_on_the_open_internet),
        T(requests_that_no_route_takes_have_a_route_without_destination),
        T(groups_and_routes_are_found_by_name_before_and_after_the_last_step),
        T(the_last_step_puts_peers_in_the_order_of_their_priority),
        T(the_last_reference_releases_the_peers),
        T(a_peer_lives_on_in_the_next_snapshot),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
