#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "h1_expect.h"

static void feed(enum feed_kind kind, struct tg_slice input, struct tg_text *whole, int line)
{
    struct tg_text other;
    tg_text_init(&other);
    if (!feed_every_way(kind, input, whole, &other))
        fail_msg("line %d: whole it is <%s>, in pieces <%s>", line, whole->at, other.at);
    tg_text_deinit(&other);
}

void expect_refused(enum feed_kind kind, struct tg_slice input, int status, int line)
{
    struct tg_text whole;
    tg_text_init(&whole);
    feed(kind, input, &whole, line);
    char *end = NULL;
    if (strtol(whole.at, &end, 10) != status || *end != ' ' || strchr(end, '\n'))
        fail_msg("line %d: expected %d, but it is <%s>", line, status, whole.at);
    tg_text_deinit(&whole);
}

void expect_taken(enum feed_kind kind, struct tg_slice input, const char *outcome, int line)
{
    struct tg_text whole, second;
    tg_text_init(&whole);
    tg_text_init(&second);
    feed(kind, input, &whole, line);
    if (strcmp(whole.at, outcome) != 0)
        fail_msg("line %d: expected <%s>, but it is <%s>", line, outcome, whole.at);
    if (kind != FEED_CHUNKED) {
        const char *wrong = feed_check_rewrite(kind, input, &whole, &second);
        if (wrong)
            fail_msg("line %d: %s: <%s>, then <%s>", line, wrong, whole.at, second.at);
    }
    tg_text_deinit(&second);
    tg_text_deinit(&whole);
}

struct tg_slice expect_repeat(const char *before, const char *text, size_t count, const char *behind)
{
    size_t length = strlen(text);
    struct tg_text made;
    tg_text_init(&made);
    tg_text_append(&made, tg_slice_from_string(before));
    for (size_t i = 0; i < count; i++)
        tg_text_append(&made, tg_slice_of(text, length));
    tg_text_append(&made, tg_slice_from_string(behind));
    return tg_text_slice(&made);
}
