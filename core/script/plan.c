#include "script/plan.h"

#include <math.h>

#include "base/log_ring.h"
#include "proxy/peer.h"

static void read_limits(struct tg_plan *plan, struct tg_settings *settings)
{
    tg_plan_enter(plan, "limits");
    settings->limits.head = (size_t)tg_plan_number(plan, "head", (double)settings->limits.head);
    settings->limits.fields = (size_t)tg_plan_number(plan, "fields", (double)settings->limits.fields);
    settings->limits.target = (size_t)tg_plan_number(plan, "target", (double)settings->limits.target);
    settings->limits.body = tg_plan_size(plan, "body", settings->limits.body);
    settings->replay_limit = (size_t)tg_plan_number(plan, "replay", (double)settings->replay_limit);
    settings->connections = (uint32_t)tg_plan_number(plan, "connections", settings->connections);
    lua_pop(plan->L, 1);
}

static void read_settings_timeouts(struct tg_plan *plan, struct tg_timeouts *timeouts)
{
    tg_plan_enter(plan, "timeouts");
    timeouts->header = tg_plan_seconds(plan, "header", timeouts->header);
    timeouts->idle = tg_plan_seconds(plan, "idle", timeouts->idle);
    timeouts->tunnel_idle = tg_plan_seconds(plan, "tunnel_idle", timeouts->tunnel_idle);
    timeouts->total = tg_plan_seconds(plan, "total", timeouts->total);
    timeouts->body_rate = tg_plan_number(plan, "body_rate", timeouts->body_rate);
    lua_pop(plan->L, 1);
}

static struct tg_slice without_word(struct tg_slice file, struct tg_slice word)
{
    return tg_slice_equal(file, word) ? (struct tg_slice){ NULL, 0 } : file;
}

/* A relative path is meant from the folder of gateway.lua. */
static struct tg_slice log_path(struct tg_plan *plan, struct tg_slice file)
{
    if (file.length == 0 || file.at[0] == '/')
        return file;
    lua_pushlstring(plan->L, plan->source->folder.at, plan->source->folder.length);
    lua_pushlstring(plan->L, file.at, file.length);
    lua_concat(plan->L, 2);
    return tg_plan_pop_text(plan);
}

static enum tg_log_level log_level(struct tg_slice name)
{
    static const struct tg_slice names[] = { TG_SLICE("debug"), TG_SLICE("info"), TG_SLICE("warn"), TG_SLICE("error") };
    for (size_t level = 0; level < sizeof(names) / sizeof(names[0]); level++) {
        if (tg_slice_equal(name, names[level]))
            return (enum tg_log_level)level;
    }
    return TG_LOG_INFO;
}

static void read_logs(struct tg_plan *plan, struct tg_settings *settings)
{
    tg_plan_enter(plan, "access_log");
    settings->access_log = log_path(plan, without_word(tg_plan_text(plan, "file"), TG_SLICE("stdout")));
    settings->access_log_off = tg_plan_flag(plan, "off");
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "error_log");
    settings->error_log = log_path(plan, without_word(tg_plan_text(plan, "file"), TG_SLICE("stderr")));
    settings->error_level = log_level(tg_plan_text(plan, "level"));
    lua_pop(plan->L, 1);
}

static void read_trusted_proxies(struct tg_plan *plan, struct tg_settings *settings)
{
    size_t count = tg_plan_enter(plan, "trusted_proxies");
    struct tg_cidr *ranges = tg_plan_alloc(plan, count, sizeof(*ranges));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        struct tg_slice text = tg_plan_pop_text(plan);
        if (!tg_cidr_parse(text, &ranges[i]))
            luaL_error(plan->L, "tg.settings: trusted_proxies: \"%s\" is no CIDR", text.at);
    }
    settings->trusted_proxies = (struct tg_trusted_proxies){ ranges, count };
    lua_pop(plan->L, 1);
}

static void read_settings(struct tg_plan *plan)
{
    struct tg_settings *settings = &plan->snapshot->settings;
    tg_plan_enter(plan, "settings");
    settings->workers = (uint32_t)tg_plan_number(plan, "workers", 0);
    read_limits(plan, settings);
    read_settings_timeouts(plan, &settings->timeouts);
    read_logs(plan, settings);
    read_trusted_proxies(plan, settings);
    tg_plan_enter(plan, "scripts");
    settings->load_time = tg_plan_number(plan, "load_time", settings->load_time);
    settings->script_memory = (uint64_t)tg_plan_number(plan, "memory", (double)settings->script_memory);
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "generations");
    settings->generations_keep = (uint32_t)tg_plan_number(plan, "keep", settings->generations_keep);
    settings->generations_detach = tg_plan_seconds(plan, "detach", settings->generations_detach);
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "stop");
    settings->drain_idle = tg_plan_number(plan, "grace", settings->drain_idle);
    settings->drain = tg_plan_number(plan, "deadline", settings->drain);
    lua_pop(plan->L, 2);
}

static void read_listeners(struct tg_plan *plan)
{
    struct tg_snapshot *snapshot = plan->snapshot;
    size_t count = tg_plan_enter(plan, "listeners");
    snapshot->listeners = tg_plan_alloc(plan, count, sizeof(*snapshot->listeners));
    snapshot->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        struct tg_listener_config *listener = &snapshot->listeners[i];
        const char *problem;
        tg_plan_item(plan, i);
        listener->name = tg_plan_text(plan, "name");
        listener->text = tg_plan_text(plan, "address");
        if (!tg_address_parse(listener->text, &listener->address, &problem))
            luaL_error(plan->L, "%s: tg.listen: %s: %s", tg_plan_text(plan, "at").at, listener->text.at, problem);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
}

/* The identity of a plain HTTP/1 peer: all else that may tell peers apart has its only value. */
static struct tg_slice peer_identity(struct tg_plan *plan, struct tg_slice address)
{
    lua_pushliteral(plan->L, "h1 ");
    lua_pushlstring(plan->L, address.at, address.length);
    lua_concat(plan->L, 2);
    return tg_plan_pop_text(plan);
}

static void read_peer(struct tg_plan *plan, struct tg_group *group, struct tg_slice at)
{
    struct tg_group_peer *peer = &group->peers[group->peer_count];
    struct tg_slice name = tg_plan_text(plan, "address");
    struct tg_address address;
    const char *problem;
    if (!tg_address_parse(name, &address, &problem))
        luaL_error(plan->L, "%s: tg.upstream: %s: %s", at.at, name.at, problem);
    peer->weight = (uint32_t)tg_plan_number(plan, "weight", 1);
    peer->priority = (uint32_t)tg_plan_number(plan, "priority", 0);
    peer->peer = tg_peer_registry_get(plan->registry, peer_identity(plan, name), name, &address, TG_PROTOCOL_H1, NULL);
    if (!peer->peer)
        luaL_error(plan->L, "out of memory");
    group->peer_count++;
}

static void read_peers(struct tg_plan *plan, struct tg_group *group, struct tg_slice at)
{
    size_t count = tg_plan_enter(plan, "peers");
    group->peers = tg_plan_alloc(plan, count, sizeof(*group->peers));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        read_peer(plan, group, at);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
}

static void read_group(struct tg_plan *plan, struct tg_group *group)
{
    group->name = tg_plan_text(plan, "name");
    group->timeouts = plan->snapshot->settings.timeouts;
    tg_plan_enter(plan, "timeouts");
    group->timeouts.connect = tg_plan_seconds(plan, "connect", 5);
    group->timeouts.send = tg_plan_seconds(plan, "send", 30);
    group->timeouts.first_byte = tg_plan_seconds(plan, "first_byte", 60);
    group->timeouts.between_bytes = tg_plan_seconds(plan, "between_bytes", 60);
    group->timeouts.total = tg_plan_seconds(plan, "total", group->timeouts.total);
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "retry");
    group->attempts = (uint32_t)tg_plan_number(plan, "attempts", 3);
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "pool");
    group->pool_size = (uint32_t)tg_plan_number(plan, "size", 512);
    group->pool_idle = tg_plan_seconds(plan, "idle", 60);
    lua_pop(plan->L, 1);
    read_peers(plan, group, tg_plan_text(plan, "at"));
}

static void read_groups(struct tg_plan *plan)
{
    struct tg_snapshot *snapshot = plan->snapshot;
    size_t count = tg_plan_enter(plan, "upstreams");
    snapshot->groups = tg_plan_alloc(plan, count, sizeof(*snapshot->groups));
    for (size_t i = 0; i < count; i++) {
        snapshot->groups[i].index = (uint32_t)i;
        snapshot->group_count = i + 1;
        tg_plan_item(plan, i);
        read_group(plan, &snapshot->groups[i]);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
}

int tg_plan_read(lua_State *L)
{
    struct tg_plan *plan = lua_touserdata(L, 2);
    plan->L = L;
    lua_settop(L, 1);
    read_settings(plan);
    read_listeners(plan);
    read_groups(plan);
    tg_plan_read_uses(plan);
    tg_plan_read_routes(plan);
    if (!tg_snapshot_finish(plan->snapshot))
        return luaL_error(L, "out of memory");
    return 0;
}
