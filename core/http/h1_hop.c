/* Fields that belong to one connection (RFC 9110 7.6.1). A client must not be able to take framing, routing or
 * identity away from a message by naming such fields in Connection. */
#include "http/byte_class.h"
#include "http/h1_lines.h"

static bool has_prefix(struct tg_slice name, struct tg_slice prefix)
{
    return name.length >= prefix.length && tg_slice_equal_ignoring_case(tg_slice_of(name.at, prefix.length), prefix);
}

/* Known names are end-to-end, but for these; of the others the families below are. */
static bool may_be_listed(enum tg_field_name token, struct tg_slice name)
{
    static const char *const families[] = { "content-", "x-forwarded-", "sec-", "access-control-", "if-", "proxy-" };
    if (token != TG_FIELD_OTHER)
        return token == TG_FIELD_TRAILER || token == TG_FIELD_X_ARM;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (has_prefix(name, tg_slice_from_string(families[i])))
            return false;
    return true;
}

static void take_option(struct tg_fields *fields, struct tg_h1_hop *hop, struct tg_slice option)
{
    enum tg_field_name token = tg_field_name_of(option);
    if (token == TG_FIELD_KEEP_ALIVE)
        hop->keep_alive = true;
    else if (token == TG_FIELD_UPGRADE)
        hop->upgrade = true;
    else if (tg_slice_equal_ignoring_case(option, TG_SLICE("close")))
        hop->close = true;
    else if (option.length && may_be_listed(token, option))
        tg_fields_remove(fields, token, option);
}

/* Most often there is one option alone. */
static bool take_single_option(struct tg_h1_hop *hop, struct tg_slice value)
{
    if (value.length == 5 && tg_slice_equal_ignoring_case(value, TG_SLICE("close")))
        return hop->close = true;
    if (value.length == 10 && tg_field_name_of(value) == TG_FIELD_KEEP_ALIVE)
        return hop->keep_alive = true;
    return false;
}

static void take_connection(struct tg_fields *fields, struct tg_h1_hop *hop)
{
    struct tg_slice none = { 0 };
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_CONNECTION, none);
    for (; line; line = tg_fields_find_next(fields, line)) {
        struct tg_slice rest = line->value, option;
        if (take_single_option(hop, rest))
            continue;
        while (tg_list_next(&rest, &option))
            take_option(fields, hop, option);
    }
}

static void take_te(struct tg_fields *fields, struct tg_h1_hop *hop)
{
    struct tg_slice none = { 0 };
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_TE, none);
    for (; line; line = tg_fields_find_next(fields, line)) {
        struct tg_slice rest = line->value, member;
        while (tg_list_next(&rest, &member))
            if (tg_slice_equal_ignoring_case(member, TG_SLICE("trailers")))
                hop->te_trailers = true;
    }
    tg_fields_remove(fields, TG_FIELD_TE, none);
}

/* "name" or "name/version", both tokens (RFC 9110 7.8). */
static bool is_protocol(struct tg_slice text)
{
    const char *slash = text.length ? memchr(text.at, '/', text.length) : NULL;
    if (!slash)
        return tg_field_name_valid(text);
    size_t length = (size_t)(slash - text.at);
    return tg_field_name_valid(tg_slice_of(text.at, length)) && tg_field_name_valid(tg_slice_from(text, length + 1));
}

void tg_h1_take_hop(struct tg_fields *fields, struct tg_h1_hop *hop)
{
    const uint64_t concerned = 1ull << TG_FIELD_CONNECTION | 1ull << TG_FIELD_TE | 1ull << TG_FIELD_KEEP_ALIVE |
                               1ull << TG_FIELD_PROXY_CONNECTION | 1ull << TG_FIELD_UPGRADE |
                               1ull << TG_FIELD_HTTP2_SETTINGS;
    struct tg_slice none = { 0 };
    *hop = (struct tg_h1_hop){ 0 };
    if (!(fields->present[0] & concerned))
        return;
    take_connection(fields, hop);
    if (!(fields->present[0] & concerned & ~(1ull << TG_FIELD_CONNECTION)))
        return;
    take_te(fields, hop);
    tg_fields_remove(fields, TG_FIELD_KEEP_ALIVE, none);
    tg_fields_remove(fields, TG_FIELD_PROXY_CONNECTION, none);
    tg_fields_remove(fields, TG_FIELD_HTTP2_SETTINGS, none);
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_UPGRADE, none);
    if (line && !tg_fields_find_next(fields, line) && is_protocol(line->value))
        hop->protocol = line->value;
}

bool tg_h1_take_upgrade(struct tg_fields *fields, const struct tg_h1_hop *hop, struct tg_slice *upgrade)
{
    struct tg_slice none = { 0 };
    *upgrade = none;
    bool taken = hop->upgrade && hop->protocol.length && !has_prefix(hop->protocol, TG_SLICE("h2c"));
    if (!taken) {
        tg_fields_remove(fields, TG_FIELD_UPGRADE, none);
        return true;
    }
    char *text = tg_arena_alloc(fields->arena, hop->protocol.length);
    if (!text)
        return false;
    for (size_t i = 0; i < hop->protocol.length; i++)
        text[i] = (char)tg_ascii_lower((unsigned char)hop->protocol.at[i]);
    *upgrade = tg_slice_of(text, hop->protocol.length);
    return true;
}

bool tg_h1_trailer_allowed(const struct tg_field *field)
{
    static const char *const families[] = { "content-", "x-forwarded-", "if-", "proxy-", "sec-", "access-control-" };
    static const char *const digests[] = { "content-digest", "content-md5" };
    static const char *const singles[] = {
        "max-forwards", "warning", "forwarded", "x-real-ip", "x-request-id", "host"
    };
    if (field->token != TG_FIELD_OTHER)
        return field->token == TG_FIELD_ETAG || field->token == TG_FIELD_LINK;
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        if (tg_slice_equal_ignoring_case(field->name, tg_slice_from_string(digests[i])))
            return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct tg_slice family = tg_slice_from_string(families[i]);
        if (field->name.length >= family.length &&
            tg_field_name_near(tg_slice_of(field->name.at, family.length), family))
            return false;
    }
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        if (tg_field_name_near(field->name, tg_slice_from_string(singles[i])))
            return false;
    return true;
}
