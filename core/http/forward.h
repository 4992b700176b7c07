/* What the gateway itself says to upstream about the client: the X-Forwarded family and Forwarded (RFC 7239). */
#ifndef TG_HTTP_FORWARD_H
#define TG_HTTP_FORWARD_H

#include "http/ip.h"
#include "http/message.h"

struct tg_trusted_proxies {
    const struct tg_cidr *ranges;
    size_t count;
};

/* Who the client is: the peer, unless the peer is a trusted proxy; then the rightmost address of X-Forwarded-For (or
 * else Forwarded) that isn't one, walking from the right; a malformed entry stops the walk. */
struct tg_client_identity {
    struct tg_ip ip;
    struct tg_slice scheme; /* what the client used: "http" or "https" */
    bool peer_trusted;
};

void tg_client_identify(const struct tg_request_head *head, const struct tg_ip *peer, struct tg_slice scheme,
                        const struct tg_trusted_proxies *trusted, struct tg_client_identity *identity);

/* Replaces the whole family: from an untrusted peer everything of it that came is removed; from a trusted one
 * X-Forwarded-For and Forwarded are continued. Sets x-forwarded-for, -proto, -host, -port, x-real-ip and forwarded.
 * `listener_port`: ours. */
bool tg_forward_set(struct tg_fields *fields, const struct tg_request_head *received, const struct tg_ip *peer,
                    const struct tg_client_identity *identity, uint16_t listener_port)
    __attribute__((warn_unused_result));

#endif
