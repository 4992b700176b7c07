#include "script/plan.h"

#include <math.h>

#include "base/log_ring.h"
#include "net/tls_client.h"
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

static void read_logs(struct tg_plan *plan, struct tg_settings *settings)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    tg_plan_enter(plan, "access_log");
    settings->access_log = tg_plan_path(plan, without_word(tg_plan_text(plan, "file"), TG_SLICE("stdout")));
    settings->access_log_off = tg_plan_flag(plan, "off");
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "error_log");
    settings->error_log = tg_plan_path(plan, without_word(tg_plan_text(plan, "file"), TG_SLICE("stderr")));
    settings->error_level = (enum tg_log_level)tg_plan_word(plan, "level", levels, 4, TG_LOG_INFO);
    lua_pop(plan->L, 1);
}

static uint32_t limit(struct tg_plan *plan, const char *name, uint32_t otherwise)
{
    return (uint32_t)tg_plan_number(plan, name, otherwise);
}

static void read_http2(struct tg_plan *plan, struct tg_h2_limits *h2)
{
    tg_plan_enter(plan, "http2");
    h2->streams = limit(plan, "streams", h2->streams);
    h2->window = limit(plan, "window", h2->window);
    h2->connection_window = limit(plan, "connection_window", h2->connection_window);
    h2->resets = limit(plan, "resets", h2->resets);
    h2->control = limit(plan, "control", h2->control);
    h2->idle_frames = limit(plan, "idle_frames", h2->idle_frames);
    h2->continuations = limit(plan, "continuations", h2->continuations);
    h2->queued = limit(plan, "queued", h2->queued);
    lua_pop(plan->L, 1);
}

static void read_settings_tls(struct tg_plan *plan, struct tg_settings *settings)
{
    tg_plan_enter(plan, "tls");
    settings->ticket_rotation = tg_plan_number(plan, "ticket_rotation", settings->ticket_rotation);
    settings->key_log = tg_plan_path(plan, tg_plan_text(plan, "key_log"));
    lua_pop(plan->L, 1);
}

static void read_metrics_listener(struct tg_plan *plan, struct tg_settings *settings)
{
    const char *problem;
    tg_plan_enter(plan, "metrics");
    struct tg_slice text = tg_plan_text(plan, "listen");
    lua_pop(plan->L, 1);
    if (text.length > 0 && !tg_address_parse(text, &settings->metrics, &problem))
        luaL_error(plan->L, "tg.settings: metrics: %s: %s", text.at, problem);
}

static void read_settings(struct tg_plan *plan)
{
    struct tg_settings *settings = &plan->snapshot->settings;
    tg_plan_enter(plan, "settings");
    settings->workers = (uint32_t)tg_plan_number(plan, "workers", 0);
    read_limits(plan, settings);
    read_settings_timeouts(plan, &settings->timeouts);
    read_logs(plan, settings);
    settings->trusted_proxies = tg_plan_networks(plan, "trusted_proxies", "tg.settings: trusted_proxies");
    read_http2(plan, &settings->h2);
    read_settings_tls(plan, settings);
    settings->fips = tg_plan_flag(plan, "fips");
    tg_plan_open_tls(plan);
    read_metrics_listener(plan, settings);
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

static void read_listener(struct tg_plan *plan, struct tg_listener_config *listener)
{
    const char *problem;
    listener->name = tg_plan_text(plan, "name");
    listener->text = tg_plan_text(plan, "address");
    if (!tg_address_parse(listener->text, &listener->address, &problem))
        luaL_error(plan->L, "%s: tg.listen: %s: %s", tg_plan_text(plan, "at").at, listener->text.at, problem);
    listener->redirect_port = (uint16_t)tg_plan_number(plan, "redirect_port", 0);
    listener->redirect_to_https = listener->redirect_port > 0;
    listener->senders = tg_plan_networks(plan, "proxy_protocol", "tg.listen: proxy_protocol");
    listener->proxy_protocol = listener->senders.count > 0;
    listener->accept = tg_plan_chain(plan, "uses", TG_PHASE_ACCEPT);
    listener->client_hello = tg_plan_chain(plan, "uses", TG_PHASE_CLIENT_HELLO);
    tg_plan_read_listener_tls(plan, listener);
}

static void read_listeners(struct tg_plan *plan)
{
    struct tg_snapshot *snapshot = plan->snapshot;
    size_t count = tg_plan_enter(plan, "listeners");
    snapshot->listeners = tg_plan_alloc(plan, count, sizeof(*snapshot->listeners));
    snapshot->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        read_listener(plan, &snapshot->listeners[i]);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
}

/* All that makes a connection to this peer another than one to that peer, as text; the address stands last, since the
 * path of a Unix socket may hold anything [X01]. */
static struct tg_slice peer_identity(struct tg_plan *plan, const struct tg_group *group, struct tg_slice address)
{
    static const char *const protocols[] = { "auto", "h1", "h2" };
    struct tg_slice tls = group->tls ? tg_tls_client_identity(group->tls) : TG_SLICE("clear");
    lua_pushstring(plan->L, protocols[group->protocol]);
    lua_pushliteral(plan->L, " ");
    lua_pushlstring(plan->L, tls.at, tls.length);
    lua_pushliteral(plan->L, " ");
    lua_pushlstring(plan->L, address.at, address.length);
    lua_concat(plan->L, 5);
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
    peer->peer = tg_peer_registry_get(plan->registry, peer_identity(plan, group, name), name, &address, group->protocol,
                                      group->tls);
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
    group->timeouts.tls = tg_plan_seconds(plan, "tls", 5);
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
    group->h2_streams = limit(plan, "streams", 100);
    group->h2_connections = limit(plan, "connections", 32);
    lua_pop(plan->L, 1);
    tg_plan_read_group_tls(plan, group);
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

/* Those there are keep their size until the generation becomes current. */
static void read_shared(struct tg_plan *plan)
{
    struct tg_generation_source *source = plan->source;
    size_t count = tg_plan_enter(plan, "shared");
    source->shared = tg_arena_alloc_zeroed(&source->arena, count * sizeof(*source->shared) + 1);
    if (!source->shared)
        luaL_error(plan->L, "out of memory");
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        struct tg_source_shared *entry = &source->shared[i];
        entry->size = tg_plan_size(plan, "size", TG_SHARED_SIZE_MIN);
        entry->shared = tg_shared_acquire(plan->shared, tg_plan_text(plan, "name"), entry->size);
        if (!entry->shared)
            luaL_error(plan->L, "out of memory");
        source->shared_count++;
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
    tg_plan_read_uses(plan);
    read_listeners(plan);
    read_groups(plan);
    tg_plan_read_routes(plan);
    read_shared(plan);
    tg_plan_read_metrics(plan);
    if (!tg_snapshot_finish(plan->snapshot))
        return luaL_error(L, "out of memory");
    return 0;
}
