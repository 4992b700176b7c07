/* A hash map from bytes to pointers, with a keyed hash so that hostile keys can't pile up in one bucket. Keys are
 * copied. Belongs to one thread, or is guarded by its owner's lock. */
#ifndef TG_BASE_MAP_H
#define TG_BASE_MAP_H

#include "base/slice.h"

struct tg_map;

struct tg_map *tg_map_new(void);
/* Values are not freed. */
void tg_map_free(struct tg_map *map);
/* NULL where absent. */
void *tg_map_get(const struct tg_map *map, struct tg_slice key);
/* Adds or replaces; false when out of memory. */
bool tg_map_set(struct tg_map *map, struct tg_slice key, void *value) __attribute__((warn_unused_result));
/* The removed value, or NULL. */
void *tg_map_remove(struct tg_map *map, struct tg_slice key);
size_t tg_map_count(const struct tg_map *map);
/* Goes over all entries; start with *position = 0. The map must not be changed meanwhile. */
bool tg_map_next(const struct tg_map *map, size_t *position, struct tg_slice *key, void **value);
/* The keyed 64-bit hash (SipHash-1-3 or like strength), keyed once for the process. */
uint64_t tg_map_hash(struct tg_slice key);

#endif
