/* The header or trailer section of a message: an ordered list of lines in the arena of its exchange. Slices point into
 * the parsed head or the arena and are stable for the life of the message. One thread. */
#ifndef TG_HTTP_FIELDS_H
#define TG_HTTP_FIELDS_H

#include "base/arena.h"
#include "http/field_name.h"

struct tg_field {
    struct tg_slice name; /* as received or set; compare by tg_field_is */
    struct tg_slice value;
    uint16_t token; /* enum tg_field_name */
    bool removed;   /* taken out; skipped by everything */
    bool own;       /* of this hop (framing, Connection, ...): scripts may read it, it is never forwarded */
    bool sensitive; /* came in HTTP/2 as never to be indexed, and goes on so (RFC 7541 7.1.3) */
};

struct tg_fields {
    struct tg_arena *arena;
    struct tg_field *lines;
    uint32_t count, capacity;                           /* removed ones count */
    uint64_t present[(TG_FIELD_NAME_COUNT + 63) / 64];  /* a set bit: there may be a line with this token */
    uint64_t repeated[(TG_FIELD_NAME_COUNT + 63) / 64]; /* a set bit: there may be more than one */
};

void tg_fields_init(struct tg_fields *fields, struct tg_arena *arena);
/* Appends without a check or copy: for the parser and for names and values known to be right. Lines of the hop (host,
 * connection, content-length, transfer-encoding, keep-alive, proxy-connection, te, upgrade) are marked `own` whoever
 * adds them, so that none can double what the writer writes itself. */
bool tg_fields_append(struct tg_fields *fields, enum tg_field_name token, struct tg_slice name, struct tg_slice value)
    __attribute__((warn_unused_result));
/* Whether name and value may stand in a section, as a client's would be checked; problem says what is wrong. */
bool tg_field_line_valid(struct tg_slice name, struct tg_slice value, const char **problem);
/* Checks name and value so and copies both into the arena. */
bool tg_fields_add(struct tg_fields *fields, struct tg_slice name, struct tg_slice value, const char **problem)
    __attribute__((warn_unused_result));
/* Removes all lines of the name and adds one. */
bool tg_fields_set(struct tg_fields *fields, struct tg_slice name, struct tg_slice value, const char **problem)
    __attribute__((warn_unused_result));
/* How many lines were removed. token may be TG_FIELD_OTHER: then the name decides. */
size_t tg_fields_remove(struct tg_fields *fields, enum tg_field_name token, struct tg_slice name);
/* Removes every line that isn't `own`. */
void tg_fields_clear(struct tg_fields *fields);
/* The first line with that name, or NULL. `name` matters only where token is TG_FIELD_OTHER. */
const struct tg_field *tg_fields_find(const struct tg_fields *fields, enum tg_field_name token, struct tg_slice name);
/* The next line of the same name after `field`, or NULL. */
const struct tg_field *tg_fields_find_next(const struct tg_fields *fields, const struct tg_field *field);
bool tg_field_is(const struct tg_field *field, enum tg_field_name token, struct tg_slice name);
/* A copy in `arena` (lines only; names and values are shared). */
bool tg_fields_copy(struct tg_fields *to, const struct tg_fields *from, struct tg_arena *arena)
    __attribute__((warn_unused_result));

static inline bool tg_fields_has(const struct tg_fields *fields, enum tg_field_name token)
{
    return (fields->present[token / 64] >> (token % 64) & 1) &&
           tg_fields_find(fields, token, (struct tg_slice){ 0 }) != NULL;
}

static inline bool tg_fields_has_lines(const struct tg_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (!fields->lines[i].removed)
            return true;
    return false;
}

/* Goes over the members of a comma-separated list value (RFC 9110 5.6.1); *rest starts as the value. Quoted strings are
 * kept whole, blanks around members are not part of them. false at the end, which rest->at = NULL marks; empty members
 * are given as empty slices, so that an empty value has one. */
bool tg_list_next(struct tg_slice *rest, struct tg_slice *member);

#endif
