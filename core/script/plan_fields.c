#include <math.h>

#include "script/plan.h"

void *tg_plan_alloc(struct tg_plan *plan, size_t count, size_t size)
{
    void *memory = NULL;
    if (count < SIZE_MAX / 2 / size)
        memory = tg_arena_alloc_zeroed(&plan->snapshot->arena, count ? count * size : 1);
    if (!memory)
        luaL_error(plan->L, "out of memory");
    return memory;
}

struct tg_slice tg_plan_pop_text(struct tg_plan *plan)
{
    struct tg_slice text = { NULL, 0 };
    text.at = lua_tolstring(plan->L, -1, &text.length);
    if (text.at) {
        text = tg_arena_copy(&plan->snapshot->arena, text);
        if (!text.at)
            luaL_error(plan->L, "out of memory");
    }
    lua_pop(plan->L, 1);
    return text;
}

struct tg_slice tg_plan_text(struct tg_plan *plan, const char *name)
{
    lua_getfield(plan->L, -1, name);
    return tg_plan_pop_text(plan);
}

double tg_plan_number(struct tg_plan *plan, const char *name, double otherwise)
{
    lua_getfield(plan->L, -1, name);
    double value = lua_isnumber(plan->L, -1) ? lua_tonumber(plan->L, -1) : otherwise;
    lua_pop(plan->L, 1);
    return value;
}

bool tg_plan_flag(struct tg_plan *plan, const char *name)
{
    lua_getfield(plan->L, -1, name);
    bool value = lua_toboolean(plan->L, -1);
    lua_pop(plan->L, 1);
    return value;
}

double tg_plan_seconds(struct tg_plan *plan, const char *name, double otherwise)
{
    double value = tg_plan_number(plan, name, otherwise);
    return value == 0 ? INFINITY : value;
}

uint64_t tg_plan_size(struct tg_plan *plan, const char *name, uint64_t otherwise)
{
    lua_getfield(plan->L, -1, name);
    bool given = lua_isnumber(plan->L, -1);
    uint64_t size = given ? (uint64_t)lua_tonumber(plan->L, -1) : otherwise;
    lua_pop(plan->L, 1);
    return given && size == 0 ? UINT64_MAX : size;
}

int tg_plan_word(struct tg_plan *plan, const char *name, const char *const words[], int count, int otherwise)
{
    struct tg_slice text = tg_plan_text(plan, name);
    for (int i = 0; i < count; i++)
        if (tg_slice_equal(text, tg_slice_from_string(words[i])))
            return i;
    return otherwise;
}

struct tg_slice tg_plan_path(struct tg_plan *plan, struct tg_slice path)
{
    if (path.length == 0 || path.at[0] == '/')
        return path;
    lua_pushlstring(plan->L, plan->source->folder.at, plan->source->folder.length);
    lua_pushlstring(plan->L, path.at, path.length);
    lua_concat(plan->L, 2);
    return tg_plan_pop_text(plan);
}

struct tg_trusted_proxies tg_plan_networks(struct tg_plan *plan, const char *name, const char *what)
{
    size_t count = tg_plan_enter(plan, name);
    struct tg_cidr *ranges = tg_plan_alloc(plan, count, sizeof(*ranges));
    for (size_t i = 0; i < count; i++) {
        tg_plan_item(plan, i);
        struct tg_slice text = tg_plan_pop_text(plan);
        if (!tg_cidr_parse(text, &ranges[i]))
            luaL_error(plan->L, "%s: \"%s\" is no CIDR", what, text.at);
    }
    lua_pop(plan->L, 1);
    return (struct tg_trusted_proxies){ ranges, count };
}

size_t tg_plan_enter(struct tg_plan *plan, const char *name)
{
    luaL_checkstack(plan->L, 8, NULL);
    lua_getfield(plan->L, -1, name);
    if (!lua_istable(plan->L, -1)) {
        lua_pop(plan->L, 1);
        lua_newtable(plan->L);
    }
    return lua_objlen(plan->L, -1);
}

void tg_plan_item(struct tg_plan *plan, size_t index)
{
    lua_rawgeti(plan->L, -1, (int)index + 1);
}
