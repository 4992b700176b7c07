#include "control/memory_return.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const double every = 2; /* seconds */

enum {
    WORTH_IT = 256 * 1024, /* bytes, and a part of what is used: returning takes the allocator's locks for a moment */
    WORTH_PART = 64,
    CHANGE = 1024 * 1024, /* as much more or less in use than at the last look: still under way */
};

/* Bytes of the process that are in memory; 0: unknown. */
static int64_t resident(const struct tg_memory_return *memory)
{
    char text[128];
    long size, pages;
    ssize_t length = pread(memory->statm, text, sizeof text - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = 0;
    return sscanf(text, "%ld %ld", &size, &pages) == 2 ? (int64_t)pages * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

static void look(struct tg_deadline *deadline)
{
    struct tg_memory_return *memory = TG_CONTAINER_OF(deadline, struct tg_memory_return, look);
    int64_t used = in_use(), beside = resident(memory) - used;
    if (beside - memory->beside >= WORTH_IT + used / WORTH_PART && llabs(used - memory->used) < CHANGE) {
        malloc_trim(0);
        memory->beside = resident(memory) - used;
    } else if (beside < memory->beside) {
        memory->beside = beside;
    }
    memory->used = used;
    tg_deadline_in(deadline, every);
}

void tg_memory_return_init(struct tg_memory_return *memory, struct tg_loop *loop)
{
    *memory = (struct tg_memory_return){ .statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC) };
    memory->beside = INT64_MAX / 2;
    tg_deadline_init(&memory->look, loop, look);
    if (memory->statm >= 0)
        tg_deadline_in(&memory->look, every);
}

void tg_memory_return_deinit(struct tg_memory_return *memory)
{
    if (!memory->look.loop)
        return;
    tg_deadline_deinit(&memory->look);
    if (memory->statm >= 0)
        close(memory->statm);
}
