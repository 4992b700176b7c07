/* The end of the gateway, in order: listeners close, workers let requests finish, workers end, the loop ends. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "control/change.h"
#include "control/gateway.h"
#include "control/loader.h"
#include "control/thread.h"
#include "control/watcher.h"

static const double force_after = 5;   /* seconds beyond the deadline */
static const double loader_time = 0.5; /* seconds that a load has to notice that it was given up */

static struct tg_gateway *gateway_of(struct tg_loop *control)
{
    return tg_loop_context(control);
}

void tg_gateway_exit(struct tg_gateway *gateway, int code)
{
    tg_admin_socket_close(&gateway->socket);
    if (code == EXIT_SUCCESS)
        tg_gateway_answer_stop_calls(gateway);
    if (gateway->logs) {
        tg_log_set_thread("control", NULL);
        tg_log_thread_stop(gateway->logs, 0.2);
    }
    _exit(code);
}

static void heed_limit(struct tg_deadline *deadline)
{
    struct tg_gateway *gateway = TG_CONTAINER_OF(deadline, struct tg_gateway, stopping.limit);
    if (gateway->stopping.workers_ended) {
        tg_log(TG_LOG_WARN, "a load that was given up doesn't return; ending without it");
        tg_gateway_exit(gateway, gateway->exit_code);
    }
    tg_log(TG_LOG_ERROR, "a thread doesn't end: a script keeps it busy; ending by force");
    tg_gateway_exit(gateway, EXIT_FAILURE);
}

void tg_gateway_end_if_done(struct tg_gateway *gateway)
{
    struct tg_stopping *stopping = &gateway->stopping;
    if (!stopping->begun || !stopping->workers_ended)
        return;
    if (gateway->changes->loader)
        tg_deadline_in(&stopping->limit, loader_time);
    else
        tg_loop_stop(gateway->loop);
}

static void heed_ended(struct tg_worker_thread *thread, struct tg_loop *control)
{
    (void)thread;
    struct tg_gateway *gateway = gateway_of(control);
    if (--gateway->stopping.busy > 0)
        return;
    gateway->stopping.workers_ended = true;
    tg_gateway_end_if_done(gateway);
}

static void end_workers(struct tg_gateway *gateway)
{
    gateway->stopping.ending = true;
    gateway->stopping.busy = gateway->worker_count;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        gateway->workers[i].on_ended = heed_ended;
        tg_worker_thread_end(&gateway->workers[i]);
    }
}

static void heed_quiet(struct tg_worker_thread *thread, struct tg_loop *control)
{
    (void)thread;
    struct tg_gateway *gateway = gateway_of(control);
    if (--gateway->stopping.busy == 0)
        end_workers(gateway);
}

static const struct tg_settings *settings_of(const struct tg_gateway *gateway)
{
    return gateway->generations.current ? &gateway->generations.current->snapshot->settings : NULL;
}

static void drain_workers(struct tg_gateway *gateway)
{
    const struct tg_settings *settings = settings_of(gateway);
    double deadline = tg_loop_now(gateway->loop) + settings->drain;
    gateway->stopping.busy = gateway->worker_count;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        gateway->workers[i].on_quiet = heed_quiet;
        tg_worker_thread_drain(&gateway->workers[i], settings->drain_idle, deadline);
    }
}

static void heed_closed(struct tg_message *message, struct tg_loop *control)
{
    (void)message;
    struct tg_gateway *gateway = gateway_of(control);
    pthread_join(gateway->stopping.closer, NULL);
    if (gateway->stopping.at_once || !settings_of(gateway))
        end_workers(gateway);
    else
        drain_workers(gateway);
}

static void *run_closer(void *context)
{
    struct tg_gateway *gateway = context;
    tg_listener_set_close(&gateway->listeners, gateway->acceptor);
    tg_loop_post(gateway->loop, &gateway->stopping.closed);
    return NULL;
}

static void close_listeners(struct tg_gateway *gateway)
{
    gateway->stopping.closed.run = heed_closed;
    if (tg_thread_start(&gateway->stopping.closer, "tg-closer", 0, run_closer, gateway))
        return;
    tg_log(TG_LOG_ERROR, "the system refuses a thread; ending by force");
    tg_gateway_exit(gateway, EXIT_FAILURE);
}

static void set_limit(struct tg_gateway *gateway)
{
    const struct tg_settings *settings = settings_of(gateway);
    double seconds = gateway->stopping.at_once || !settings ? 0 : settings->drain;
    tg_deadline_init(&gateway->stopping.limit, gateway->loop, heed_limit);
    tg_deadline_in(&gateway->stopping.limit, seconds + force_after);
}

void tg_gateway_stop(struct tg_gateway *gateway)
{
    if (gateway->stopping.begun)
        return;
    gateway->stopping.begun = true;
    set_limit(gateway);
    tg_changes_stop(gateway->changes, "the gateway is stopping");
    if (gateway->watcher)
        tg_watcher_free(gateway->watcher);
    gateway->watcher = NULL;
    if (gateway->acceptor) {
        close_listeners(gateway);
        return;
    }
    if (gateway->worker_count > 0) {
        end_workers(gateway);
        return;
    }
    gateway->stopping.workers_ended = true;
    tg_gateway_end_if_done(gateway);
}

void tg_gateway_give_up(struct tg_gateway *gateway, int exit_code)
{
    gateway->exit_code = exit_code;
    gateway->stopping.at_once = true;
    tg_gateway_stop(gateway);
}
