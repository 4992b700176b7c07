#include "http/ip.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool is_mapped(const struct tg_ip *ip)
{
    return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

bool tg_ip_parse(struct tg_slice text, struct tg_ip *ip)
{
    char copy[INET6_ADDRSTRLEN];
    bool bracketed = text.length >= 2 && text.at[0] == '[' && text.at[text.length - 1] == ']';
    if (bracketed)
        text = tg_slice_of(text.at + 1, text.length - 2);
    if (text.length == 0 || text.length >= sizeof copy || memchr(text.at, 0, text.length))
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    if (memchr(text.at, ':', text.length))
        return inet_pton(AF_INET6, copy, ip->bytes) == 1;
    memcpy(ip->bytes, mapped, sizeof mapped);
    return !bracketed && inet_pton(AF_INET, copy, ip->bytes + 12) == 1;
}

static size_t put_byte(char *to, unsigned value)
{
    size_t length = 0;
    if (value >= 100)
        to[length++] = (char)('0' + value / 100);
    if (value >= 10)
        to[length++] = (char)('0' + value / 10 % 10);
    to[length++] = (char)('0' + value % 10);
    return length;
}

size_t tg_ip_format(const struct tg_ip *ip, char out[46])
{
    size_t length = 0;
    if (!is_mapped(ip))
        return inet_ntop(AF_INET6, ip->bytes, out, INET6_ADDRSTRLEN) ? strlen(out) : 0;
    for (int i = 12; i < 16; i++) {
        length += put_byte(out + length, ip->bytes[i]);
        if (i < 15)
            out[length++] = '.';
    }
    return length;
}

/* Clears what is behind the prefix, so that "10.1.2.3/8" is "10.0.0.0/8". */
static void mask(struct tg_cidr *cidr)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = cidr->bits > i * 8 ? cidr->bits - i * 8u : 0;
        if (kept < 8)
            cidr->base.bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

bool tg_cidr_parse(struct tg_slice text, struct tg_cidr *cidr)
{
    const char *slash = text.length ? memchr(text.at, '/', text.length) : NULL;
    struct tg_slice address = tg_slice_of(text.at, slash ? (size_t)(slash - text.at) : text.length);
    bool ipv6 = address.length && memchr(address.at, ':', address.length);
    uint64_t most = ipv6 ? 128 : 32, bits = most;
    if (!tg_ip_parse(address, &cidr->base))
        return false;
    if (slash && (!tg_slice_to_u64(tg_slice_from(text, address.length + 1), &bits) || bits > most))
        return false;
    cidr->bits = (uint8_t)(bits + 128 - most);
    mask(cidr);
    return true;
}

bool tg_cidr_has(const struct tg_cidr *cidr, const struct tg_ip *ip)
{
    unsigned whole = cidr->bits / 8u, rest = cidr->bits % 8u;
    if (memcmp(cidr->base.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((cidr->base.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
