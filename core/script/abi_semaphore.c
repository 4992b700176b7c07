/* tg.semaphore: places that requests, tasks and timers of a VM hold; who finds none waits in a queue. */
#include <math.h>
#include <stdlib.h>

#include "script/hold.h"
#include "script/owned.h"

struct semaphore {
    struct tg_abi_owned owned;
    uint32_t free;
    struct tg_list waiting; /* struct entering, first come first */
    struct tg_list holds;   /* struct place */
};

/* A place that is held. */
struct place {
    struct tg_hold hold;
    struct tg_list link; /* the semaphore's */
    struct semaphore *semaphore;
};

/* A coroutine that waits for one; it has its own at hand, so that nothing can fail once there is one. */
struct entering {
    struct tg_run_wait wait;
    struct tg_list link;
    struct place *place;
};

static void hand_out(struct semaphore *semaphore);

static void leave(struct place *place)
{
    struct semaphore *semaphore = place->semaphore;
    tg_list_remove(&place->link);
    free(place);
    semaphore->free++;
    hand_out(semaphore);
}

static void release_place(struct tg_hold *hold)
{
    leave(TG_CONTAINER_OF(hold, struct place, hold));
}

static void take(struct semaphore *semaphore, struct place *place, struct tg_run *run)
{
    semaphore->free--;
    tg_list_append(&semaphore->holds, &place->link);
    tg_hold_add(tg_holds_of(run), &place->hold, release_place);
}

static void hand_out(struct semaphore *semaphore)
{
    struct tg_list *node;
    while (semaphore->free > 0 && (node = tg_list_first(&semaphore->waiting))) {
        struct entering *entering = TG_CONTAINER_OF(node, struct entering, link);
        struct tg_run *run = entering->wait.run;
        tg_list_remove(node);
        tg_list_remove(&entering->wait.link);
        take(semaphore, entering->place, run);
        run->granted = true;
        tg_run_wake(run);
        free(entering);
    }
}

static void give_up(struct tg_run_wait *wait)
{
    struct entering *entering = TG_CONTAINER_OF(wait, struct entering, wait);
    tg_list_remove(&entering->link);
    free(entering->place);
    free(entering);
}

/* Its VM ends, or no script can reach it: those who hold a place hold nothing any more. Nobody waits. */
static void destroy(struct tg_abi_owned *owned)
{
    struct semaphore *semaphore = (struct semaphore *)owned;
    struct tg_list *node;
    while ((node = tg_list_first(&semaphore->holds))) {
        struct place *place = TG_CONTAINER_OF(node, struct place, link);
        tg_list_remove(node);
        tg_list_remove(&place->hold.link);
        free(place);
    }
    free(semaphore);
}

struct tg_abi_owned *tg_abi_semaphore_new(struct tg_abi_control *control, uint32_t places)
{
    struct semaphore *semaphore = tg_owned_new((struct tg_vm *)control, sizeof(*semaphore), destroy);
    if (!semaphore)
        return NULL;
    semaphore->free = places;
    tg_list_init(&semaphore->waiting);
    tg_list_init(&semaphore->holds);
    return &semaphore->owned;
}

static struct place *place_new(struct semaphore *semaphore)
{
    struct place *place = calloc(1, sizeof(*place));
    if (!place)
        return NULL;
    place->semaphore = semaphore;
    tg_list_init(&place->link);
    tg_list_init(&place->hold.link);
    return place;
}

static bool wait_for(struct semaphore *semaphore, struct place *place, struct tg_run *run)
{
    struct entering *entering = malloc(sizeof(*entering));
    if (!entering)
        return false;
    entering->place = place;
    tg_list_init(&entering->link);
    tg_list_append(&semaphore->waiting, &entering->link);
    tg_run_wait_for(run, &entering->wait, give_up);
    return true;
}

int32_t tg_abi_semaphore_enter(struct tg_abi_control *control, struct tg_abi_owned *owned, int32_t may_wait)
{
    struct semaphore *semaphore = (struct semaphore *)owned;
    struct tg_run *run = tg_run_to_wait((struct tg_vm *)control);
    if (!run)
        return TG_ABI_ENTER_NO_RUN;
    bool free_now = semaphore->free > 0;
    if (!free_now && !may_wait)
        return TG_ABI_ENTER_WAIT;
    struct place *place = place_new(semaphore);
    run->granted = false;
    if (place && free_now) {
        take(semaphore, place, run);
        return TG_ABI_ENTER_DONE;
    }
    if (place && wait_for(semaphore, place, run))
        return TG_ABI_ENTER_WAIT;
    free(place);
    return TG_ABI_ENTER_NO_MEMORY;
}

int32_t tg_abi_granted(struct tg_abi_control *control)
{
    const struct tg_vm *vm = (const struct tg_vm *)control;
    return vm->current && vm->current->granted;
}

/* The place that was taken last. */
int32_t tg_abi_semaphore_leave(struct tg_abi_control *control, struct tg_abi_owned *owned)
{
    const struct tg_vm *vm = (const struct tg_vm *)control;
    struct tg_list *holds = vm->current ? tg_holds_of(vm->current) : NULL;
    for (struct tg_list *node = holds ? holds->previous : NULL; node != holds; node = node->previous) {
        struct tg_hold *hold = TG_CONTAINER_OF(node, struct tg_hold, link);
        if (hold->release != release_place || &TG_CONTAINER_OF(hold, struct place, hold)->semaphore->owned != owned)
            continue;
        tg_list_remove(node);
        release_place(hold);
        return 1;
    }
    return 0;
}
