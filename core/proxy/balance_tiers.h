/* What balancing needs of a group, made once when its snapshot is: tiers of equal priority, and in each the places of
 * its peers. Immutable, read by all workers. */
#ifndef TG_PROXY_BALANCE_TIERS_H
#define TG_PROXY_BALANCE_TIERS_H

#include "base/arena.h"
#include "proxy/route.h"

/* Peers of one priority; immutable, part of the snapshot. */
struct tg_balance_tier {
    uint32_t first, count; /* in group->peers */
    uint32_t places;       /* sum of the weights over their common divisor */
    uint32_t stride;       /* no common divisor with places */
    uint32_t *ends;        /* for each peer: the place after its last one */
    uint32_t *guide;       /* for each of `count` equal parts of the places: the peer of its first place */
};

/* Sorts the group's peers by priority and makes its tiers in the arena. Called by tg_snapshot_finish. false when out of
 * memory. */
bool tg_balance_prepare(struct tg_group *group, struct tg_arena *arena) __attribute__((warn_unused_result));

#endif
