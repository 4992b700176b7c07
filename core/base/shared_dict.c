#include "base/shared_dict.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/shared_dict_state.h"
#include "base/sip_hash.h"

enum {
    BYTES_A_BUCKET = 128, /* of the limit */
    BUCKETS_MIN = 8,      /* of a shard */
    BUCKETS_MAX = 1 << 24,
    BUCKETS_A_WRITE = 2, /* looked through for expired entries */
    SPARE = 64,          /* bytes of a string's place that may lie idle, beside as many as it has */
};

/* --- memory --- */

size_t tg_shared_cost(size_t size)
{
    size_t with_head = (size + sizeof(size_t) + 15) & ~(size_t)15; /* as glibc's malloc has it */
    return with_head < 32 ? 32 : with_head;
}

bool tg_shared_fits(const struct tg_shared_dict *dict, size_t cost)
{
    return cost <= atomic_load_explicit(&dict->limit, memory_order_relaxed) / 2;
}

void tg_shared_count(struct tg_shared_visit *visit, struct tg_shared_entry *entry, int64_t bytes)
{
    entry->cost = (size_t)((int64_t)entry->cost + bytes);
    atomic_fetch_add_explicit(&visit->dict->used, bytes, memory_order_relaxed);
}

struct tg_shared_entry *tg_shared_entry_new(struct tg_slice key, uint64_t hash, size_t capacity)
{
    size_t size = sizeof(struct tg_shared_entry) + key.length + capacity;
    struct tg_shared_entry *entry = malloc(size);
    if (!entry)
        return NULL;
    *entry = (struct tg_shared_entry){
        .hash = hash,
        .expires = INFINITY,
        .cost = tg_shared_cost(size),
        .capacity = (uint32_t)capacity,
        .key_length = (uint16_t)key.length,
    };
    tg_list_init(&entry->age);
    if (key.length)
        memcpy(entry->bytes, key.at, key.length);
    return entry;
}

void tg_shared_entry_free(struct tg_shared_entry *entry)
{
    if (!entry)
        return;
    struct tg_shared_item *next;
    for (struct tg_shared_item *item = entry->type == TG_SHARED_LIST ? entry->list.first : NULL; item; item = next) {
        next = item->next;
        free(item);
    }
    free(entry);
}

static void free_garbage(struct tg_shared_entry *garbage)
{
    struct tg_shared_entry *next;
    for (; garbage; garbage = next) {
        next = garbage->next;
        tg_shared_entry_free(garbage);
    }
}

bool tg_shared_copy_room(struct tg_shared_copy *copy, size_t length)
{
    if (copy->capacity >= length)
        return true;
    size_t capacity = length < 256 ? 256 : length + length / 4;
    char *grown = realloc(copy->at, capacity);
    if (!grown)
        return false;
    copy->at = grown;
    copy->capacity = capacity;
    return true;
}

/* --- age --- */

static void publish_oldest(struct tg_shared_shard *shard)
{
    uint64_t oldest = UINT64_MAX;
    if (!tg_list_empty(&shard->ages))
        oldest = TG_CONTAINER_OF(shard->ages.previous, struct tg_shared_entry, age)->used_at;
    atomic_store_explicit(&shard->oldest, oldest, memory_order_relaxed);
}

void tg_shared_touch(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    uint64_t tick = atomic_load_explicit(&visit->dict->tick, memory_order_relaxed);
    if (entry->used_at == tick || entry->pinned)
        return; /* none was made since: its place says nothing else */
    bool was_oldest = visit->shard->ages.previous == &entry->age;
    entry->used_at = tick;
    tg_list_remove(&entry->age);
    tg_list_prepend(&visit->shard->ages, &entry->age);
    if (was_oldest)
        publish_oldest(visit->shard);
}

/* --- entries of a shard --- */

double tg_shared_now(struct tg_shared_visit *visit)
{
    if (isnan(visit->now))
        visit->now = visit->dict->clock->monotonic(visit->dict->clock);
    return visit->now;
}

static bool is_expired(struct tg_shared_visit *visit, const struct tg_shared_entry *entry)
{
    return entry->expires < INFINITY && entry->expires <= tg_shared_now(visit);
}

static struct tg_shared_entry **bucket_of(const struct tg_shared_shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & shard->mask];
}

void tg_shared_remove(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    struct tg_shared_shard *shard = visit->shard;
    struct tg_shared_entry **place = bucket_of(shard, entry->hash);
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    bool was_oldest = shard->ages.previous == &entry->age;
    tg_list_remove(&entry->age);
    if (was_oldest)
        publish_oldest(shard);
    shard->expiring -= entry->expires < INFINITY;
    atomic_fetch_sub_explicit(&visit->dict->used, (int64_t)entry->cost, memory_order_relaxed);
    if (entry->pinned)
        atomic_fetch_sub_explicit(&visit->dict->pinned, (int64_t)entry->cost, memory_order_relaxed);
    entry->next = visit->garbage;
    visit->garbage = entry;
}

void tg_shared_link(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    struct tg_shared_shard *shard = visit->shard;
    struct tg_shared_entry **place = bucket_of(shard, entry->hash);
    entry->next = *place;
    *place = entry;
    entry->used_at = atomic_fetch_add_explicit(&visit->dict->tick, 1, memory_order_relaxed) + 1;
    if (entry->pinned) {
        atomic_fetch_add_explicit(&visit->dict->pinned, (int64_t)entry->cost, memory_order_relaxed);
    } else {
        bool first = tg_list_empty(&shard->ages);
        tg_list_prepend(&shard->ages, &entry->age);
        if (first)
            publish_oldest(shard);
    }
    shard->expiring += entry->expires < INFINITY;
    atomic_fetch_add_explicit(&visit->dict->used, (int64_t)entry->cost, memory_order_relaxed);
}

static bool has_key(const struct tg_shared_entry *entry, const struct tg_shared_visit *visit)
{
    return entry->hash == visit->hash && entry->key_length == visit->key.length &&
           (visit->key.length == 0 || memcmp(entry->bytes, visit->key.at, visit->key.length) == 0);
}

struct tg_shared_entry *tg_shared_find(struct tg_shared_visit *visit)
{
    struct tg_shared_entry *entry = *bucket_of(visit->shard, visit->hash);
    while (entry && !has_key(entry, visit))
        entry = entry->next;
    if (entry && is_expired(visit, entry)) {
        tg_shared_remove(visit, entry);
        return NULL;
    }
    return entry;
}

void tg_shared_set_expiry(struct tg_shared_visit *visit, struct tg_shared_entry *entry, double left)
{
    visit->shard->expiring -= entry->expires < INFINITY;
    entry->expires = left < INFINITY ? tg_shared_now(visit) + left : INFINITY;
    visit->shard->expiring += entry->expires < INFINITY;
}

void tg_shared_changed(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    entry->version = ++visit->shard->version;
    visit->wrote = true;
    tg_shared_gather(visit);
}

/* So that what nobody asks for any more goes too: all buckets have their turn. */
static void drop_some_expired(struct tg_shared_visit *visit)
{
    struct tg_shared_shard *shard = visit->shard;
    for (int i = 0; i < BUCKETS_A_WRITE && shard->expiring > 0; i++) {
        struct tg_shared_entry *next;
        for (struct tg_shared_entry *entry = shard->buckets[shard->hand++ & shard->mask]; entry; entry = next) {
            next = entry->next;
            if (is_expired(visit, entry))
                tg_shared_remove(visit, entry);
        }
    }
}

/* --- eviction --- */

static bool is_too_full(const struct tg_shared_dict *dict)
{
    return atomic_load_explicit(&dict->used, memory_order_relaxed) >
           (int64_t)atomic_load_explicit(&dict->limit, memory_order_relaxed);
}

/* NULL: there is nothing to evict. */
static struct tg_shared_shard *oldest_shard(struct tg_shared_dict *dict)
{
    struct tg_shared_shard *shard = NULL;
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < TG_SHARED_SHARDS; i++) {
        uint64_t its = atomic_load_explicit(&dict->shards[i].oldest, memory_order_relaxed);
        if (its < oldest) {
            oldest = its;
            shard = &dict->shards[i];
        }
    }
    return shard;
}

static void evict_from(struct tg_shared_dict *dict, struct tg_shared_shard *shard)
{
    struct tg_shared_visit visit = { .dict = dict, .shard = shard, .now = NAN };
    tg_shared_lock(shard);
    bool any = !tg_list_empty(&shard->ages);
    if (any)
        tg_shared_remove(&visit, TG_CONTAINER_OF(shard->ages.previous, struct tg_shared_entry, age));
    tg_shared_unlock(shard);
    free_garbage(visit.garbage);
    atomic_fetch_add_explicit(&dict->evictions, any, memory_order_relaxed);
}

static void evict(struct tg_shared_dict *dict)
{
    struct tg_shared_shard *shard;
    while (is_too_full(dict) && (shard = oldest_shard(dict)))
        evict_from(dict, shard);
}

/* --- a visit --- */

uint64_t tg_shared_hash(const struct tg_shared_dict *dict, struct tg_slice key)
{
    return tg_sip_hash(dict->hash_key, key);
}

void tg_shared_begin(struct tg_shared_visit *visit, struct tg_shared_dict *dict, struct tg_slice key)
{
    visit->dict = dict;
    visit->key = key;
    visit->hash = tg_shared_hash(dict, key);
    visit->shard = &dict->shards[visit->hash >> 59];
    visit->now = NAN;
    visit->garbage = NULL;
    visit->unwatched = NULL;
    visit->wrote = false;
    tg_list_init(&visit->changed);
    tg_shared_lock(visit->shard);
}

static void tell_watchers(struct tg_shared_visit *visit)
{
    struct tg_list *node;
    while ((node = tg_list_first(&visit->changed))) {
        struct tg_shared_watcher *watcher = TG_CONTAINER_OF(node, struct tg_shared_watcher, link);
        tg_list_remove(node);
        watcher->changed(watcher);
    }
}

void tg_shared_end(struct tg_shared_visit *visit)
{
    bool wrote = visit->wrote;
    if (wrote)
        drop_some_expired(visit);
    tg_shared_unlock(visit->shard);
    if (visit->garbage)
        free_garbage(visit->garbage);
    free(visit->unwatched);
    tell_watchers(visit);
    if (wrote && is_too_full(visit->dict))
        evict(visit->dict);
}

/* --- the dictionary --- */

static size_t buckets_for(uint64_t size)
{
    size_t wanted = (size_t)(size / BYTES_A_BUCKET / TG_SHARED_SHARDS), count = BUCKETS_MIN;
    while (count < wanted && count < BUCKETS_MAX)
        count *= 2;
    return count;
}

static bool shard_init(struct tg_shared_shard *shard, size_t buckets, uint64_t version)
{
    shard->buckets = calloc(buckets, sizeof(struct tg_shared_entry *));
    shard->mask = buckets - 1;
    shard->version = version;
    tg_list_init(&shard->ages);
    atomic_init(&shard->oldest, UINT64_MAX);
    return shard->buckets != NULL;
}

static int64_t bytes_of_tables(size_t buckets)
{
    return (int64_t)(buckets * TG_SHARED_SHARDS * sizeof(struct tg_shared_entry *));
}

struct tg_shared_dict *tg_shared_dict_new(uint64_t size, struct tg_clock *clock)
{
    struct tg_shared_dict *dict = aligned_alloc(_Alignof(struct tg_shared_dict), sizeof(*dict));
    if (!dict)
        return NULL;
    memset(dict, 0, sizeof(*dict));
    dict->clock = clock ? clock : tg_clock_system();
    tg_random_secret(dict->hash_key, sizeof(dict->hash_key));
    uint64_t version = (uint64_t)(dict->clock->wall(dict->clock) * 1000);
    size_t buckets = buckets_for(size);
    bool good = true;
    for (size_t i = 0; i < TG_SHARED_SHARDS; i++)
        good = shard_init(&dict->shards[i], buckets, version) && good;
    atomic_init(&dict->limit, size);
    atomic_init(&dict->used, (int64_t)sizeof(*dict) + bytes_of_tables(buckets));
    if (good)
        return dict;
    tg_shared_dict_free(dict);
    return NULL;
}

/* Takes all entries of the shard out, as garbage. */
static struct tg_shared_entry *empty_shard(struct tg_shared_dict *dict, struct tg_shared_shard *shard)
{
    struct tg_shared_visit visit = { .dict = dict, .shard = shard, .now = NAN };
    tg_shared_lock(shard);
    for (size_t i = 0; i <= shard->mask; i++) {
        struct tg_shared_entry *next;
        for (struct tg_shared_entry *entry = shard->buckets[i]; entry; entry = next) {
            next = entry->next;
            if (!entry->pinned)
                tg_shared_remove(&visit, entry);
        }
    }
    tg_shared_unlock(shard);
    return visit.garbage;
}

void tg_shared_dict_clear(struct tg_shared_dict *dict)
{
    for (size_t i = 0; i < TG_SHARED_SHARDS; i++)
        free_garbage(empty_shard(dict, &dict->shards[i]));
}

static void free_all(struct tg_shared_shard *shard)
{
    for (size_t i = 0; shard->buckets && i <= shard->mask; i++)
        free_garbage(shard->buckets[i]);
    free(shard->buckets);
}

void tg_shared_dict_free(struct tg_shared_dict *dict)
{
    for (size_t i = 0; i < TG_SHARED_SHARDS; i++)
        free_all(&dict->shards[i]);
    free(dict);
}

static void move_entries(struct tg_shared_shard *shard, struct tg_shared_entry **buckets, size_t mask)
{
    for (size_t i = 0; i <= shard->mask; i++) {
        struct tg_shared_entry *next;
        for (struct tg_shared_entry *entry = shard->buckets[i]; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & mask];
            buckets[entry->hash & mask] = entry;
        }
    }
    shard->buckets = buckets;
    shard->mask = mask;
}

static void change_table(struct tg_shared_dict *dict, struct tg_shared_shard *shard, size_t count)
{
    struct tg_shared_entry **fresh = calloc(count, sizeof(struct tg_shared_entry *));
    if (!fresh)
        return;
    tg_shared_lock(shard);
    struct tg_shared_entry **old = shard->buckets;
    int64_t grown = ((int64_t)count - (int64_t)shard->mask - 1) * (int64_t)sizeof(struct tg_shared_entry *);
    move_entries(shard, fresh, count - 1);
    tg_shared_unlock(shard);
    free(old);
    atomic_fetch_add_explicit(&dict->used, grown, memory_order_relaxed);
}

void tg_shared_dict_resize(struct tg_shared_dict *dict, uint64_t size)
{
    uint64_t before = atomic_exchange(&dict->limit, size);
    if (before == size)
        return;
    size_t count = buckets_for(size);
    if (count != buckets_for(before))
        for (size_t i = 0; i < TG_SHARED_SHARDS; i++)
            change_table(dict, &dict->shards[i], count);
    evict(dict);
}

uint64_t tg_shared_dict_size(const struct tg_shared_dict *dict)
{
    return atomic_load_explicit(&dict->limit, memory_order_relaxed);
}

uint64_t tg_shared_dict_used(const struct tg_shared_dict *dict)
{
    int64_t used = atomic_load_explicit(&dict->used, memory_order_relaxed);
    return used > 0 ? (uint64_t)used : 0;
}

uint64_t tg_shared_dict_evictions(const struct tg_shared_dict *dict)
{
    return atomic_load_explicit(&dict->evictions, memory_order_relaxed);
}

/* --- reading --- */

bool tg_shared_copy_entry(struct tg_shared_copy *copy, const struct tg_shared_entry *entry)
{
    copy->type = entry->type;
    copy->version = entry->version;
    copy->length = 0;
    if (entry->type != TG_SHARED_STRING) {
        copy->number = entry->type == TG_SHARED_LIST ? (double)entry->list.count : entry->number;
        return true;
    }
    copy->length = entry->length;
    if (copy->capacity < entry->length)
        return false;
    if (entry->length)
        memcpy(copy->at, entry->bytes + entry->key_length, entry->length);
    return true;
}

enum tg_shared_result tg_shared_dict_get(struct tg_shared_dict *dict, struct tg_slice key, struct tg_shared_copy *copy)
{
    for (;;) {
        struct tg_shared_visit visit;
        bool whole = true;
        copy->type = TG_SHARED_NONE;
        tg_shared_begin(&visit, dict, key);
        struct tg_shared_entry *entry = tg_shared_find(&visit);
        if (entry) {
            tg_shared_touch(&visit, entry);
            whole = tg_shared_copy_entry(copy, entry);
        }
        tg_shared_end(&visit);
        if (whole)
            return TG_SHARED_DONE;
        if (!tg_shared_copy_room(copy, copy->length))
            return TG_SHARED_NO_MEMORY;
    }
}

double tg_shared_dict_left(struct tg_shared_dict *dict, struct tg_slice key)
{
    struct tg_shared_visit visit;
    tg_shared_begin(&visit, dict, key);
    const struct tg_shared_entry *entry = tg_shared_find(&visit);
    double left = !entry ? NAN : entry->expires < INFINITY ? entry->expires - tg_shared_now(&visit) : INFINITY;
    tg_shared_end(&visit);
    return left;
}

/* --- changing --- */

static void view(struct tg_shared_visit *visit, const struct tg_shared_entry *entry, struct tg_shared_value *value)
{
    *value = (struct tg_shared_value){ .left = INFINITY };
    if (!entry)
        return;
    value->type = entry->type;
    value->pinned = entry->pinned;
    if (entry->expires < INFINITY)
        value->left = entry->expires - tg_shared_now(visit);
    if (entry->type == TG_SHARED_STRING)
        value->text = tg_slice_of(entry->bytes + entry->key_length, entry->length);
    else
        value->number = entry->type == TG_SHARED_LIST ? (double)entry->list.count : entry->number;
}

static size_t length_of(const struct tg_shared_value *value)
{
    return value->type == TG_SHARED_STRING ? value->text.length : 0;
}

static bool has_place(const struct tg_shared_entry *entry, const struct tg_shared_value *value)
{
    size_t length = length_of(value);
    return entry->type != TG_SHARED_LIST && entry->capacity >= length && entry->capacity - length <= length + SPARE;
}

static void set_content(struct tg_shared_entry *entry, const struct tg_shared_value *value)
{
    size_t length = length_of(value);
    entry->type = (uint8_t)value->type;
    entry->length = (uint32_t)length;
    if (length)
        memmove(entry->bytes + entry->key_length, value->text.at, length);
    if (value->type != TG_SHARED_STRING)
        entry->number = value->number;
}

/* It can be evicted again. */
static void unpin(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    struct tg_shared_shard *shard = visit->shard;
    entry->pinned = false;
    atomic_fetch_sub_explicit(&visit->dict->pinned, (int64_t)entry->cost, memory_order_relaxed);
    entry->used_at = atomic_load_explicit(&visit->dict->tick, memory_order_relaxed);
    bool first = tg_list_empty(&shard->ages);
    tg_list_prepend(&shard->ages, &entry->age);
    if (first)
        publish_oldest(shard);
}

/* In place of `old`, which may be NULL. */
static void put(struct tg_shared_visit *visit, struct tg_shared_entry *old, struct tg_shared_entry *entry,
                const struct tg_shared_value *value)
{
    double left = isnan(value->left) ? INFINITY : value->left;
    if (isnan(value->left) && old && old->expires < INFINITY)
        left = old->expires - tg_shared_now(visit);
    if (entry == old) {
        if (!isnan(value->left))
            tg_shared_set_expiry(visit, entry, left);
        set_content(entry, value);
        if (entry->pinned && !value->pinned)
            unpin(visit, entry);
        tg_shared_touch(visit, entry);
    } else {
        set_content(entry, value);
        entry->pinned = value->pinned;
        entry->expires = left < INFINITY ? tg_shared_now(visit) + left : INFINITY;
        if (old)
            tg_shared_remove(visit, old);
        tg_shared_link(visit, entry);
    }
    tg_shared_changed(visit, entry);
}

struct modification {
    struct tg_shared_dict *dict;
    struct tg_slice key;
    tg_shared_decide decide;
    void *context;
    struct tg_shared_entry *fresh; /* made while nothing was locked; NULL: none needed so far */
    size_t needed;                 /* bytes of a string that it has to have place for */
};

/* Pinned entries can't be evicted: they get half of the dictionary at most. */
static bool may_pin(const struct tg_shared_dict *dict, const struct tg_shared_entry *entry)
{
    return tg_shared_fits(dict, (size_t)atomic_load_explicit(&dict->pinned, memory_order_relaxed) + entry->cost);
}

/* False: an entry with place for `needed` bytes has to be made first. */
static bool try_to_write(struct modification *wanted, struct tg_shared_visit *visit, struct tg_shared_entry *entry,
                         const struct tg_shared_value *next, enum tg_shared_result *result)
{
    struct tg_shared_entry *fresh = wanted->fresh;
    if (entry && (entry->pinned || !next->pinned) && has_place(entry, next)) {
        put(visit, entry, entry, next);
        return true;
    }
    if (!fresh || !has_place(fresh, next)) {
        wanted->needed = length_of(next);
        return false;
    }
    if (next->pinned && !may_pin(wanted->dict, fresh)) {
        *result = TG_SHARED_NO_MEMORY;
        return true;
    }
    put(visit, entry, fresh, next);
    wanted->fresh = NULL;
    return true;
}

/* False: as try_to_write. */
static bool try_to_modify(struct modification *wanted, enum tg_shared_result *result)
{
    struct tg_shared_visit visit;
    struct tg_shared_value old, next = { .left = INFINITY };
    bool done = true;
    *result = TG_SHARED_DONE;
    tg_shared_begin(&visit, wanted->dict, wanted->key);
    struct tg_shared_entry *entry = tg_shared_find(&visit);
    view(&visit, entry, &old);
    switch (wanted->decide(wanted->context, &old, &next)) {
    case TG_SHARED_KEEP: *result = TG_SHARED_KEPT; break;
    case TG_SHARED_REMOVE:
        if (entry)
            tg_shared_remove(&visit, entry);
        visit.wrote = true;
        break;
    case TG_SHARED_WRITE: done = try_to_write(wanted, &visit, entry, &next, result); break;
    }
    tg_shared_end(&visit);
    return done;
}

static enum tg_shared_result make_fresh(struct modification *wanted)
{
    tg_shared_entry_free(wanted->fresh);
    wanted->fresh = NULL;
    if (!tg_shared_fits(wanted->dict, sizeof(struct tg_shared_entry) + wanted->key.length + wanted->needed))
        return TG_SHARED_TOO_LARGE;
    wanted->fresh = tg_shared_entry_new(wanted->key, tg_shared_hash(wanted->dict, wanted->key), wanted->needed);
    return wanted->fresh ? TG_SHARED_DONE : TG_SHARED_NO_MEMORY;
}

enum tg_shared_result tg_shared_dict_modify(struct tg_shared_dict *dict, struct tg_slice key, tg_shared_decide decide,
                                            void *context)
{
    struct modification wanted = { .dict = dict, .key = key, .decide = decide, .context = context };
    enum tg_shared_result result;
    while (!try_to_modify(&wanted, &result)) {
        result = make_fresh(&wanted);
        if (result != TG_SHARED_DONE)
            return result;
    }
    tg_shared_entry_free(wanted.fresh);
    return result;
}

enum tg_shared_result tg_shared_dict_expire(struct tg_shared_dict *dict, struct tg_slice key, double left)
{
    struct tg_shared_visit visit;
    tg_shared_begin(&visit, dict, key);
    struct tg_shared_entry *entry = tg_shared_find(&visit);
    if (entry && !entry->pinned)
        tg_shared_set_expiry(&visit, entry, left);
    tg_shared_end(&visit);
    return entry ? TG_SHARED_DONE : TG_SHARED_KEPT;
}
