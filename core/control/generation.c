#include "control/generation.h"

#include <stdlib.h>

#include "base/clock.h"
#include "control/worker_thread.h"
#include "script/script.h"

void tg_generations_init(struct tg_generations *generations)
{
    *generations = (struct tg_generations){ 0 };
    tg_list_init(&generations->all);
}

static struct tg_generation *generation_at(struct tg_list *link)
{
    return TG_CONTAINER_OF(link, struct tg_generation, link);
}

void tg_generations_deinit(struct tg_generations *generations)
{
    while (!tg_list_empty(&generations->all))
        tg_generation_free(generation_at(tg_list_first(&generations->all)));
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

struct tg_generation *tg_generation_new(uint64_t number, const char *name, const char *note,
                                        struct tg_generation_source *source, struct tg_snapshot *snapshot)
{
    struct tg_generation *generation = calloc(1, sizeof *generation);
    if (!generation)
        return NULL;
    struct tg_clock *clock = tg_clock_system();
    tg_list_init(&generation->link);
    generation->number = number;
    generation->name = copy(name);
    generation->note = copy(note);
    generation->loaded_at = clock->wall(clock);
    generation->source = source;
    generation->snapshot = snapshot;
    return generation;
}

static void free_shares(struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++)
        tg_share_deinit(&generation->shares[i]);
    free(generation->shares);
    generation->shares = NULL;
    generation->share_count = generation->open_shares = 0;
}

void tg_generation_free(struct tg_generation *generation)
{
    tg_list_remove(&generation->link);
    free_shares(generation);
    tg_generation_source_unref(generation->source);
    tg_snapshot_unref(generation->snapshot);
    free(generation->name);
    free(generation->note);
    free(generation);
}

bool tg_generation_share_out(struct tg_generation *generation, struct tg_worker_thread *workers, uint32_t count,
                             struct tg_loop *control, struct tg_vm **vms, const struct tg_share_ops *ops)
{
    generation->shares = calloc(count, sizeof *generation->shares);
    if (!generation->shares)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        tg_share_init(&generation->shares[i], generation, generation->snapshot, &workers[i].worker, &workers[i].shares,
                      control, vms[i], ops);
        vms[i] = NULL;
    }
    generation->share_count = count;
    return true;
}

void tg_generation_prepare(struct tg_generation *generation, double timeout)
{
    generation->open_shares = generation->share_count;
    for (uint32_t i = 0; i < generation->share_count; i++)
        tg_share_prepare(&generation->shares[i], timeout);
}

void tg_generation_switch(struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++)
        tg_share_switch(&generation->shares[i], generation->snapshot->settings.generations_detach);
}

bool tg_generation_all_answered(const struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++) {
        if (!generation->shares[i].answered)
            return false;
    }
    return true;
}

bool tg_generation_is_warm(const struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++) {
        if (!generation->shares[i].open || generation->shares[i].close_posted)
            return false;
    }
    return generation->share_count > 0;
}

void tg_generation_close(struct tg_generation *generation)
{
    for (uint32_t i = 0; i < generation->share_count; i++)
        tg_share_close(&generation->shares[i]);
}

void tg_generation_discard(struct tg_generation *generation)
{
    generation->discarded = true;
    if (generation->open_shares == 0)
        tg_generation_free(generation);
    else
        tg_generation_close(generation);
}

void tg_generation_share_closed(struct tg_generation *generation)
{
    if (--generation->open_shares > 0)
        return;
    if (generation->discarded)
        tg_generation_free(generation);
    else
        free_shares(generation);
}

struct tg_generation *tg_generations_find(const struct tg_generations *generations, uint64_t number)
{
    for (struct tg_list *link = generations->all.next; link != &generations->all; link = link->next) {
        if (generation_at(link)->number == number && !generation_at(link)->discarded)
            return generation_at(link);
    }
    return NULL;
}

static bool is_in_use(const struct tg_generations *generations, const struct tg_generation *generation)
{
    return generation == generations->current || generation == generations->previous;
}

/* Newest first: those within the cap end their requests in peace. */
static void squeeze_beyond(struct tg_generations *generations, uint32_t keep)
{
    uint32_t living = 0;
    for (struct tg_list *link = generations->all.previous; link != &generations->all; link = link->previous) {
        struct tg_generation *generation = generation_at(link);
        if (!generation->shares || is_in_use(generations, generation))
            continue;
        if (++living + 2 <= keep)
            continue;
        for (uint32_t i = 0; i < generation->share_count; i++)
            tg_share_squeeze(&generation->shares[i]);
    }
}

static void forget_beyond(struct tg_generations *generations, uint32_t keep)
{
    uint32_t count = 0;
    for (struct tg_list *link = generations->all.previous, *before; link != &generations->all; link = before) {
        before = link->previous;
        struct tg_generation *generation = generation_at(link);
        if (++count > keep && !generation->shares && !is_in_use(generations, generation))
            tg_generation_free(generation);
    }
}

void tg_generations_switched(struct tg_generations *generations, struct tg_generation *to, uint32_t keep)
{
    if (to != generations->current)
        generations->previous = generations->current;
    generations->current = to;
    for (struct tg_list *link = generations->all.next; link != &generations->all; link = link->next) {
        if (!is_in_use(generations, generation_at(link)))
            tg_generation_close(generation_at(link));
    }
    squeeze_beyond(generations, keep);
    forget_beyond(generations, keep);
}
