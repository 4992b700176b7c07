/* A client's HTTP/2 connection: each of its streams is the client's end of one exchange. Belongs to its worker's
 * thread.
 */
#ifndef TG_PROXY_CLIENT_H2_H
#define TG_PROXY_CLIENT_H2_H

#include "proxy/client.h"

/* Takes over the stream of a connection that nobody has entered yet (tg_client_enter). All that the client sent, its
 * preface first, is then given to the stream's owner. Preface, SETTINGS and the first request have until `until`
 * (monotonic). Out of memory: false, and the stream stays the caller's. */
bool tg_client_h2_new(struct tg_worker *worker, struct tg_stream *stream, const struct tg_client_info *info,
                      double until) __attribute__((warn_unused_result));

#endif
