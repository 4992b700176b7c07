/* The door: what happens between the accept of a client's connection and its codec. In this order, as far as the
 * listener asks for it: PROXY header, `accept` handlers, TLS with `client_hello` handlers. Then ALPN, or on a clear
 * connection the first bytes, say whether it is HTTP/1 or HTTP/2. All of it, and the first head, has one time limit
 * from the accept on (timeouts.header) [T11]. Worker's thread. */
#ifndef TG_PROXY_CLIENT_DOOR_H
#define TG_PROXY_CLIENT_DOOR_H

#include "proxy/client.h"

/* Takes over the stream of a new connection, which counts as a client from now on. `guarded`: of its listener, as in
 * net/listener.h. Out of memory: false, and the stream stays the caller's. */
bool tg_client_door_open(struct tg_worker *worker, struct tg_stream *stream, bool guarded)
    __attribute__((warn_unused_result));

#endif
