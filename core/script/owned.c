#include "script/owned.h"

#include <stdlib.h>

void *tg_owned_new(struct tg_vm *vm, size_t size, void (*destroy)(struct tg_abi_owned *owned))
{
    struct tg_abi_owned *owned = vm->owned_count < TG_OWNED_MAX ? calloc(1, size) : NULL;
    if (!owned)
        return NULL;
    owned->vm = vm;
    owned->destroy = destroy;
    tg_list_append(&vm->owned, &owned->link);
    vm->owned_count++;
    return owned;
}

void tg_abi_release(struct tg_abi_owned *owned)
{
    if (!owned)
        return;
    tg_list_remove(&owned->link);
    owned->vm->owned_count--;
    owned->destroy(owned);
}

void tg_owned_destroy_all(struct tg_vm *vm)
{
    struct tg_list *node;
    while ((node = tg_list_first(&vm->owned)))
        tg_abi_release(TG_CONTAINER_OF(node, struct tg_abi_owned, link));
}
