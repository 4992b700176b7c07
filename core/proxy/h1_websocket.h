/* The key of a WebSocket handshake and the answer to it, which only HTTP/1 has (RFC 6455 4, RFC 8441 5.1): made and
 * checked at that side of the exchange. */
#ifndef TG_PROXY_H1_WEBSOCKET_H
#define TG_PROXY_H1_WEBSOCKET_H

#include "http/message.h"

/* The request that is about to go up over HTTP/1: one that came as an extended CONNECT gets a key and a version, where
 * it has none. false: out of memory. */
bool tg_h1_websocket_ask(struct tg_request_head *head) __attribute__((warn_unused_result));
/* Does the 101 answer the key that was sent? Nothing is asked of it where the upgrade is another, or none was sent. */
bool tg_h1_websocket_answered(const struct tg_request_head *asked, const struct tg_response_head *head);
/* The 101 that is about to go down over HTTP/1: where upstream had no answer to the client's key, it gets one. false:
 * out of memory. */
bool tg_h1_websocket_answer(const struct tg_request_head *asked, struct tg_response_head *head)
    __attribute__((warn_unused_result));

#endif
