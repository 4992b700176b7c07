/* The allocator of one VM: size classes on chunks of its own, so that a VM ends by dropping its chunks. Counted in
 * TG_MEMORY_VMS. The cap holds only while scripts run: outside of Lua's protection running out would end the process.
 */
#ifndef TG_SCRIPT_VM_MEMORY_H
#define TG_SCRIPT_VM_MEMORY_H

#include "base/list.h"

enum { TG_VM_SMALL_MAX = 2048, TG_VM_CLASSES = 44 };

struct tg_vm_memory {
    void *free[TG_VM_CLASSES]; /* of each size class: freed blocks, linked by their first word */
    char *at, *end;            /* unused rest of the newest chunk */
    struct tg_list chunks;
    struct tg_list large; /* blocks above TG_VM_SMALL_MAX */
    size_t used;          /* what Lua holds */
    size_t held;          /* what the system gave */
    size_t limit;         /* for used; SIZE_MAX outside of scripts */
};

void tg_vm_memory_init(struct tg_vm_memory *memory);
/* Drops everything at once, whatever still points to it. */
void tg_vm_memory_deinit(struct tg_vm_memory *memory);
/* A lua_Alloc; its context is a struct tg_vm_memory. */
void *tg_vm_memory_realloc(void *context, void *block, size_t old_size, size_t new_size);

#endif
