/* One worker's share of one generation: the lease under which exchanges run, and its VM. Control asks for each step by
 * a message and hears of its end by another; in between the share belongs to the worker's thread.
 *
 * Its life: prepare (init of the handlers runs) -> switch (it becomes current; again after a rollback) -> retired by
 * the switch to another -> close (once its last exchange has ended) -> closed. */
#ifndef TG_CONTROL_SHARE_H
#define TG_CONTROL_SHARE_H

#include "base/text.h"
#include "net/loop.h"
#include "proxy/lease.h"

struct tg_generation;
struct tg_vm;
struct tg_worker;
struct tg_share;

/* Called in control's thread. */
struct tg_share_ops {
    /* `ready` and, where it is false, `error` are set. */
    void (*on_prepared)(struct tg_share *share);
    void (*on_switched)(struct tg_share *share);
    /* The last word: the worker has forgotten the share. */
    void (*on_closed)(struct tg_share *share);
};

struct tg_share {
    struct tg_lease lease;
    struct tg_generation *generation;
    struct tg_worker *worker;
    struct tg_list *among; /* the worker's shares */
    const struct tg_share_ops *ops;
    struct tg_vm *vm; /* until prepare gives it to the lease */
    struct tg_loop *control;

    /* Control's. */
    bool open;     /* prepared or being prepared, and not closed */
    bool answered; /* the step that was asked for last is done */
    bool close_posted, squeeze_posted;
    bool squeezing; /* the worker hasn't said that it is done: until then the share must stay */
    bool gone;      /* the worker has closed it */

    /* The worker's. */
    struct tg_list link; /* in *among */
    struct tg_deadline detach;
    struct tg_task close_task;
    bool attaching, closing;
    double timeout;      /* of init */
    double detach_after; /* seconds after a switch that the share before goes without log phases */

    bool ready; /* what prepare came to */
    struct tg_text error;
    struct tg_message prepare, switch_over, close, squeeze;
    struct tg_message prepared, switched, closed, squeezed;
};

/* The share holds the VM from now on; the snapshot must outlive it. */
void tg_share_init(struct tg_share *share, struct tg_generation *generation, struct tg_snapshot *snapshot,
                   struct tg_worker *worker, struct tg_list *among, struct tg_loop *control, struct tg_vm *vm,
                   const struct tg_share_ops *ops);
/* Once closed, or never prepared. */
void tg_share_deinit(struct tg_share *share);

/* From control's thread. */
void tg_share_prepare(struct tg_share *share, double timeout);
void tg_share_switch(struct tg_share *share, double detach_after);
/* At the last exchange's end, or at once where prepare isn't done. Asking twice is harmless. */
void tg_share_close(struct tg_share *share);
/* Now: exchanges that need the VM no more are detached from it, all others are ended. After tg_share_close. */
void tg_share_squeeze(struct tg_share *share);

/* From the worker's thread, at its end: closes the share whatever is pinned to it. */
void tg_share_end(struct tg_share *share);

/* What the exchanges of a share are doing, and connections that have none yet. From the worker's thread. */
struct tg_share_use {
    uint32_t requests, streams, tunnels, logs, connections;
};
struct tg_share_use tg_share_use(const struct tg_share *share);

#endif
