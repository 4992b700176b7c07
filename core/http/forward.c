#include "http/forward.h"

enum { ADDRESS_MAX = 46, PORT_MAX = 5 };

/* Bytes being written into room that was measured before. */
struct text {
    char *at;
    size_t length;
};

static void put(struct text *text, struct tg_slice bytes)
{
    if (bytes.length)
        memcpy(text->at + text->length, bytes.at, bytes.length);
    text->length += bytes.length;
}

static bool start_text(struct text *text, struct tg_arena *arena, size_t capacity)
{
    *text = (struct text){ .at = tg_arena_alloc(arena, capacity) };
    return text->at != NULL;
}

static struct tg_slice slice_of(const struct text *text)
{
    return tg_slice_of(text->at, text->length);
}

/* What the family is made of. */
struct facts {
    struct tg_fields *fields;
    const struct tg_fields *received;
    struct tg_slice host, port;   /* empty: none */
    struct tg_slice client, peer; /* addresses as text */
    struct tg_slice scheme;
    struct tg_slice for_received, forwarded_received; /* what a trusted peer said, to be continued; or empty */
    bool trusted;
};

static bool in_set(enum tg_field_name token, uint64_t set)
{
    return token < 64 && set >> token & 1;
}

/* Of a name that isn't known: does it belong to the family in another spelling? *exact: with dashes. */
static bool is_unknown_member(struct tg_slice name, bool *exact)
{
    static const struct tg_slice prefix = { "x-forwarded-", 12 };
    char initial = (char)(name.at[0] | 0x20);
    if (initial != 'x' && initial != 'f')
        return false;
    *exact = !memchr(name.at, '_', name.length) && !memchr(name.at, '.', name.length);
    return tg_field_name_near(name, TG_SLICE("forwarded")) || tg_field_name_near(name, TG_SLICE("x-real-ip")) ||
           tg_field_name_near(name, TG_SLICE("x-forwarded")) ||
           (name.length > prefix.length && tg_field_name_near(tg_slice_of(name.at, prefix.length), prefix));
}

/* The lines we set anew go always, the rest of the family and its near-names as far as the peer isn't believed. */
static void remove_family(struct tg_fields *fields, bool trusted)
{
    const uint64_t replaced = 1ull << TG_FIELD_X_FORWARDED_FOR | 1ull << TG_FIELD_X_FORWARDED_PROTO |
                              1ull << TG_FIELD_X_FORWARDED_HOST | 1ull << TG_FIELD_X_FORWARDED_PORT |
                              1ull << TG_FIELD_X_REAL_IP | 1ull << TG_FIELD_FORWARDED;
    const uint64_t believed = 1ull << TG_FIELD_X_FORWARDED_PREFIX | 1ull << TG_FIELD_X_FORWARDED_URI |
                              1ull << TG_FIELD_X_FORWARDED_METHOD | 1ull << TG_FIELD_X_FORWARDED_SERVER;
    const uint64_t gone = trusted ? replaced : replaced | believed;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct tg_field *line = &fields->lines[i];
        bool exact = false;
        if (line->token == TG_FIELD_OTHER && is_unknown_member(line->name, &exact))
            line->removed |= !exact || !trusted;
        else if (in_set(line->token, gone))
            line->removed = true;
    }
    fields->present[0] &= ~gone;
    fields->repeated[0] &= ~gone;
}

/* The only line of that name, or empty. */
static struct tg_slice only_value(const struct tg_fields *fields, enum tg_field_name token)
{
    const struct tg_field *line = tg_fields_find(fields, token, (struct tg_slice){ 0 });
    return line && !tg_fields_find_next(fields, line) ? line->value : (struct tg_slice){ 0 };
}

/* All lines of that name as one list, as it came. */
static bool join(const struct tg_fields *fields, enum tg_field_name token, struct tg_arena *arena,
                 struct tg_slice *joined)
{
    struct tg_slice none = { 0 };
    const struct tg_field *first = tg_fields_find(fields, token, none), *line;
    size_t length = 0;
    struct text text;
    *joined = first ? first->value : none;
    if (!first || !tg_fields_find_next(fields, first))
        return true;
    for (line = first; line; line = tg_fields_find_next(fields, line))
        length += line->value.length + 2;
    if (!start_text(&text, arena, length))
        return false;
    for (line = first; line; line = tg_fields_find_next(fields, line)) {
        if (line != first)
            put(&text, TG_SLICE(", "));
        put(&text, line->value);
    }
    *joined = slice_of(&text);
    return true;
}

/* What a trusted peer says of host and port is kept where it is well-formed. */
static bool believe_peer(struct facts *facts, struct tg_arena *arena)
{
    struct tg_slice host = only_value(facts->received, TG_FIELD_X_FORWARDED_HOST);
    struct tg_slice port = only_value(facts->received, TG_FIELD_X_FORWARDED_PORT);
    struct tg_authority authority;
    const char *problem;
    uint64_t number;
    if (host.length && tg_authority_parse_with(host, 0, arena, &authority, &problem))
        facts->host = authority.text;
    if (tg_slice_to_u64(port, &number) && number > 0 && number < 65536 && port.length <= PORT_MAX)
        facts->port = port;
    return join(facts->received, TG_FIELD_X_FORWARDED_FOR, arena, &facts->for_received) &&
           join(facts->received, TG_FIELD_FORWARDED, arena, &facts->forwarded_received);
}

static bool has_own_client(const struct facts *facts)
{
    return !tg_slice_equal(facts->client, facts->peer);
}

static bool set_for(const struct facts *facts)
{
    struct text text;
    if (!facts->for_received.length && !has_own_client(facts))
        return tg_fields_append(facts->fields, TG_FIELD_X_FORWARDED_FOR, TG_SLICE("x-forwarded-for"), facts->peer);
    if (!start_text(&text, facts->fields->arena, facts->for_received.length + 2 * ADDRESS_MAX + 4))
        return false;
    if (facts->for_received.length) {
        put(&text, facts->for_received);
        put(&text, TG_SLICE(", "));
    } else {
        put(&text, facts->client);
        put(&text, TG_SLICE(", "));
    }
    put(&text, facts->peer);
    return tg_fields_append(facts->fields, TG_FIELD_X_FORWARDED_FOR, TG_SLICE("x-forwarded-for"), slice_of(&text));
}

/* "for=192.0.2.1" or "for=\"[2001:db8::1]\"" (RFC 7239 6). */
static void put_node(struct text *text, struct tg_slice address)
{
    bool ipv6 = memchr(address.at, ':', address.length) != NULL;
    put(text, ipv6 ? TG_SLICE("for=\"[") : TG_SLICE("for="));
    put(text, address);
    if (ipv6)
        put(text, TG_SLICE("]\""));
}

static bool set_forwarded(const struct facts *facts)
{
    struct text text;
    size_t capacity = facts->forwarded_received.length + facts->host.length + 2 * ADDRESS_MAX + 64;
    if (!start_text(&text, facts->fields->arena, capacity))
        return false;
    if (facts->forwarded_received.length) {
        put(&text, facts->forwarded_received);
    } else {
        put_node(&text, facts->client);
        if (facts->host.length) {
            put(&text, TG_SLICE(";host=\""));
            put(&text, facts->host);
            put(&text, TG_SLICE("\""));
        }
        put(&text, TG_SLICE(";proto="));
        put(&text, facts->scheme);
    }
    if (facts->forwarded_received.length || has_own_client(facts)) {
        put(&text, TG_SLICE(", "));
        put_node(&text, facts->peer);
    }
    return tg_fields_append(facts->fields, TG_FIELD_FORWARDED, TG_SLICE("forwarded"), slice_of(&text));
}

static bool set_rest(const struct facts *facts)
{
    struct tg_fields *fields = facts->fields;
    if (facts->host.length &&
        !tg_fields_append(fields, TG_FIELD_X_FORWARDED_HOST, TG_SLICE("x-forwarded-host"), facts->host))
        return false;
    return tg_fields_append(fields, TG_FIELD_X_FORWARDED_PROTO, TG_SLICE("x-forwarded-proto"), facts->scheme) &&
           tg_fields_append(fields, TG_FIELD_X_FORWARDED_PORT, TG_SLICE("x-forwarded-port"), facts->port) &&
           tg_fields_append(fields, TG_FIELD_X_REAL_IP, TG_SLICE("x-real-ip"), facts->client);
}

static struct tg_slice port_text(char *out, unsigned port)
{
    size_t at = PORT_MAX;
    do {
        out[--at] = (char)('0' + port % 10);
        port /= 10;
    } while (port);
    return tg_slice_of(out + at, PORT_MAX - at);
}

bool tg_forward_set(struct tg_fields *fields, const struct tg_request_head *received, const struct tg_ip *peer,
                    const struct tg_client_identity *identity, uint16_t listener_port)
{
    char *space = tg_arena_alloc(fields->arena, 2 * ADDRESS_MAX + PORT_MAX);
    if (!space)
        return false;
    struct facts facts = { .fields = fields, .received = &received->fields };
    facts.trusted = identity->peer_trusted;
    facts.client = tg_slice_of(space, tg_ip_format(&identity->ip, space));
    facts.peer = facts.client;
    if (memcmp(peer, &identity->ip, sizeof *peer) != 0)
        facts.peer = tg_slice_of(space + ADDRESS_MAX, tg_ip_format(peer, space + ADDRESS_MAX));
    facts.scheme = identity->scheme;
    facts.host = received->authority.text;
    facts.port = port_text(space + 2 * ADDRESS_MAX, listener_port);
    if (facts.trusted && !believe_peer(&facts, fields->arena))
        return false;
    remove_family(fields, facts.trusted);
    return set_for(&facts) && set_rest(&facts) && set_forwarded(&facts);
}
