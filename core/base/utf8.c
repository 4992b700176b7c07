#include "base/utf8.h"

static bool continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The second byte of some sequences is limited further than the others. */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0: return second >= 0xA0;
    case 0xED: return second < 0xA0;
    case 0xF0: return second >= 0x90;
    case 0xF4: return second < 0x90;
    default: return true;
    }
}

static size_t length_by_first(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

size_t tg_utf8_first(struct tg_slice text)
{
    if (text.length == 0)
        return 0;
    const unsigned char *at = (const unsigned char *)text.at;
    size_t length = length_by_first(at[0]);
    if (length > text.length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (!continues(at[i]))
            return 0;
    }
    return length > 1 && !second_fits(at[0], at[1]) ? 0 : length;
}
