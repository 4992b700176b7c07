#include "proxy/balance_tiers.h"

#include <stdlib.h>

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint32_t stride_for(uint32_t places)
{
    uint32_t section = (uint32_t)((double)places * 0.6180339887498949);
    for (uint32_t distance = 0; distance < places; distance++) {
        if (section + distance < places && common_divisor(places, section + distance) == 1)
            return section + distance;
        if (section > distance && common_divisor(places, section - distance) == 1)
            return section - distance;
    }
    return 1;
}

static uint32_t weight_of(const struct tg_group_peer *peer)
{
    return peer->weight ? peer->weight : 1;
}

/* Stable, and quick where the loader gave them in order. */
static void sort_by_priority(struct tg_group *group)
{
    for (size_t i = 1; i < group->peer_count; i++) {
        struct tg_group_peer peer = group->peers[i];
        size_t at = i;
        for (; at > 0 && group->peers[at - 1].priority > peer.priority; at--)
            group->peers[at] = group->peers[at - 1];
        group->peers[at] = peer;
    }
}

static void fill_ends(struct tg_balance_tier *tier, const struct tg_group_peer *peers)
{
    uint32_t divisor = 0;
    for (uint32_t i = 0; i < tier->count; i++)
        divisor = common_divisor(weight_of(&peers[i]), divisor);
    for (uint32_t i = 0; i < tier->count; i++) {
        tier->places += weight_of(&peers[i]) / divisor;
        tier->ends[i] = tier->places;
    }
}

static void fill_guide(struct tg_balance_tier *tier)
{
    uint32_t peer = 0;
    for (uint32_t part = 0; part < tier->count; part++) {
        uint64_t place = (uint64_t)part * tier->places / tier->count;
        while (tier->ends[peer] <= place)
            peer++;
        tier->guide[part] = peer;
    }
}

static bool make_tier(struct tg_balance_tier *tier, const struct tg_group *group, uint32_t first, uint32_t count,
                      struct tg_arena *arena)
{
    *tier = (struct tg_balance_tier){ .first = first, .count = count };
    tier->ends = tg_arena_alloc(arena, count * sizeof(*tier->ends));
    tier->guide = tg_arena_alloc(arena, count * sizeof(*tier->guide));
    if (!tier->ends || !tier->guide)
        return false;
    fill_ends(tier, &group->peers[first]);
    fill_guide(tier);
    tier->stride = stride_for(tier->places);
    return true;
}

static size_t end_of_tier(const struct tg_group *group, size_t first)
{
    size_t end = first;
    while (end < group->peer_count && group->peers[end].priority == group->peers[first].priority)
        end++;
    return end;
}

bool tg_balance_prepare(struct tg_group *group, struct tg_arena *arena)
{
    sort_by_priority(group);
    group->tier_count = 0;
    for (size_t first = 0; first < group->peer_count; first = end_of_tier(group, first))
        group->tier_count++;
    group->tiers = tg_arena_alloc(arena, (group->tier_count + 1) * sizeof(*group->tiers));
    if (!group->tiers)
        return false;
    for (size_t first = 0, i = 0; i < group->tier_count; i++) {
        size_t end = end_of_tier(group, first);
        if (!make_tier(&group->tiers[i], group, (uint32_t)first, (uint32_t)(end - first), arena))
            return false;
        first = end;
    }
    return true;
}

/* --- choosing ----------------------------------------------------------------------------------------------------- */
