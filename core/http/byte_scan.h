/* Searching for the bytes that matter in a head, sixteen at a time, with a scalar tail: nothing behind `end` is read.
 * GCC's vector types make this SSE2 on x86-64 and NEON on AArch64. */
#ifndef TG_HTTP_BYTE_SCAN_H
#define TG_HTTP_BYTE_SCAN_H

#include "http/byte_class.h"

#include <string.h>

typedef uint8_t tg_bytes16 __attribute__((vector_size(16)));
typedef int8_t tg_bytes16_mask __attribute__((vector_size(16)));

#ifdef __SSE2__
/* A bit for each byte of the mask that is set. */
static inline unsigned tg_bytes16_bits(tg_bytes16_mask mask)
{
    typedef char bytes __attribute__((vector_size(16)));
    return (unsigned)__builtin_ia32_pmovmskb128((bytes)mask);
}
#else
static inline unsigned tg_bytes16_bits(tg_bytes16_mask mask)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < 16; i++)
        bits |= (unsigned)(mask[i] & 1) << i;
    return bits;
}
#endif

static inline tg_bytes16 tg_bytes16_load(const char *at)
{
    tg_bytes16 bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

#define TG_BYTE_SCAN static inline __attribute__((always_inline))

/* The first byte in [at, end) that `match` marks, or end. `match` and `is` say the same of sixteen bytes and of one.
 * What is left behind whole blocks is looked at in a block that reaches back, but not before `floor`, from where on all
 * is readable; only where so little is there it is taken byte by byte. */
TG_BYTE_SCAN const char *tg_scan_until(const char *floor, const char *at, const char *end,
                                       tg_bytes16_mask (*match)(tg_bytes16 bytes), bool (*is)(char byte))
{
    for (; end - at >= 16; at += 16) {
        unsigned bits = tg_bytes16_bits(match(tg_bytes16_load(at)));
        if (bits)
            return at + __builtin_ctz(bits);
    }
    if (end - floor >= 16) {
        unsigned bits = tg_bytes16_bits(match(tg_bytes16_load(end - 16))) >> (16 - (end - at));
        return bits ? at + __builtin_ctz(bits) : end;
    }
    while (at < end && !is(*at))
        at++;
    return at;
}

TG_BYTE_SCAN tg_bytes16_mask tg_match_line_end(tg_bytes16 bytes)
{
    return (tg_bytes16_mask)((bytes == '\r') | (bytes == '\n'));
}

TG_BYTE_SCAN bool tg_is_line_end(char byte)
{
    return byte == '\r' || byte == '\n';
}

TG_BYTE_SCAN tg_bytes16_mask tg_match_control(tg_bytes16 bytes)
{
    return (tg_bytes16_mask)(((bytes < 0x20) & (bytes != '\t')) | (bytes == 0x7f));
}

TG_BYTE_SCAN bool tg_is_control(char byte)
{
    return !tg_byte_is(byte, TG_BYTE_VALUE);
}

TG_BYTE_SCAN tg_bytes16_mask tg_match_invisible(tg_bytes16 bytes)
{
    return (tg_bytes16_mask)((bytes - 0x21) > 0x5d);
}

TG_BYTE_SCAN bool tg_is_invisible(char byte)
{
    return (unsigned char)(byte - 0x21) > 0x5d;
}

TG_BYTE_SCAN tg_bytes16_mask tg_match_colon(tg_bytes16 bytes)
{
    return (tg_bytes16_mask)(bytes == ':');
}

TG_BYTE_SCAN bool tg_is_colon(char byte)
{
    return byte == ':';
}

/* CR or LF. */
TG_BYTE_SCAN const char *tg_scan_line_end(const char *floor, const char *at, const char *end)
{
    return tg_scan_until(floor, at, end, tg_match_line_end, tg_is_line_end);
}

/* A byte that can't stand in a field value: a control but tab, or DEL. */
TG_BYTE_SCAN const char *tg_scan_control(const char *floor, const char *at, const char *end)
{
    return tg_scan_until(floor, at, end, tg_match_control, tg_is_control);
}

/* Anything but visible ASCII: a control, blank, DEL or non-ASCII byte. */
TG_BYTE_SCAN const char *tg_scan_invisible(const char *floor, const char *at, const char *end)
{
    return tg_scan_until(floor, at, end, tg_match_invisible, tg_is_invisible);
}

TG_BYTE_SCAN const char *tg_scan_colon(const char *floor, const char *at, const char *end)
{
    return tg_scan_until(floor, at, end, tg_match_colon, tg_is_colon);
}

#endif
