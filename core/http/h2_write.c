/* Heads and trailers to the lines that the codec encodes. */
#include "http/h2_head.h"

enum { NUMBER_MAX = 20, EXTRA_LINES = 8, SHORT_COOKIE = 20 };

static void put(struct tg_h2_lines *lines, struct tg_slice name, struct tg_slice value, unsigned flags)
{
    /* The codec doesn't write through these, though it says so. */
    nghttp2_nv *line = &lines->at[lines->count++];
    line->name = (uint8_t *)(uintptr_t)(name.at ? name.at : "");
    line->namelen = name.length;
    line->value = (uint8_t *)(uintptr_t)(value.at ? value.at : "");
    line->valuelen = value.length;
    line->flags = (uint8_t)flags;
}

/* `name` is static. */
static void put_static(struct tg_h2_lines *lines, const char *name, struct tg_slice value)
{
    put(lines, tg_slice_from_string(name), value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

static bool begin(const struct tg_fields *fields, struct tg_arena *arena, struct tg_h2_lines *lines)
{
    size_t most = EXTRA_LINES + (fields ? fields->count : 0);
    *lines = (struct tg_h2_lines){ tg_arena_alloc(arena, most * sizeof *lines->at), 0 };
    return lines->at != NULL;
}

/* Values that are another in each message would fill the peer's table and gain nothing. */
static bool is_new_each_time(const struct tg_field *field)
{
    switch (field->token) {
    case TG_FIELD_X_REQUEST_ID:
    case TG_FIELD_X_FORWARDED_FOR:
    case TG_FIELD_X_REAL_IP:
    case TG_FIELD_FORWARDED: return true;
    case TG_FIELD_OTHER:
        return tg_slice_equal_ignoring_case(field->name, TG_SLICE("traceparent")) ||
               tg_slice_equal_ignoring_case(field->name, TG_SLICE("grpc-timeout"));
    default: return false;
    }
}

/* What could be guessed byte by byte from the size of what is sent (RFC 7541 7.1.3). */
static bool is_secret(const struct tg_field *field)
{
    switch (field->token) {
    case TG_FIELD_AUTHORIZATION:
    case TG_FIELD_PROXY_AUTHORIZATION: return true;
    case TG_FIELD_COOKIE: return field->value.length < SHORT_COOKIE;
    default: return false;
    }
}

static bool lower(struct tg_slice *name, struct tg_arena *arena)
{
    size_t i = 0;
    while (i < name->length && (unsigned char)(name->at[i] - 'A') >= 26)
        i++;
    if (i == name->length)
        return true;
    char *text = tg_arena_alloc(arena, name->length);
    if (!text)
        return false;
    for (i = 0; i < name->length; i++)
        text[i] = (char)tg_ascii_lower((unsigned char)name->at[i]);
    name->at = text;
    return true;
}

static bool put_field(struct tg_h2_lines *lines, const struct tg_field *field, struct tg_arena *arena)
{
    bool quiet = is_secret(field) || is_new_each_time(field) || field->sensitive;
    unsigned flags = quiet ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    if (field->token != TG_FIELD_OTHER) {
        put(lines, tg_field_name_text(field->token), field->value, flags | NGHTTP2_NV_FLAG_NO_COPY_NAME);
        return true;
    }
    struct tg_slice name = field->name;
    if (!lower(&name, arena))
        return false;
    put(lines, name, field->value, flags);
    return true;
}

static bool put_fields(struct tg_h2_lines *lines, const struct tg_fields *fields, bool of_upgrade_too,
                       struct tg_arena *arena)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tg_field *field = &fields->lines[i];
        bool of_upgrade = field->token == TG_FIELD_SEC_WEBSOCKET_KEY || field->token == TG_FIELD_SEC_WEBSOCKET_ACCEPT;
        if (field->removed || field->own || (of_upgrade && !of_upgrade_too))
            continue;
        if (!put_field(lines, field, arena))
            return false;
    }
    return true;
}

static bool put_length(struct tg_h2_lines *lines, uint64_t length, struct tg_arena *arena)
{
    char *digits = tg_arena_alloc(arena, NUMBER_MAX);
    size_t first = NUMBER_MAX;
    if (!digits)
        return false;
    do {
        digits[--first] = (char)('0' + length % 10);
        length /= 10;
    } while (length);
    put_static(lines, "content-length", tg_slice_of(digits + first, NUMBER_MAX - first));
    return true;
}

static bool put_status(struct tg_h2_lines *lines, int status, struct tg_arena *arena)
{
    char *digits = tg_arena_alloc(arena, 3);
    if (!digits)
        return false;
    digits[0] = (char)('0' + status / 100 % 10);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    put_static(lines, ":status", tg_slice_of(digits, 3));
    return true;
}

bool tg_h2_write_response(const struct tg_response_head *head, bool write_length, struct tg_slice date,
                          struct tg_arena *arena, struct tg_h2_lines *lines)
{
    bool tunnel = head->status == 101;
    if (!begin(&head->fields, arena, lines) || !put_status(lines, tunnel ? 200 : head->status, arena) ||
        !put_fields(lines, &head->fields, !tunnel, arena))
        return false;
    if ((tunnel || head->status >= 200) && !tg_fields_has(&head->fields, TG_FIELD_DATE))
        put_static(lines, "date", date);
    return !write_length || put_length(lines, head->content_length, arena);
}

static bool put_path(struct tg_h2_lines *lines, const struct tg_target *target, bool raw_path, struct tg_arena *arena)
{
    struct tg_slice path = raw_path ? target->raw_path : target->path;
    if (target->has_query) {
        size_t length = path.length + 1 + target->query.length;
        char *text = tg_arena_alloc(arena, length);
        if (!text)
            return false;
        memcpy(text, path.at, path.length);
        text[path.length] = '?';
        if (target->query.length)
            memcpy(text + path.length + 1, target->query.at, target->query.length);
        path = tg_slice_of(text, length);
    }
    put_static(lines, ":path", path);
    return true;
}

bool tg_h2_write_request(const struct tg_request_head *head, const struct tg_h2_request_writing *writing,
                         struct tg_arena *arena, struct tg_h2_lines *lines)
{
    bool tunnel = head->upgrade.length > 0;
    if (!begin(&head->fields, arena, lines))
        return false;
    put_static(lines, ":method", tunnel ? TG_SLICE("CONNECT") : head->method_text);
    if (tunnel)
        put_static(lines, ":protocol", head->upgrade);
    put_static(lines, ":scheme", writing->scheme);
    put_static(lines, ":authority", head->authority.text);
    if (!put_path(lines, &head->target, writing->raw_path, arena) || !put_fields(lines, &head->fields, !tunnel, arena))
        return false;
    if (writing->te_trailers)
        put_static(lines, "te", TG_SLICE("trailers"));
    return !writing->write_length || put_length(lines, head->content_length, arena);
}

bool tg_h2_write_trailers(const struct tg_fields *fields, struct tg_arena *arena, struct tg_h2_lines *lines)
{
    return begin(fields, arena, lines) && (!fields || put_fields(lines, fields, true, arena));
}
