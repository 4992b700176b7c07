/* A client's HTTP/1 connection: bytes of a stream to requests, and responses to bytes. It stands at the client's end of
 * one exchange after another; pipelined requests wait for their turn. Belongs to its worker's thread. */
#ifndef TG_PROXY_CLIENT_H1_H
#define TG_PROXY_CLIENT_H1_H

#include "net/stream.h"
#include "proxy/worker.h"

/* Takes the stream over. Out of memory: closes it. `listener_port`: ours, for the X-Forwarded family. */
void tg_client_h1_new(struct tg_worker *worker, struct tg_stream *stream);
/* The worker drains: an idle connection has until `idle_until` (monotonic) for one more request; a busy one closes
 * after its answer. `link` is the connection's place in worker->clients. */
void tg_client_h1_drain(struct tg_list *link, double idle_until);
/* At once, whatever it does. */
void tg_client_h1_kill(struct tg_list *link);

#endif
