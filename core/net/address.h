/* Socket addresses: IPv4, IPv6 and Unix paths. A value, freely copied. */
#ifndef TG_NET_ADDRESS_H
#define TG_NET_ADDRESS_H

#include <sys/socket.h>

#include "base/slice.h"

struct tg_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        char room[128];
    };
};

/* "1.2.3.4:80", "[::1]:80", "*:80" (any IPv4), "localhost:80" (127.0.0.1), "unix:/path" (at most 107 bytes, no NUL;
 * refused otherwise [N09]). No DNS. *problem says what is wrong. */
bool tg_address_parse(struct tg_slice text, struct tg_address *address, const char **problem)
    __attribute__((warn_unused_result));
/* As tg_address_parse takes it; out has at least 128 bytes; returns the length. */
size_t tg_address_format(const struct tg_address *address, char out[128]);
bool tg_address_equal(const struct tg_address *a, const struct tg_address *b);
/* The IP as 16 bytes, IPv4 mapped; zeros for a Unix address. */
void tg_address_ip(const struct tg_address *address, uint8_t ip[16]);
uint16_t tg_address_port(const struct tg_address *address); /* 0 for Unix */
bool tg_address_is_unix(const struct tg_address *address);

#endif
