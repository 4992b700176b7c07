/* A worker in service: its pool and clients from its start to its end. In the worker's thread. */
#ifndef TG_PROXY_SERVE_H
#define TG_PROXY_SERVE_H

#include "proxy/worker.h"

/* In the worker's thread, before its loop runs. The loop's context must be the worker. */
bool tg_worker_init(struct tg_worker *worker, struct tg_loop *loop, const struct tg_hooks *hooks,
                    struct tg_log_ring *log) __attribute__((warn_unused_result));
void tg_worker_deinit(struct tg_worker *worker);
/* Stops keeping connections: idle ones are closed after `idle` seconds unless one more request comes, all at `deadline`
 * (monotonic). `quiet` is called when none is left. */
void tg_worker_drain(struct tg_worker *worker, double idle, double deadline);
/* For tg_accept_target. */
void tg_worker_accepted(struct tg_loop *loop, struct tg_stream *stream, struct tg_listener *listener);

#endif
