/* What the gateway itself says to upstream about the client: the X-Forwarded family and Forwarded (RFC 7239). */
#ifndef TG_HTTP_FORWARD_H
#define TG_HTTP_FORWARD_H

#include "http/message.h"

struct tg_ip { /* an IPv4 address is kept as IPv4-mapped IPv6 */
    uint8_t bytes[16];
};

bool tg_ip_parse(struct tg_slice text, struct tg_ip *ip)
    __attribute__((warn_unused_result)); /* brackets allowed, no zone */
/* Text without mapping prefix; out has at least 46 bytes; returns the length. */
size_t tg_ip_format(const struct tg_ip *ip, char out[46]);

struct tg_cidr {
    struct tg_ip base;
    uint8_t bits; /* of 128 */
};

bool tg_cidr_parse(struct tg_slice text, struct tg_cidr *cidr) __attribute__((warn_unused_result));
bool tg_cidr_has(const struct tg_cidr *cidr, const struct tg_ip *ip);

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
