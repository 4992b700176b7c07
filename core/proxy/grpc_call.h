/* An exchange whose request is gRPC: its deadline, the status that every answer to it has to have, and the end of its
 * messages. Part of the exchange; everything here is in exchange->arena. The HTTP statuses of exchange->error keep
 * their meaning; what the client sees of them is a gRPC status (http/grpc.h), where no handler made another answer. */
#ifndef TG_PROXY_GRPC_CALL_H
#define TG_PROXY_GRPC_CALL_H

#include "http/grpc.h"
#include "proxy/exchange.h"

struct tg_grpc_call {
    struct tg_body_stage counting; /* in the response pipe: passes everything on as it is */
    struct tg_grpc_messages messages;
    struct tg_slice content_type; /* of the request, without parameters */
    double timeout;               /* that the client gave; INFINITY: none */
};

/* Makes exchange->grpc where the request is gRPC: POST, with its content type. A malformed grpc-timeout becomes
 * exchange->client_problem, as running out of memory does. */
void tg_grpc_call_begin(struct tg_exchange *exchange);

/* All others are for an exchange with exchange->grpc. */

/* exchange->outgoing: trailers are wanted, no status comes from a client [Q04], and grpc-timeout is what remains. */
bool tg_grpc_call_prepare(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* The same for grpc-timeout alone, right before the head goes; not where a handler has removed it. */
bool tg_grpc_call_refresh_timeout(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* Drops from the request's trailers what no client says. */
void tg_grpc_call_take_trailers(struct tg_exchange *exchange);
/* The answer to exchange->error: 200, with a status and nothing else (trailers-only). */
bool tg_grpc_call_make_answer(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* The upstream's head is about to go to the client; `end`: nothing follows it. It gets the status that it lacks, or is
 * made such that trailers can follow. */
bool tg_grpc_call_complete_head(struct tg_exchange *exchange, bool end) __attribute__((warn_unused_result));
/* The upstream's response is whole: where it has said no status, trailers say one [Q02]. */
bool tg_grpc_call_response_ended(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* Something has failed while the response streams. Where it came from upstream and stands, for the client, at the end
 * of a message, it ends there, with trailers that say what `error` means; upstream is given up. false: nothing was
 * done, and it has to be broken off. */
bool tg_grpc_call_end(struct tg_exchange *exchange, const struct tg_exchange_error *error, enum tg_reason reason);
/* For the log: the status that the client got, or would have got; -1: none is known. */
int tg_grpc_call_status(const struct tg_exchange *exchange);

#endif
