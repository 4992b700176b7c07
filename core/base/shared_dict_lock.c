/* Waiting for the lock of a shard. */
#include <sched.h>
#include <time.h>

#include "base/shared_dict_state.h"

enum {
    SPINS = 100,
    YIELDS = 20,
    NAP = 20 * 1000, /* nanoseconds: its holder was put aside, or counts through a large table */
};

static bool is_taken(const struct tg_shared_shard *shard)
{
    return atomic_load_explicit(&shard->lock, memory_order_relaxed) != 0;
}

static void relax(int turn)
{
    if (turn < SPINS)
        atomic_signal_fence(memory_order_seq_cst); /* looks again */
    else if (turn < SPINS + YIELDS)
        sched_yield();
    else
        nanosleep(&(struct timespec){ .tv_nsec = NAP }, NULL);
}

void tg_shared_lock_contended(struct tg_shared_shard *shard)
{
    int turn = 0;
    do {
        while (is_taken(shard)) {
            relax(turn);
            turn += turn < SPINS + YIELDS;
        }
    } while (atomic_exchange_explicit(&shard->lock, 1, memory_order_acquire) != 0);
}
