#include "proxy/router.h"

/* The name of a parameter that the template has at `at`, "*" for an unnamed rest; empty where there is none. Names
 * stand at the start of a segment. *length: bytes of the template it takes. */
static struct tg_slice name_at(struct tg_slice template_text, size_t at, size_t *length)
{
    struct tg_slice text = tg_slice_from(template_text, at);
    bool starts_segment = at > 0 && template_text.at[at - 1] == '/';
    size_t end = 1;
    if (!starts_segment || (text.at[0] != ':' && text.at[0] != '*'))
        return (struct tg_slice){ 0 };
    while (end < text.length && text.at[end] != '/' && text.at[end] != '?' && text.at[end] != '#')
        end++;
    if (text.at[0] == ':' && end == 1)
        return (struct tg_slice){ 0 };
    *length = end;
    return end == 1 ? tg_slice_of(text.at, 1) : tg_slice_of(text.at + 1, end - 1);
}

static bool find_value(const struct tg_route_parameters *parameters, struct tg_slice name, struct tg_slice *value)
{
    for (size_t i = 0; i < parameters->count; i++) {
        if (!tg_slice_equal(parameters->at[i].name, name))
            continue;
        *value = parameters->at[i].value;
        return true;
    }
    return false;
}

/* A rest that begins with a slash, put at the very start, would make "//host" of a path: another site. */
static struct tg_slice without_leading_slashes(struct tg_slice value)
{
    while (value.length > 0 && value.at[0] == '/')
        value = tg_slice_from(value, 1);
    return value;
}

/* One pass of the template: counts, and writes where `to` isn't NULL. */
static bool expand(struct tg_slice template_text, const struct tg_route_parameters *parameters, char *to,
                   size_t *length)
{
    size_t written = 0;
    for (size_t at = 0; at < template_text.length;) {
        size_t taken = 1;
        struct tg_slice name = name_at(template_text, at, &taken);
        struct tg_slice piece = tg_slice_of(template_text.at + at, 1);
        if (name.length > 0 && !find_value(parameters, name, &piece))
            return false;
        if (name.length > 0 && written == 1)
            piece = without_leading_slashes(piece);
        if (to && piece.length > 0)
            memcpy(to + written, piece.at, piece.length);
        written += piece.length;
        at += taken;
    }
    *length = written;
    return true;
}

bool tg_route_expand(struct tg_slice template_text, const struct tg_route_parameters *parameters,
                     struct tg_arena *arena, struct tg_slice *out)
{
    size_t length;
    if (!expand(template_text, parameters, NULL, &length))
        return false;
    char *to = tg_arena_alloc(arena, length + 1);
    if (!to)
        return false;
    if (!expand(template_text, parameters, to, &length))
        return false;
    to[length] = '\0';
    *out = tg_slice_of(to, length);
    return true;
}
