/* Signals, as events of control's loop: all other threads have them blocked. */
#ifndef TG_CONTROL_SIGNALS_H
#define TG_CONTROL_SIGNALS_H

#include <ev.h>
#include <stdbool.h>

struct tg_loop;

struct tg_signals {
    struct ev_loop *ev;
    ev_io io;
    int descriptor;
    void (*on_signal)(void *context, int number);
    void *context;
};

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 in the calling thread and those it starts, and ignores SIGPIPE. Before any
 * thread is started. */
void tg_signals_block(void);
/* Reports them from now on. */
bool tg_signals_init(struct tg_signals *signals, struct tg_loop *loop, void (*on_signal)(void *context, int number),
                     void *context) __attribute__((warn_unused_result));
void tg_signals_deinit(struct tg_signals *signals);

#endif
