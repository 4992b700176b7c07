#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/acceptor_state.h"
#include "net/loop_state.h"

enum tg_accept_result tg_acceptor_take(const struct tg_listener *listener, int *descriptor, struct tg_address *peer)
{
    for (;;) {
        peer->length = sizeof(peer->storage);
        *descriptor = accept4(listener->watch.descriptor, &peer->any, &peer->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (*descriptor >= 0)
            return TG_ACCEPTED;
        switch (errno) {
        case EAGAIN:
        case EBADF:
        case EINVAL: return TG_ACCEPT_NONE_WAITS;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: return TG_ACCEPT_NO_RESOURCES;
        default: break; /* this connection failed before it was taken: the next may be well */
        }
    }
}

uint32_t tg_accept_place_load(const struct tg_accept_place *place)
{
    return atomic_load(place->target.connections);
}

void tg_acceptor_count_pause(struct tg_acceptor *acceptor)
{
    tg_counters_add(&acceptor->counters, TG_COUNTER_ACCEPT_PAUSES, 1);
}

void tg_acceptor_answer(struct tg_acceptor *acceptor, bool (*carry_out)(struct tg_acceptor *acceptor))
{
    pthread_mutex_lock(&acceptor->lock);
    if (acceptor->pending) {
        acceptor->outcome = carry_out(acceptor);
        acceptor->pending = false;
        pthread_cond_signal(&acceptor->answered);
    }
    pthread_mutex_unlock(&acceptor->lock);
}

static bool give_order(struct tg_acceptor *acceptor, enum tg_accept_order order, struct tg_listener *listener)
{
    pthread_mutex_lock(&acceptor->giving);
    pthread_mutex_lock(&acceptor->lock);
    acceptor->order = order;
    acceptor->subject = listener;
    acceptor->pending = true;
    pthread_mutex_unlock(&acceptor->lock);
    if (acceptor->local)
        tg_acceptor_local_order(acceptor);
    else
        tg_acceptor_thread_ring(acceptor);
    pthread_mutex_lock(&acceptor->lock);
    while (acceptor->pending)
        pthread_cond_wait(&acceptor->answered, &acceptor->lock);
    bool outcome = acceptor->outcome;
    pthread_mutex_unlock(&acceptor->lock);
    pthread_mutex_unlock(&acceptor->giving);
    return outcome;
}

bool tg_acceptor_add(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    return give_order(acceptor, TG_ACCEPT_ADD, listener);
}

void tg_acceptor_remove(struct tg_acceptor *acceptor, struct tg_listener *listener)
{
    give_order(acceptor, TG_ACCEPT_REMOVE, listener);
}

static void wake_if_paused(struct tg_acceptor *acceptor)
{
    if (!atomic_load(&acceptor->paused))
        return;
    if (acceptor->local)
        tg_acceptor_local_wake(acceptor);
    else
        tg_acceptor_thread_ring(acceptor);
}

void tg_acceptor_set_limit(struct tg_acceptor *acceptor, uint32_t limit)
{
    atomic_store(&acceptor->limit, limit);
    wake_if_paused(acceptor);
}

void tg_accept_ended(struct tg_acceptor *acceptor, _Atomic uint32_t *connections)
{
    atomic_fetch_sub(connections, 1);
    wake_if_paused(acceptor);
}

static void init_parts(struct tg_acceptor *acceptor, const struct tg_accept_target *targets, uint32_t limit)
{
    for (size_t i = 0; i < acceptor->count; i++)
        acceptor->places[i] = (struct tg_accept_place){ .target = targets[i], .acceptor = acceptor };
    acceptor->local = acceptor->count == 1;
    atomic_init(&acceptor->limit, limit);
    atomic_init(&acceptor->references, 1);
    tg_list_init(&acceptor->listeners);
    pthread_mutex_init(&acceptor->giving, NULL);
    pthread_mutex_init(&acceptor->lock, NULL);
    pthread_cond_init(&acceptor->answered, NULL);
    tg_counters_register(&acceptor->counters);
}

void tg_acceptor_unref(struct tg_acceptor *acceptor)
{
    if (atomic_fetch_sub(&acceptor->references, 1) != 1)
        return;
    tg_counters_unregister(&acceptor->counters);
    pthread_cond_destroy(&acceptor->answered);
    pthread_mutex_destroy(&acceptor->lock);
    pthread_mutex_destroy(&acceptor->giving);
    free(acceptor->places);
    free(acceptor);
}

struct tg_acceptor *tg_acceptor_new(const struct tg_accept_target *targets, size_t count, uint32_t limit)
{
    struct tg_acceptor *acceptor = aligned_alloc(_Alignof(struct tg_acceptor), sizeof(*acceptor));
    if (!acceptor)
        return NULL;
    *acceptor = (struct tg_acceptor){ .count = count, .set = -1, .bell = -1 };
    acceptor->places = calloc(count, sizeof(*acceptor->places));
    if (!acceptor->places) {
        free(acceptor);
        return NULL;
    }
    init_parts(acceptor, targets, limit);
    if (acceptor->local)
        tg_acceptor_local_init(acceptor);
    else if (!tg_acceptor_thread_start(acceptor)) {
        tg_acceptor_unref(acceptor);
        return NULL;
    }
    return acceptor;
}

void tg_acceptor_free(struct tg_acceptor *acceptor)
{
    if (!acceptor)
        return;
    give_order(acceptor, TG_ACCEPT_END, NULL);
    if (!acceptor->local) {
        pthread_join(acceptor->thread, NULL);
        close(acceptor->bell);
        close(acceptor->set);
    }
    tg_acceptor_unref(acceptor);
}
