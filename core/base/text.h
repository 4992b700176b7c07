/* Text that grows: for log lines, JSON and messages. On malloc, kept by its owner and reused; belongs to one thread. */
#ifndef TG_BASE_TEXT_H
#define TG_BASE_TEXT_H

#include "base/slice.h"

struct tg_text {
    char *at; /* NULL while empty; always NUL-terminated otherwise */
    size_t length, capacity;
    bool failed; /* an append ran out of memory: the text is not whole */
};

void tg_text_init(struct tg_text *text);
void tg_text_deinit(struct tg_text *text);
static inline void tg_text_clear(struct tg_text *text)
{
    text->length = 0;
    text->failed = false;
}
void tg_text_append(struct tg_text *text, struct tg_slice bytes);
void tg_text_append_u64(struct tg_text *text, uint64_t value);
void tg_text_appendf(struct tg_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes: control characters, quotes and backslash escaped, bytes that aren't UTF-8 as \u00XX.
 */
void tg_text_append_json(struct tg_text *text, struct tg_slice value);
static inline struct tg_slice tg_text_slice(const struct tg_text *text)
{
    return (struct tg_slice){ text->at, text->length };
}

#endif
