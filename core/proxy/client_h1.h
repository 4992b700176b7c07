/* A client's HTTP/1 connection: bytes of a stream to requests, and responses to bytes. It stands at the client's end of
 * one exchange after another; pipelined requests wait for their turn. Belongs to its worker's thread. */
#ifndef TG_PROXY_CLIENT_H1_H
#define TG_PROXY_CLIENT_H1_H

#include "proxy/client.h"

/* Takes over the stream of a connection that nobody has entered yet (tg_client_enter). The first head has until
 * `head_until` (monotonic). Out of memory: false, and the stream stays the caller's. */
bool tg_client_h1_new(struct tg_worker *worker, struct tg_stream *stream, const struct tg_client_info *info,
                      double head_until) __attribute__((warn_unused_result));

#endif
