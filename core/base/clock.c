#include "base/clock.h"

#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double system_monotonic(struct tg_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

static double system_wall(struct tg_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

struct tg_clock *tg_clock_system(void)
{
    static struct tg_clock clock = { .monotonic = system_monotonic, .wall = system_wall };
    return &clock;
}
