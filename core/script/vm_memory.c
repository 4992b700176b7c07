#include "script/vm_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum { CHUNK_SIZE = 256 * 1024, FINE_MAX = 512, FINE_STEP = 16, COARSE_STEP = 128 };

struct chunk {
    _Alignas(16) struct tg_list link;
};

/* In front of a block above TG_VM_SMALL_MAX. */
struct large_block {
    _Alignas(16) struct tg_list link;
    size_t size;
};

static size_t class_of(size_t size)
{
    if (size <= FINE_MAX)
        return (size - 1) / FINE_STEP;
    return FINE_MAX / FINE_STEP + (size - FINE_MAX - 1) / COARSE_STEP;
}

static size_t size_of_class(size_t class)
{
    if (class < FINE_MAX / FINE_STEP)
        return (class + 1) * FINE_STEP;
    return FINE_MAX + (class - FINE_MAX / FINE_STEP + 1) * COARSE_STEP;
}

static void count_held(struct tg_vm_memory *memory, ptrdiff_t change)
{
    memory->held += (size_t)change;
    tg_memory_add(TG_MEMORY_VMS, change);
}

void tg_vm_memory_init(struct tg_vm_memory *memory)
{
    *memory = (struct tg_vm_memory){ .limit = SIZE_MAX };
    tg_list_init(&memory->chunks);
    tg_list_init(&memory->large);
}

void tg_vm_memory_deinit(struct tg_vm_memory *memory)
{
    struct tg_list *node;
    while ((node = tg_list_first(&memory->large))) {
        tg_list_remove(node);
        free(TG_CONTAINER_OF(node, struct large_block, link));
    }
    while ((node = tg_list_first(&memory->chunks))) {
        tg_list_remove(node);
        munmap(TG_CONTAINER_OF(node, struct chunk, link), CHUNK_SIZE);
    }
    count_held(memory, -(ptrdiff_t)memory->held);
    tg_vm_memory_init(memory);
}

static bool add_chunk(struct tg_vm_memory *memory)
{
    struct chunk *chunk = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return false;
    tg_list_append(&memory->chunks, &chunk->link);
    memory->at = (char *)(chunk + 1);
    memory->end = (char *)chunk + CHUNK_SIZE;
    count_held(memory, CHUNK_SIZE);
    return true;
}

static void push_free(struct tg_vm_memory *memory, size_t class, void *block)
{
    *(void **)block = memory->free[class];
    memory->free[class] = block;
}

/* What is left of the old chunk is not lost: it becomes one block of the largest class that fits. */
static void keep_rest(struct tg_vm_memory *memory)
{
    size_t rest = (size_t)(memory->end - memory->at);
    if (rest < FINE_STEP)
        return;
    size_t class = rest >= TG_VM_SMALL_MAX ? TG_VM_CLASSES - 1 : class_of(rest);
    if (size_of_class(class) > rest)
        class -= 1;
    push_free(memory, class, memory->at);
}

static void *small_alloc(struct tg_vm_memory *memory, size_t size)
{
    size_t class = class_of(size);
    void *block = memory->free[class];
    if (block) {
        memory->free[class] = *(void **)block;
        return block;
    }
    size_t rounded = size_of_class(class);
    if ((size_t)(memory->end - memory->at) < rounded) {
        keep_rest(memory);
        memory->at = memory->end = NULL;
        if (!add_chunk(memory))
            return NULL;
    }
    block = memory->at;
    memory->at += rounded;
    return block;
}

static void *large_alloc(struct tg_vm_memory *memory, size_t size)
{
    struct large_block *block;
    if (size > SIZE_MAX / 2 || !(block = malloc(sizeof(*block) + size)))
        return NULL;
    block->size = size;
    tg_list_append(&memory->large, &block->link);
    count_held(memory, (ptrdiff_t)(sizeof(*block) + size));
    return block + 1;
}

static void *large_realloc(struct tg_vm_memory *memory, void *old, size_t size)
{
    struct large_block *block = (struct large_block *)old - 1;
    size_t old_size = block->size;
    tg_list_remove(&block->link);
    struct large_block *moved = size > SIZE_MAX / 2 ? NULL : realloc(block, sizeof(*block) + size);
    if (!moved) {
        tg_list_append(&memory->large, &block->link);
        return NULL;
    }
    moved->size = size;
    tg_list_append(&memory->large, &moved->link);
    count_held(memory, (ptrdiff_t)(size - old_size));
    return moved + 1;
}

static void *block_alloc(struct tg_vm_memory *memory, size_t size)
{
    return size <= TG_VM_SMALL_MAX ? small_alloc(memory, size) : large_alloc(memory, size);
}

static void block_free(struct tg_vm_memory *memory, void *block, size_t size)
{
    if (size <= TG_VM_SMALL_MAX) {
        push_free(memory, class_of(size), block);
        return;
    }
    struct large_block *large = (struct large_block *)block - 1;
    tg_list_remove(&large->link);
    count_held(memory, -(ptrdiff_t)(sizeof(*large) + large->size));
    free(large);
}

static void *block_resize(struct tg_vm_memory *memory, void *block, size_t old_size, size_t new_size)
{
    bool small = old_size <= TG_VM_SMALL_MAX;
    if (small && new_size <= TG_VM_SMALL_MAX && class_of(old_size) == class_of(new_size))
        return block;
    if (!small && new_size > TG_VM_SMALL_MAX)
        return large_realloc(memory, block, new_size);
    void *moved = block_alloc(memory, new_size);
    if (!moved)
        return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    block_free(memory, block, old_size);
    return moved;
}

void *tg_vm_memory_realloc(void *context, void *block, size_t old_size, size_t new_size)
{
    struct tg_vm_memory *memory = context;
    if (!block)
        old_size = 0;
    if (new_size == 0) {
        if (old_size)
            block_free(memory, block, old_size);
        memory->used -= old_size;
        return NULL;
    }
    bool grows = new_size > old_size;
    if (grows && (memory->used > memory->limit || new_size - old_size > memory->limit - memory->used))
        return NULL;
    void *result = old_size ? block_resize(memory, block, old_size, new_size) : block_alloc(memory, new_size);
    /* Lua counts on it that shrinking never fails; the block is large enough as it is. */
    if (!result && !grows)
        result = block;
    if (result)
        memory->used += new_size - old_size;
    return result;
}
