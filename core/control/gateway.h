/* The running gateway as control sees it: everything there is once in the process. Belongs to control's thread, which
 * is the main thread. */
#ifndef TG_CONTROL_GATEWAY_H
#define TG_CONTROL_GATEWAY_H

#include "control/admin_server.h"
#include "control/generation.h"
#include "control/listener_set.h"
#include "control/log_thread.h"
#include "control/memory_return.h"
#include "control/signals.h"
#include "control/tls_process.h"
#include "control/worker_thread.h"

struct tg_changes;
struct tg_metrics_server;
struct tg_shared_registry;
struct tg_watcher;

struct tg_gateway_options {
    const char *program;  /* argv[0], for hints */
    const char *file;     /* gateway.lua */
    const char *lua_path; /* may be NULL */
    const char *socket;   /* may be NULL: the usual place */
    uint32_t workers;     /* 0: as the settings say */
    bool watch;
};

enum { TG_STOP_CALLS = 16 };

/* How far the end has come. */
struct tg_stopping {
    bool begun, at_once, ending /* the workers are */, workers_ended;
    uint32_t busy;            /* workers that aren't quiet yet; then those that haven't ended */
    struct tg_deadline limit; /* beyond it the process ends by force */
    pthread_t closer;         /* of listeners: it may have to wait for a worker */
    struct tg_message closed;
    struct tg_admin_call *calls[TG_STOP_CALLS]; /* answered at the end */
    size_t call_count;
};

struct tg_gateway {
    struct tg_gateway_options options;
    struct tg_loop *loop;
    struct tg_log_thread *logs;
    struct tg_log_ring *control_ring, *loader_ring;
    struct tg_signals signals;
    struct tg_admin_socket socket;
    struct tg_admin_server *admin; /* NULL before the gateway is ready */
    struct tg_metrics_server *metrics;
    struct tg_peer_registry *registry;
    struct tg_shared_registry *shared;
    struct tg_tls_process tls;
    struct tg_memory_return memory;
    struct tg_worker_thread *workers; /* NULL before the first load */
    uint32_t worker_count;
    struct tg_acceptor *acceptor; /* NULL before that */
    struct tg_listener_set listeners;
    struct tg_generations generations;
    struct tg_changes *changes;
    struct tg_watcher *watcher; /* NULL without --watch */
    struct tg_stopping stopping;
    double started_at; /* wall time */
    double began;      /* monotonic */
    int exit_code;
};

/* Runs the gateway until it ends; the exit code. To be called in the main thread, before there are others. */
int tg_gateway_run(const struct tg_gateway_options *options);

/* Starts the workers and the acceptor, once the first load has said how many. */
bool tg_gateway_start_workers(struct tg_gateway *gateway, uint32_t count) __attribute__((warn_unused_result));
/* Once all have ended: waits for their threads, frees them and the acceptor. */
void tg_gateway_free_workers(struct tg_gateway *gateway);

/* Ends in order: stops accepting, lets what runs finish, up to the deadline of the settings. Asking again is harmless.
 */
void tg_gateway_stop(struct tg_gateway *gateway);
/* Ends without waiting for requests, with this exit code: the start has failed. */
void tg_gateway_give_up(struct tg_gateway *gateway, int exit_code);
/* Leaves the loop once workers and loader are over. */
void tg_gateway_end_if_done(struct tg_gateway *gateway);
/* Tells those who asked to stop that it is done, and closes the connections of all who asked anything. */
void tg_gateway_answer_stop_calls(struct tg_gateway *gateway);
/* Ends the process here and now. */
_Noreturn void tg_gateway_exit(struct tg_gateway *gateway, int code);

/* Answers a request of the admin socket. `context`: the gateway. */
void tg_gateway_on_call(void *context, struct tg_admin_call *call);

#endif
