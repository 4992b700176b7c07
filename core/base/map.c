/* Open addressing with linear probing; a removal moves later entries of the run back, so that no marks are needed. */
#include "base/map.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

struct map_entry {
    uint64_t hash;
    char *key; /* NULL: the place is free */
    size_t key_length;
    void *value;
};

struct tg_map {
    struct map_entry *entries; /* NULL until the first is added */
    size_t capacity;           /* 0 or a power of two */
    size_t count;
};

struct tg_map *tg_map_new(void)
{
    return calloc(1, sizeof(struct tg_map));
}

void tg_map_free(struct tg_map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->capacity; i++)
        free(map->entries[i].key);
    free(map->entries);
    free(map);
}

static size_t next_place(const struct tg_map *map, size_t place)
{
    return (place + 1) & (map->capacity - 1);
}

static bool is_entry(const struct map_entry *entry, uint64_t hash, struct tg_slice key)
{
    return entry->hash == hash && tg_slice_equal(tg_slice_of(entry->key, entry->key_length), key);
}

/* The place of the key, or the free one where it would go. The map has a free place. */
static size_t find_place(const struct tg_map *map, uint64_t hash, struct tg_slice key)
{
    size_t place = (size_t)hash & (map->capacity - 1);
    while (map->entries[place].key && !is_entry(&map->entries[place], hash, key))
        place = next_place(map, place);
    return place;
}

static struct map_entry *find(const struct tg_map *map, struct tg_slice key)
{
    if (map->count == 0)
        return NULL;
    struct map_entry *entry = &map->entries[find_place(map, tg_map_hash(key), key)];
    return entry->key ? entry : NULL;
}

void *tg_map_get(const struct tg_map *map, struct tg_slice key)
{
    struct map_entry *entry = find(map, key);
    return entry ? entry->value : NULL;
}

static void place_entry(struct tg_map *map, struct map_entry entry)
{
    size_t place = (size_t)entry.hash & (map->capacity - 1);
    while (map->entries[place].key)
        place = next_place(map, place);
    map->entries[place] = entry;
}

/* Keeps a quarter of the places free. */
static bool make_room(struct tg_map *map)
{
    if ((map->count + 1) * 4 <= map->capacity * 3)
        return true;
    struct tg_map larger = { .capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY, .count = map->count };
    larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key)
            place_entry(&larger, map->entries[i]);
    }
    free(map->entries);
    *map = larger;
    return true;
}

bool tg_map_set(struct tg_map *map, struct tg_slice key, void *value)
{
    struct map_entry *known = find(map, key);
    if (known) {
        known->value = value;
        return true;
    }
    char *copy = make_room(map) ? tg_slice_to_string(key) : NULL;
    if (!copy)
        return false;
    place_entry(map, (struct map_entry){ tg_map_hash(key), copy, key.length, value });
    map->count++;
    return true;
}

/* Whether an entry that stands at `place` may move to `gap`: its home isn't between the two. */
static bool may_move(const struct tg_map *map, size_t place, size_t gap)
{
    size_t mask = map->capacity - 1;
    size_t home = (size_t)map->entries[place].hash & mask;
    return ((place - home) & mask) >= ((place - gap) & mask);
}

static void close_gap(struct tg_map *map, size_t gap)
{
    for (size_t place = next_place(map, gap); map->entries[place].key; place = next_place(map, place)) {
        if (!may_move(map, place, gap))
            continue;
        map->entries[gap] = map->entries[place];
        gap = place;
    }
    map->entries[gap] = (struct map_entry){ 0 };
}

void *tg_map_remove(struct tg_map *map, struct tg_slice key)
{
    struct map_entry *entry = find(map, key);
    if (!entry)
        return NULL;
    void *value = entry->value;
    free(entry->key);
    map->count--;
    close_gap(map, (size_t)(entry - map->entries));
    return value;
}

size_t tg_map_count(const struct tg_map *map)
{
    return map->count;
}

bool tg_map_next(const struct tg_map *map, size_t *position, struct tg_slice *key, void **value)
{
    for (; *position < map->capacity; ++*position) {
        const struct map_entry *entry = &map->entries[*position];
        if (!entry->key)
            continue;
        *key = tg_slice_of(entry->key, entry->key_length);
        *value = entry->value;
        ++*position;
        return true;
    }
    return false;
}
