/* Who the client is, where trusted proxies stand between it and us. */
#include "http/forward.h"

/* Proxies in a row that are believed at most; what is further left is never looked at. */
enum { HOPS_MAX = 32 };

struct hops {
    struct tg_slice members[HOPS_MAX]; /* the last ones, as a ring */
    size_t count;
};

static bool is_trusted(const struct tg_trusted_proxies *trusted, const struct tg_ip *ip)
{
    for (size_t i = 0; i < trusted->count; i++)
        if (tg_cidr_has(&trusted->ranges[i], ip))
            return true;
    return false;
}

/* The members of all lines of the field, as if they were one. */
static void collect(const struct tg_fields *fields, enum tg_field_name token, struct hops *hops)
{
    const struct tg_field *line = tg_fields_find(fields, token, (struct tg_slice){ 0 });
    hops->count = 0;
    for (; line; line = tg_fields_find_next(fields, line)) {
        struct tg_slice rest = line->value, member;
        while (tg_list_next(&rest, &member))
            hops->members[hops->count++ % HOPS_MAX] = member;
    }
}

static struct tg_slice unquote(struct tg_slice text)
{
    bool quoted = text.length >= 2 && text.at[0] == '"' && text.at[text.length - 1] == '"';
    return quoted ? tg_slice_of(text.at + 1, text.length - 2) : text;
}

/* An address, with or without a port behind it. */
static bool parse_node(struct tg_slice text, struct tg_ip *ip)
{
    const char *close = text.length && text.at[0] == '[' ? memchr(text.at, ']', text.length) : NULL;
    const char *colon = text.length ? memchr(text.at, ':', text.length) : NULL;
    size_t address = text.length;
    if (close)
        address = (size_t)(close - text.at) + 1;
    else if (colon && !memchr(colon + 1, ':', text.length - (size_t)(colon - text.at) - 1))
        address = (size_t)(colon - text.at);
    if (address < text.length) {
        uint64_t port;
        struct tg_slice tail = tg_slice_from(text, address);
        if (tail.at[0] != ':' || !tg_slice_to_u64(tg_slice_from(tail, 1), &port) || port > 65535)
            return false;
    }
    return tg_ip_parse(tg_slice_of(text.at, address), ip);
}

/* The value of a parameter in an element of Forwarded, without quotes; empty where it is missing. */
static struct tg_slice forwarded_parameter(struct tg_slice element, struct tg_slice name)
{
    while (element.length) {
        bool quoted = false;
        size_t end = 0;
        for (; end < element.length && (quoted || element.at[end] != ';'); end++)
            quoted ^= element.at[end] == '"';
        struct tg_slice pair = tg_slice_trim(tg_slice_of(element.at, end));
        if (pair.length > name.length && pair.at[name.length] == '=' &&
            tg_slice_equal_ignoring_case(tg_slice_of(pair.at, name.length), name))
            return unquote(tg_slice_from(pair, name.length + 1));
        element = tg_slice_from(element, end < element.length ? end + 1 : end);
    }
    return (struct tg_slice){ 0 };
}

static void take_scheme(struct tg_slice text, struct tg_client_identity *identity)
{
    if (tg_slice_equal_ignoring_case(text, TG_SLICE("https")))
        identity->scheme = TG_SLICE("https");
    else if (tg_slice_equal_ignoring_case(text, TG_SLICE("http")))
        identity->scheme = TG_SLICE("http");
}

/* From the right: each trusted proxy is believed about the one before it. */
static void walk(const struct hops *hops, bool forwarded, const struct tg_trusted_proxies *trusted,
                 struct tg_client_identity *identity)
{
    size_t seen = hops->count < HOPS_MAX ? hops->count : HOPS_MAX;
    for (size_t i = 1; i <= seen; i++) {
        struct tg_slice member = hops->members[(hops->count - i) % HOPS_MAX];
        struct tg_slice node = forwarded ? forwarded_parameter(member, TG_SLICE("for")) : member;
        struct tg_ip ip;
        if (!parse_node(node, &ip))
            return;
        identity->ip = ip;
        if (forwarded)
            take_scheme(forwarded_parameter(member, TG_SLICE("proto")), identity);
        if (!is_trusted(trusted, &ip))
            return;
    }
}

void tg_client_identify(const struct tg_request_head *head, const struct tg_ip *peer, struct tg_slice scheme,
                        const struct tg_trusted_proxies *trusted, struct tg_client_identity *identity)
{
    *identity = (struct tg_client_identity){ .ip = *peer, .scheme = scheme };
    identity->peer_trusted = trusted && is_trusted(trusted, peer);
    if (!identity->peer_trusted)
        return;
    struct hops hops;
    bool forwarded = !tg_fields_has(&head->fields, TG_FIELD_X_FORWARDED_FOR);
    collect(&head->fields, forwarded ? TG_FIELD_FORWARDED : TG_FIELD_X_FORWARDED_FOR, &hops);
    walk(&hops, forwarded, trusted, identity);
    collect(&head->fields, TG_FIELD_X_FORWARDED_PROTO, &hops);
    if (hops.count)
        take_scheme(hops.members[(hops.count - 1) % HOPS_MAX], identity);
}
