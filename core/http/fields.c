#include "http/fields.h"

#include "http/byte_class.h"
#include "http/problem.h"

enum { FIRST_CAPACITY = 24 };

void tg_fields_init(struct tg_fields *fields, struct tg_arena *arena)
{
    *fields = (struct tg_fields){ .arena = arena };
}

static bool grow(struct tg_fields *fields)
{
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIRST_CAPACITY;
    struct tg_field *lines = tg_arena_alloc(fields->arena, capacity * sizeof *lines);
    if (!lines)
        return false;
    if (fields->count)
        memcpy(lines, fields->lines, fields->count * sizeof *lines);
    fields->lines = lines;
    fields->capacity = capacity;
    return true;
}

static const bool of_hop[TG_FIELD_NAME_COUNT] = {
    [TG_FIELD_HOST] = true,       [TG_FIELD_CONNECTION] = true,
    [TG_FIELD_KEEP_ALIVE] = true, [TG_FIELD_CONTENT_LENGTH] = true,
    [TG_FIELD_UPGRADE] = true,    [TG_FIELD_TRANSFER_ENCODING] = true,
    [TG_FIELD_TE] = true,         [TG_FIELD_PROXY_CONNECTION] = true,
};

/* Apart, so that the usual case needs no registers saved. */
static __attribute__((noinline)) bool append_growing(struct tg_fields *fields, enum tg_field_name token,
                                                     struct tg_slice name, struct tg_slice value)
{
    return grow(fields) && tg_fields_append(fields, token, name, value);
}

bool tg_fields_append(struct tg_fields *fields, enum tg_field_name token, struct tg_slice name, struct tg_slice value)
{
    if (fields->count == fields->capacity)
        return append_growing(fields, token, name, value);
    struct tg_field *line = &fields->lines[fields->count++];
    line->name = name;
    line->value = value;
    line->token = (uint16_t)token;
    line->removed = false;
    line->own = of_hop[token];
    line->sensitive = false;
    uint64_t bit = 1ull << token % 64;
    fields->repeated[token / 64] |= fields->present[token / 64] & bit;
    fields->present[token / 64] |= bit;
    return true;
}

bool tg_field_line_valid(struct tg_slice name, struct tg_slice value, const char **problem)
{
    *problem = NULL;
    if (!tg_field_name_valid(name))
        *problem = "not a field name";
    else if (tg_field_name_near_framing(name))
        *problem = "a field name that some servers take for content-length or transfer-encoding";
    else if (!tg_field_value_valid(value))
        *problem = "a field value with a control character, or a blank at its end";
    return *problem == NULL;
}

static bool add_copy(struct tg_fields *fields, struct tg_slice name, struct tg_slice value, const char **problem)
{
    struct tg_slice name_copy = tg_arena_copy(fields->arena, name);
    struct tg_slice value_copy = tg_arena_copy(fields->arena, value);
    if (name_copy.at && value_copy.at && tg_fields_append(fields, tg_field_name_of(name), name_copy, value_copy))
        return true;
    *problem = tg_problem_memory;
    return false;
}

bool tg_fields_add(struct tg_fields *fields, struct tg_slice name, struct tg_slice value, const char **problem)
{
    return tg_field_line_valid(name, value, problem) && add_copy(fields, name, value, problem);
}

bool tg_fields_set(struct tg_fields *fields, struct tg_slice name, struct tg_slice value, const char **problem)
{
    if (!tg_field_line_valid(name, value, problem))
        return false;
    tg_fields_remove(fields, tg_field_name_of(name), name);
    return add_copy(fields, name, value, problem);
}

bool tg_field_is(const struct tg_field *field, enum tg_field_name token, struct tg_slice name)
{
    return field->token == token && (token != TG_FIELD_OTHER || tg_slice_equal_ignoring_case(field->name, name));
}

size_t tg_fields_remove(struct tg_fields *fields, enum tg_field_name token, struct tg_slice name)
{
    size_t removed = 0;
    if (!(fields->present[token / 64] >> token % 64 & 1))
        return 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct tg_field *line = &fields->lines[i];
        if (line->removed || !tg_field_is(line, token, name))
            continue;
        line->removed = true;
        removed++;
    }
    if (token != TG_FIELD_OTHER) {
        fields->present[token / 64] &= ~(1ull << token % 64);
        fields->repeated[token / 64] &= ~(1ull << token % 64);
    }
    return removed;
}

void tg_fields_clear(struct tg_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (!fields->lines[i].own)
            fields->lines[i].removed = true;
}

static const struct tg_field *find_from(const struct tg_fields *fields, uint32_t index, enum tg_field_name token,
                                        struct tg_slice name)
{
    for (uint32_t i = index; i < fields->count; i++)
        if (fields->lines[i].token == token && !fields->lines[i].removed &&
            (token != TG_FIELD_OTHER || tg_slice_equal_ignoring_case(fields->lines[i].name, name)))
            return &fields->lines[i];
    return NULL;
}

const struct tg_field *tg_fields_find(const struct tg_fields *fields, enum tg_field_name token, struct tg_slice name)
{
    if (!(fields->present[token / 64] >> token % 64 & 1))
        return NULL;
    return find_from(fields, 0, token, name);
}

const struct tg_field *tg_fields_find_next(const struct tg_fields *fields, const struct tg_field *field)
{
    if (!(fields->repeated[field->token / 64] >> field->token % 64 & 1))
        return NULL;
    return find_from(fields, (uint32_t)(field - fields->lines) + 1, field->token, field->name);
}

bool tg_fields_copy(struct tg_fields *to, const struct tg_fields *from, struct tg_arena *arena)
{
    struct tg_field *lines = NULL;
    if (from->count) {
        lines = tg_arena_alloc(arena, from->count * sizeof *lines);
        if (!lines)
            return false;
        memcpy(lines, from->lines, from->count * sizeof *lines);
    }
    *to = *from;
    to->arena = arena;
    to->lines = lines;
    to->capacity = from->count;
    return true;
}

/* The end of the member that starts at `at`: the next comma outside quotes. A quote that never closes runs to the end.
 */
static const char *member_end(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end && (*at != ',' || quoted); at++) {
        if (*at == '"')
            quoted = !quoted;
        else if (*at == '\\' && quoted && end - at > 1)
            at++;
    }
    return at;
}

bool tg_list_next(struct tg_slice *rest, struct tg_slice *member)
{
    if (!rest->at)
        return false;
    const char *end = rest->at + rest->length;
    const char *comma = member_end(rest->at, end);
    *member = tg_slice_trim(tg_slice_of(rest->at, (size_t)(comma - rest->at)));
    *rest = comma < end ? tg_slice_of(comma + 1, (size_t)(end - comma - 1)) : (struct tg_slice){ 0 };
    return true;
}
