#include "base/memory.h"

#include <stdatomic.h>

static _Atomic int64_t held[TG_MEMORY_KINDS];

void tg_memory_add(enum tg_memory_kind kind, int64_t bytes)
{
    atomic_fetch_add_explicit(&held[kind], bytes, memory_order_relaxed);
}

uint64_t tg_memory_held(enum tg_memory_kind kind)
{
    int64_t bytes = atomic_load_explicit(&held[kind], memory_order_relaxed);
    return bytes > 0 ? (uint64_t)bytes : 0;
}
