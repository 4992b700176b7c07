#include "base/shared_registry.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

struct tg_shared_registry {
    pthread_mutex_t lock;
    struct tg_map *by_name;
};

struct tg_shared_registry *tg_shared_registry_new(void)
{
    struct tg_shared_registry *registry = calloc(1, sizeof(*registry));
    struct tg_map *map = registry ? tg_map_new() : NULL;
    if (!map) {
        free(registry);
        return NULL;
    }
    registry->by_name = map;
    pthread_mutex_init(&registry->lock, NULL);
    return registry;
}

void tg_shared_registry_free(struct tg_shared_registry *registry)
{
    if (!registry)
        return;
    tg_map_free(registry->by_name);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static struct tg_shared *shared_new(struct tg_shared_registry *registry, struct tg_slice name, uint64_t size)
{
    struct tg_shared *shared = malloc(sizeof(*shared) + name.length);
    struct tg_shared_dict *dict = shared ? tg_shared_dict_new(size, NULL) : NULL;
    if (!dict) {
        free(shared);
        return NULL;
    }
    char *bytes = (char *)(shared + 1);
    memcpy(bytes, name.at, name.length);
    *shared = (struct tg_shared){ dict, registry, 1, tg_slice_of(bytes, name.length) };
    return shared;
}

static void shared_free(struct tg_shared *shared)
{
    tg_shared_dict_free(shared->dict);
    free(shared);
}

static struct tg_shared *acquire_locked(struct tg_shared_registry *registry, struct tg_slice name, uint64_t size)
{
    struct tg_shared *shared = tg_map_get(registry->by_name, name);
    if (shared) {
        shared->holds++;
        return shared;
    }
    shared = shared_new(registry, name, size);
    if (!shared || tg_map_set(registry->by_name, name, shared))
        return shared;
    shared_free(shared);
    return NULL;
}

struct tg_shared *tg_shared_acquire(struct tg_shared_registry *registry, struct tg_slice name, uint64_t size)
{
    if (!registry)
        return shared_new(NULL, name, size);
    pthread_mutex_lock(&registry->lock);
    struct tg_shared *shared = acquire_locked(registry, name, size);
    pthread_mutex_unlock(&registry->lock);
    return shared;
}

void tg_shared_release(struct tg_shared *shared)
{
    struct tg_shared_registry *registry = shared->registry;
    if (registry) {
        pthread_mutex_lock(&registry->lock);
        bool last = --shared->holds == 0;
        if (last)
            tg_map_remove(registry->by_name, shared->name);
        pthread_mutex_unlock(&registry->lock);
        if (!last)
            return;
    }
    shared_free(shared);
}

void tg_shared_registry_each(struct tg_shared_registry *registry,
                             void (*visit)(void *context, const struct tg_shared *shared), void *context)
{
    size_t position = 0;
    struct tg_slice name;
    void *shared;
    pthread_mutex_lock(&registry->lock);
    while (tg_map_next(registry->by_name, &position, &name, &shared))
        visit(context, shared);
    pthread_mutex_unlock(&registry->lock);
}
