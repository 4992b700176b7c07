#include "http/h1_write.h"

enum { NUMBER_MAX = 20 };

/* Enough for a start line beside its variable parts, every framing line, a date and the empty line. */
enum { FIXED_BOUND = 256 };

/* Copies short runs without a call; both ends overlap instead of a loop over the rest. */
static inline char *put(char *to, struct tg_slice bytes)
{
    const char *at = bytes.at;
    size_t length = bytes.length;
    char *end = to + length;
    if (length > 32) {
        memcpy(to, at, length);
    } else if (length >= 16) {
        memcpy(to, at, 16);
        memcpy(end - 16, at + length - 16, 16);
    } else if (length >= 8) {
        memcpy(to, at, 8);
        memcpy(end - 8, at + length - 8, 8);
    } else if (length >= 4) {
        memcpy(to, at, 4);
        memcpy(end - 4, at + length - 4, 4);
    } else if (length) {
        to[0] = at[0];
        to[length / 2] = at[length / 2];
        end[-1] = at[length - 1];
    }
    return end;
}

#define PUT_TEXT(to, literal) ((char *)memcpy((to), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

static char *put_number(char *to, uint64_t value)
{
    char digits[NUMBER_MAX];
    size_t first = NUMBER_MAX;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(to, digits + first, NUMBER_MAX - first);
    return to + NUMBER_MAX - first;
}

static size_t fields_bound(const struct tg_fields *fields)
{
    size_t bound = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        bound += fields->lines[i].name.length + fields->lines[i].value.length + 4;
    return bound;
}

/* NULL where the room up to `end` doesn't suffice. */
static char *put_fields(char *to, const char *end, const struct tg_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (line->removed | line->own)
            continue;
        if ((size_t)(end - to) < line->name.length + line->value.length + 4)
            return NULL;
        to = put(to, line->name);
        to = PUT_TEXT(to, ": ");
        to = put(to, line->value);
        to = PUT_TEXT(to, "\r\n");
    }
    return to;
}

/* The caller has kept FIXED_BOUND and the length of `upgrade` twice. */
static char *put_connection(char *to, const struct tg_h1_framing *framing)
{
    bool upgrade = framing->upgrade.length > 0;
    if (!framing->close && !framing->keep_alive && !upgrade && !framing->te_trailers)
        return to;
    to = PUT_TEXT(to, "connection: ");
    if (framing->close)
        to = PUT_TEXT(to, "close, ");
    if (framing->keep_alive)
        to = PUT_TEXT(to, "keep-alive, ");
    if (upgrade)
        to = PUT_TEXT(to, "upgrade, ");
    if (framing->te_trailers)
        to = PUT_TEXT(to, "te, ");
    to = PUT_TEXT(to - 2, "\r\n");
    if (framing->te_trailers)
        to = PUT_TEXT(to, "te: trailers\r\n");
    if (!upgrade)
        return to;
    to = PUT_TEXT(to, "upgrade: ");
    to = put(to, framing->upgrade);
    return PUT_TEXT(to, "\r\n");
}

static char *put_framing(char *to, const struct tg_h1_framing *framing)
{
    if (framing->framing == TG_FRAMING_CHUNKED) {
        to = PUT_TEXT(to, "transfer-encoding: chunked\r\n");
    } else if (framing->framing == TG_FRAMING_LENGTH || framing->write_length) {
        to = PUT_TEXT(to, "content-length: ");
        to = put_number(to, framing->length);
        to = PUT_TEXT(to, "\r\n");
    }
    to = put_connection(to, framing);
    return PUT_TEXT(to, "\r\n");
}

static struct tg_slice path_of(const struct tg_target *target, bool raw_path)
{
    return raw_path ? target->raw_path : target->path;
}

size_t tg_h1_request_bound(const struct tg_request_head *head, const struct tg_h1_framing *framing)
{
    const struct tg_target *target = &head->target;
    size_t path = target->raw_path.length > target->path.length ? target->raw_path.length : target->path.length;
    return FIXED_BOUND + head->method_text.length + path + target->query.length + head->authority.text.length +
           framing->upgrade.length + fields_bound(&head->fields);
}

size_t tg_h1_write_request(const struct tg_request_head *head, const struct tg_h1_framing *framing, bool raw_path,
                           char *to, size_t capacity)
{
    const struct tg_target *target = &head->target;
    struct tg_slice path = path_of(target, raw_path);
    size_t fixed = FIXED_BOUND + head->method_text.length + path.length + target->query.length +
                   head->authority.text.length + framing->upgrade.length;
    if (capacity < fixed)
        return 0;
    const char *fields_end = to + capacity - (FIXED_BOUND / 2 + framing->upgrade.length);
    char *at = put(to, head->method_text);
    *at++ = ' ';
    at = put(at, path);
    if (target->has_query) {
        *at++ = '?';
        at = put(at, target->query);
    }
    at = PUT_TEXT(at, " HTTP/1.1\r\nhost: ");
    at = put(at, head->authority.text);
    at = PUT_TEXT(at, "\r\n");
    at = put_fields(at, fields_end, &head->fields);
    return at ? (size_t)(put_framing(at, framing) - to) : 0;
}

size_t tg_h1_response_bound(const struct tg_response_head *head, const struct tg_h1_framing *framing)
{
    return FIXED_BOUND + framing->upgrade.length + fields_bound(&head->fields);
}

static char *put_status_line(char *to, int status)
{
    to = PUT_TEXT(to, "HTTP/1.1 ");
    *to++ = (char)('0' + status / 100 % 10);
    *to++ = (char)('0' + status / 10 % 10);
    *to++ = (char)('0' + status % 10);
    *to++ = ' ';
    to = put(to, tg_status_reason(status));
    return PUT_TEXT(to, "\r\n");
}

size_t tg_h1_write_response(const struct tg_response_head *head, const struct tg_h1_framing *framing,
                            struct tg_slice date, char *to, size_t capacity)
{
    if (capacity < FIXED_BOUND + framing->upgrade.length || date.length > 32)
        return 0;
    const char *fields_end = to + capacity - (FIXED_BOUND / 2 + framing->upgrade.length);
    char *at = put_status_line(to, head->status);
    if (head->status >= 200 && !tg_fields_has(&head->fields, TG_FIELD_DATE)) {
        at = PUT_TEXT(at, "date: ");
        at = put(at, date);
        at = PUT_TEXT(at, "\r\n");
    }
    at = put_fields(at, fields_end, &head->fields);
    return at ? (size_t)(put_framing(at, framing) - to) : 0;
}

size_t tg_h1_last_chunk_bound(const struct tg_fields *trailers)
{
    return 5 + (trailers ? fields_bound(trailers) : 0);
}

size_t tg_h1_write_last_chunk(const struct tg_fields *trailers, char *to, size_t capacity)
{
    if (capacity < 5)
        return 0;
    char *at = PUT_TEXT(to, "0\r\n");
    if (trailers)
        at = put_fields(at, to + capacity - 2, trailers);
    return at ? (size_t)(PUT_TEXT(at, "\r\n") - to) : 0;
}
