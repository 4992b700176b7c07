/* Objects of C that a VM's scripts can reach: compiled patterns, keys, digests under way, sets of addresses. Each is on
 * its VM's list, since a VM ends by dropping its memory and runs no finalizer then; one that a script has forgotten is
 * released before that by the collector (ffi.gc with tg_abi_release). The VM's thread. */
#ifndef TG_SCRIPT_OWNED_H
#define TG_SCRIPT_OWNED_H

#include "base/list.h"
#include "script/vm.h"

/* First member of what is owned. */
struct tg_abi_owned {
    struct tg_list link;
    struct tg_vm *vm;
    void (*destroy)(struct tg_abi_owned *owned); /* frees it and what it holds; it isn't on the list any more */
};

/* A VM holds no more than that many; beyond it what would make one more says so. */
enum { TG_OWNED_MAX = 100000 };

/* Zeroed memory of `size` bytes that begins with a struct tg_abi_owned, on the list of the VM; NULL where there is no
 * memory, or TG_OWNED_MAX are there. `destroy` ends with free(). */
void *tg_owned_new(struct tg_vm *vm, size_t size, void (*destroy)(struct tg_abi_owned *owned));
/* Destroys all of them. */
void tg_owned_destroy_all(struct tg_vm *vm);

#endif
