/* A parser of message heads for the test programs at both ends of the gateway. It takes only the one way of writing
 * that a careful sender uses, and says in words what else it found. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { STRICT_FIELDS = 512 };

struct strict_text {
    const char *at;
    size_t length;
};

struct strict_field {
    struct strict_text name, value;
};

/* The texts point into the parsed bytes. `first` is the request or status line; empty for trailers. */
struct strict_head {
    struct strict_text first;
    struct strict_field fields[STRICT_FIELDS];
    size_t count;
};

static inline bool strict_is_token(struct strict_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte <= 32 || byte >= 127 || strchr("\"(),/:;<=>?@[\\]{}", byte))
            return false;
    }
    return text.length > 0;
}

static inline bool strict_is_value(struct strict_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if ((byte < 32 && byte != '\t') || byte == 127)
            return false;
    }
    const char *blanks = " \t";
    return text.length == 0 || (!strchr(blanks, text.at[0]) && !strchr(blanks, text.at[text.length - 1]));
}

static inline bool strict_equals(struct strict_text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

/* Decimal digits in the canonical form: no sign, no leading zero. */
static inline bool strict_number(struct strict_text text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || *number > UINT64_MAX / 10 - 1)
            return false;
        *number = *number * 10 + (uint64_t)(text.at[i] - '0');
    }
    return text.length > 0 && (text.length == 1 || text.at[0] != '0');
}

static inline const struct strict_field *strict_find(const struct strict_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strict_equals(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

static inline size_t strict_count(const struct strict_head *head, const char *name)
{
    size_t found = 0;
    for (size_t i = 0; i < head->count; i++)
        found += strict_equals(head->fields[i].name, name);
    return found;
}

/* The length of a head with its empty line, 0 while it isn't whole, or -1 where a line ends in a bare LF. `lines` is
 * how many lines come before the empty one at least: 1 for a head, 0 for trailers. */
static inline long strict_head_end(const char *at, size_t length, int lines)
{
    for (size_t i = 0, start = 0; i < length; i++) {
        if (at[i] != '\n')
            continue;
        if (i == 0 || at[i - 1] != '\r')
            return -1;
        if (i - start == 1 && lines-- <= 0)
            return (long)i + 1;
        if (i - start != 1)
            lines--;
        start = i + 1;
    }
    return 0;
}

static inline const char *strict_field_line(struct strict_head *head, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return "a field line without a colon";
    struct strict_field field = { { line, (size_t)(colon - line) },
                                  { colon + 1, length - (size_t)(colon - line) - 1 } };
    if (field.value.length > 0 && *field.value.at == ' ') {
        field.value.at++;
        field.value.length--;
    }
    if (!strict_is_token(field.name))
        return "a field name that is no token";
    if (!strict_is_value(field.value))
        return "an illegal byte or blanks around a field value";
    if (head->count == STRICT_FIELDS)
        return "more fields than a test needs";
    head->fields[head->count++] = field;
    return NULL;
}

/* NULL, or what is wrong. `length` includes the empty line. */
static inline const char *strict_head_parse(struct strict_head *head, const char *at, size_t length, bool trailers)
{
    head->count = 0;
    head->first = (struct strict_text){ at, 0 };
    bool first = !trailers;
    for (const char *line = at, *end; line < at + length; line = end + 2) {
        end = memmem(line, (size_t)(at + length - line), "\r\n", 2);
        size_t size = (size_t)(end - line);
        if (memchr(line, '\r', size) || memchr(line, '\n', size) || memchr(line, 0, size))
            return "CR, LF or NUL inside a line";
        if (first)
            head->first = (struct strict_text){ line, size };
        else if (size > 0) {
            const char *wrong = strict_field_line(head, line, size);
            if (wrong)
                return wrong;
        }
        first = false;
    }
    return NULL;
}

/* How a body is framed by its head. */
struct strict_framing {
    bool chunked, has_length;
    uint64_t length;
};

static inline const char *strict_framing_of(const struct strict_head *head, struct strict_framing *framing)
{
    *framing = (struct strict_framing){ 0 };
    const struct strict_field *length = strict_find(head, "content-length");
    const struct strict_field *coding = strict_find(head, "transfer-encoding");
    if (strict_count(head, "content-length") > 1 || strict_count(head, "transfer-encoding") > 1)
        return "a framing field twice";
    if (length && coding)
        return "both Content-Length and Transfer-Encoding";
    if (coding && !(coding->value.length == 7 && memcmp(coding->value.at, "chunked", 7) == 0))
        return "a Transfer-Encoding other than chunked";
    if (length && !strict_number(length->value, &framing->length))
        return "a Content-Length that is no canonical number";
    framing->chunked = coding != NULL;
    framing->has_length = length != NULL;
    return NULL;
}

/* A body being read in chunks, or by length. */
enum strict_step { STRICT_SIZE_LINE, STRICT_DATA, STRICT_DATA_END, STRICT_TRAILERS, STRICT_DONE };

struct strict_body {
    enum strict_step step;
    bool chunked;
    uint64_t left;
};

static inline void strict_body_begin(struct strict_body *body, struct strict_framing framing)
{
    body->chunked = framing.chunked;
    body->left = framing.length;
    body->step = framing.chunked ? STRICT_SIZE_LINE : framing.length > 0 ? STRICT_DATA : STRICT_DONE;
}

/* Reads a size line at `at`: its length, 0 while it isn't whole, -1 where it isn't canonical. */
static inline long strict_size_line(struct strict_body *body, const char *at, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    size_t digits = 0;
    uint64_t size = 0;
    for (; digits < length && digits < 17; digits++) {
        const char *found = memchr(hex, at[digits] | 0x20, 16);
        if (!found || at[digits] < '0')
            break;
        size = size * 16 + (uint64_t)(found - hex);
    }
    if (digits == 17 || (digits > 1 && at[0] == '0'))
        return -1;
    if (digits + 2 > length)
        return digits == length || (digits > 0 && at[digits] == '\r') ? 0 : -1;
    if (digits == 0 || at[digits] != '\r' || at[digits + 1] != '\n')
        return -1;
    body->left = size;
    body->step = size > 0 ? STRICT_DATA : STRICT_TRAILERS;
    return (long)digits + 2;
}
