/* Answers `GET /metrics` over HTTP/1, one request a connection: on a TCP listener of its own, and on connections that
 * the admin socket hands over. Runs in control's loop and never waits for a client; sizes, numbers and times are
 * bounded. Other paths get 404, other methods 405. */
#ifndef TG_CONTROL_METRICS_SERVER_H
#define TG_CONTROL_METRICS_SERVER_H

#include "base/text.h"
#include "net/address.h"

struct tg_loop;
struct tg_metrics_server;

/* `write` makes the text of an answer. NULL when out of memory. */
struct tg_metrics_server *tg_metrics_server_new(struct tg_loop *loop, void (*write)(void *context, struct tg_text *out),
                                                void *context);
/* Closes everything. May be NULL. */
void tg_metrics_server_free(struct tg_metrics_server *server);

/* Before a generation becomes the current one: binds the address that its settings name (NULL: none), where it isn't
 * that of the listener there is. False: it can't, `why` says so. */
bool tg_metrics_server_prepare(struct tg_metrics_server *server, const struct tg_address *address, struct tg_text *why)
    __attribute__((warn_unused_result));
/* It isn't to become the current one. */
void tg_metrics_server_cancel(struct tg_metrics_server *server);
/* It is the current one: accepts there, and no more where the one before said. */
void tg_metrics_server_settle(struct tg_metrics_server *server);

/* Whether a line, without its end, is that of a request over HTTP/1. */
bool tg_metrics_is_http(struct tg_slice line);
/* Takes over a connection and what was read of it. */
void tg_metrics_server_adopt(struct tg_metrics_server *server, int descriptor, struct tg_slice bytes);

#endif
