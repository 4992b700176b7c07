/* The shared dictionaries of the process, by name. They live as long as a generation names them. Any thread. */
#ifndef TG_BASE_SHARED_REGISTRY_H
#define TG_BASE_SHARED_REGISTRY_H

#include "base/shared_dict.h"

struct tg_shared_registry;

/* A generation's hold on one. */
struct tg_shared {
    struct tg_shared_dict *dict;
    struct tg_shared_registry *registry; /* NULL: this one alone holds it */
    uint32_t holds;                      /* under the registry's lock */
    struct tg_slice name;                /* its bytes follow the struct */
};

struct tg_shared_registry *tg_shared_registry_new(void);
/* Nothing is held any more. May be NULL. */
void tg_shared_registry_free(struct tg_shared_registry *registry);
/* The dictionary of that name, whatever its size; made with `size` where there is none. `registry` may be NULL: a
 * dictionary of its own. NULL when out of memory. */
struct tg_shared *tg_shared_acquire(struct tg_shared_registry *registry, struct tg_slice name, uint64_t size);
void tg_shared_release(struct tg_shared *shared);
/* Calls `visit` for each, with the registry locked. For status. */
void tg_shared_registry_each(struct tg_shared_registry *registry,
                             void (*visit)(void *context, const struct tg_shared *shared), void *context);

#endif
