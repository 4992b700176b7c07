/* NTLM and Negotiate authenticate a connection, not a request (RFC 4559 6): whoever shares it is taken for that user.
 * So a connection on which they were spoken serves nobody else [X04]. */
#ifndef TG_PROXY_UPSTREAM_AUTH_H
#define TG_PROXY_UPSTREAM_AUTH_H

#include "http/message.h"

/* The request carries such credentials. */
bool tg_upstream_auth_in_request(const struct tg_fields *fields);
/* The response asks for them, or goes on with them. */
bool tg_upstream_auth_in_response(const struct tg_fields *fields);

#endif
