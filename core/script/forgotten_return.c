#include "script/forgotten_return.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1024 * 1024 };

static const struct tg_slice decisions[] = { TG_SLICE(":respond"), TG_SLICE(":redirect"), TG_SLICE(":reroute") };

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static bool ends_with(struct tg_slice text, struct tg_slice end)
{
    return text.length >= end.length && memcmp(text.at + text.length - end.length, end.at, end.length) == 0;
}

/* What may stand before a statement in its line: nothing, a word that opens a block, the head of a function. */
static bool opens_statement(struct tg_slice before)
{
    static const struct tg_slice openers[] = { TG_SLICE("then"), TG_SLICE("else"), TG_SLICE("do"), TG_SLICE(")"),
                                               TG_SLICE(";") };
    before = tg_slice_trim(before);
    if (before.length == 0)
        return true;
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
        if (ends_with(before, openers[i]))
            return !memmem(before.at, before.length, "--", 2);
    }
    return false;
}

/* The call in this line, or NULL: where its ':' is. */
static const char *find_statement(struct tg_slice line)
{
    for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
        const char *at = memmem(line.at, line.length, decisions[i].at, decisions[i].length);
        size_t after = at ? (size_t)(at - line.at) + decisions[i].length : 0;
        if (!at || (after < line.length && is_word(line.at[after])))
            continue;
        const char *object = at;
        while (object > line.at && is_word(object[-1]))
            object--;
        if (object < at && opens_statement(tg_slice_of(line.at, (size_t)(object - line.at))))
            return at;
    }
    return NULL;
}

static struct tg_slice next_line(struct tg_slice *rest)
{
    const char *end = rest->length ? memchr(rest->at, '\n', rest->length) : NULL;
    size_t length = end ? (size_t)(end - rest->at) : rest->length;
    struct tg_slice line = tg_slice_of(rest->at, length);
    *rest = tg_slice_from(*rest, end ? length + 1 : length);
    return line;
}

static bool says_return(struct tg_slice line)
{
    return memmem(line.at, line.length, "return", 6) != NULL;
}

static void warn(struct tg_text *warnings, struct tg_slice name, size_t number, const char *colon)
{
    int length = 1;
    while (is_word(colon[length]))
        length++;
    tg_text_append(warnings, name);
    tg_text_appendf(warnings, ":%zu: %.*s without return: the answer stands, but the rest of the function still runs\n",
                    number, length - 1, colon + 1);
}

void tg_forgotten_return_find(struct tg_slice text, struct tg_slice name, struct tg_text *warnings)
{
    for (size_t number = 1; text.length > 0; number++) {
        struct tg_slice line = next_line(&text);
        const char *colon = line.length ? find_statement(line) : NULL;
        struct tg_slice peek = text;
        if (colon && !says_return(line) && !says_return(next_line(&peek)))
            warn(warnings, name, number, colon);
    }
}

void tg_forgotten_return_find_in_file(struct tg_slice path, struct tg_text *warnings)
{
    char *name = tg_slice_to_string(path), *text = malloc(FILE_MAX);
    FILE *file = name && text && ends_with(path, TG_SLICE(".lua")) ? fopen(name, "re") : NULL;
    if (file) {
        tg_forgotten_return_find(tg_slice_of(text, fread(text, 1, FILE_MAX, file)), path, warnings);
        fclose(file);
    }
    free(text);
    free(name);
}
