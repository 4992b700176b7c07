#include "proxy/snapshot.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "net/tls_client.h"
#include "net/tls_server.h"
#include "proxy/balance_tiers.h"
#include "proxy/peer.h"
#include "proxy/router.h"

static const struct tg_settings default_settings = {
    .error_level = TG_LOG_INFO,
    .limits = TG_HTTP_LIMITS_DEFAULT,
    .h2 = TG_H2_LIMITS_DEFAULT,
    .connections = 8192,
    .ticket_rotation = 8 * 3600,
    .timeouts = {
        .header = 15,
        .idle = 75,
        .body_rate = 500,
        .tunnel_idle = 3600,
        .total = INFINITY,
        .connect = 5,
        .tls = 5,
        .send = 30,
        .first_byte = 60,
        .between_bytes = 60,
    },
    .replay_limit = 64 * 1024,
    .load_time = 10,
    .script_memory = 128 * 1024 * 1024,
    .generations_keep = 8,
    .generations_detach = 60,
    .drain = 30,
    .drain_idle = 1,
};

struct tg_snapshot *tg_snapshot_new(void)
{
    struct tg_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot)
        return NULL;
    snapshot->router = tg_router_new();
    if (!snapshot->router) {
        free(snapshot);
        return NULL;
    }
    atomic_init(&snapshot->references, 1);
    tg_arena_init(&snapshot->arena);
    snapshot->settings = default_settings;
    snapshot->none = (struct tg_route){
        .name = TG_SLICE("none"),
        .timeouts = default_settings.timeouts,
        .body_limit = default_settings.limits.body,
    };
    return snapshot;
}

static bool name_groups(struct tg_snapshot *snapshot)
{
    snapshot->groups_named = tg_map_new();
    if (!snapshot->groups_named)
        return false;
    for (size_t i = 0; i < snapshot->group_count; i++) {
        struct tg_group *group = &snapshot->groups[i];
        if (!tg_map_set(snapshot->groups_named, group->name, group))
            return false;
    }
    return true;
}

static bool name_routes(struct tg_snapshot *snapshot)
{
    snapshot->routes_named = tg_map_new();
    if (!snapshot->routes_named)
        return false;
    for (size_t i = 0; i < snapshot->route_count; i++) {
        struct tg_route *route = &snapshot->routes[i];
        if (!tg_map_set(snapshot->routes_named, route->name, route))
            return false;
    }
    return true;
}

bool tg_snapshot_finish(struct tg_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (!tg_balance_prepare(&snapshot->groups[i], &snapshot->arena))
            return false;
    return name_groups(snapshot) && name_routes(snapshot);
}

struct tg_snapshot *tg_snapshot_ref(struct tg_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

static void release_group(struct tg_group *group)
{
    tg_tls_client_unref(group->tls);
    for (size_t i = 0; i < group->peer_count; i++)
        if (group->peers[i].peer)
            tg_peer_unref(group->peers[i].peer);
}

static void free_map(struct tg_map *map)
{
    if (map)
        tg_map_free(map);
}

void tg_snapshot_unref(struct tg_snapshot *snapshot)
{
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < snapshot->group_count; i++)
        release_group(&snapshot->groups[i]);
    for (size_t i = 0; i < snapshot->listener_count; i++)
        tg_tls_server_unref(snapshot->listeners[i].tls);
    free_map(snapshot->groups_named);
    free_map(snapshot->routes_named);
    tg_router_free(snapshot->router);
    tg_arena_deinit(&snapshot->arena);
    free(snapshot);
}

/* Before tg_snapshot_finish the loader asks now and then; a search will do. */
struct tg_group *tg_snapshot_group(const struct tg_snapshot *snapshot, struct tg_slice name)
{
    if (snapshot->groups_named)
        return tg_map_get(snapshot->groups_named, name);
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (tg_slice_equal(snapshot->groups[i].name, name))
            return &snapshot->groups[i];
    return NULL;
}

struct tg_route *tg_snapshot_route(const struct tg_snapshot *snapshot, struct tg_slice name)
{
    if (snapshot->routes_named)
        return tg_map_get(snapshot->routes_named, name);
    for (size_t i = 0; i < snapshot->route_count; i++)
        if (tg_slice_equal(snapshot->routes[i].name, name))
            return &snapshot->routes[i];
    return NULL;
}
