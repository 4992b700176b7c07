/* Threads of the process. They inherit the signal mask of control, which blocks what control itself waits for. */
#ifndef TG_CONTROL_THREAD_H
#define TG_CONTROL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* `name`: at most 15 bytes, as the system shows it. `stack`: bytes; 0: the default. */
bool tg_thread_start(pthread_t *thread, const char *name, size_t stack, void *(*run)(void *context), void *context)
    __attribute__((warn_unused_result));
/* Waits at most so many seconds; false: it still runs. */
bool tg_thread_join(pthread_t thread, double seconds) __attribute__((warn_unused_result));
/* What the calling thread must give back before it ends: its pools of blocks and arena chunks. */
void tg_thread_release_pools(void);
/* The CPUs that this process may use; at least 1. */
unsigned tg_thread_cpus(void);

#endif
