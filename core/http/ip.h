/* Addresses and ranges of them. An IPv4 address is kept as IPv4-mapped IPv6, so that both spellings are one address. */
#ifndef TG_HTTP_IP_H
#define TG_HTTP_IP_H

#include "base/slice.h"

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

#endif
