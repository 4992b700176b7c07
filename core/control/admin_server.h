/* What answers `tidegate reload`, `status` and the like: one JSON object a line, a request and its reply, any number of
 * times on a connection. Runs in control's loop and never waits for a client; sizes and times are bounded. */
#ifndef TG_CONTROL_ADMIN_SERVER_H
#define TG_CONTROL_ADMIN_SERVER_H

#include <jansson.h>

#include "control/admin_socket.h"

struct tg_loop;
struct tg_admin_server;

/* A request that waits for its reply; the client may leave meanwhile. */
struct tg_admin_call;

struct tg_admin_server_ops {
    /* A request came; tg_admin_call_answer or _refuse must follow, now or later, exactly once. */
    void (*on_call)(void *context, struct tg_admin_call *call);
    /* The first line is that of an HTTP request: takes over the connection, of which these bytes were read. */
    void (*on_http)(void *context, int descriptor, struct tg_slice bytes);
};

/* The socket listens already. NULL when out of memory. */
struct tg_admin_server *tg_admin_server_new(struct tg_loop *loop, struct tg_admin_socket *socket,
                                            const struct tg_admin_server_ops *ops, void *context);
/* Writes what can be written at once, and closes all connections. Calls without an answer may still be answered. */
void tg_admin_server_free(struct tg_admin_server *server);

/* The request; the call owns it. */
json_t *tg_admin_call_request(const struct tg_admin_call *call);
/* A member of the request that must be text; NULL where it is absent. */
const char *tg_admin_call_text(const struct tg_admin_call *call, const char *member);
/* Takes over the reference to `reply` and sets "ok": true in it. NULL is an empty object. Ends the call. */
void tg_admin_call_answer(struct tg_admin_call *call, json_t *reply);
/* Answers "ok": false with the reason. Ends the call. */
void tg_admin_call_refuse(struct tg_admin_call *call, const char *reason);

#endif
