/* What TLS needs once for the process: the library's context, which the first load opens, and the keys of session
 * tickets, which control changes now and then. Control's thread, but for the load. */
#ifndef TG_CONTROL_TLS_PROCESS_H
#define TG_CONTROL_TLS_PROCESS_H

#include "net/loop.h"
#include "script/script.h"

struct tg_tls_process {
    struct tg_script_tls made_with; /* for each load; the library is NULL before the first one */
    struct tg_deadline rotation;
    double every; /* seconds between two rotations; 0: not yet set */
};

bool tg_tls_process_init(struct tg_tls_process *process, struct tg_loop *loop) __attribute__((warn_unused_result));
/* After all snapshots have gone. Harmless where it was never initialised: zeroed. */
void tg_tls_process_deinit(struct tg_tls_process *process);
/* From now on. The same number as before changes nothing. */
void tg_tls_process_rotate_every(struct tg_tls_process *process, double seconds);

#endif
