/* A worker's event loop: libev keeps timers, signals and wake-ups, and one level-triggered epoll set of our own,
 * watched by a single ev_io, keeps the descriptors. Everything here belongs to the loop's thread, except tg_loop_post.
 *
 * A turn: for each event of the set, its stream reads and tells its owner; then deferred tasks run; then every stream
 * that has something new to send is flushed once. Objects closed inside the batch are freed after it. */
#ifndef TG_NET_LOOP_H
#define TG_NET_LOOP_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/list.h"

struct tg_loop;
struct ev_loop;

/* clock may be NULL: the system's. `context` is the owner's (the worker). NULL where the system refuses. */
struct tg_loop *tg_loop_new(struct tg_clock *clock, void *context);
/* After run has returned. Messages still in the mailbox are run, then streams still open are closed without a word;
 * deadlines must have been ended before. Its thread may be gone. */
void tg_loop_free(struct tg_loop *loop);
/* Runs until tg_loop_stop. */
void tg_loop_run(struct tg_loop *loop);
/* From its own thread; others post a message that calls it. */
void tg_loop_stop(struct tg_loop *loop);
void *tg_loop_context(const struct tg_loop *loop);
struct tg_counters *tg_loop_counters(struct tg_loop *loop);
/* For control/ (signals, inotify): libev's own loop. */
struct ev_loop *tg_loop_ev(struct tg_loop *loop);

/* Seconds, read once a turn: monotonic and wall time. Use _fresh to time something within a turn. */
double tg_loop_now(const struct tg_loop *loop);
double tg_loop_wall(const struct tg_loop *loop);
double tg_loop_now_fresh(struct tg_loop *loop);

/* Work for after the current event, in the order it was deferred. A task deferred by a task runs in the same turn; one
 * already deferred isn't deferred twice. The owner removes it (tg_list_remove on link) before its memory goes. */
struct tg_task {
    struct tg_list link;
    void (*run)(struct tg_task *task);
};

static inline void tg_task_init(struct tg_task *task, void (*run)(struct tg_task *task))
{
    tg_list_init(&task->link);
    task->run = run;
}

void tg_loop_defer(struct tg_loop *loop, struct tg_task *task);
/* Frees memory from malloc after the current batch of events. */
void tg_loop_free_later(struct tg_loop *loop, void *memory);

/* A message to another thread's loop. The poster gives it away; run frees it or sends it back. */
struct tg_message {
    struct tg_message *next;
    void (*run)(struct tg_message *message, struct tg_loop *loop);
};

/* Any thread. Many posts before the loop wakes cost one wake-up. */
void tg_loop_post(struct tg_loop *loop, struct tg_message *message);

/* One-shot timers that cost nothing to move: setting a later time only stores it; a timer that fires early is re-armed.
 */
struct tg_deadline;
struct tg_deadline_timer;

struct tg_deadline {
    struct tg_loop *loop;
    double at;       /* monotonic; INFINITY: none */
    void *timer[10]; /* an ev_timer */
    double armed_at; /* when the timer will fire; INFINITY: not armed */
    void (*expired)(struct tg_deadline *deadline);
};

void tg_deadline_init(struct tg_deadline *deadline, struct tg_loop *loop,
                      void (*expired)(struct tg_deadline *deadline));
/* Must be called before its memory goes. */
void tg_deadline_deinit(struct tg_deadline *deadline);
/* Absolute monotonic time. */
void tg_deadline_set(struct tg_deadline *deadline, double at);
static inline void tg_deadline_in(struct tg_deadline *deadline, double seconds)
{
    tg_deadline_set(deadline, tg_loop_now(deadline->loop) + seconds);
}
/* The timer itself stays and is forgotten when it fires. */
void tg_deadline_clear(struct tg_deadline *deadline);

/* Space for what is about to be sent: `capacity` bytes in the loop's current output block; commit what was written, and
 * get a buffer with a reference. NULL when out of memory. No other reserve may come between. */
char *tg_loop_reserve(struct tg_loop *loop, size_t capacity);
struct tg_buffer tg_loop_commit(struct tg_loop *loop, size_t length);

#endif
