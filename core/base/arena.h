/* Memory that ends all at once: an exchange and everything it needs. Chunks come from a pool of the thread, so that a
 * request on a warm worker calls no malloc. An arena belongs to one thread. */
#ifndef TG_BASE_ARENA_H
#define TG_BASE_ARENA_H

#include "base/slice.h"

enum { TG_ARENA_CHUNK = 8192 }; /* bytes of a pooled chunk, its header included; larger requests get their own chunk */

struct tg_arena_chunk;

struct tg_arena {
    struct tg_arena_chunk *chunks;
    char *free, *end;
};

void tg_arena_init(struct tg_arena *arena);
/* Returns all chunks to the thread's pool. The arena can be used again. */
void tg_arena_deinit(struct tg_arena *arena);
/* Aligned to 16 bytes, not cleared; NULL when out of memory. */
void *tg_arena_alloc(struct tg_arena *arena, size_t size);
void *tg_arena_alloc_zeroed(struct tg_arena *arena, size_t size);
/* A copy, with a NUL behind it that its length doesn't count; at is NULL when out of memory. */
struct tg_slice tg_arena_copy(struct tg_arena *arena, struct tg_slice slice);
/* Frees the chunks pooled by the calling thread; call before the thread ends. */
void tg_arena_release_thread_pool(void);

#endif
