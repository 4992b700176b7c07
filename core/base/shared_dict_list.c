/* Lists of the shared dictionary, and the list of its keys. */
#include <stdlib.h>

#include "base/shared_dict_state.h"

static struct tg_shared_item *item_new(const struct tg_shared_value *value)
{
    size_t length = value->type == TG_SHARED_STRING ? value->text.length : 0;
    struct tg_shared_item *item = malloc(sizeof(*item) + length);
    if (!item)
        return NULL;
    *item = (struct tg_shared_item){ .type = value->type, .length = (uint32_t)length, .number = value->number };
    if (length)
        memcpy(item->bytes, value->text.at, length);
    return item;
}

static size_t item_cost(const struct tg_shared_item *item)
{
    return tg_shared_cost(sizeof(*item) + item->length);
}

static void append(struct tg_shared_visit *visit, struct tg_shared_entry *entry, struct tg_shared_item *item)
{
    struct tg_shared_list *list = &entry->list;
    *(list->first ? &list->last->next : &list->first) = item;
    list->last = item;
    list->count++;
    tg_shared_count(visit, entry, (int64_t)item_cost(item));
}

/* False: *fresh has to be made first. It and the item are taken only where the result is DONE. */
static bool try_to_push(struct tg_shared_visit *visit, struct tg_shared_entry **fresh, struct tg_shared_item *item,
                        enum tg_shared_result *result, size_t *length)
{
    struct tg_shared_entry *entry = tg_shared_find(visit);
    *result = TG_SHARED_DONE;
    if (!entry && !*fresh)
        return false;
    if (!entry) {
        entry = *fresh;
        *fresh = NULL;
        entry->type = TG_SHARED_LIST;
        entry->list = (struct tg_shared_list){ NULL, NULL, 0 };
        tg_shared_link(visit, entry);
    } else if (entry->type != TG_SHARED_LIST) {
        *result = TG_SHARED_WRONG_TYPE;
        return true;
    } else if (!tg_shared_fits(visit->dict, entry->cost + item_cost(item))) {
        *result = TG_SHARED_TOO_LARGE;
        return true;
    }
    append(visit, entry, item);
    *length = entry->list.count;
    tg_shared_touch(visit, entry);
    tg_shared_changed(visit, entry);
    return true;
}

enum tg_shared_result tg_shared_dict_push(struct tg_shared_dict *dict, struct tg_slice key,
                                          const struct tg_shared_value *value, size_t *length)
{
    size_t bytes = value->type == TG_SHARED_STRING ? value->text.length : 0;
    if (!tg_shared_fits(dict, sizeof(struct tg_shared_entry) + sizeof(struct tg_shared_item) + key.length + bytes))
        return TG_SHARED_TOO_LARGE;
    struct tg_shared_entry *fresh = NULL;
    struct tg_shared_item *item = item_new(value);
    enum tg_shared_result result = TG_SHARED_NO_MEMORY;
    bool pushed = false;
    while (item && !pushed) {
        struct tg_shared_visit visit;
        tg_shared_begin(&visit, dict, key);
        pushed = try_to_push(&visit, &fresh, item, &result, length);
        tg_shared_end(&visit);
        if (!pushed && !(fresh = tg_shared_entry_new(key, tg_shared_hash(dict, key), 0)))
            break;
    }
    if (!pushed || result != TG_SHARED_DONE)
        free(item);
    tg_shared_entry_free(fresh);
    return pushed ? result : TG_SHARED_NO_MEMORY;
}

static struct tg_shared_item *take_first(struct tg_shared_visit *visit, struct tg_shared_entry *entry)
{
    struct tg_shared_list *list = &entry->list;
    struct tg_shared_item *item = list->first;
    list->first = item->next;
    list->count--;
    tg_shared_count(visit, entry, -(int64_t)item_cost(item));
    if (list->first) {
        tg_shared_touch(visit, entry);
        entry->version = ++visit->shard->version;
    } else {
        tg_shared_remove(visit, entry);
    }
    visit->wrote = true;
    return item;
}

enum tg_shared_result tg_shared_dict_pop(struct tg_shared_dict *dict, struct tg_slice key, struct tg_shared_copy *copy)
{
    struct tg_shared_visit visit;
    struct tg_shared_item *item = NULL;
    copy->type = TG_SHARED_NONE;
    copy->length = 0;
    tg_shared_begin(&visit, dict, key);
    struct tg_shared_entry *entry = tg_shared_find(&visit);
    bool is_list = !entry || entry->type == TG_SHARED_LIST;
    if (entry && is_list)
        item = take_first(&visit, entry);
    tg_shared_end(&visit);
    if (!item)
        return is_list ? TG_SHARED_DONE : TG_SHARED_WRONG_TYPE;
    bool room = tg_shared_copy_room(copy, item->length);
    if (room) {
        copy->type = item->type;
        copy->number = item->number;
        copy->length = item->length;
        if (item->length)
            memcpy(copy->at, item->bytes, item->length);
    }
    free(item);
    return room ? TG_SHARED_DONE : TG_SHARED_NO_MEMORY;
}

/* --- keys --- */

struct key_walk {
    struct tg_shared_copy *copy;
    size_t left;   /* keys */
    size_t needed; /* bytes, also of those that had no room */
    size_t found;
};

static void take_key(struct key_walk *walk, const struct tg_shared_entry *entry)
{
    size_t at = walk->needed;
    walk->needed += sizeof(entry->key_length) + entry->key_length;
    walk->found++;
    if (walk->needed > walk->copy->capacity)
        return;
    memcpy(walk->copy->at + at, &entry->key_length, sizeof(entry->key_length));
    memcpy(walk->copy->at + at + sizeof(entry->key_length), entry->bytes, entry->key_length);
}

static void walk_shard(struct tg_shared_shard *shard, struct key_walk *walk, double now)
{
    tg_shared_lock(shard);
    for (size_t i = 0; i <= shard->mask && walk->found < walk->left; i++) {
        for (struct tg_shared_entry *entry = shard->buckets[i]; entry && walk->found < walk->left; entry = entry->next)
            if (entry->expires > now)
                take_key(walk, entry);
    }
    tg_shared_unlock(shard);
}

enum tg_shared_result tg_shared_dict_keys(struct tg_shared_dict *dict, size_t max, struct tg_shared_copy *copy)
{
    double now = dict->clock->monotonic(dict->clock);
    size_t found = 0, used = 0;
    for (size_t i = 0; i < TG_SHARED_SHARDS && found < max;) {
        struct key_walk walk = { .copy = copy, .left = max - found, .needed = used };
        walk_shard(&dict->shards[i], &walk, now);
        if (walk.needed > copy->capacity) {
            if (!tg_shared_copy_room(copy, walk.needed))
                return TG_SHARED_NO_MEMORY;
            continue;
        }
        found += walk.found;
        used = walk.needed;
        i++;
    }
    copy->number = (double)found;
    copy->length = used;
    return TG_SHARED_DONE;
}
