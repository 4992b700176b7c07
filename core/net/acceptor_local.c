/* One worker: the listening sockets lie in its own loop's set. Orders come as messages; once the loop has ended, its
 * thread touches nothing any more, and whoever gives the order carries it out. So it does with the end of an acceptor
 * whose loop never ran. */
#include "net/acceptor_state.h"
#include "net/stream_state.h"

static const double RETRY_SECONDS = 0.1;

static struct tg_loop *loop_of(const struct tg_acceptor *acceptor)
{
    return acceptor->places[0].target.loop;
}

static void set_interest(struct tg_acceptor *acceptor, uint32_t interest)
{
    for (struct tg_list *link = acceptor->listeners.next; link != &acceptor->listeners; link = link->next)
        tg_watch_change(loop_of(acceptor), &TG_CONTAINER_OF(link, struct tg_listener, link)->watch, interest);
}

static bool is_full(const struct tg_acceptor *acceptor)
{
    return tg_accept_place_load(&acceptor->places[0]) >= atomic_load(&acceptor->limit);
}

static void resume_accepting(struct tg_acceptor *acceptor)
{
    if (!atomic_load(&acceptor->paused) || is_full(acceptor))
        return;
    atomic_store(&acceptor->paused, false);
    set_interest(acceptor, EPOLLIN);
}

static void pause_accepting(struct tg_acceptor *acceptor, bool retry)
{
    if (!atomic_load(&acceptor->paused)) {
        tg_acceptor_count_pause(acceptor);
        atomic_store(&acceptor->paused, true);
        set_interest(acceptor, 0);
    }
    if (retry)
        tg_deadline_in(&acceptor->retry, RETRY_SECONDS);
    else
        resume_accepting(acceptor); /* where one has ended meanwhile */
}

static void on_retry(struct tg_deadline *deadline)
{
    resume_accepting(TG_CONTAINER_OF(deadline, struct tg_acceptor, retry));
}

static void hand_over(struct tg_acceptor *acceptor, struct tg_listener *listener, int descriptor,
                      const struct tg_address *peer)
{
    struct tg_accept_place *place = &acceptor->places[0];
    struct tg_stream *stream = tg_stream_accept(place->target.loop, descriptor, peer, &listener->address);
    if (!stream)
        return;
    atomic_fetch_add(place->target.connections, 1);
    place->target.accepted(place->target.loop, stream, listener);
}

static bool accept_one(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    int descriptor;
    struct tg_address peer;
    enum tg_accept_result result = tg_acceptor_take(listener, &descriptor, &peer);
    if (result == TG_ACCEPTED)
        hand_over(acceptor, listener, descriptor, &peer);
    else if (result == TG_ACCEPT_NO_RESOURCES)
        pause_accepting(acceptor, true);
    return result == TG_ACCEPTED;
}

static void on_listener_ready(struct tg_watch *watch, uint32_t events)
{
    (void)events;
    struct tg_listener *listener = TG_CONTAINER_OF(watch, struct tg_listener, watch);
    struct tg_acceptor *acceptor = listener->acceptor;
    for (int i = 0; i < TG_ACCEPT_BUDGET; i++) {
        if (is_full(acceptor)) {
            pause_accepting(acceptor, false);
            return;
        }
        if (!accept_one(acceptor, listener))
            return;
    }
}

static bool add_listener(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    listener->acceptor = acceptor;
    listener->watch.ready = on_listener_ready;
    listener->watch.ended = false;
    uint32_t interest = atomic_load(&acceptor->paused) ? 0 : EPOLLIN;
    if (!tg_watch_start(loop_of(acceptor), &listener->watch, interest))
        return false;
    tg_listener_ref(listener);
    tg_list_append(&acceptor->listeners, &listener->link);
    return true;
}

/* Orders come by mail, between batches of events: no event for the listener is left in one. */
static void leave_listener(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    tg_watch_stop(loop_of(acceptor), &listener->watch);
    listener->watch.ended = true;
    tg_list_remove(&listener->link);
    tg_listener_unref(listener);
}

static bool remove_listener(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    if (tg_list_empty(&listener->link))
        return true;
    while (accept_one(acceptor, listener))
        ;
    leave_listener(acceptor, listener);
    return true;
}

static bool end_accepting(struct tg_acceptor *acceptor)
{
    while (!tg_list_empty(&acceptor->listeners))
        leave_listener(acceptor, TG_CONTAINER_OF(acceptor->listeners.next, struct tg_listener, link));
    tg_deadline_deinit(&acceptor->retry);
    return true;
}

static bool carry_out(struct tg_acceptor *acceptor)
{
    switch (acceptor->order) {
    case TG_ACCEPT_ADD: return add_listener(acceptor, acceptor->subject);
    case TG_ACCEPT_REMOVE: return remove_listener(acceptor, acceptor->subject);
    case TG_ACCEPT_END: break;
    }
    return end_accepting(acceptor);
}

static void run_order(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    tg_acceptor_answer(TG_CONTAINER_OF(message, struct tg_acceptor, order_message), carry_out);
}

void tg_acceptor_local_order(struct tg_acceptor *acceptor)
{
    struct tg_loop *loop = loop_of(acceptor);
    enum tg_loop_life life = atomic_load(&loop->life);
    if (life == TG_LOOP_ENDED || (life == TG_LOOP_NEW && acceptor->order == TG_ACCEPT_END))
        run_order(&acceptor->order_message, loop);
    else
        tg_loop_post(loop, &acceptor->order_message);
}

static void run_resume(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct tg_acceptor *acceptor = TG_CONTAINER_OF(message, struct tg_acceptor, resume_message);
    atomic_store(&acceptor->resume_posted, false);
    resume_accepting(acceptor);
    tg_acceptor_unref(acceptor);
}

void tg_acceptor_local_wake(struct tg_acceptor *acceptor)
{
    if (atomic_exchange(&acceptor->resume_posted, true))
        return;
    atomic_fetch_add(&acceptor->references, 1);
    tg_loop_post(loop_of(acceptor), &acceptor->resume_message);
}

void tg_acceptor_local_init(struct tg_acceptor *acceptor)
{
    acceptor->order_message.run = run_order;
    acceptor->resume_message.run = run_resume;
    tg_deadline_init(&acceptor->retry, loop_of(acceptor), on_retry);
}
