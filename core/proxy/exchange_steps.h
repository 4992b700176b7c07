/* What the files of the exchange share among themselves; nobody else includes this. */
#ifndef TG_PROXY_EXCHANGE_STEPS_H
#define TG_PROXY_EXCHANGE_STEPS_H

#include "proxy/exchange.h"

/* Continues the exchange after the current event: every fact that a side, the connector or a script reports ends in
 * this. */
void tg_exchange_wake(struct tg_exchange *exchange);

/* exchange_phase.c. How far a phase came: WAIT means that tg_exchange_resume will wake the exchange. */
enum tg_phase_progress { TG_PHASE_WAIT, TG_PHASE_DONE, TG_PHASE_ANSWERED, TG_PHASE_REROUTED, TG_PHASE_FAILED };
enum tg_phase_progress tg_exchange_run_phase(struct tg_exchange *exchange, enum tg_phase phase);
void tg_exchange_cancel_phase(struct tg_exchange *exchange);
/* Puts set_response_header and set_cookie of the request phase into the response. */
bool tg_exchange_apply_pending_fields(struct tg_exchange *exchange) __attribute__((warn_unused_result));
void tg_exchange_match_route(struct tg_exchange *exchange);

/* exchange_attempt.c */
/* The first attempt: chooses the peer and makes the outgoing head. false: tg_exchange_fail was called. */
bool tg_exchange_begin_attempt(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* Asks the connector for a connection to the chosen peer. */
void tg_exchange_connect(struct tg_exchange *exchange, bool fresh);
/* In state AWAITING_HEAD already: may fail. */
void tg_exchange_send_request(struct tg_exchange *exchange);
/* The attempt's connection failed, or could not be made: tries again where the rules allow it, else answers. */
void tg_exchange_attempt_failed(struct tg_exchange *exchange, enum tg_reason reason, const char *detail);
/* A 421 over a connection that had carried others is no answer yet: true, and the request goes up once more. */
bool tg_exchange_repeat_misdirected(struct tg_exchange *exchange);
/* Gives up whatever the exchange has upstream. */
void tg_exchange_drop_upstream(struct tg_exchange *exchange, enum tg_reason reason);

/* exchange_bodies.c */
/* Most exchanges have none of them, and pay for nothing more than this look. */
static inline bool tg_exchange_has_bodies(const struct tg_exchange *exchange)
{
    return exchange->request_bodies || exchange->response_bodies || exchange->producer;
}

static inline bool tg_exchange_route_has(const struct tg_exchange *exchange, enum tg_phase phase)
{
    return exchange->route->phases >> phase & 1;
}
/* Lets handlers of the request's, or the response's, body in; false: there are none. May fail the exchange, which has
 * another state then. */
bool tg_exchange_begin_bodies(struct tg_exchange *exchange, enum tg_phase phase) __attribute__((warn_unused_result));
/* Enters those whose turn it is; true: all of them have let the head go. */
bool tg_exchange_bodies_let_go(struct tg_exchange *exchange, struct tg_body_call *list);
/* What handlers of bodies have said since the last step. */
void tg_exchange_heed_bodies(struct tg_exchange *exchange);
void tg_exchange_cancel_bodies(struct tg_exchange *exchange);
/* Of a response that there will be another in the place of. */
void tg_exchange_drop_response_bodies(struct tg_exchange *exchange);
/* Once nothing of the exchange is needed but its log. */
void tg_exchange_end_bodies(struct tg_exchange *exchange);
/* Upstream has broken off, or is silent, and handlers are to hear of it: true, and they have. */
bool tg_exchange_tell_bodies(struct tg_exchange *exchange, enum tg_reason reason);
/* A handler is at work on upstream's body, and hears of its silence. */
bool tg_exchange_reads_response(const struct tg_exchange *exchange);
/* Whether the trailers phase stands between the body and the end of this response. */
bool tg_exchange_wants_trailers(const struct tg_exchange *exchange);
void tg_exchange_start_producer(struct tg_exchange *exchange);

/* exchange_body.c */
static inline bool tg_exchange_has_request_trailers(const struct tg_exchange *exchange)
{
    return exchange->has_request_trailers && tg_fields_has_lines(&exchange->request_trailers);
}

static inline bool tg_exchange_has_response_trailers(const struct tg_exchange *exchange)
{
    return exchange->has_response_trailers && tg_fields_has_lines(&exchange->response_trailers);
}
void tg_exchange_pump_request(struct tg_exchange *exchange);
void tg_exchange_pump_response(struct tg_exchange *exchange);
/* Back-pressure, in every state: pauses whoever gives faster than the other side, or a waiting handler, lets it pass,
 * and lets it go on. */
void tg_exchange_hold_givers_back(struct tg_exchange *exchange);
/* Puts back what was sent, for a new attempt. */
bool tg_exchange_rewind_request(struct tg_exchange *exchange) __attribute__((warn_unused_result));
void tg_exchange_forget_replay(struct tg_exchange *exchange);
/* The exchange waits for upstream for so long from now; the client connection's timer sees to it. */
void tg_exchange_wait_for_upstream(struct tg_exchange *exchange, double seconds);
/* How long the response's head may take, and silence after it. */
double tg_exchange_first_byte_limit(const struct tg_exchange *exchange);
double tg_exchange_between_bytes_limit(const struct tg_exchange *exchange);
/* The route's value where it has one, else the group's. */
double tg_exchange_timeout(double route, double group);

/* exchange_answer.c */
/* The gateway itself must answer: through the error phase, or, where the head has gone, by breaking off. */
void tg_exchange_fail(struct tg_exchange *exchange, int status, const char *code, const char *detail);
/* Likewise, with the status and code of the reason. */
void tg_exchange_fail_for(struct tg_exchange *exchange, enum tg_reason reason, const char *detail);
/* What the route answers by itself; false where it has a destination. */
bool tg_exchange_answer_by_route(struct tg_exchange *exchange);
/* A listener that only sends clients to https: 308, and no handler sees the request. */
void tg_exchange_redirect_to_https(struct tg_exchange *exchange, uint16_t port);
/* The plain page for exchange->error, or what gRPC has instead. */
bool tg_exchange_make_error_page(struct tg_exchange *exchange) __attribute__((warn_unused_result));
/* Starts a fresh response of this origin, dropping what there was of another. */
void tg_exchange_reset_response(struct tg_exchange *exchange, int status, enum tg_response_from from);
/* Puts an answer of our own into the pipe; false when out of memory. */
bool tg_exchange_load_answer(struct tg_exchange *exchange) __attribute__((warn_unused_result));
void tg_exchange_send_response_head(struct tg_exchange *exchange);

/* exchange_end.c */
/* Both messages are over for the client: lets both sides go; the log phase remains. */
void tg_exchange_finish(struct tg_exchange *exchange);
/* Out of order: resets what is left of both sides. */
void tg_exchange_break_off(struct tg_exchange *exchange, enum tg_reason reason);
/* After the log phase: writes the access log, frees everything. */
void tg_exchange_close(struct tg_exchange *exchange);

#endif
