/* One worker's hold on one generation: its snapshot, its VM and what runs under it. Belongs to the
 * worker's thread. */
#ifndef TG_PROXY_LEASE_H
#define TG_PROXY_LEASE_H

#include "base/list.h"
#include "proxy/snapshot.h"

struct tg_worker;

struct tg_lease {
    struct tg_snapshot *snapshot; /* counted */
    struct tg_worker *worker;
    void *script;             /* the VM, or NULL (a generation without handlers); script/ owns it */
    struct tg_list exchanges; /* pinned ones (their lease_link) */
    struct tg_list calls;     /* struct tg_door_call: pinned, too */
    uint32_t pinned;          /* how many of both */
    bool retired;             /* no new exchange starts under it, unless it becomes current again by a rollback */
    /* Called (deferred) when a retired lease has lost its last exchange; set by control/. */
    void (*drained)(struct tg_lease *lease);
    void *context; /* control's */
};

static inline void tg_lease_unpin(struct tg_lease *lease)
{
    if (--lease->pinned == 0 && lease->retired && lease->drained)
        lease->drained(lease);
}

#endif
