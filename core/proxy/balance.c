#include "proxy/balance.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/random.h"
#include "proxy/peer.h"
#include "proxy/worker.h"

/* Positions are kept for names that may have gone with a reload. Beyond this many all are dropped: each group in use
 * then starts anew somewhere. */
enum { POSITIONS_MAX = 4096, DRAWS = 8 };

struct position {
    uint32_t place;
};

struct tg_balance {
    struct tg_map *positions; /* by name of group */
};

/* The peer at this place; over all places this looks at two peers on average, whatever their number. */
static size_t peer_at(const struct tg_balance_tier *tier, uint32_t place)
{
    uint32_t peer = tier->guide[(uint64_t)place * tier->count / tier->places];
    while (tier->ends[peer] <= place)
        peer++;
    return tier->first + peer;
}

static void drop_positions(struct tg_balance *balance)
{
    size_t at = 0;
    struct tg_slice name;
    void *position;
    if (!balance->positions)
        return;
    while (tg_map_next(balance->positions, &at, &name, &position))
        free(position);
    tg_map_free(balance->positions);
    balance->positions = NULL;
}

static struct position *new_position(struct tg_balance *balance, struct tg_slice name)
{
    if (balance->positions && tg_map_count(balance->positions) >= POSITIONS_MAX)
        drop_positions(balance);
    if (!balance->positions)
        balance->positions = tg_map_new();
    struct position *position = balance->positions ? malloc(sizeof(*position)) : NULL;
    if (!position)
        return NULL;
    position->place = (uint32_t)tg_random_u64();
    if (tg_map_set(balance->positions, name, position))
        return position;
    free(position);
    return NULL;
}

/* NULL when out of memory. */
static struct position *position_of(struct tg_worker *worker, struct tg_slice name)
{
    if (!worker->balance)
        worker->balance = calloc(1, sizeof(*worker->balance));
    if (!worker->balance)
        return NULL;
    struct position *position = worker->balance->positions ? tg_map_get(worker->balance->positions, name) : NULL;
    return position ? position : new_position(worker->balance, name);
}

static size_t next_in_order(struct tg_worker *worker, const struct tg_group *group)
{
    const struct tg_balance_tier *tier = &group->tiers[0];
    if (tier->count == 1)
        return tier->first;
    struct position *position = position_of(worker, group->name);
    if (!position)
        return peer_at(tier, (uint32_t)(tg_random_u64() % tier->places));
    uint32_t place = position->place % tier->places;
    position->place = (uint32_t)(((uint64_t)place + tier->stride) % tier->places);
    return peer_at(tier, place);
}

static bool was_tried(uint64_t tried, size_t index)
{
    return index < 64 && (tried >> index & 1);
}

/* Draws by weight; where the untried ones are few and light, takes the next of them from a random start. */
static bool draw_untried(const struct tg_balance_tier *tier, uint64_t tried, size_t *index)
{
    for (int i = 0; i < DRAWS; i++) {
        *index = peer_at(tier, (uint32_t)(tg_random_u64() % tier->places));
        if (!was_tried(tried, *index))
            return true;
    }
    uint32_t start = (uint32_t)(tg_random_u64() % tier->count);
    for (uint32_t i = 0; i < tier->count; i++) {
        *index = tier->first + (start + i) % tier->count;
        if (!was_tried(tried, *index))
            return true;
    }
    return false;
}

static bool choose_index(struct tg_worker *worker, const struct tg_group *group, uint64_t tried, size_t *index)
{
    if (group->tier_count == 0)
        return false;
    if (tried == 0) {
        *index = next_in_order(worker, group);
        return true;
    }
    for (size_t i = 0; i < group->tier_count; i++)
        if (draw_untried(&group->tiers[i], tried, index))
            return true;
    return false;
}

struct tg_peer *tg_balance_choose(struct tg_worker *worker, const struct tg_group *group, uint64_t *tried)
{
    size_t index;
    if (!choose_index(worker, group, *tried, &index))
        return NULL;
    if (index < 64)
        *tried |= (uint64_t)1 << index;
    return group->peers[index].peer;
}

void tg_balance_free(struct tg_balance *balance)
{
    if (!balance)
        return;
    drop_positions(balance);
    free(balance);
}
