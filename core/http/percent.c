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

bool tg_percent_encode_but(struct tg_slice text, bool (*stays)(unsigned char byte), struct tg_arena *arena,
                           struct tg_slice *out)
{
    size_t encoded = 0, length = 0;
    for (size_t i = 0; i < text.length; i++)
        encoded += !stays((unsigned char)text.at[i]);
    *out = text;
    if (encoded == 0)
        return true;
    if (encoded > (SIZE_MAX - text.length) / 2)
        return false;
    char *space = tg_arena_alloc(arena, text.length + 2 * encoded);
    if (!space)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (stays(byte)) {
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

static bool is_unreserved(unsigned char byte)
{
    return tg_byte_is((char)byte, TG_BYTE_UNRESERVED);
}

bool tg_percent_encode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
{
    return tg_percent_encode_but(text, is_unreserved, arena, out);
}
