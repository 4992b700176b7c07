/* The accept thread. It sleeps in its own epoll set, in which the bell rings for orders and for connections that ended
 * while it paused. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "net/acceptor_state.h"
#include "net/stream_state.h"

enum { EVENTS = 32, RETRY_MILLISECONDS = 100 };

static const double LATE_SECONDS = 0.002;

static double now(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

/* --- batches on their way to a worker --- */

struct arrival {
    int descriptor;
    struct tg_listener *listener; /* counted */
    struct tg_address peer;
};

struct tg_accept_batch {
    struct tg_message message;
    struct tg_accept_place *place;
    size_t count;
    struct arrival arrivals[TG_ACCEPT_BUDGET];
};

static void deliver(struct tg_accept_place *place, struct tg_loop *loop, struct arrival *arrival)
{
    struct tg_stream *stream = tg_stream_accept(loop, arrival->descriptor, &arrival->peer, &arrival->listener->address);
    if (stream)
        place->target.accepted(loop, stream, arrival->listener);
    else
        tg_accept_ended(place->acceptor, place->target.connections);
    tg_listener_unref(arrival->listener);
}

static void take_batch(struct tg_message *message, struct tg_loop *loop)
{
    struct tg_accept_batch *batch = TG_CONTAINER_OF(message, struct tg_accept_batch, message);
    struct tg_accept_place *place = batch->place;
    struct tg_acceptor *acceptor = place->acceptor;
    atomic_store(&place->on_its_way, false);
    for (size_t i = 0; i < batch->count; i++)
        deliver(place, loop, &batch->arrivals[i]);
    free(batch);
    tg_acceptor_unref(acceptor);
}

static struct tg_accept_batch *batch_with_room(struct tg_accept_place *place)
{
    if (!place->batch) {
        place->batch = malloc(sizeof(*place->batch));
        if (!place->batch)
            return NULL;
        place->batch->message.run = take_batch;
        place->batch->place = place;
        place->batch->count = 0;
    }
    return place->batch;
}

static void post_batch(struct tg_accept_place *place)
{
    struct tg_accept_batch *batch = place->batch;
    if (!batch)
        return;
    place->batch = NULL;
    atomic_fetch_add(&place->acceptor->references, 1);
    if (!atomic_exchange(&place->on_its_way, true))
        place->posted_at = now();
    tg_loop_post(place->target.loop, &batch->message);
}

static void post_batches(struct tg_acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->count; i++)
        post_batch(&acceptor->places[i]);
}

static bool add_to_batch(struct tg_accept_place *place, struct arrival *arrival)
{
    struct tg_accept_batch *batch = batch_with_room(place);
    if (!batch)
        return false;
    tg_listener_ref(arrival->listener);
    batch->arrivals[batch->count++] = *arrival;
    atomic_fetch_add(place->target.connections, 1);
    if (batch->count == TG_ACCEPT_BUDGET)
        post_batch(place);
    return true;
}

/* --- choosing --- */

/* A worker that hasn't taken its last batch yet is held up; one that was only just woken isn't. */
static bool is_late(const struct tg_accept_place *place)
{
    return atomic_load(&place->on_its_way) && now() - place->posted_at > LATE_SECONDS;
}

/* Of those below the limit: a worker that isn't late before one that is, then the one with fewest. */
static bool is_better(const struct tg_accept_place *place, const struct tg_accept_place *best)
{
    bool late = is_late(place), best_late = best && is_late(best);
    if (!best || late != best_late)
        return !best || best_late;
    return tg_accept_place_load(place) < tg_accept_place_load(best);
}

/* NULL where all are full. */
static struct tg_accept_place *choose(struct tg_acceptor *acceptor, uint32_t limit)
{
    struct tg_accept_place *best = NULL;
    for (size_t i = 0; i < acceptor->count; i++) {
        struct tg_accept_place *place = &acceptor->places[i];
        if (tg_accept_place_load(place) < limit && is_better(place, best))
            best = place;
    }
    return best;
}

/* --- accepting --- */

enum state { GOES_ON, ALL_FULL, OUT_OF_RESOURCES };

static enum state accept_one(struct tg_acceptor *acceptor, struct tg_listener *listener, uint32_t limit, bool *more)
{
    struct arrival arrival = { .listener = listener };
    struct tg_accept_place *place = choose(acceptor, limit);
    *more = false;
    if (!place)
        return ALL_FULL;
    switch (tg_acceptor_take(listener, &arrival.descriptor, &arrival.peer)) {
    case TG_ACCEPT_NONE_WAITS: return GOES_ON;
    case TG_ACCEPT_NO_RESOURCES: return OUT_OF_RESOURCES;
    case TG_ACCEPTED: break;
    }
    *more = add_to_batch(place, &arrival);
    if (*more)
        return GOES_ON;
    close(arrival.descriptor);
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
    post_batches(acceptor);
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
    bool still_full = state == OUT_OF_RESOURCES || !choose(acceptor, atomic_load(&acceptor->limit));
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
    post_batches(acceptor);
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
        int count = epoll_wait(acceptor->set, events, EVENTS, -1);
        enum state state = accept_ready(acceptor, events, count);
        if (state != GOES_ON && !acceptor->ending)
            pause_accepting(acceptor, state);
    }
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
