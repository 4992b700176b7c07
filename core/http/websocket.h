/* The key of a WebSocket handshake over HTTP/1.1 and the answer to it (RFC 6455 4.1, 4.2.2). Over HTTP/2 there is none
 * of it (RFC 8441 5.1), so whoever stands between the two makes it and checks it. */
#ifndef TG_HTTP_WEBSOCKET_H
#define TG_HTTP_WEBSOCKET_H

#include "base/slice.h"

enum { TG_WEBSOCKET_KEY = 24, TG_WEBSOCKET_ACCEPT = 28 };

/* 16 bytes that can't be guessed, in base64; no NUL. */
void tg_websocket_make_key(char key[TG_WEBSOCKET_KEY]);
/* What sec-websocket-accept has to say to this key, which is taken as it is; no NUL. false: no memory, or a key of more
 * than 256 bytes. */
bool tg_websocket_accept(struct tg_slice key, char accept[TG_WEBSOCKET_ACCEPT]) __attribute__((warn_unused_result));

#endif
