/* For tests: runs a loop until something has happened, and fails where that takes too long. */
#ifndef TG_UNIT_RUN_LOOP_H
#define TG_UNIT_RUN_LOOP_H

#include "net/loop.h"

/* Until *value >= target. */
void run_until(struct tg_loop *loop, const int *value, int target);
/* So many turns, without waiting for anything: to see that nothing happens. */
void run_turns(struct tg_loop *loop, int turns);

#endif
