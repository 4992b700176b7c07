/* What each byte may be in the grammars of RFC 9110, 9112 and 3986, as one table of bits. */
#ifndef TG_HTTP_BYTE_CLASS_H
#define TG_HTTP_BYTE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TG_BYTE_TOKEN = 1,      /* tchar of RFC 9110 5.6.2 */
    TG_BYTE_UNRESERVED = 2, /* RFC 3986 2.3 */
    TG_BYTE_HOST = 4,       /* reg-name without upper case, '%' and ',' */
    TG_BYTE_PATH = 8,       /* may stand in a path: visible ASCII but '\\', '#', '?' */
    TG_BYTE_QUERY = 16,     /* may stand in a query: visible ASCII but '#' */
    TG_BYTE_VALUE = 32,     /* may stand in a field value: no control but tab, no DEL */
};

extern const uint8_t tg_byte_classes[256];

static inline bool tg_byte_is(char byte, unsigned classes)
{
    return (tg_byte_classes[(unsigned char)byte] & classes) != 0;
}

static inline bool tg_byte_is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static inline bool tg_byte_is_digit(char byte)
{
    return (unsigned char)(byte - '0') < 10;
}

/* 0 to 15, or -1. */
static inline int tg_byte_hex_value(char byte)
{
    unsigned char letter = (unsigned char)((unsigned char)byte | 0x20);
    if (tg_byte_is_digit(byte))
        return byte - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

#endif
