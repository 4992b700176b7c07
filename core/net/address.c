#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

_Static_assert(sizeof(struct sockaddr_storage) <= 128, "an address fits");

static const struct sockaddr_in *as_ipv4(const struct tg_address *address)
{
    return (const struct sockaddr_in *)(const void *)&address->storage;
}

static const struct sockaddr_in6 *as_ipv6(const struct tg_address *address)
{
    return (const struct sockaddr_in6 *)(const void *)&address->storage;
}

static const struct sockaddr_un *as_unix(const struct tg_address *address)
{
    return (const struct sockaddr_un *)(const void *)&address->storage;
}

static size_t path_length(const struct tg_address *address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    return address->length > start ? strnlen(as_unix(address)->sun_path, address->length - start) : 0;
}

static bool parse_port(struct tg_slice text, uint16_t *port, const char **problem)
{
    uint64_t value;
    if (text.length > 5 || !tg_slice_to_u64(text, &value) || value > 65535) {
        *problem = "the port must be a number from 0 to 65535";
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool parse_unix(struct tg_slice path, struct tg_address *address, const char **problem)
{
    struct sockaddr_un *target = (struct sockaddr_un *)(void *)&address->storage;
    if (path.length == 0 || path.at[0] != '/')
        *problem = "the path of a unix: address must be absolute";
    else if (path.length >= sizeof(target->sun_path))
        *problem = "the path of a unix: address has at most 107 bytes";
    else if (memchr(path.at, '\0', path.length))
        *problem = "the path of a unix: address can't contain NUL";
    else {
        target->sun_family = AF_UNIX;
        memcpy(target->sun_path, path.at, path.length);
        address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
        return true;
    }
    return false;
}

static bool parse_ipv6(const char *host, uint16_t port, struct tg_address *address, const char **problem)
{
    struct sockaddr_in6 *target = (struct sockaddr_in6 *)(void *)&address->storage;
    if (inet_pton(AF_INET6, host, &target->sin6_addr) != 1) {
        *problem = strchr(host, '%') ? "an IPv6 address with a zone isn't supported" : "this isn't an IPv6 address";
        return false;
    }
    target->sin6_family = AF_INET6;
    target->sin6_port = htons(port);
    address->length = sizeof(*target);
    return true;
}

static bool parse_ipv4(const char *host, uint16_t port, struct tg_address *address, const char **problem)
{
    struct sockaddr_in *target = (struct sockaddr_in *)(void *)&address->storage;
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (inet_pton(AF_INET, host, &target->sin_addr) != 1) {
        *problem = "expected an IP address, such as 10.0.0.1:80 or [::1]:80, or unix:/path";
        return false;
    }
    target->sin_family = AF_INET;
    target->sin_port = htons(port);
    address->length = sizeof(*target);
    return true;
}

/* host has 64 bytes: more than any address in text. */
static bool split_host(struct tg_slice host, bool *ipv6, char room[64], const char **problem)
{
    *ipv6 = host.length >= 2 && host.at[0] == '[' && host.at[host.length - 1] == ']';
    if (*ipv6)
        host = tg_slice_of(host.at + 1, host.length - 2);
    if (host.length >= 64 || (host.length > 0 && memchr(host.at, '\0', host.length))) {
        *problem = "this isn't an IP address";
        return false;
    }
    if (host.length > 0)
        memcpy(room, host.at, host.length);
    room[host.length] = '\0';
    return true;
}

bool tg_address_parse(struct tg_slice text, struct tg_address *address, const char **problem)
{
    memset(address, 0, sizeof(*address));
    struct tg_slice prefix = TG_SLICE("unix:");
    if (text.length >= prefix.length && memcmp(text.at, prefix.at, prefix.length) == 0)
        return parse_unix(tg_slice_from(text, prefix.length), address, problem);
    const char *colon = text.length > 0 ? memrchr(text.at, ':', text.length) : NULL;
    if (!colon || (colon > text.at && text.at[0] == '[' && colon[-1] != ']')) {
        *problem = "the port is missing";
        return false;
    }
    uint16_t port;
    bool ipv6;
    char host[64];
    size_t host_length = (size_t)(colon - text.at);
    if (!parse_port(tg_slice_from(text, host_length + 1), &port, problem) ||
        !split_host(tg_slice_of(text.at, host_length), &ipv6, host, problem))
        return false;
    return ipv6 ? parse_ipv6(host, port, address, problem) : parse_ipv4(host, port, address, problem);
}

size_t tg_address_format(const struct tg_address *address, char out[128])
{
    char host[INET6_ADDRSTRLEN] = "";
    int length;
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &as_ipv4(address)->sin_addr, host, sizeof(host));
        length = snprintf(out, 128, "%s:%u", host, tg_address_port(address));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &as_ipv6(address)->sin6_addr, host, sizeof(host));
        length = snprintf(out, 128, "[%s]:%u", host, tg_address_port(address));
        break;
    case AF_UNIX:
        length = snprintf(out, 128, "unix:%.*s", (int)path_length(address), as_unix(address)->sun_path);
        break;
    default: length = snprintf(out, 128, "unknown"); break;
    }
    return length > 0 ? (size_t)length : 0;
}

bool tg_address_equal(const struct tg_address *a, const struct tg_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_UNIX) {
        size_t length = path_length(a);
        return length == path_length(b) && memcmp(as_unix(a)->sun_path, as_unix(b)->sun_path, length) == 0;
    }
    uint8_t ip_a[16], ip_b[16];
    tg_address_ip(a, ip_a);
    tg_address_ip(b, ip_b);
    bool same_zone = a->any.sa_family != AF_INET6 || as_ipv6(a)->sin6_scope_id == as_ipv6(b)->sin6_scope_id;
    return same_zone && tg_address_port(a) == tg_address_port(b) && memcmp(ip_a, ip_b, sizeof(ip_a)) == 0;
}

void tg_address_ip(const struct tg_address *address, uint8_t ip[16])
{
    memset(ip, 0, 16);
    if (address->any.sa_family == AF_INET6) {
        memcpy(ip, &as_ipv6(address)->sin6_addr, 16);
    } else if (address->any.sa_family == AF_INET) {
        ip[10] = ip[11] = 0xFF;
        memcpy(ip + 12, &as_ipv4(address)->sin_addr, 4);
    }
}

uint16_t tg_address_port(const struct tg_address *address)
{
    switch (address->any.sa_family) {
    case AF_INET: return ntohs(as_ipv4(address)->sin_port);
    case AF_INET6: return ntohs(as_ipv6(address)->sin6_port);
    default: return 0;
    }
}

bool tg_address_is_unix(const struct tg_address *address)
{
    return address->any.sa_family == AF_UNIX;
}
