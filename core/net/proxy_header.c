#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
    LINE_MAX_LENGTH = 107, /* of version 1, with CR LF */
    FIXED = 16,            /* of version 2: signature, version and command, family, length */
    IPV4_BLOCK = 12,
    IPV6_BLOCK = 36,
    TLV_HEAD = 3,
};

static const char SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

static enum tg_proxy_result refuse(const char **problem, const char *why)
{
    *problem = why;
    return TG_PROXY_ERROR;
}

static void set_ipv4(struct tg_address *address, const void *ip, uint16_t port)
{
    struct sockaddr_in *target = (struct sockaddr_in *)(void *)&address->storage;
    memset(address, 0, sizeof(*address));
    target->sin_family = AF_INET;
    target->sin_port = htons(port);
    memcpy(&target->sin_addr, ip, 4);
    address->length = sizeof(*target);
}

static void set_ipv6(struct tg_address *address, const void *ip, uint16_t port)
{
    struct sockaddr_in6 *target = (struct sockaddr_in6 *)(void *)&address->storage;
    memset(address, 0, sizeof(*address));
    target->sin6_family = AF_INET6;
    target->sin6_port = htons(port);
    memcpy(&target->sin6_addr, ip, 16);
    address->length = sizeof(*target);
}

/* --- version 1 --- */

/* The word in front of the next space, or the rest; a list ends where `line` is empty. */
static struct tg_slice take_word(struct tg_slice *line)
{
    const char *space = line->length ? memchr(line->at, ' ', line->length) : NULL;
    struct tg_slice word = tg_slice_of(line->at, space ? (size_t)(space - line->at) : line->length);
    *line = tg_slice_from(*line, space ? word.length + 1 : word.length);
    return word;
}

static bool read_ip(struct tg_slice word, int family, unsigned char ip[16])
{
    char text[INET6_ADDRSTRLEN];
    if (word.length == 0 || word.length >= sizeof(text) || memchr(word.at, '\0', word.length))
        return false;
    memcpy(text, word.at, word.length);
    text[word.length] = '\0';
    return inet_pton(family, text, ip) == 1;
}

static bool read_port(struct tg_slice word, uint16_t *port)
{
    uint64_t value;
    bool leading_zero = word.length > 1 && word.at[0] == '0';
    if (word.length > 5 || leading_zero || !tg_slice_to_u64(word, &value) || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool read_addresses(struct tg_slice rest, int family, struct tg_address *client)
{
    unsigned char source[16], target[16];
    uint16_t source_port, target_port;
    if (!read_ip(take_word(&rest), family, source) || !read_ip(take_word(&rest), family, target) ||
        !read_port(take_word(&rest), &source_port) || !read_port(rest, &target_port))
        return false;
    if (family == AF_INET)
        set_ipv4(client, source, source_port);
    else
        set_ipv6(client, source, source_port);
    return true;
}

static enum tg_proxy_result read_line(struct tg_slice line, struct tg_proxy_header *header, const char **problem)
{
    (void)take_word(&line);
    struct tg_slice protocol = take_word(&line);
    header->has_client = !tg_slice_equal(protocol, TG_SLICE("UNKNOWN"));
    if (!header->has_client)
        return TG_PROXY_DONE;
    bool ipv6 = tg_slice_equal(protocol, TG_SLICE("TCP6"));
    if (!ipv6 && !tg_slice_equal(protocol, TG_SLICE("TCP4")))
        return refuse(problem, "a protocol that isn't TCP4, TCP6 or UNKNOWN");
    if (!read_addresses(line, ipv6 ? AF_INET6 : AF_INET, &header->client))
        return refuse(problem, "a bad address or port");
    return TG_PROXY_DONE;
}

static enum tg_proxy_result read_version_1(struct tg_slice bytes, struct tg_proxy_header *header, const char **problem)
{
    size_t seen = bytes.length < LINE_MAX_LENGTH ? bytes.length : LINE_MAX_LENGTH;
    const char *end = memchr(bytes.at, '\n', seen);
    if (!end && seen < LINE_MAX_LENGTH)
        return TG_PROXY_MORE;
    if (!end || end == bytes.at || end[-1] != '\r')
        return refuse(problem, "a line that doesn't end within 107 bytes by CR LF");
    header->length = (size_t)(end - bytes.at) + 1;
    return read_line(tg_slice_of(bytes.at, header->length - 2), header, problem);
}

/* --- version 2 --- */

static unsigned read_16(const char *at)
{
    return (unsigned)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

/* Nothing in them is of use to us, yet a header whose parts don't fit is no header. */
static bool extras_fit(struct tg_slice extras)
{
    while (extras.length >= TLV_HEAD) {
        size_t length = read_16(extras.at + 1);
        if (length > extras.length - TLV_HEAD)
            return false;
        extras = tg_slice_from(extras, TLV_HEAD + length);
    }
    return extras.length == 0;
}

static enum tg_proxy_result read_block(unsigned family, struct tg_slice block, struct tg_proxy_header *header,
                                       const char **problem)
{
    bool ipv4 = family == 0x11, ipv6 = family == 0x21;
    size_t needed = ipv4 ? IPV4_BLOCK : ipv6 ? IPV6_BLOCK : 0;
    if ((family & 0xf) > 2 || family >> 4 > 3)
        return refuse(problem, "an unknown family or protocol");
    if (needed == 0)
        return TG_PROXY_DONE;
    if (block.length < needed)
        return refuse(problem, "too short for its addresses");
    if (!extras_fit(tg_slice_from(block, needed)))
        return refuse(problem, "a part that goes beyond its end");
    if (ipv4)
        set_ipv4(&header->client, block.at, (uint16_t)read_16(block.at + 8));
    else
        set_ipv6(&header->client, block.at, (uint16_t)read_16(block.at + 32));
    header->has_client = true;
    return TG_PROXY_DONE;
}

static enum tg_proxy_result read_version_2(struct tg_slice bytes, struct tg_proxy_header *header, const char **problem)
{
    if (bytes.length < FIXED)
        return TG_PROXY_MORE;
    unsigned version_and_command = (unsigned char)bytes.at[12], command = version_and_command & 0xf;
    size_t length = read_16(bytes.at + 14);
    if (version_and_command >> 4 != 2 || command > 1)
        return refuse(problem, "an unknown version or command");
    if (length > TG_PROXY_HEADER_MAX - FIXED)
        return refuse(problem, "too long");
    if (bytes.length < FIXED + length)
        return TG_PROXY_MORE;
    header->length = FIXED + length;
    if (command == 0) /* the balancer's own connection, such as a health check */
        return TG_PROXY_DONE;
    return read_block((unsigned char)bytes.at[13], tg_slice_of(bytes.at + FIXED, length), header, problem);
}

static bool begins_like(struct tg_slice bytes, const char *prefix, size_t length)
{
    return memcmp(bytes.at, prefix, bytes.length < length ? bytes.length : length) == 0;
}

enum tg_proxy_result tg_proxy_header_read(struct tg_slice bytes, struct tg_proxy_header *header, const char **problem)
{
    static const char WORD[6] = "PROXY ";
    memset(header, 0, sizeof(*header));
    if (bytes.length == 0)
        return TG_PROXY_MORE;
    if (begins_like(bytes, WORD, sizeof(WORD)))
        return bytes.length < sizeof(WORD) ? TG_PROXY_MORE : read_version_1(bytes, header, problem);
    if (begins_like(bytes, SIGNATURE, sizeof(SIGNATURE)))
        return read_version_2(bytes, header, problem);
    return refuse(problem, "there is none, and proxy_protocol demands one from this address");
}
