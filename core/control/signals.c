#include "control/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "net/loop.h"

static sigset_t ours(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    return set;
}

void tg_signals_block(void)
{
    sigset_t set = ours();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct tg_signals *signals = watcher->data;
    struct signalfd_siginfo information;
    while (read(signals->descriptor, &information, sizeof information) == sizeof information)
        signals->on_signal(signals->context, (int)information.ssi_signo);
}

bool tg_signals_init(struct tg_signals *signals, struct tg_loop *loop, void (*on_signal)(void *context, int number),
                     void *context)
{
    sigset_t set = ours();
    *signals = (struct tg_signals){ .ev = tg_loop_ev(loop), .on_signal = on_signal, .context = context };
    signals->descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->descriptor < 0)
        return false;
    ev_io_init(&signals->io, on_readable, signals->descriptor, EV_READ);
    signals->io.data = signals;
    ev_io_start(signals->ev, &signals->io);
    return true;
}

void tg_signals_deinit(struct tg_signals *signals)
{
    if (!signals->ev || signals->descriptor < 0)
        return;
    ev_io_stop(signals->ev, &signals->io);
    close(signals->descriptor);
    signals->descriptor = -1;
}
