/* Inside net/: what the two kinds of acceptor share. acceptor_thread.c is the accept thread for several workers,
 * acceptor_local.c the one worker's own loop. */
#ifndef TG_NET_ACCEPTOR_STATE_H
#define TG_NET_ACCEPTOR_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/listener_state.h"

enum {
    TG_ACCEPT_BUDGET = 64, /* connections of one listener at once */
};

enum tg_accept_order { TG_ACCEPT_ADD, TG_ACCEPT_REMOVE, TG_ACCEPT_END };

enum tg_accept_result { TG_ACCEPTED, TG_ACCEPT_NONE_WAITS, TG_ACCEPT_NO_RESOURCES };

/* A target and what the acceptor knows of it. */
struct tg_accept_place {
    struct tg_accept_target target;
    struct tg_acceptor *acceptor;
    struct tg_accept_batch *filling;
    struct tg_accept_batch *posted; /* oldest first, until their outcome is known */
};

struct tg_acceptor {
    struct tg_accept_place *places;
    size_t count;
    bool local; /* one target: its own loop accepts */
    _Atomic uint32_t limit;
    _Atomic bool paused;
    _Atomic uint32_t references; /* the owner's and one for each batch on its way */
    struct tg_list listeners;    /* of the accepting thread */
    struct tg_counters counters;

    /* Orders from other threads, one at a time: the giver holds `giving`, and waits for `answered`. */
    pthread_mutex_t giving, lock;
    pthread_cond_t answered;
    enum tg_accept_order order;
    struct tg_listener *subject;
    bool pending, outcome;

    /* The thread's. */
    pthread_t thread;
    int set, bell; /* the bell is an eventfd in the set */
    bool ending;

    /* The local one's. */
    struct tg_message order_message;
    struct tg_message resume_message;
    _Atomic bool resume_posted;
    struct tg_deadline retry;
};

/* Takes the next connection of the listener's queue: TG_ACCEPTED gives a descriptor. */
enum tg_accept_result tg_acceptor_take(const struct tg_listener *listener, int *descriptor, struct tg_address *peer);
void tg_acceptor_unref(struct tg_acceptor *acceptor);
uint32_t tg_accept_place_load(const struct tg_accept_place *place);
void tg_acceptor_count_pause(struct tg_acceptor *acceptor);
/* In the accepting thread: carries out the order that waits, and answers. */
void tg_acceptor_answer(struct tg_acceptor *acceptor, bool (*carry_out)(struct tg_acceptor *acceptor));

bool tg_acceptor_thread_start(struct tg_acceptor *acceptor);
void tg_acceptor_thread_ring(struct tg_acceptor *acceptor);
void tg_acceptor_local_order(struct tg_acceptor *acceptor);
void tg_acceptor_local_wake(struct tg_acceptor *acceptor);
void tg_acceptor_local_init(struct tg_acceptor *acceptor);

#endif
