/* The thread of one worker: its loop, its worker, and its shares of the generations. Control starts it, posts to its
 * loop, and joins it. */
#ifndef TG_CONTROL_WORKER_THREAD_H
#define TG_CONTROL_WORKER_THREAD_H

#include <pthread.h>
#include <semaphore.h>

#include "proxy/serve.h"

struct tg_worker_thread {
    struct tg_worker worker;
    struct tg_loop *loop;
    struct tg_log_ring *ring;
    pthread_t thread;
    bool started;
    char name[24];
    struct tg_acceptor *acceptor; /* what the worker is told to use */
    struct tg_list shares;        /* prepared and not closed; the worker's thread */
    sem_t running;                /* posted once the worker is made, or couldn't be */
    bool failed;                  /* it couldn't */

    /* The end. */
    struct tg_loop *control;
    double drain_idle, drain_deadline;
    struct tg_message begin, drain, end, quiet, ended;
    void (*on_quiet)(struct tg_worker_thread *thread, struct tg_loop *control);
    void (*on_ended)(struct tg_worker_thread *thread, struct tg_loop *control);
};

/* The worker `id` of `count`. `ring` belongs to the log thread. Waits until the worker's loop is about to run. */
bool tg_worker_thread_start(struct tg_worker_thread *thread, uint32_t id, uint32_t count, struct tg_loop *control,
                            struct tg_log_ring *ring) __attribute__((warn_unused_result));
/* For what the worker accepts; before any share is prepared. */
void tg_worker_thread_set_acceptor(struct tg_worker_thread *thread, struct tg_acceptor *acceptor);
/* Lets running requests finish (tg_worker_drain); on_quiet follows in control's thread. */
void tg_worker_thread_drain(struct tg_worker_thread *thread, double idle, double deadline);
/* Closes all shares and ends the thread; on_ended follows in control's thread as its last message. */
void tg_worker_thread_end(struct tg_worker_thread *thread);
/* After on_ended. The loop stays for the acceptor, until _free. */
void tg_worker_thread_join(struct tg_worker_thread *thread);
void tg_worker_thread_free(struct tg_worker_thread *thread);

#endif
