/* Query and cookies of the request. Pairs that a script doesn't touch keep their bytes and their order. */
#include "script/run.h"

/* One pair of the query, as it stands. */
struct pair {
    struct tg_slice whole, name, value;
};

static bool next_pair(struct tg_slice *rest, struct pair *pair)
{
    while (rest->length) {
        const char *end = memchr(rest->at, '&', rest->length);
        size_t length = end ? (size_t)(end - rest->at) : rest->length;
        pair->whole = tg_slice_of(rest->at, length);
        *rest = tg_slice_from(*rest, end ? length + 1 : length);
        if (length == 0)
            continue;
        const char *sign = memchr(pair->whole.at, '=', length);
        size_t name = sign ? (size_t)(sign - pair->whole.at) : length;
        pair->name = tg_slice_of(pair->whole.at, name);
        pair->value = tg_slice_from(pair->whole, sign ? name + 1 : length);
        return true;
    }
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As forms encode: plus is a space. What isn't rightly encoded stays as it is. */
static void decode(struct tg_slice text, struct tg_text *to)
{
    tg_text_clear(to);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && i + 2 < text.length) {
            int high = digit_of(text.at[i + 1]), low = digit_of(text.at[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                i += 2;
            }
        }
        tg_text_append(to, tg_slice_of(&c, 1));
    }
}

static bool needs_decoding(struct tg_slice text)
{
    return text.length && (memchr(text.at, '%', text.length) || memchr(text.at, '+', text.length));
}

static bool is_named(struct tg_abi_slot *slot, const struct pair *pair, struct tg_slice name)
{
    if (!needs_decoding(pair->name))
        return tg_slice_equal(pair->name, name);
    struct tg_text *decoded = &tg_record_of_slot(slot)->joined;
    decode(pair->name, decoded);
    return tg_slice_equal(tg_text_slice(decoded), name);
}

static const char *give_decoded(struct tg_abi_slot *slot, struct tg_slice text)
{
    if (!needs_decoding(text))
        return tg_abi_give(slot, text);
    struct tg_text *decoded = &tg_record_of_slot(slot)->joined;
    decode(text, decoded);
    return tg_abi_give(slot, tg_text_slice(decoded));
}

static struct tg_target *target_of(struct tg_abi_slot *slot)
{
    return &tg_record_of_slot(slot)->exchange->request.target;
}

const char *tg_abi_query_get(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    struct tg_slice rest = target_of(slot)->query;
    struct pair pair;
    while (next_pair(&rest, &pair))
        if (is_named(slot, &pair, tg_slice_of(name, length)))
            return give_decoded(slot, pair.value);
    return NULL;
}

/* The query from that byte on; empty beyond its end. */
static struct tg_slice query_from(struct tg_abi_slot *slot, int32_t position)
{
    struct tg_slice query = target_of(slot)->query;
    size_t skipped = position < 0 ? 0 : (size_t)position;
    return tg_slice_from(query, skipped < query.length ? skipped : query.length);
}

static bool pair_at(struct tg_abi_slot *slot, int32_t position, struct pair *pair)
{
    struct tg_slice rest = query_from(slot, position);
    return next_pair(&rest, pair);
}

/* A position is that of the pair's first byte, so that going over all pairs goes over the query once. */
int32_t tg_abi_query_next(struct tg_abi_slot *slot, int32_t previous, const char *name, uint32_t length)
{
    struct tg_slice rest = query_from(slot, previous);
    struct pair pair;
    if (previous >= 0 && !next_pair(&rest, &pair))
        return -1;
    while (next_pair(&rest, &pair))
        if (!name || is_named(slot, &pair, tg_slice_of(name, length)))
            return (int32_t)(pair.whole.at - target_of(slot)->query.at);
    return -1;
}

const char *tg_abi_query_name(struct tg_abi_slot *slot, int32_t position)
{
    struct pair pair;
    return pair_at(slot, position, &pair) ? give_decoded(slot, pair.name) : NULL;
}

const char *tg_abi_query_value(struct tg_abi_slot *slot, int32_t position)
{
    struct pair pair;
    return pair_at(slot, position, &pair) ? give_decoded(slot, pair.value) : NULL;
}

static void append_pair(struct tg_text *query, struct tg_slice whole)
{
    if (query->length)
        tg_text_append(query, TG_SLICE("&"));
    tg_text_append(query, whole);
}

static bool append_encoded(struct tg_exchange *exchange, struct tg_text *query, struct tg_slice name,
                           struct tg_slice value)
{
    struct tg_slice encoded_name, encoded_value;
    if (!tg_percent_encode(name, &exchange->arena, &encoded_name) ||
        !tg_percent_encode(value, &exchange->arena, &encoded_value))
        return false;
    append_pair(query, encoded_name);
    tg_text_append(query, TG_SLICE("="));
    tg_text_append(query, encoded_value);
    return true;
}

static const char *replace_query(struct tg_exchange *exchange, struct tg_text *query)
{
    struct tg_slice copy = tg_arena_copy(&exchange->arena, tg_text_slice(query));
    if (query->failed || !copy.at)
        return "out of memory";
    exchange->request.target.query = copy;
    exchange->request.target.has_query = copy.length > 0;
    return NULL;
}

const char *tg_abi_query_add(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                             uint32_t value_length)
{
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_text *query = &record->vm->scratch;
    tg_text_clear(query);
    if (target_of(slot)->query.length)
        tg_text_append(query, target_of(slot)->query);
    if (!append_encoded(record->exchange, query, tg_slice_of(name, length), tg_slice_of(value, value_length)))
        return "out of memory";
    return replace_query(record->exchange, query);
}

/* value may be NULL: the name's pairs go. */
static const char *rewrite_pairs(struct tg_abi_slot *slot, struct tg_slice name, const struct tg_slice *value)
{
    struct tg_record *record = tg_record_of_slot(slot);
    struct tg_text *query = &record->vm->scratch;
    struct tg_slice rest = target_of(slot)->query;
    struct pair pair;
    bool placed = !value, changed = false;
    tg_text_clear(query);
    while (next_pair(&rest, &pair)) {
        bool named = is_named(slot, &pair, name);
        changed |= named;
        if (!named)
            append_pair(query, pair.whole);
        else if (!placed && !(placed = append_encoded(record->exchange, query, name, *value)))
            return "out of memory";
    }
    if (!placed && !append_encoded(record->exchange, query, name, *value))
        return "out of memory";
    return changed || value ? replace_query(record->exchange, query) : NULL;
}

const char *tg_abi_query_set(struct tg_abi_slot *slot, const char *name, uint32_t length, const char *value,
                             uint32_t value_length)
{
    struct tg_slice text = { value, value_length };
    return rewrite_pairs(slot, tg_slice_of(name, length), &text);
}

const char *tg_abi_query_remove(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    return rewrite_pairs(slot, tg_slice_of(name, length), NULL);
}

static bool find_cookie(struct tg_slice line, struct tg_slice name, struct tg_slice *value)
{
    while (line.length) {
        const char *end = memchr(line.at, ';', line.length);
        size_t length = end ? (size_t)(end - line.at) : line.length;
        struct tg_slice pair = tg_slice_trim(tg_slice_of(line.at, length));
        line = tg_slice_from(line, end ? length + 1 : length);
        if (pair.length <= name.length || pair.at[name.length] != '=' || memcmp(pair.at, name.at, name.length) != 0)
            continue;
        *value = tg_slice_from(pair, name.length + 1);
        return true;
    }
    return false;
}

const char *tg_abi_cookie(struct tg_abi_slot *slot, const char *name, uint32_t length)
{
    const struct tg_fields *fields = &tg_record_of_slot(slot)->exchange->request.fields;
    const struct tg_field *field = tg_fields_find(fields, TG_FIELD_COOKIE, (struct tg_slice){ NULL, 0 });
    struct tg_slice value;
    for (; field; field = tg_fields_find_next(fields, field))
        if (find_cookie(field->value, tg_slice_of(name, length), &value))
            return tg_abi_give(slot, value);
    return NULL;
}
