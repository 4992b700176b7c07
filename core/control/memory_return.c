#include "control/memory_return.h"

#include <malloc.h>

static const double every = 2; /* seconds */

enum {
    WORTH_IT = 4 * 1024 * 1024, /* bytes: returning takes the allocator's locks for some milliseconds */
    CHANGE = 1024 * 1024,       /* as much more or less free than at the last look: still under way */
};

static bool is_settled(const struct tg_memory_return *memory, uint64_t free_bytes)
{
    uint64_t most = memory->before > free_bytes ? memory->before : free_bytes;
    uint64_t least = memory->before > free_bytes ? free_bytes : memory->before;
    return most - least < CHANGE;
}

static void look(struct tg_deadline *deadline)
{
    struct tg_memory_return *memory = TG_CONTAINER_OF(deadline, struct tg_memory_return, look);
    uint64_t free_bytes = mallinfo2().fordblks;
    if (free_bytes < memory->returned)
        memory->returned = free_bytes;
    if (free_bytes - memory->returned >= WORTH_IT && is_settled(memory, free_bytes)) {
        malloc_trim(0);
        memory->returned = free_bytes;
    }
    memory->before = free_bytes;
    tg_deadline_in(deadline, every);
}

void tg_memory_return_init(struct tg_memory_return *memory, struct tg_loop *loop)
{
    *memory = (struct tg_memory_return){ 0 };
    tg_deadline_init(&memory->look, loop, look);
    tg_deadline_in(&memory->look, every);
}

void tg_memory_return_deinit(struct tg_memory_return *memory)
{
    if (memory->look.loop)
        tg_deadline_deinit(&memory->look);
}
