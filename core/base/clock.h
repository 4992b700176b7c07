/* Time comes from a clock that can be replaced: a worker's loop has one, a test gives its own. */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

struct tg_clock {
    double (*monotonic)(struct tg_clock *clock); /* seconds, from an arbitrary start, never backwards */
    double (*wall)(struct tg_clock *clock);      /* seconds since 1970-01-01 UTC */
};

/* The clock of the system. Any thread. */
struct tg_clock *tg_clock_system(void);

#endif
