#include "base/arena.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/poison.h"

enum { ALIGNMENT = 16, POOL_LIMIT = 256 };

struct tg_arena_chunk {
    struct tg_arena_chunk *next;
    size_t size; /* of the whole allocation */
    char data[];
};

static _Thread_local struct tg_arena_chunk *pool;
static _Thread_local size_t pool_count;

static struct tg_arena_chunk *allocate_chunk(size_t size)
{
    struct tg_arena_chunk *chunk = malloc(size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    tg_memory_add(TG_MEMORY_ARENAS, (int64_t)size);
    tg_poison(chunk->data, size - sizeof(*chunk));
    return chunk;
}

static void free_chunk(struct tg_arena_chunk *chunk)
{
    tg_unpoison(chunk->data, chunk->size - sizeof(*chunk));
    tg_memory_add(TG_MEMORY_ARENAS, -(int64_t)chunk->size);
    free(chunk);
}

static struct tg_arena_chunk *take_pooled_chunk(void)
{
    struct tg_arena_chunk *chunk = pool;
    if (!chunk)
        return allocate_chunk(TG_ARENA_CHUNK);
    pool = chunk->next;
    pool_count--;
    return chunk;
}

static void give_back(struct tg_arena_chunk *chunk)
{
    if (chunk->size != TG_ARENA_CHUNK || pool_count == POOL_LIMIT) {
        free_chunk(chunk);
        return;
    }
    tg_poison(chunk->data, TG_ARENA_CHUNK - sizeof(*chunk));
    chunk->next = pool;
    pool = chunk;
    pool_count++;
}

void tg_arena_init(struct tg_arena *arena)
{
    *arena = (struct tg_arena){ 0 };
}

void tg_arena_deinit(struct tg_arena *arena)
{
    for (struct tg_arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        give_back(chunk);
    }
    tg_arena_init(arena);
}

/* A chunk for this request alone goes behind the current one, which stays in use. */
static void *allocate_large(struct tg_arena *arena, size_t size)
{
    struct tg_arena_chunk *chunk = allocate_chunk(sizeof(*chunk) + size);
    if (!chunk)
        return NULL;
    struct tg_arena_chunk **place = arena->chunks ? &arena->chunks->next : &arena->chunks;
    chunk->next = *place;
    *place = chunk;
    return chunk->data;
}

static bool add_chunk(struct tg_arena *arena)
{
    struct tg_arena_chunk *chunk = take_pooled_chunk();
    if (!chunk)
        return false;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->free = chunk->data;
    arena->end = (char *)chunk + TG_ARENA_CHUNK;
    return true;
}

static void *allocate_slowly(struct tg_arena *arena, size_t size)
{
    if (size > (TG_ARENA_CHUNK - sizeof(struct tg_arena_chunk)) / 2)
        return allocate_large(arena, size);
    if (!add_chunk(arena))
        return NULL;
    void *at = arena->free;
    arena->free += size;
    return at;
}

void *tg_arena_alloc(struct tg_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    void *at;
    if (__builtin_expect(rounded <= (size_t)(arena->end - arena->free) && arena->free, 1)) {
        at = arena->free;
        arena->free += rounded;
    } else {
        at = allocate_slowly(arena, rounded);
    }
    if (at)
        tg_unpoison(at, size);
    return at;
}

void *tg_arena_alloc_zeroed(struct tg_arena *arena, size_t size)
{
    void *at = tg_arena_alloc(arena, size);
    return at ? memset(at, 0, size) : NULL;
}

struct tg_slice tg_arena_copy(struct tg_arena *arena, struct tg_slice slice)
{
    char *at = slice.length < SIZE_MAX ? tg_arena_alloc(arena, slice.length + 1) : NULL;
    if (!at)
        return tg_slice_of(NULL, 0);
    if (slice.length > 0)
        memcpy(at, slice.at, slice.length);
    at[slice.length] = '\0';
    return tg_slice_of(at, slice.length);
}

void tg_arena_release_thread_pool(void)
{
    while (pool) {
        struct tg_arena_chunk *chunk = pool;
        pool = chunk->next;
        free_chunk(chunk);
    }
    pool_count = 0;
}
