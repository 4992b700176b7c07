/* The other end of the admin socket: what the command line asks a running gateway. Waits; for processes that do nothing
 * else. */
#ifndef TG_CONTROL_ADMIN_CLIENT_H
#define TG_CONTROL_ADMIN_CLIENT_H

#include <jansson.h>

#include "base/text.h"

/* Sends the request and waits at most `seconds` for its reply. NULL: nobody answers there, and `why` says what to do.
 * A reply may still be a refusal: "ok": false. */
json_t *tg_admin_ask(const char *socket_path, const json_t *request, double seconds, struct tg_text *why);

#endif
