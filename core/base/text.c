#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

enum { FIRST_CAPACITY = 256 };

void tg_text_init(struct tg_text *text)
{
    *text = (struct tg_text){ 0 };
}

void tg_text_deinit(struct tg_text *text)
{
    free(text->at);
    tg_text_init(text);
}

/* Room for `more` bytes and a NUL. */
static bool reserve(struct tg_text *text, size_t more)
{
    if (more < text->capacity - text->length)
        return true;
    if (text->failed || more > SIZE_MAX / 4 || text->length > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t capacity = text->capacity ? text->capacity : FIRST_CAPACITY;
    while (capacity <= text->length + more)
        capacity *= 2;
    char *at = realloc(text->at, capacity);
    if (!at) {
        text->failed = true;
        return false;
    }
    text->at = at;
    text->capacity = capacity;
    return true;
}

void tg_text_append(struct tg_text *text, struct tg_slice bytes)
{
    if (!reserve(text, bytes.length))
        return;
    if (bytes.length > 0)
        memcpy(text->at + text->length, bytes.at, bytes.length);
    text->length += bytes.length;
    text->at[text->length] = '\0';
}

void tg_text_append_u64(struct tg_text *text, uint64_t value)
{
    char digits[20];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    tg_text_append(text, tg_slice_of(digits + first, sizeof(digits) - first));
}

void tg_text_appendf(struct tg_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0)
        text->failed = true;
    else if (reserve(text, (size_t)length)) {
        vsnprintf(text->at + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

static void append_code(struct tg_text *text, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    char code[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
    tg_text_append(text, tg_slice_of(code, sizeof(code)));
}

static void append_escaped(struct tg_text *text, char c)
{
    switch (c) {
    case '"': tg_text_append(text, TG_SLICE("\\\"")); break;
    case '\\': tg_text_append(text, TG_SLICE("\\\\")); break;
    case '\n': tg_text_append(text, TG_SLICE("\\n")); break;
    case '\r': tg_text_append(text, TG_SLICE("\\r")); break;
    case '\t': tg_text_append(text, TG_SLICE("\\t")); break;
    default: append_code(text, (unsigned char)c); break;
    }
}

/* How many bytes at the front stand as they are. */
static size_t plain_length(struct tg_slice value)
{
    size_t length = 0;
    while (length < value.length) {
        unsigned char c = (unsigned char)value.at[length];
        size_t character = c < 0x80 ? 1 : tg_utf8_first(tg_slice_from(value, length));
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F || character == 0)
            break;
        length += character;
    }
    return length;
}

void tg_text_append_json(struct tg_text *text, struct tg_slice value)
{
    tg_text_append(text, TG_SLICE("\""));
    while (value.length > 0) {
        size_t plain = plain_length(value);
        tg_text_append(text, tg_slice_of(value.at, plain));
        value = tg_slice_from(value, plain);
        if (value.length == 0)
            break;
        append_escaped(text, value.at[0]);
        value = tg_slice_from(value, 1);
    }
    tg_text_append(text, TG_SLICE("\""));
}
