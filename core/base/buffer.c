#include "base/buffer.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/poison.h"

enum { POOL_LIMIT = 64 };

static _Thread_local struct tg_block *pool;
static _Thread_local size_t pool_count;

static int64_t block_footprint(uint32_t capacity)
{
    return (int64_t)sizeof(struct tg_block) + capacity;
}

static struct tg_block *allocate_block(uint32_t capacity)
{
    struct tg_block *block = malloc((size_t)block_footprint(capacity));
    if (!block)
        return NULL;
    tg_memory_add(TG_MEMORY_BLOCKS, block_footprint(capacity));
    *block = (struct tg_block){ .references = 1, .capacity = capacity };
    return block;
}

static void release_block(struct tg_block *block)
{
    tg_unpoison(block->data, block->capacity);
    tg_memory_add(TG_MEMORY_BLOCKS, -block_footprint(block->capacity));
    free(block);
}

struct tg_block *tg_block_new(void)
{
    struct tg_block *block = pool;
    if (!block)
        return allocate_block(TG_BLOCK_SIZE);
    pool = block->next_free;
    pool_count--;
    tg_unpoison(block->data, TG_BLOCK_SIZE);
    block->references = 1;
    block->used = 0;
    return block;
}

struct tg_block *tg_block_new_of(size_t capacity)
{
    if (capacity <= TG_BLOCK_SIZE)
        return tg_block_new();
    return capacity <= UINT32_MAX ? allocate_block((uint32_t)capacity) : NULL;
}

void tg_block_free(struct tg_block *block)
{
    if (block->capacity != TG_BLOCK_SIZE || pool_count == POOL_LIMIT) {
        release_block(block);
        return;
    }
    tg_poison(block->data, TG_BLOCK_SIZE);
    block->next_free = pool;
    pool = block;
    pool_count++;
}

void tg_block_release_thread_pool(void)
{
    while (pool) {
        struct tg_block *block = pool;
        pool = block->next_free;
        release_block(block);
    }
    pool_count = 0;
}
