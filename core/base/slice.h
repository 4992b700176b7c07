/* A slice is a borrowed run of bytes: it owns nothing and is never assumed to end in NUL. */
#ifndef TG_BASE_SLICE_H
#define TG_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tg_slice {
    const char *at; /* may be NULL where length is 0 */
    size_t length;
};

#define TG_SLICE(literal) ((struct tg_slice){ (literal), sizeof(literal) - 1 })

static inline struct tg_slice tg_slice_of(const char *at, size_t length)
{
    return (struct tg_slice){ at, length };
}

static inline struct tg_slice tg_slice_from_string(const char *text)
{
    return (struct tg_slice){ text, text ? strlen(text) : 0 };
}

static inline bool tg_slice_equal(struct tg_slice a, struct tg_slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

/* The rest of the slice from `offset`, which may be at most its length. */
static inline struct tg_slice tg_slice_from(struct tg_slice slice, size_t offset)
{
    return (struct tg_slice){ slice.at + offset, slice.length - offset };
}

static inline unsigned char tg_ascii_lower(unsigned char c)
{
    return (unsigned char)(c - 'A') < 26 ? (unsigned char)(c | 0x20) : c;
}

/* ASCII only, as field names, hosts and codings are compared. */
bool tg_slice_equal_ignoring_case(struct tg_slice a, struct tg_slice b);
/* Without spaces and tabs at both ends (OWS of RFC 9110 5.6.3). */
struct tg_slice tg_slice_trim(struct tg_slice slice);
/* Decimal digits only, no sign, no blank; false where empty, not a digit, or beyond 2^63 - 1. */
bool tg_slice_to_u64(struct tg_slice slice, uint64_t *value) __attribute__((warn_unused_result));
/* A NUL-terminated copy from malloc, or NULL when out of memory. */
char *tg_slice_to_string(struct tg_slice slice);

#endif
