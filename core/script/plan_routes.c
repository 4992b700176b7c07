#include <math.h>

#include "proxy/router.h"
#include "script/plan.h"

/* In these the last handler of the order comes first: the chain is an onion. */
static const uint32_t REVERSED = 1u << TG_PHASE_UPSTREAM_RESPONSE | 1u << TG_PHASE_RESPONSE | 1u << TG_PHASE_ERROR |
                                 1u << TG_PHASE_RESPONSE_BODY | 1u << TG_PHASE_TRAILERS;

/* What stands for "no limit" on a route, where INFINITY would mean the group's. */
static const double FOREVER = 1e9;

static void *source_alloc(struct tg_plan *plan, size_t count, size_t size)
{
    void *memory = tg_arena_alloc_zeroed(&plan->source->arena, count ? count * size : 1);
    if (!memory)
        luaL_error(plan->L, "out of memory");
    return memory;
}

static struct tg_slice source_text(struct tg_plan *plan, const char *name)
{
    struct tg_slice text = tg_arena_copy(&plan->source->arena, tg_plan_text(plan, name));
    if (!text.at)
        luaL_error(plan->L, "out of memory");
    return text;
}

static uint32_t read_phases(struct tg_plan *plan)
{
    uint32_t mask = 0;
    size_t count = tg_plan_enter(plan, "phases");
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        struct tg_slice name = tg_plan_pop_text(plan);
        for (int phase = 0; phase < TG_PHASES; phase++)
            if (tg_slice_equal(name, tg_slice_from_string(tg_script_phase_names[phase])))
                mask |= 1u << phase;
    }
    lua_pop(plan->L, 1);
    return mask;
}

void tg_plan_read_uses(struct tg_plan *plan)
{
    size_t count = tg_plan_enter(plan, "uses");
    if (count > UINT16_MAX)
        luaL_error(plan->L, "more than %d uses of handlers", UINT16_MAX);
    struct tg_source_use *uses = source_alloc(plan, count, sizeof(*uses));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        uses[i].name = source_text(plan, "name");
        uses[i].at = source_text(plan, "at");
        uses[i].must_run = tg_plan_flag(plan, "must_run");
        uses[i].phases = read_phases(plan);
        lua_pop(plan->L, 1);
    }
    plan->source->uses = uses;
    plan->source->use_count = count;
    lua_pop(plan->L, 1);
}

static struct tg_source_order read_order(struct tg_plan *plan, const char *name)
{
    size_t count = tg_plan_enter(plan, name);
    uint16_t *uses = source_alloc(plan, count, sizeof(*uses));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        uses[i] = (uint16_t)(lua_tointeger(plan->L, -1) - 1);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
    return (struct tg_source_order){ uses, count };
}

static struct tg_chain make_chain(struct tg_plan *plan, struct tg_source_order order, int phase)
{
    uint16_t *uses = tg_plan_alloc(plan, order.count, sizeof(*uses));
    uint16_t count = 0;
    for (size_t i = 0; i < order.count; i++) {
        uint16_t use = order.uses[REVERSED >> phase & 1 ? order.count - 1 - i : i];
        if (plan->source->uses[use].phases >> phase & 1)
            uses[count++] = use;
    }
    return (struct tg_chain){ uses, count };
}

struct tg_chain tg_plan_chain(struct tg_plan *plan, const char *name, enum tg_phase phase)
{
    return make_chain(plan, read_order(plan, name), phase);
}

static void make_chains(struct tg_plan *plan, struct tg_route *route, struct tg_source_order order)
{
    for (int phase = 0; phase < TG_PHASES; phase++) {
        route->chains[phase] = make_chain(plan, order, phase);
        if (route->chains[phase].count)
            route->phases |= 1u << phase;
    }
}

static double own_seconds(struct tg_plan *plan, const char *name)
{
    double value = tg_plan_number(plan, name, INFINITY);
    return value == 0 ? FOREVER : value;
}

static void read_route_timeouts(struct tg_plan *plan, struct tg_route *route)
{
    const struct tg_timeouts *settings = &plan->snapshot->settings.timeouts;
    route->timeouts = *settings;
    tg_plan_enter(plan, "timeouts");
    route->timeouts.tunnel_idle = tg_plan_seconds(plan, "tunnel_idle", settings->tunnel_idle);
    route->timeouts.body_rate = tg_plan_number(plan, "body_rate", settings->body_rate);
    route->timeouts.total = own_seconds(plan, "total");
    route->timeouts.connect = own_seconds(plan, "connect");
    route->timeouts.tls = own_seconds(plan, "tls");
    route->timeouts.send = own_seconds(plan, "send");
    route->timeouts.first_byte = own_seconds(plan, "first_byte");
    route->timeouts.between_bytes = own_seconds(plan, "between_bytes");
    lua_pop(plan->L, 1);
}

static void read_respond(struct tg_plan *plan, struct tg_route *route)
{
    tg_plan_enter(plan, "respond");
    route->respond_status = (uint16_t)tg_plan_number(plan, "status", 0);
    route->respond_body = tg_plan_text(plan, "body");
    size_t count = tg_plan_enter(plan, "headers");
    struct tg_static_field *fields = tg_plan_alloc(plan, count, sizeof(*fields));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        tg_plan_item(plan, 0);
        fields[i].name = tg_plan_pop_text(plan);
        tg_plan_item(plan, 1);
        fields[i].value = tg_plan_pop_text(plan);
        lua_pop(plan->L, 1);
    }
    route->respond_fields = fields;
    route->respond_field_count = count;
    lua_pop(plan->L, 2);
}

static void read_destination(struct tg_plan *plan, struct tg_route *route)
{
    struct tg_slice upstream = tg_plan_text(plan, "upstream");
    if (upstream.at) {
        route->group = tg_snapshot_group(plan->snapshot, upstream);
        if (!route->group)
            luaL_error(plan->L, "%s: tg.route: unknown upstream \"%s\"", route->declared_at.at, upstream.at);
    }
    read_respond(plan, route);
    tg_plan_enter(plan, "redirect");
    route->redirect_status = (uint16_t)tg_plan_number(plan, "status", 0);
    route->redirect_to = tg_plan_text(plan, "location");
    lua_pop(plan->L, 1);
    route->rewrite = tg_plan_text(plan, "rewrite");
}

static void read_host_header(struct tg_plan *plan, struct tg_route *route)
{
    struct tg_slice text = tg_plan_text(plan, "host_header");
    if (text.length == 0 || tg_slice_equal(text, TG_SLICE("preserve"))) {
        route->host_header = TG_HOST_PRESERVE;
    } else if (tg_slice_equal(text, TG_SLICE("upstream"))) {
        route->host_header = TG_HOST_UPSTREAM;
    } else {
        route->host_header = TG_HOST_NAME;
        route->host_name = text;
    }
}

static void read_behaviour(struct tg_plan *plan, struct tg_route *route)
{
    read_host_header(plan, route);
    read_route_timeouts(plan, route);
    route->raw_path = tg_plan_flag(plan, "raw_path");
    if (tg_slice_equal(tg_plan_text(plan, "half_close"), TG_SLICE("abort")))
        route->half_close = TG_HALF_CLOSE_ABORT;
    route->continue_on_error = tg_slice_equal(tg_plan_text(plan, "on_script_error"), TG_SLICE("continue"));
    tg_plan_enter(plan, "limits");
    route->body_limit = tg_plan_size(plan, "body", plan->snapshot->settings.limits.body);
    lua_pop(plan->L, 1);
    tg_plan_enter(plan, "retry");
    route->attempts = (uint32_t)tg_plan_number(plan, "attempts", 0);
    lua_pop(plan->L, 1);
}

/* The texts of a list; a list without any counts as one empty text: any. */
static struct tg_slice *read_any_of(struct tg_plan *plan, const char *name, size_t *count)
{
    size_t length = tg_plan_enter(plan, name);
    struct tg_slice *texts = tg_plan_alloc(plan, length + 1, sizeof(*texts));
    for (size_t i = 0; i < length; i++) {
        tg_plan_item(plan, i);
        texts[i] = tg_plan_pop_text(plan);
    }
    lua_pop(plan->L, 1);
    *count = length ? length : 1;
    return texts;
}

struct methods {
    uint32_t known;
    struct tg_slice *other;
    size_t other_count;
};

static struct methods read_methods(struct tg_plan *plan)
{
    struct methods methods = { 0 };
    size_t count = tg_plan_enter(plan, "methods");
    methods.other = tg_plan_alloc(plan, count, sizeof(*methods.other));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        struct tg_slice text = tg_plan_pop_text(plan);
        enum tg_method method = tg_method_of(text);
        if (method == TG_METHOD_OTHER)
            methods.other[methods.other_count++] = text;
        else
            methods.known |= 1u << method;
    }
    lua_pop(plan->L, 1);
    return methods;
}

static void add_pattern(struct tg_plan *plan, struct tg_route *route, struct tg_slice listener, struct tg_slice host,
                        struct tg_slice path, const struct methods *methods)
{
    char why[512];
    if (!tg_router_add(plan->snapshot->router, route, listener, host, path, methods->known, methods->other,
                       methods->other_count, why))
        luaL_error(plan->L, "%s: tg.route: route \"%s\" %s", route->declared_at.at, route->name.at, why);
}

static void add_patterns(struct tg_plan *plan, struct tg_route *route)
{
    size_t hosts, paths, listeners;
    const struct tg_slice *host = read_any_of(plan, "hosts", &hosts);
    const struct tg_slice *path = read_any_of(plan, "paths", &paths);
    const struct tg_slice *listener = read_any_of(plan, "listeners", &listeners);
    struct methods methods = read_methods(plan);
    for (size_t l = 0; l < listeners; l++)
        for (size_t h = 0; h < hosts; h++)
            for (size_t p = 0; p < paths; p++)
                add_pattern(plan, route, listener[l], host[h], path[p], &methods);
}

static void read_route(struct tg_plan *plan, struct tg_route *route, struct tg_source_order *order)
{
    route->name = tg_plan_text(plan, "name");
    route->declared_at = tg_plan_text(plan, "at");
    read_destination(plan, route);
    read_behaviour(plan, route);
    *order = read_order(plan, "uses");
    make_chains(plan, route, *order);
    add_patterns(plan, route);
}

/* What takes requests that no route takes. */
static void read_none(struct tg_plan *plan, struct tg_source_order *order)
{
    struct tg_snapshot *snapshot = plan->snapshot;
    struct tg_route *none = &snapshot->none;
    none->index = (uint32_t)snapshot->route_count;
    none->timeouts = snapshot->settings.timeouts;
    none->timeouts.connect = none->timeouts.tls = none->timeouts.send = none->timeouts.first_byte =
        none->timeouts.between_bytes = INFINITY;
    none->body_limit = snapshot->settings.limits.body;
    *order = read_order(plan, "global_uses");
    make_chains(plan, none, *order);
}

void tg_plan_read_routes(struct tg_plan *plan)
{
    struct tg_snapshot *snapshot = plan->snapshot;
    size_t count = tg_plan_enter(plan, "routes");
    struct tg_source_order *orders = source_alloc(plan, count + 1, sizeof(*orders));
    snapshot->routes = tg_plan_alloc(plan, count, sizeof(*snapshot->routes));
    snapshot->route_count = count;
    for (size_t i = 0; i < count; i++) {
        snapshot->routes[i].index = (uint32_t)i;
        tg_plan_item(plan, i);
        read_route(plan, &snapshot->routes[i], &orders[i]);
        lua_pop(plan->L, 1);
    }
    lua_pop(plan->L, 1);
    read_none(plan, &orders[count]);
    plan->source->orders = orders;
}
