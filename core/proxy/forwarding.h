/* From the request as handlers left it to what one attempt sends upstream. */
#ifndef TG_PROXY_FORWARDING_H
#define TG_PROXY_FORWARDING_H

#include "proxy/exchange.h"

/* Makes exchange->outgoing for an attempt at exchange->peer: a copy of the head whose fields belong to this attempt,
 * with the X-Forwarded family and Forwarded, the Host that the route asks for, and the route's rewrite of the path,
 * normalised again; for gRPC also what tg_grpc_call_prepare says. target.raw_path of the copy is the new path wherever
 * the path isn't the received one, so that `raw_path` never undoes a rewrite. false: *problem says why (static text,
 * for the log): out of memory, or a rewrite that makes no valid path. */
bool tg_forwarding_prepare(struct tg_exchange *exchange, const char **problem) __attribute__((warn_unused_result));

#endif
