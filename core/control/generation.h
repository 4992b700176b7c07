/* The generations of the running gateway: which one is current, which one was before it and stays warm, which older
 * ones still end their requests, and which are kept without VMs so that a rollback can go back to them. Control's
 * thread. */
#ifndef TG_CONTROL_GENERATION_H
#define TG_CONTROL_GENERATION_H

#include "control/share.h"

struct tg_generation_source;
struct tg_worker_thread;

struct tg_generation {
    struct tg_list link; /* in tg_generations.all, by number */
    uint64_t number;
    char *name, *note; /* may be NULL */
    double loaded_at;  /* wall time */
    struct tg_generation_source *source;
    struct tg_snapshot *snapshot;
    struct tg_share *shares; /* one for each worker; NULL: no VMs */
    uint32_t share_count, open_shares;
    bool discarded; /* refused, or replaced by a twin: goes with its last share */
};

struct tg_generations {
    struct tg_list all;                       /* oldest first; those that were loaded and can be current */
    struct tg_generation *current, *previous; /* may be NULL */
    uint64_t last_number;
};

void tg_generations_init(struct tg_generations *generations);
/* All shares are closed. */
void tg_generations_deinit(struct tg_generations *generations);

/* Takes over the references to source and snapshot. name and note are copied, may be NULL. NULL when out of memory. */
struct tg_generation *tg_generation_new(uint64_t number, const char *name, const char *note,
                                        struct tg_generation_source *source, struct tg_snapshot *snapshot);
void tg_generation_free(struct tg_generation *generation);
/* Gives each worker a share with its VM (taken over). False when out of memory. */
bool tg_generation_share_out(struct tg_generation *generation, struct tg_worker_thread *workers, uint32_t count,
                             struct tg_loop *control, struct tg_vm **vms, const struct tg_share_ops *ops)
    __attribute__((warn_unused_result));
/* The first step on all workers, and the second. Each share tells when it is done. */
void tg_generation_prepare(struct tg_generation *generation, double timeout);
void tg_generation_switch(struct tg_generation *generation);
bool tg_generation_all_answered(const struct tg_generation *generation);
/* All its VMs live, and none is about to be closed. */
bool tg_generation_is_warm(const struct tg_generation *generation);
/* Asks all workers to close their shares. */
void tg_generation_close(struct tg_generation *generation);
/* Closes and, with its last share, frees a generation that never became current. */
void tg_generation_discard(struct tg_generation *generation);
/* A share was closed: with the last one the shares go, and a generation that was refused as a whole. */
void tg_generation_share_closed(struct tg_generation *generation);

/* NULL where it is not kept. */
struct tg_generation *tg_generations_find(const struct tg_generations *generations, uint64_t number);
/* Makes it current, after all workers have switched: closes what is neither current nor previous, has what is beyond
 * `keep` generations end its requests, and forgets the oldest ones without VMs. */
void tg_generations_switched(struct tg_generations *generations, struct tg_generation *to, uint32_t keep);

#endif
