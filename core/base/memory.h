/* What the process holds, in bytes and by kind, so that an overload manager can act on it. Kinds are few and fixed;
 * any thread may add and subtract (relaxed atomics; callers count chunks and blocks, never single small objects). */
#ifndef TG_BASE_MEMORY_H
#define TG_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum tg_memory_kind { TG_MEMORY_BLOCKS, TG_MEMORY_ARENAS, TG_MEMORY_VMS, TG_MEMORY_KINDS };

void tg_memory_add(enum tg_memory_kind kind, int64_t bytes);
uint64_t tg_memory_held(enum tg_memory_kind kind);

#endif
