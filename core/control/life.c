/* The life of the process: what is made in which order, the start, and what is freed in which order. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shared_registry.h"
#include "control/change.h"
#include "control/gateway.h"
#include "control/libraries.h"
#include "control/metrics_server.h"
#include "control/metrics_text.h"
#include "control/startup.h"
#include "control/thread.h"
#include "control/watcher.h"

enum { CONTROL_RING = 64 * 1024 };

/* --- while it runs --- */

static void ask_for_reload(struct tg_gateway *gateway, const char *asked_by)
{
    struct tg_change *change = tg_change_new(TG_CHANGE_RELOAD, asked_by, NULL, NULL);
    if (!change) {
        tg_log(TG_LOG_ERROR, "out of memory: no reload");
        return;
    }
    change->merges = true;
    tg_changes_add(gateway->changes, change);
}

static void on_files_changed(void *context)
{
    ask_for_reload(context, "--watch");
}

static void on_signal(void *context, int number)
{
    struct tg_gateway *gateway = context;
    switch (number) {
    case SIGHUP: ask_for_reload(gateway, "SIGHUP"); break;
    case SIGUSR1: tg_log_thread_reopen(gateway->logs); break;
    default:
        if (gateway->stopping.begun)
            tg_gateway_exit(gateway, 128 + number);
        if (!gateway->generations.current)
            tg_gateway_give_up(gateway, 128 + number);
        else
            tg_gateway_stop(gateway);
        break;
    }
}

/* --- the start --- */

static void on_first_load(void *context, const char *problem, const struct tg_generation *generation)
{
    struct tg_gateway *gateway = context;
    if (problem && !gateway->stopping.begun)
        fprintf(stderr, "%s\n", problem);
    if (problem)
        tg_gateway_give_up(gateway, gateway->exit_code ? gateway->exit_code : EXIT_FAILURE);
    else if (!tg_startup_finish(gateway, generation))
        tg_gateway_give_up(gateway, EXIT_FAILURE);
}

static void load_first(struct tg_gateway *gateway)
{
    struct tg_change *change = tg_change_new(TG_CHANGE_RELOAD, "the start", NULL, NULL);
    if (!change) {
        tg_gateway_give_up(gateway, EXIT_FAILURE);
        return;
    }
    change->done = on_first_load;
    change->context = gateway;
    tg_changes_add(gateway->changes, change);
}

/* --- what there is once in the process --- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool take_admin_socket(struct tg_gateway *gateway)
{
    char path[TG_SOCKET_PATH_MAX];
    struct tg_text why;
    tg_text_init(&why);
    bool taken =
        tg_socket_path(gateway->options.socket, true, path, &why) && tg_admin_socket_bind(&gateway->socket, path, &why);
    if (!taken)
        fprintf(stderr, "tidegate: %s\n", why.at ? why.at : "out of memory");
    tg_text_deinit(&why);
    return taken;
}

static bool make_logs(struct tg_gateway *gateway)
{
    gateway->logs = tg_log_thread_start();
    if (!gateway->logs)
        return false;
    gateway->control_ring = tg_log_thread_ring(gateway->logs, CONTROL_RING);
    gateway->loader_ring = tg_log_thread_ring(gateway->logs, CONTROL_RING);
    tg_log_set_thread("control", gateway->control_ring);
    return gateway->control_ring && gateway->loader_ring;
}

static bool make_parts(struct tg_gateway *gateway)
{
    gateway->loop = tg_loop_new(NULL, gateway);
    if (!gateway->loop)
        return false;
    gateway->began = tg_loop_now(gateway->loop);
    gateway->started_at = tg_loop_wall(gateway->loop);
    tg_memory_return_init(&gateway->memory, gateway->loop);
    tg_generations_init(&gateway->generations);
    tg_changes_init(gateway->changes, gateway);
    gateway->registry = tg_peer_registry_new(gateway->loop);
    gateway->shared = tg_shared_registry_new();
    gateway->metrics = tg_metrics_server_new(gateway->loop, tg_metrics_text, gateway);
    if (gateway->options.watch)
        gateway->watcher = tg_watcher_new(gateway->loop, on_files_changed, gateway);
    return gateway->registry && gateway->shared && gateway->metrics &&
           tg_tls_process_init(&gateway->tls, gateway->loop) &&
           tg_signals_init(&gateway->signals, gateway->loop, on_signal, gateway) && make_logs(gateway) &&
           (gateway->watcher || !gateway->options.watch);
}

void tg_gateway_answer_stop_calls(struct tg_gateway *gateway)
{
    for (size_t i = 0; i < gateway->stopping.call_count; i++)
        tg_admin_call_answer(gateway->stopping.calls[i], NULL);
    gateway->stopping.call_count = 0;
    if (gateway->admin)
        tg_admin_server_free(gateway->admin);
    gateway->admin = NULL;
}

static void free_parts(struct tg_gateway *gateway)
{
    tg_metrics_server_free(gateway->metrics);
    gateway->metrics = NULL;
    tg_gateway_free_workers(gateway);
    if (gateway->loop) {
        tg_changes_deinit(gateway->changes);
        tg_generations_deinit(&gateway->generations);
    }
    if (gateway->watcher)
        tg_watcher_free(gateway->watcher);
    if (gateway->registry)
        tg_peer_registry_free(gateway->registry);
    tg_shared_registry_free(gateway->shared);
    tg_tls_process_deinit(&gateway->tls);
    tg_memory_return_deinit(&gateway->memory);
    if (gateway->logs) {
        tg_log_set_thread("control", NULL);
        tg_log_thread_stop(gateway->logs, 1);
    }
    /* Whoever asked to stop may start the next one at once. */
    tg_admin_socket_close(&gateway->socket);
    tg_gateway_answer_stop_calls(gateway);
    tg_signals_deinit(&gateway->signals);
    tg_loop_free(gateway->loop);
    tg_thread_release_pools();
}

int tg_gateway_run(const struct tg_gateway_options *options)
{
    struct tg_changes changes;
    struct tg_gateway gateway = { .options = *options, .changes = &changes };
    char why[256];
    if (!tg_libraries_fit(why)) {
        fprintf(stderr, "tidegate: %s\n", why);
        return EXIT_FAILURE;
    }
    tg_signals_block();
    raise_descriptor_limit();
    if (!take_admin_socket(&gateway))
        return EXIT_FAILURE;
    if (make_parts(&gateway)) {
        load_first(&gateway);
        tg_loop_run(gateway.loop);
    } else {
        fprintf(stderr, "tidegate: the system refuses memory, descriptors or threads\n");
        gateway.exit_code = EXIT_FAILURE;
    }
    free_parts(&gateway);
    return gateway.exit_code;
}
