/* A round: a word to every worker and back. `visit` runs in each worker's thread, then `done` in control's once all
 * have been visited. A worker that is busy delays the round, and nobody else. */
#ifndef TG_CONTROL_ROUND_H
#define TG_CONTROL_ROUND_H

#include "control/worker_thread.h"

/* False when out of memory: nothing is called. */
bool tg_round_start(struct tg_worker_thread *workers, uint32_t count, struct tg_loop *control,
                    void (*visit)(void *context, struct tg_worker_thread *thread), void (*done)(void *context),
                    void *context) __attribute__((warn_unused_result));

#endif
