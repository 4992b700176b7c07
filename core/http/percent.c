#include "http/byte_class.h"
#include "http/uri.h"

bool tg_percent_decode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
{
    *out = text;
    if (text.length == 0 || !memchr(text.at, '%', text.length))
        return true;
    char *space = tg_arena_alloc(arena, text.length);
    size_t length = 0;
    if (!space)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        if (byte == '%') {
            int high = text.length - i >= 3 ? tg_byte_hex_value(text.at[i + 1]) : -1;
            int low = high >= 0 ? tg_byte_hex_value(text.at[i + 2]) : -1;
            if (low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        }
        space[length++] = byte;
    }
    *out = tg_slice_of(space, length);
    return true;
}

static size_t count_reserved(struct tg_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += !tg_byte_is(text.at[i], TG_BYTE_UNRESERVED);
    return count;
}

bool tg_percent_encode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
{
    size_t reserved = count_reserved(text), length = 0;
    *out = text;
    if (reserved == 0)
        return true;
    if (reserved > (SIZE_MAX - text.length) / 2)
        return false;
    char *space = tg_arena_alloc(arena, text.length + 2 * reserved);
    if (!space)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (tg_byte_is((char)byte, TG_BYTE_UNRESERVED)) {
            space[length++] = (char)byte;
            continue;
        }
        space[length++] = '%';
        space[length++] = "0123456789ABCDEF"[byte >> 4];
        space[length++] = "0123456789ABCDEF"[byte & 15];
    }
    *out = tg_slice_of(space, length);
    return true;
}
