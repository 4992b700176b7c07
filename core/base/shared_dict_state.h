/* What the files of the shared dictionary know of each other. */
#ifndef TG_BASE_SHARED_DICT_STATE_H
#define TG_BASE_SHARED_DICT_STATE_H

#include <stdatomic.h>

#include "base/shared_dict.h"

enum { TG_SHARED_SHARDS = 32, TG_SHARED_WATCH_BUCKETS = 16 };

/* An item of a list. */
struct tg_shared_item {
    struct tg_shared_item *next;
    enum tg_shared_type type;
    uint32_t length;
    double number;
    char bytes[];
};

struct tg_shared_list {
    struct tg_shared_item *first, *last;
    size_t count;
};

struct tg_shared_entry {
    struct tg_shared_entry *next; /* in its bucket, or in a heap of garbage */
    struct tg_list age;           /* in the shard's, youngest first; in none where pinned */
    uint64_t hash;
    uint64_t used_at; /* dict->tick of the last use */
    uint64_t version;
    double expires; /* monotonic; INFINITY: never */
    union {
        double number;
        struct tg_shared_list list;
    };
    size_t cost;               /* in all, as counted */
    uint32_t length, capacity; /* of a string */
    uint16_t key_length;
    uint8_t type;
    bool pinned;
    char bytes[]; /* the key, then the string */
};

/* The watchers of one key. */
struct tg_shared_watched {
    struct tg_shared_watched *next;
    uint64_t hash;
    struct tg_list watchers;
    uint16_t key_length;
    char key[];
};

/* A multiple of two cache lines each, so that the lock of one is no neighbour of another's. */
struct tg_shared_shard {
    _Alignas(128) _Atomic uint32_t lock;
    struct tg_shared_entry **buckets;
    size_t mask;
    size_t hand;     /* where a write looks for expired entries next */
    size_t expiring; /* entries that expire */
    uint64_t version;
    struct tg_list ages;
    struct tg_shared_watched *watched[TG_SHARED_WATCH_BUCKETS];
    _Atomic uint64_t oldest; /* used_at of the last one in ages; UINT64_MAX: there is none */
};

struct tg_shared_dict {
    struct tg_clock *clock;
    uint64_t hash_key[2];
    _Atomic uint64_t limit;
    _Alignas(128) _Atomic int64_t used;
    _Atomic uint64_t tick; /* entries made so far */
    _Atomic uint64_t evictions;
    _Atomic int64_t pinned; /* bytes of `used` */
    _Alignas(128) _Atomic uint64_t watchers;
    struct tg_shared_shard shards[TG_SHARED_SHARDS];
};

/* One key's shard, locked, and what is to be done once it no longer is. */
struct tg_shared_visit {
    struct tg_shared_dict *dict;
    struct tg_shared_shard *shard;
    struct tg_slice key;
    uint64_t hash;
    double now; /* NAN: not asked yet */
    struct tg_shared_entry *garbage;
    struct tg_shared_watched *unwatched;
    struct tg_list changed; /* watchers to be told */
    bool wrote;
};

/* shared_dict_lock.c: somebody has it. */
void tg_shared_lock_contended(struct tg_shared_shard *shard);

/* Held for so short that who waits spins, and only yields the processor where that takes too long. */
static inline void tg_shared_lock(struct tg_shared_shard *shard)
{
    if (atomic_exchange_explicit(&shard->lock, 1, memory_order_acquire) != 0)
        tg_shared_lock_contended(shard);
}

static inline void tg_shared_unlock(struct tg_shared_shard *shard)
{
    atomic_store_explicit(&shard->lock, 0, memory_order_release);
}

/* shared_dict.c */
uint64_t tg_shared_hash(const struct tg_shared_dict *dict, struct tg_slice key);
void tg_shared_begin(struct tg_shared_visit *visit, struct tg_shared_dict *dict, struct tg_slice key);
/* Unlocks, tells watchers, frees, and evicts what is too much. */
void tg_shared_end(struct tg_shared_visit *visit);
double tg_shared_now(struct tg_shared_visit *visit);
/* NULL where absent or expired. */
struct tg_shared_entry *tg_shared_find(struct tg_shared_visit *visit);
/* It was used: it is the youngest. */
void tg_shared_touch(struct tg_shared_visit *visit, struct tg_shared_entry *entry);
/* Takes it out, to be freed at the end of the visit. */
void tg_shared_remove(struct tg_shared_visit *visit, struct tg_shared_entry *entry);
struct tg_shared_entry *tg_shared_entry_new(struct tg_slice key, uint64_t hash, size_t capacity);
void tg_shared_entry_free(struct tg_shared_entry *entry);
/* One whose content is set. */
void tg_shared_link(struct tg_shared_visit *visit, struct tg_shared_entry *entry);
void tg_shared_set_expiry(struct tg_shared_visit *visit, struct tg_shared_entry *entry, double left);
/* Gives the entry a new version and gathers who watches its key. */
void tg_shared_changed(struct tg_shared_visit *visit, struct tg_shared_entry *entry);
void tg_shared_count(struct tg_shared_visit *visit, struct tg_shared_entry *entry, int64_t bytes);
/* What a piece of memory of this size takes. */
size_t tg_shared_cost(size_t size);
bool tg_shared_fits(const struct tg_shared_dict *dict, size_t cost);
/* Room for `length` bytes in the copy; false when out of memory. */
bool tg_shared_copy_room(struct tg_shared_copy *copy, size_t length);
/* False: it needs more room, of copy->length bytes. */
bool tg_shared_copy_entry(struct tg_shared_copy *copy, const struct tg_shared_entry *entry);

/* shared_dict_watch.c: moves who watches the visited key to visit->changed. */
void tg_shared_gather(struct tg_shared_visit *visit);

#endif
