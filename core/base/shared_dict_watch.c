/* Who waits for a change of a key. */
#include <stdlib.h>

#include "base/shared_dict_state.h"

static struct tg_shared_watched **place_of(struct tg_shared_shard *shard, uint64_t hash)
{
    return &shard->watched[hash >> 32 & (TG_SHARED_WATCH_BUCKETS - 1)];
}

static struct tg_shared_watched *find_watched(struct tg_shared_visit *visit)
{
    struct tg_shared_watched *watched = *place_of(visit->shard, visit->hash);
    while (watched && !(watched->hash == visit->hash &&
                        tg_slice_equal(tg_slice_of(watched->key, watched->key_length), visit->key)))
        watched = watched->next;
    return watched;
}

static void unlink_watched(struct tg_shared_shard *shard, struct tg_shared_watched *watched)
{
    struct tg_shared_watched **place = place_of(shard, watched->hash);
    while (*place != watched)
        place = &(*place)->next;
    *place = watched->next;
}

void tg_shared_gather(struct tg_shared_visit *visit)
{
    struct tg_shared_watched *watched = find_watched(visit);
    struct tg_list *node;
    if (!watched)
        return;
    while ((node = tg_list_first(&watched->watchers))) {
        TG_CONTAINER_OF(node, struct tg_shared_watcher, link)->key = NULL;
        tg_list_remove(node);
        tg_list_append(&visit->changed, node);
        atomic_fetch_sub_explicit(&visit->dict->watchers, 1, memory_order_relaxed);
    }
    unlink_watched(visit->shard, watched);
    visit->unwatched = watched;
}

static struct tg_shared_watched *watched_new(const struct tg_shared_dict *dict, struct tg_slice key)
{
    struct tg_shared_watched *watched = malloc(sizeof(*watched) + key.length);
    if (!watched)
        return NULL;
    *watched = (struct tg_shared_watched){ .hash = tg_shared_hash(dict, key), .key_length = (uint16_t)key.length };
    tg_list_init(&watched->watchers);
    if (key.length)
        memcpy(watched->key, key.at, key.length);
    return watched;
}

/* The fresh one becomes the key's unless it has one. */
static void add_watcher(struct tg_shared_visit *visit, struct tg_shared_watched **fresh,
                        struct tg_shared_watcher *watcher)
{
    struct tg_shared_watched *watched = find_watched(visit);
    if (!watched) {
        watched = *fresh;
        *fresh = NULL;
        watched->next = *place_of(visit->shard, visit->hash);
        *place_of(visit->shard, visit->hash) = watched;
    }
    watcher->key = watched;
    watcher->hash = visit->hash;
    tg_list_append(&watched->watchers, &watcher->link);
    atomic_fetch_add_explicit(&visit->dict->watchers, 1, memory_order_relaxed);
}

/* False: the copy needs more room. */
static bool try_to_watch(struct tg_shared_visit *visit, uint64_t seen, struct tg_shared_copy *copy,
                         struct tg_shared_watched **fresh, struct tg_shared_watcher *watcher)
{
    struct tg_shared_entry *entry = tg_shared_find(visit);
    if (entry && entry->version != seen) {
        tg_shared_touch(visit, entry);
        return tg_shared_copy_entry(copy, entry);
    }
    copy->type = TG_SHARED_NONE;
    add_watcher(visit, fresh, watcher);
    return true;
}

enum tg_shared_result tg_shared_dict_watch(struct tg_shared_dict *dict, struct tg_slice key, uint64_t seen,
                                           struct tg_shared_copy *copy, struct tg_shared_watcher *watcher)
{
    tg_list_init(&watcher->link);
    watcher->key = NULL;
    if (tg_shared_dict_watchers(dict) >= TG_SHARED_WATCHERS_MAX)
        return TG_SHARED_NO_MEMORY;
    struct tg_shared_watched *fresh = watched_new(dict, key);
    bool done = false, room = fresh != NULL;
    while (room && !done) {
        struct tg_shared_visit visit;
        tg_shared_begin(&visit, dict, key);
        done = try_to_watch(&visit, seen, copy, &fresh, watcher);
        tg_shared_end(&visit);
        room = done || tg_shared_copy_room(copy, copy->length);
    }
    free(fresh);
    return done ? TG_SHARED_DONE : TG_SHARED_NO_MEMORY;
}

bool tg_shared_dict_unwatch(struct tg_shared_dict *dict, struct tg_shared_watcher *watcher)
{
    struct tg_shared_shard *shard = &dict->shards[watcher->hash >> 59];
    struct tg_shared_watched *emptied = NULL;
    tg_shared_lock(shard);
    struct tg_shared_watched *watched = watcher->key;
    if (watched) {
        tg_list_remove(&watcher->link);
        watcher->key = NULL;
        atomic_fetch_sub_explicit(&dict->watchers, 1, memory_order_relaxed);
        if (tg_list_empty(&watched->watchers)) {
            unlink_watched(shard, watched);
            emptied = watched;
        }
    }
    tg_shared_unlock(shard);
    free(emptied);
    return watched != NULL;
}

uint64_t tg_shared_dict_watchers(const struct tg_shared_dict *dict)
{
    return atomic_load_explicit(&dict->watchers, memory_order_relaxed);
}
