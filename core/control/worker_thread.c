#include "control/worker_thread.h"

#include <stdio.h>

#include "base/log.h"
#include "control/share.h"
#include "control/thread.h"
#include "proxy/client.h"
#include "script/script.h"

static struct tg_worker_thread *thread_of(struct tg_loop *loop)
{
    return TG_CONTAINER_OF((struct tg_worker *)tg_loop_context(loop), struct tg_worker_thread, worker);
}

static void run_loop(struct tg_worker_thread *thread)
{
    sem_post(&thread->running);
    tg_loop_run(thread->loop);
    tg_worker_deinit(&thread->worker);
}

static void *run_worker(void *context)
{
    struct tg_worker_thread *thread = context;
    uint32_t id = thread->worker.id, count = thread->worker.count;
    tg_log_set_thread(thread->name, thread->ring);
    if (tg_worker_init(&thread->worker, thread->loop, &tg_script_hooks, thread->ring)) {
        thread->worker.id = id;
        thread->worker.count = count;
        run_loop(thread);
    } else {
        thread->failed = true;
        sem_post(&thread->running);
    }
    struct tg_loop *control = thread->control;
    tg_thread_release_pools();
    tg_log_set_thread(thread->name, NULL);
    tg_loop_post(control, &thread->ended);
    return NULL;
}

static void tell_ended(struct tg_message *message, struct tg_loop *control)
{
    struct tg_worker_thread *thread = TG_CONTAINER_OF(message, struct tg_worker_thread, ended);
    if (thread->on_ended)
        thread->on_ended(thread, control);
}

static void tell_quiet(struct tg_message *message, struct tg_loop *control)
{
    struct tg_worker_thread *thread = TG_CONTAINER_OF(message, struct tg_worker_thread, quiet);
    thread->on_quiet(thread, control);
}

static void heed_quiet(struct tg_worker *worker)
{
    struct tg_worker_thread *thread = TG_CONTAINER_OF(worker, struct tg_worker_thread, worker);
    tg_loop_post(thread->control, &thread->quiet);
}

static void drain_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    struct tg_worker_thread *thread = thread_of(loop);
    thread->worker.quiet = heed_quiet;
    tg_worker_drain(&thread->worker, thread->drain_idle, thread->drain_deadline);
}

static void end_in_worker(struct tg_message *message, struct tg_loop *loop)
{
    (void)message;
    struct tg_worker_thread *thread = thread_of(loop);
    thread->worker.quiet = NULL;
    while (!tg_list_empty(&thread->worker.clients))
        tg_client_kill(tg_list_first(&thread->worker.clients));
    while (!tg_list_empty(&thread->shares))
        tg_share_end(TG_CONTAINER_OF(tg_list_first(&thread->shares), struct tg_share, link));
    tg_loop_stop(loop);
}

static void take_acceptor(struct tg_message *message, struct tg_loop *loop)
{
    (void)loop;
    struct tg_worker_thread *thread = TG_CONTAINER_OF(message, struct tg_worker_thread, begin);
    thread->worker.acceptor = thread->acceptor;
}

static void set_messages(struct tg_worker_thread *thread)
{
    thread->begin.run = take_acceptor;
    thread->drain.run = drain_in_worker;
    thread->end.run = end_in_worker;
    thread->quiet.run = tell_quiet;
    thread->ended.run = tell_ended;
}

static bool start_thread(struct tg_worker_thread *thread)
{
    char name[16];
    snprintf(name, sizeof name, "tg-worker-%u", thread->worker.id % 100000);
    if (!tg_thread_start(&thread->thread, name, TG_SCRIPT_STACK, run_worker, thread))
        return false;
    while (sem_wait(&thread->running) != 0)
        ;
    return true;
}

bool tg_worker_thread_start(struct tg_worker_thread *thread, uint32_t id, uint32_t count, struct tg_loop *control,
                            struct tg_log_ring *ring)
{
    *thread = (struct tg_worker_thread){ .control = control, .ring = ring, .worker.id = id, .worker.count = count };
    snprintf(thread->name, sizeof thread->name, "worker %u", id);
    tg_list_init(&thread->shares);
    set_messages(thread);
    sem_init(&thread->running, 0, 0);
    thread->loop = tg_loop_new(NULL, &thread->worker);
    if (!thread->loop) {
        sem_destroy(&thread->running);
        return false;
    }
    thread->started = start_thread(thread);
    if (thread->started && !thread->failed)
        return true;
    tg_worker_thread_join(thread);
    tg_worker_thread_free(thread);
    return false;
}

void tg_worker_thread_set_acceptor(struct tg_worker_thread *thread, struct tg_acceptor *acceptor)
{
    thread->acceptor = acceptor;
    tg_loop_post(thread->loop, &thread->begin);
}

void tg_worker_thread_drain(struct tg_worker_thread *thread, double idle, double deadline)
{
    thread->drain_idle = idle;
    thread->drain_deadline = deadline;
    tg_loop_post(thread->loop, &thread->drain);
}

void tg_worker_thread_end(struct tg_worker_thread *thread)
{
    tg_loop_post(thread->loop, &thread->end);
}

void tg_worker_thread_join(struct tg_worker_thread *thread)
{
    if (thread->started)
        pthread_join(thread->thread, NULL);
    thread->started = false;
}

void tg_worker_thread_free(struct tg_worker_thread *thread)
{
    tg_loop_free(thread->loop);
    sem_destroy(&thread->running);
}
