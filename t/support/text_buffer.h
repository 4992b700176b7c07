/* A growing run of bytes for the test programs. */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text_buffer {
    char *at;
    size_t start, end, room; /* the bytes are at[start] to at[end - 1] */
};

static inline size_t text_length(const struct text_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline char *text_reserve(struct text_buffer *buffer, size_t length)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->end + length > buffer->room) {
        buffer->room = buffer->end * 2 + length;
        buffer->at = realloc(buffer->at, buffer->room);
        if (!buffer->at)
            abort();
    }
    return buffer->at + buffer->end;
}

static inline void text_add(struct text_buffer *buffer, const char *at, size_t length)
{
    if (length > 0)
        memcpy(text_reserve(buffer, length), at, length);
    buffer->end += length;
}

__attribute__((format(printf, 2, 3))) static inline void text_print(struct text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *to = text_reserve(buffer, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(to, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->end += (size_t)length;
}

/* As a JSON string; bytes from 128 up become the code points of the same number. */
static inline void text_add_json(struct text_buffer *buffer, const char *at, size_t length)
{
    text_add(buffer, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)at[i];
        if (byte < 32 || byte > 126 || byte == '"' || byte == '\\')
            text_print(buffer, "\\u%04x", byte);
        else
            text_add(buffer, at + i, 1);
    }
    text_add(buffer, "\"", 1);
}

static inline void text_free(struct text_buffer *buffer)
{
    free(buffer->at);
    *buffer = (struct text_buffer){ 0 };
}
