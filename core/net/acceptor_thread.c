/* The accept thread. It sleeps in its own epoll set, in which the bell rings for orders and for connections that ended
 * while it paused. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "net/acceptor_place.h"

enum { EVENTS = 32, RETRY_MILLISECONDS = 100, TAKE_BACK_MILLISECONDS = 5 };

/* --- accepting --- */

enum state { GOES_ON, ALL_FULL, OUT_OF_RESOURCES };

static enum state accept_one(struct tg_acceptor *acceptor, struct tg_listener *listener, uint32_t limit, bool *more)
{
    int descriptor;
    struct tg_address peer;
    struct tg_accept_place *place = tg_accept_places_choose(acceptor, limit);
    *more = false;
    if (!place)
        return ALL_FULL;
    switch (tg_acceptor_take(listener, &descriptor, &peer)) {
    case TG_ACCEPT_NONE_WAITS: return GOES_ON;
    case TG_ACCEPT_NO_RESOURCES: return OUT_OF_RESOURCES;
    case TG_ACCEPTED: break;
    }
    *more = tg_accept_place_add(place, descriptor, listener, &peer);
    if (*more)
        return GOES_ON;
    close(descriptor);
    return OUT_OF_RESOURCES;
}

static enum state accept_some(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    enum state state = GOES_ON;
    bool more = true;
    for (int i = 0; i < TG_ACCEPT_BUDGET && more; i++)
        state = accept_one(acceptor, listener, atomic_load(&acceptor->limit), &more);
    return state;
}

/* What waits in the queue of a listener that goes would be reset by its close. */
static void accept_rest(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    bool more = true;
    while (more)
        accept_one(acceptor, listener, UINT32_MAX, &more);
    tg_accept_places_post(acceptor);
}

/* --- orders --- */

static bool add_listener(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = listener };
    if (epoll_ctl(acceptor->set, EPOLL_CTL_ADD, listener->watch.descriptor, &event) != 0)
        return false;
    tg_list_append(&acceptor->listeners, &listener->link);
    return true;
}

static bool remove_listener(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    struct epoll_event event = { 0 };
    if (tg_list_empty(&listener->link))
        return true;
    accept_rest(acceptor, listener);
    epoll_ctl(acceptor->set, EPOLL_CTL_DEL, listener->watch.descriptor, &event);
    tg_list_remove(&listener->link);
    return true;
}

static bool carry_out(struct tg_acceptor *acceptor)
{
    switch (acceptor->order) {
    case TG_ACCEPT_ADD: return add_listener(acceptor, acceptor->subject);
    case TG_ACCEPT_REMOVE: return remove_listener(acceptor, acceptor->subject);
    case TG_ACCEPT_END: break;
    }
    acceptor->ending = true;
    return true;
}

void tg_acceptor_thread_ring(struct tg_acceptor *acceptor)
{
    uint64_t one = 1;
    (void)!write(acceptor->bell, &one, sizeof(one));
}

static void hear_bell(struct tg_acceptor *acceptor)
{
    uint64_t rings;
    (void)!read(acceptor->bell, &rings, sizeof(rings));
    tg_acceptor_answer(acceptor, carry_out);
}

/* --- the thread --- */

/* Sleeps until the bell rings, or for a while where descriptors are missing; others may free some unheard. */
static void pause_accepting(struct tg_acceptor *acceptor, enum state state)
{
    struct pollfd bell = { .fd = acceptor->bell, .events = POLLIN };
    tg_acceptor_count_pause(acceptor);
    atomic_store(&acceptor->paused, true);
    bool still_full = state == OUT_OF_RESOURCES || !tg_accept_places_choose(acceptor, atomic_load(&acceptor->limit));
    if (still_full)
        poll(&bell, 1, state == OUT_OF_RESOURCES ? RETRY_MILLISECONDS : -1);
    atomic_store(&acceptor->paused, false);
}

/* A listener may be removed, though not by this turn's orders before its event: orders are heard last. */
static enum state accept_ready(struct tg_acceptor *acceptor, const struct epoll_event *events, int count)
{
    enum state worst = GOES_ON;
    bool rung = false;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == acceptor) {
            rung = true;
            continue;
        }
        enum state state = accept_some(acceptor, events[i].data.ptr);
        worst = state > worst ? state : worst;
    }
    tg_accept_places_post(acceptor);
    if (rung)
        hear_bell(acceptor);
    return worst;
}

static void *accept_connections(void *context)
{
    struct tg_acceptor *acceptor = context;
    struct epoll_event events[EVENTS];
    tg_log_set_thread("acceptor", NULL);
    while (!acceptor->ending) {
        int timeout = tg_accept_places_wait(acceptor) ? TAKE_BACK_MILLISECONDS : -1;
        int count = epoll_wait(acceptor->set, events, EVENTS, timeout);
        if (timeout >= 0)
            tg_accept_places_take_back(acceptor);
        enum state state = accept_ready(acceptor, events, count);
        if (state != GOES_ON && !acceptor->ending)
            pause_accepting(acceptor, state);
    }
    tg_accept_places_forget(acceptor);
    return NULL;
}

/* Signals are control's: the thread starts with all of them blocked. */
static bool start_thread(struct tg_acceptor *acceptor)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&acceptor->thread, NULL, accept_connections, acceptor) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_setname_np(acceptor->thread, "acceptor");
    return started;
}

bool tg_acceptor_thread_start(struct tg_acceptor *acceptor)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = acceptor };
    acceptor->set = epoll_create1(EPOLL_CLOEXEC);
    acceptor->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (acceptor->set >= 0 && acceptor->bell >= 0 &&
        epoll_ctl(acceptor->set, EPOLL_CTL_ADD, acceptor->bell, &event) == 0 && start_thread(acceptor))
        return true;
    if (acceptor->set >= 0)
        close(acceptor->set);
    if (acceptor->bell >= 0)
        close(acceptor->bell);
    return false;
}
