#include "control/thread.h"

#include <sched.h>
#include <time.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/small_pool.h"

bool tg_thread_start(pthread_t *thread, const char *name, size_t stack, void *(*run)(void *context), void *context)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    bool started = (stack == 0 || pthread_attr_setstacksize(&attributes, stack) == 0) &&
                   pthread_create(thread, &attributes, run, context) == 0;
    pthread_attr_destroy(&attributes);
    if (started)
        pthread_setname_np(*thread, name);
    return started;
}

bool tg_thread_join(pthread_t thread, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    double whole = (double)until.tv_sec + (double)until.tv_nsec / 1e9 + seconds;
    until.tv_sec = (time_t)whole;
    until.tv_nsec = (long)((whole - (double)until.tv_sec) * 1e9);
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

void tg_thread_release_pools(void)
{
    tg_arena_release_thread_pool();
    tg_block_release_thread_pool();
    tg_small_release_thread_pool();
}

unsigned tg_thread_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}
