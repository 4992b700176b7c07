#include "proxy/parked_slots.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void tg_parked_slots_init(struct tg_parked_slots *slots)
{
    *slots = (struct tg_parked_slots){ 0 };
    pthread_mutex_init(&slots->lock, NULL);
}

void tg_parked_slots_deinit(struct tg_parked_slots *slots)
{
    pthread_mutex_destroy(&slots->lock);
    free(slots->at);
}

static bool add_slot(struct tg_parked_slots *slots)
{
    if (slots->count == slots->capacity) {
        uint32_t capacity = slots->capacity ? slots->capacity * 2 : FIRST_CAPACITY;
        struct tg_parked_slot *at = realloc(slots->at, capacity * sizeof(*at));
        if (!at)
            return false;
        slots->at = at;
        slots->capacity = capacity;
    }
    slots->at[slots->count] = (struct tg_parked_slot){ .next_free = slots->count + 1 };
    slots->first_free = slots->count++;
    return true;
}

bool tg_parked_slots_take(struct tg_parked_slots *slots, struct tg_peer *peer, struct tg_parked *parked,
                          uint64_t *cookie)
{
    pthread_mutex_lock(&slots->lock);
    bool found = slots->first_free < slots->count || add_slot(slots);
    if (found) {
        uint32_t number = slots->first_free;
        struct tg_parked_slot *slot = &slots->at[number];
        slots->first_free = slot->next_free;
        slot->peer = peer;
        slot->parked = parked;
        parked->slot = number;
        *cookie = (uint64_t)slot->generation << 32 | number;
    }
    pthread_mutex_unlock(&slots->lock);
    return found;
}

void tg_parked_slots_give_back(struct tg_parked_slots *slots, uint32_t number)
{
    pthread_mutex_lock(&slots->lock);
    struct tg_parked_slot *slot = &slots->at[number];
    slot->parked = NULL;
    slot->peer = NULL;
    slot->generation++;
    slot->next_free = slots->first_free;
    slots->first_free = number;
    pthread_mutex_unlock(&slots->lock);
}

/* Under the lock. */
static struct tg_parked_slot *slot_of(struct tg_parked_slots *slots, uint64_t cookie)
{
    uint32_t number = (uint32_t)cookie;
    if (number >= slots->count)
        return NULL;
    struct tg_parked_slot *slot = &slots->at[number];
    return slot->parked && slot->generation == (uint32_t)(cookie >> 32) ? slot : NULL;
}

struct tg_peer *tg_parked_slots_peer(struct tg_parked_slots *slots, uint64_t cookie,
                                     bool (*ref_if_alive)(struct tg_peer *peer))
{
    pthread_mutex_lock(&slots->lock);
    struct tg_parked_slot *slot = slot_of(slots, cookie);
    struct tg_peer *peer = slot && ref_if_alive(slot->peer) ? slot->peer : NULL;
    pthread_mutex_unlock(&slots->lock);
    return peer;
}

struct tg_parked *tg_parked_slots_find(struct tg_parked_slots *slots, uint64_t cookie)
{
    pthread_mutex_lock(&slots->lock);
    struct tg_parked_slot *slot = slot_of(slots, cookie);
    struct tg_parked *parked = slot ? slot->parked : NULL;
    pthread_mutex_unlock(&slots->lock);
    return parked;
}
