#include "base/slice.h"

#include <stdlib.h>

bool tg_slice_equal_ignoring_case(struct tg_slice a, struct tg_slice b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++) {
        if (tg_ascii_lower((unsigned char)a.at[i]) != tg_ascii_lower((unsigned char)b.at[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct tg_slice tg_slice_trim(struct tg_slice slice)
{
    while (slice.length > 0 && is_blank(slice.at[slice.length - 1]))
        slice.length--;
    while (slice.length > 0 && is_blank(slice.at[0]))
        slice = tg_slice_from(slice, 1);
    return slice;
}

bool tg_slice_to_u64(struct tg_slice slice, uint64_t *value)
{
    if (slice.length == 0)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < slice.length; i++) {
        unsigned digit = (unsigned)(unsigned char)slice.at[i] - '0';
        if (digit > 9 || sum > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

char *tg_slice_to_string(struct tg_slice slice)
{
    char *text = malloc(slice.length + 1);
    if (!text)
        return NULL;
    if (slice.length > 0)
        memcpy(text, slice.at, slice.length);
    text[slice.length] = '\0';
    return text;
}
