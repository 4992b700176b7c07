/* One load, in a thread of its own: reads and evaluates the configuration, and builds a VM for each worker. Only this
 * thread touches the disk for a reload. Control starts it and hears of its end. */
#ifndef TG_CONTROL_LOADER_H
#define TG_CONTROL_LOADER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log_ring.h"
#include "net/loop.h"
#include "script/script.h"

struct tg_loader {
    /* Given. */
    struct tg_script_load_options options;
    uint32_t workers;                           /* as asked for; 0: as the settings say, else one for each CPU */
    bool workers_are_fixed;                     /* they run already: `workers` of them */
    struct tg_log_ring *ring;                   /* may be NULL */
    void (*finished)(struct tg_loader *loader); /* in control's thread; the loader is the callee's */
    void *context;

    /* Given for a generation that lost its VMs, or found by the load. */
    struct tg_generation_source *source;
    struct tg_snapshot *snapshot;

    /* What it came to. */
    bool ok;
    struct tg_text error, warnings;
    struct tg_vm **vms;
    uint32_t vm_count;

    _Atomic bool cancel; /* control: give up */
    pthread_t thread;
    struct tg_loop *control;
    struct tg_message done;
};

struct tg_loader *tg_loader_new(struct tg_loop *control);
bool tg_loader_start(struct tg_loader *loader) __attribute__((warn_unused_result));
/* Drops what nobody took: set to NULL what was. Not while the thread runs. */
void tg_loader_free(struct tg_loader *loader);

#endif
