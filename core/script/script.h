/* Lua for the gateway: what control/ and main need. A generation is loaded once, in a loader thread, into a source (all
 * files and their bytecode) and a snapshot (what it declares); each worker gets a VM of its own, built from the source
 * alone, never from the disk. Exchanges reach the VM through tg_script_hooks and lease->script.
 *
 * Every thread that runs Lua (the loader's, each worker's, main for `check`) needs a C stack of TG_SCRIPT_STACK bytes:
 * library callbacks that recurse would crash a smaller one. It is address space, not memory. */
#ifndef TG_SCRIPT_SCRIPT_H
#define TG_SCRIPT_SCRIPT_H

#include <stdatomic.h>

#include "base/text.h"
#include "proxy/hooks.h"
#include "proxy/lease.h"

#define TG_SCRIPT_STACK ((size_t)128 * 1024 * 1024)

struct tg_peer_registry;
struct tg_shared_registry;
struct tg_ticket_keys;
struct tg_tls_library;

/* Everything of one load that doesn't belong to a VM: files, digests, bytecode, values of the environment. Counted,
 * immutable after the load, any thread. */
struct tg_generation_source;

/* One Lua state: of one generation, in one worker. */
struct tg_vm;

/* Handed to each worker at its start. */
extern const struct tg_hooks tg_script_hooks;

/* What TLS settings are made with, once for the process; given to each load. */
struct tg_script_tls {
    struct tg_tls_library *library; /* NULL: the first load opens it, as its tg.settings says */
    struct tg_ticket_keys *tickets;
};

struct tg_script_load_options {
    const char *file;     /* path of gateway.lua */
    const char *lua_path; /* a folder whose lua/ and scripts/ win over the embedded ones; may be NULL */
    uint64_t generation;
    struct tg_peer_registry *registry; /* the snapshot takes its peers from there */
    struct tg_shared_registry *shared; /* NULL: the generation has dictionaries of its own */
    struct tg_script_tls *tls;         /* not used by two loads at a time */
    struct tg_text *warnings;          /* gets lines about what isn't wrong but should be known; may be NULL */
    uint32_t worker_count;             /* what tg.worker.count says */
    double load_time;                  /* seconds for each run of the top level; 0: 10 */
    const _Atomic bool *cancel;        /* set by another thread: give up; may be NULL */
};

/* Loads and evaluates the configuration, in a VM of its own that is dropped again. Blocks; for a loader thread. On
 * success *source and *snapshot have one reference each. On failure `error` says why, in lines such as
 * "gateway.lua:12: tg.route: unknown upstream "ap"". */
bool tg_script_load(const struct tg_script_load_options *options, struct tg_generation_source **source,
                    struct tg_snapshot **snapshot, struct tg_text *error) __attribute__((warn_unused_result));

/* What the generation was made from, for status and for --watch. */
enum tg_source_kind {
    TG_SOURCE_FILE,   /* path as read: absolute, or relative to the working directory */
    TG_SOURCE_FOLDER, /* a folder that a pattern of tg.include was searched in: its list of files matters */
    TG_SOURCE_ABSENT, /* a file that was looked for and not there: its appearance may matter */
};

struct tg_source_entry {
    enum tg_source_kind kind;
    struct tg_slice path;
    uint8_t sha256[32]; /* of a FILE */
};

struct tg_generation_source *tg_generation_source_ref(struct tg_generation_source *source);
void tg_generation_source_unref(struct tg_generation_source *source);
size_t tg_generation_source_count(const struct tg_generation_source *source);
const struct tg_source_entry *tg_generation_source_entry(const struct tg_generation_source *source, size_t index);

/* Gives the shared dictionaries the sizes that this generation names: it is the current one from now on. */
void tg_script_resize_shared(const struct tg_generation_source *source);

/* Builds a worker's VM: runs the same top level again and compares what it declares. Blocks; in a loader thread, or in
 * the worker's own. NULL: `error` names the first difference, or what the top level raised. It holds references to
 * source and snapshot. */
struct tg_vm *tg_script_vm_new(struct tg_generation_source *source, struct tg_snapshot *snapshot, uint32_t worker_id,
                               const _Atomic bool *cancel, struct tg_text *error);

/* In the worker's thread: makes the VM lease->script and runs `init` of each use, which may wait. `done` follows, never
 * inside this call; error is text where !ok. After `timeout` seconds it fails. The lease takes no exchange before. On
 * failure the VM is still lease->script: free it. */
void tg_script_attach(struct tg_vm *vm, struct tg_lease *lease, double timeout,
                      void (*done)(void *context, bool ok, struct tg_slice error), void *context);

/* Gives up an attach whose `done` hasn't come: it never will. In the worker's thread. */
void tg_script_attach_cancel(struct tg_vm *vm);

/* Its generation became the current one in this worker: timers begin. Or it is it no more: those that the configuration
 * made end. In the worker's thread, never from inside Lua; vm may be NULL. */
void tg_script_begin(struct tg_vm *vm);
void tg_script_retire(struct tg_vm *vm);

/* Drops the VM with all that waits in it, running no Lua. In the worker's thread once attached (or after its loop has
 * ended), never from inside Lua; sets lease->script to NULL. Exchanges still pinned to the lease run no further phase.
 * vm may be NULL. */
void tg_script_vm_free(struct tg_vm *vm);

/* Bytes the VM holds. The worker's thread. */
size_t tg_script_vm_memory(const struct tg_vm *vm);

/* Drops the lease's VM and builds a fresh one from the generation's bytecode: exchanges whose handler waits in the old
 * one fail, all others go on in the new one (phases entered while its `init` still waits begin afterwards). In the
 * worker's thread, never from inside Lua. false: the new one couldn't be built, `error` says why; phases of this
 * generation then fail. */
bool tg_script_rebuild(struct tg_lease *lease, struct tg_text *error) __attribute__((warn_unused_result));

/* tidegate check: loads, builds one VM and runs init, in the calling thread. Its warnings also tell of what is hardly
 * meant. */
bool tg_script_check(const struct tg_script_load_options *options, struct tg_text *error)
    __attribute__((warn_unused_result));

#endif
