/* Gives memory back to the system once a burst is over: what was freed lies in holes between what lives on, where the
 * allocator keeps it for good. Control's thread. */
#ifndef TG_CONTROL_MEMORY_RETURN_H
#define TG_CONTROL_MEMORY_RETURN_H

#include <stdint.h>

#include "net/loop.h"

struct tg_memory_return {
    struct tg_deadline look;
    int statm;      /* /proc/self/statm; -1: nothing is ever given back */
    int64_t beside; /* the least resident bytes, since the last return, that the allocator's users don't use */
    int64_t used;   /* bytes, at the last look */
};

void tg_memory_return_init(struct tg_memory_return *memory, struct tg_loop *loop);
/* Harmless where it was never initialised: zeroed. */
void tg_memory_return_deinit(struct tg_memory_return *memory);

#endif
