/* Hosts and ports. Whatever way a client spells a host, routing, logs and the upstream see one form of it. */
#include "http/byte_scan.h"
#include "http/uri.h"

#include <arpa/inet.h>

enum { HOST_MAX = 255, PORT_DIGITS = 5 };

static bool refuse(const char **problem, const char *reason)
{
    *problem = reason;
    return false;
}

/* Reads the digits of a port. Leading zeros would make a second spelling, so they are refused. */
static bool parse_port(struct tg_slice digits, uint16_t *port, const char **problem)
{
    uint32_t value = 0;
    if (digits.length == 0 || digits.length > PORT_DIGITS)
        return refuse(problem, "a host with an empty or too long port");
    for (size_t i = 0; i < digits.length; i++) {
        if (!tg_byte_is_digit(digits.at[i]))
            return refuse(problem, "a host with a port that isn't a number");
        value = value * 10 + (uint32_t)(digits.at[i] - '0');
    }
    if (value == 0 || value > 65535 || digits.at[0] == '0')
        return refuse(problem, "a host with a port outside 1 to 65535");
    *port = (uint16_t)value;
    return true;
}

/* Are these lower case letters, digits, dashes and single dots, inside a block? */
static inline bool is_plain_block(tg_bytes16 bytes)
{
    tg_bytes16_mask dots = (tg_bytes16_mask)(bytes == '.');
    tg_bytes16_mask plain = (tg_bytes16_mask)((bytes - 'a' < 26) | (bytes - '0' < 10) | (bytes == '-')) | dots;
    unsigned bits = tg_bytes16_bits(dots);
    return tg_bytes16_bits(plain) == 0xffff && (bits & bits << 1) == 0;
}

/* The usual host, 8 to 31 bytes long and canonical already; false says nothing. Two blocks overlap by a byte or more,
 * or two halves of one do, so that neighbours are seen together somewhere. */
static bool is_plain_name(struct tg_slice host)
{
    char halves[16];
    if (host.length < 8 || host.length > 31 || host.at[0] == '.')
        return false;
    if (host.length >= 16)
        return is_plain_block(tg_bytes16_load(host.at)) && is_plain_block(tg_bytes16_load(host.at + host.length - 16));
    memcpy(halves, host.at, 8);
    memcpy(halves + 8, host.at + host.length - 8, 8);
    return is_plain_block(tg_bytes16_load(halves));
}

/* Checks the bytes of a reg-name or IPv4 address, without port. *upper says that a letter is upper case. */
static bool check_name(struct tg_slice host, bool *upper, const char **problem)
{
    char previous = '.';
    *upper = false;
    if (is_plain_name(host))
        return true;
    if (host.length == 0 || host.length > HOST_MAX)
        return refuse(problem, "an empty or too long host");
    for (size_t i = 0; i < host.length; i++) {
        char byte = host.at[i];
        if (!tg_byte_is(byte, TG_BYTE_HOST)) {
            if ((unsigned char)(byte - 'A') >= 26)
                return refuse(problem, "a host with a byte that no host has");
            *upper = true;
        }
        if (byte == '.' && previous == '.')
            return refuse(problem, "a host with an empty label");
        previous = byte;
    }
    return true;
}

/* Makes the canonical text in the arena: `host` in lower case and the port where it isn't the default. */
static bool make_text(struct tg_slice host, uint16_t default_port, struct tg_arena *arena,
                      struct tg_authority *authority, const char **problem)
{
    char *text = tg_arena_alloc(arena, host.length + 1 + PORT_DIGITS);
    if (!text)
        return refuse(problem, tg_problem_memory);
    for (size_t i = 0; i < host.length; i++)
        text[i] = (char)tg_ascii_lower((unsigned char)host.at[i]);
    size_t length = host.length;
    if (authority->port && authority->port != default_port) {
        char digits[PORT_DIGITS];
        size_t count = 0;
        for (unsigned rest = authority->port; rest; rest /= 10)
            digits[count++] = (char)('0' + rest % 10);
        text[length++] = ':';
        while (count)
            text[length++] = digits[--count];
    }
    authority->host = tg_slice_of(text, host.length);
    authority->text = tg_slice_of(text, length);
    return true;
}

/* The colon before the port, which is looked for where a port can be; elsewhere it is a wrong byte of the host. */
static const char *find_port(struct tg_slice value)
{
    const char *end = value.at + value.length, *at = end;
    while (at > value.at && end - at <= PORT_DIGITS)
        if (*--at == ':')
            return at;
    return NULL;
}

static bool parse_name(struct tg_slice value, uint16_t default_port, struct tg_arena *arena,
                       struct tg_authority *authority, const char **problem)
{
    const char *colon = find_port(value);
    struct tg_slice host = tg_slice_of(value.at, colon ? (size_t)(colon - value.at) : value.length);
    bool upper;
    if (!check_name(host, &upper, problem))
        return false;
    if (colon && !parse_port(tg_slice_from(value, host.length + 1), &authority->port, problem))
        return false;
    bool dot = host.at[host.length - 1] == '.';
    host.length -= dot;
    bool drop_port = colon && authority->port == default_port;
    if (upper || (colon && dot))
        return make_text(host, default_port, arena, authority, problem);
    authority->host = host;
    authority->text = drop_port || dot ? host : value;
    return true;
}

/* "[" IPv6address "]". Zones and IPvFuture are refused. */
static bool parse_literal(struct tg_slice value, uint16_t default_port, struct tg_arena *arena,
                          struct tg_authority *authority, const char **problem)
{
    char text[INET6_ADDRSTRLEN + 2] = "[";
    struct in6_addr address;
    const char *close = memchr(value.at, ']', value.length);
    size_t inner = close ? (size_t)(close - value.at) - 1 : 0;
    if (!close || inner >= INET6_ADDRSTRLEN || memchr(value.at, 0, value.length))
        return refuse(problem, "a malformed IP literal as host");
    memcpy(text + 1, value.at + 1, inner);
    text[1 + inner] = '\0';
    if (inet_pton(AF_INET6, text + 1, &address) != 1 || !inet_ntop(AF_INET6, &address, text + 1, INET6_ADDRSTRLEN))
        return refuse(problem, "a malformed IP literal as host");
    struct tg_slice rest = tg_slice_from(value, inner + 2);
    if (rest.length && rest.at[0] != ':')
        return refuse(problem, "an IP literal with a tail");
    if (rest.length && !parse_port(tg_slice_from(rest, 1), &authority->port, problem))
        return false;
    size_t length = strlen(text);
    text[length++] = ']';
    return make_text(tg_slice_of(text, length), default_port, arena, authority, problem);
}

bool tg_authority_parse_with(struct tg_slice value, uint16_t default_port, struct tg_arena *arena,
                             struct tg_authority *authority, const char **problem)
{
    *authority = (struct tg_authority){ 0 };
    if (value.length == 0)
        return refuse(problem, "an empty host");
    if (value.at[0] == '[')
        return parse_literal(value, default_port, arena, authority, problem);
    return parse_name(value, default_port, arena, authority, problem);
}

bool tg_authority_parse(struct tg_slice value, struct tg_arena *arena, struct tg_authority *authority,
                        const char **problem)
{
    return tg_authority_parse_with(value, 80, arena, authority, problem);
}
