#include "http/field_name.h"

#include "http/byte_class.h"
#include "http/byte_scan.h"

#include <assert.h>

enum { NAME_MAX_KNOWN = 32, NAME_MAX = 65535, SLOTS = 512 };

/* A known name as it is compared: eight bytes at a time, the received ones or-ed with `fold`, which has 0x20 where a
 * letter stands, so that both cases match and nothing else does. */
struct known_name {
    char text[NAME_MAX_KNOWN];
    char fold[NAME_MAX_KNOWN];
};

static const struct tg_slice texts[TG_FIELD_NAME_COUNT] = {
#define X(token, text) [TG_FIELD_##token] = TG_SLICE(text),
    TG_FIELD_NAMES(X)
#undef X
};

static struct known_name known[TG_FIELD_NAME_COUNT];
static uint8_t slots[SLOTS]; /* token by hash; the multipliers of hash_of are chosen so that no two names meet */

static inline uint64_t load64(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t load32(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* From the length and the first and last four bytes, in any case. The length is at least 4. */
static inline size_t hash_of(struct tg_slice name)
{
    uint32_t first = load32(name.at) | 0x20202020u;
    uint32_t last = load32(name.at + name.length - 4) | 0x20202020u;
    return ((first * 0x2265b1f5u + last * 0x91b7584bu + (uint32_t)name.length * 0xd8f16adfu) >> 23) % SLOTS;
}

/* Runs before main, so that every thread sees the finished table. */
__attribute__((constructor)) static void fill_tables(void)
{
    for (int token = 1; token < TG_FIELD_NAME_COUNT; token++) {
        struct tg_slice text = texts[token];
        for (size_t i = 0; i < text.length; i++) {
            known[token].text[i] = text.at[i];
            known[token].fold[i] = text.at[i] >= 'a' ? 0x20 : 0;
        }
        if (text.length < 4)
            continue;
        assert(slots[hash_of(text)] == 0);
        slots[hash_of(text)] = (uint8_t)token;
    }
}

static inline uint64_t difference64(const struct known_name *name, const char *received, size_t at)
{
    return (load64(received + at) | load64(name->fold + at)) ^ load64(name->text + at);
}

/* Both have at least 8 bytes: whole words, the last of which may overlap the one before. */
static inline bool equals_long(const struct known_name *name, struct tg_slice received)
{
    size_t last = received.length - 8;
    uint64_t difference = difference64(name, received.at, 0) | difference64(name, received.at, last);
    for (size_t i = 8; i < last; i += 8)
        difference |= difference64(name, received.at, i);
    return difference == 0;
}

static inline bool equals_short(const struct known_name *name, struct tg_slice received)
{
    size_t last = received.length - 4;
    return (load32(received.at) | load32(name->fold)) == load32(name->text) &&
           (load32(received.at + last) | load32(name->fold + last)) == load32(name->text + last);
}

static __attribute__((noinline)) enum tg_field_name find_tiny(struct tg_slice name)
{
    static const uint8_t tiny[] = { TG_FIELD_TE, TG_FIELD_VIA, TG_FIELD_AGE };
    for (size_t i = 0; i < sizeof tiny; i++)
        if (tg_slice_equal_ignoring_case(name, texts[tiny[i]]))
            return tiny[i];
    return TG_FIELD_OTHER;
}

enum tg_field_name tg_field_name_of(struct tg_slice name)
{
    if (name.length < 4)
        return find_tiny(name);
    uint8_t token = slots[hash_of(name)];
    if (texts[token].length != name.length)
        return TG_FIELD_OTHER;
    bool equal = name.length >= 8 ? equals_long(&known[token], name) : equals_short(&known[token], name);
    return equal ? token : TG_FIELD_OTHER;
}

struct tg_slice tg_field_name_text(enum tg_field_name name)
{
    return texts[name];
}

bool tg_field_name_valid(struct tg_slice name)
{
    for (size_t i = 0; i < name.length; i++)
        if (!tg_byte_is(name.at[i], TG_BYTE_TOKEN))
            return false;
    return name.length > 0 && name.length <= NAME_MAX;
}

bool tg_field_value_valid(struct tg_slice value)
{
    if (value.length == 0)
        return true;
    const char *end = value.at + value.length;
    return !tg_byte_is_blank(value.at[0]) && !tg_byte_is_blank(end[-1]) &&
           tg_scan_control(value.at, value.at, end) == end;
}

bool tg_field_name_near(struct tg_slice name, struct tg_slice text)
{
    if (name.length != text.length)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.at[i] == '_' || name.at[i] == '.' ? '-' : name.at[i];
        if (tg_ascii_lower((unsigned char)byte) != (unsigned char)text.at[i])
            return false;
    }
    return true;
}

bool tg_field_name_near_framing(struct tg_slice name)
{
    return (tg_field_name_near(name, texts[TG_FIELD_CONTENT_LENGTH]) ||
            tg_field_name_near(name, texts[TG_FIELD_TRANSFER_ENCODING])) &&
           tg_field_name_of(name) == TG_FIELD_OTHER;
}
