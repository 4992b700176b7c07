/* Numbers for parked sockets, which an event of the parking set carries instead of a pointer: an event that comes late
 * finds that the slot has another generation. Any thread; locked. */
#ifndef TG_PROXY_PARKED_SLOTS_H
#define TG_PROXY_PARKED_SLOTS_H

#include <pthread.h>

#include "base/list.h"
#include "net/stream.h"

struct tg_peer;

/* One parked idle connection; owned by its peer's list or, once taken, by the taker. */
struct tg_parked {
    struct tg_list link;
    struct tg_socket socket;
    double parked_at; /* monotonic */
    double idle_until;
    uint32_t slot; /* its number */
};

struct tg_parked_slot {
    struct tg_parked *parked; /* NULL: the slot is free */
    struct tg_peer *peer;
    uint32_t generation; /* grows each time the slot is given back */
    uint32_t next_free;
};

struct tg_parked_slots {
    pthread_mutex_t lock; /* innermost: nothing else is locked under it */
    struct tg_parked_slot *at;
    uint32_t count, capacity;
    uint32_t first_free; /* beyond count: none */
};

void tg_parked_slots_init(struct tg_parked_slots *slots);
void tg_parked_slots_deinit(struct tg_parked_slots *slots);
/* Sets parked->slot and the cookie to watch with; false when out of memory. */
bool tg_parked_slots_take(struct tg_parked_slots *slots, struct tg_peer *peer, struct tg_parked *parked,
                          uint64_t *cookie) __attribute__((warn_unused_result));
void tg_parked_slots_give_back(struct tg_parked_slots *slots, uint32_t slot);
/* The peer of this cookie with a reference, or NULL where the socket has been taken or its peer is about to go.
 * `ref_if_alive`: refers to the peer, or says that its last reference has gone already. */
struct tg_peer *tg_parked_slots_peer(struct tg_parked_slots *slots, uint64_t cookie,
                                     bool (*ref_if_alive)(struct tg_peer *peer));
/* NULL where it has been taken. The caller holds the lock of its peer. */
struct tg_parked *tg_parked_slots_find(struct tg_parked_slots *slots, uint64_t cookie);

#endif
