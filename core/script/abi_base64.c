/* Base64 (RFC 4648) and hex, strict: no line breaks, no other alphabet, no bits that say nothing (3.5), so that equal
 * bytes have one text. */
#include <stdbool.h>
#include <string.h>

#include "script/abi.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NO_DIGIT = 64 };

/* clang-format off */
#define NONE_16 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64
/* The digits of one alphabet: its last two differ. */
#define DIGITS(plus, minus, slash, underscore)                                                                         \
    NONE_16, NONE_16, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, plus, 64, minus, 64, slash,                          \
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,                                                    \
    64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,                                                              \
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, underscore,                                            \
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,                                                    \
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,                                                    \
    NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16
/* clang-format on */

static const uint8_t STANDARD_DIGITS[256] = { DIGITS(62, 64, 63, 64) };
static const uint8_t URL_DIGITS[256] = { DIGITS(64, 62, 64, 63) };

static char *encode_group(const char *alphabet, uint32_t bits, char *to)
{
    to[0] = alphabet[bits >> 18];
    to[1] = alphabet[bits >> 12 & 63];
    to[2] = alphabet[bits >> 6 & 63];
    to[3] = alphabet[bits & 63];
    return to + 4;
}

static uint32_t bits_of(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

/* What one or two bytes at the end become. */
static void encode_rest(const char *alphabet, const uint8_t *at, size_t left, char *to, bool padded)
{
    uint32_t bits = (uint32_t)at[0] << 16 | (left == 2 ? (uint32_t)at[1] << 8 : 0);
    *to++ = alphabet[bits >> 18];
    *to++ = alphabet[bits >> 12 & 63];
    if (left == 2)
        *to++ = alphabet[bits >> 6 & 63];
    else if (padded)
        *to++ = '=';
    if (padded)
        *to = '=';
}

void tg_abi_base64_encode(const char *text, uint32_t length, char *to, int32_t url)
{
    const char *alphabet = url ? URL : STANDARD;
    const uint8_t *at = (const uint8_t *)text, *end = at + length;
    for (; end - at >= 3; at += 3)
        to = encode_group(alphabet, bits_of(at), to);
    if (at < end)
        encode_rest(alphabet, at, (size_t)(end - at), to, !url);
}

/* Whole groups without padding, as many as there are; gives how many characters that were. */
static size_t decode_groups(const uint8_t *digits, const uint8_t *at, size_t length, char **to)
{
    const uint8_t *begin = at;
    char *out = *to;
    for (; length >= 4; at += 4, length -= 4) {
        uint8_t a = digits[at[0]], b = digits[at[1]], c = digits[at[2]], d = digits[at[3]];
        if ((a | b | c | d) & NO_DIGIT)
            break;
        uint32_t bits = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        out[0] = (char)(bits >> 16);
        out[1] = (char)(bits >> 8);
        out[2] = (char)bits;
        out += 3;
    }
    *to = out;
    return (size_t)(at - begin);
}

/* Two or three characters, which end in the middle of a byte; gives bytes, or -1. */
static int decode_end(const uint8_t *digits, const uint8_t *at, size_t length, char *to)
{
    uint8_t a = digits[at[0]], b = digits[at[1]], c = length == 3 ? digits[at[2]] : 0;
    if (((a | b | c) & NO_DIGIT) || (length == 2 ? b & 15 : c & 3))
        return -1;
    to[0] = (char)(a << 2 | b >> 4);
    if (length == 3)
        to[1] = (char)(b << 4 | c >> 2);
    return (int)length - 1;
}

/* Of a whole group: how many of its characters come before the padding. */
static size_t before_padding(const uint8_t *at)
{
    if (at[3] != '=')
        return 4;
    return at[2] == '=' ? 2 : 3;
}

int32_t tg_abi_base64_decode(const char *text, uint32_t length, char *to, int32_t form)
{
    const uint8_t *digits = form == TG_ABI_BASE64 ? STANDARD_DIGITS : URL_DIGITS;
    const uint8_t *at = (const uint8_t *)text;
    char *out = to;
    size_t done = decode_groups(digits, at, length, &out), left = length - done;
    if (left == 0)
        return (int32_t)(out - to);
    if (left == 4 && form != TG_ABI_BASE64_URL_BARE)
        left = before_padding(at + done);
    else if (form == TG_ABI_BASE64)
        return -1;
    if (left != 2 && left != 3)
        return -1;
    int more = decode_end(digits, at + done, left, out);
    return more < 0 ? -1 : (int32_t)(out - to) + more;
}

/* One group, padded or not. */
static bool take_group(const uint8_t *at, char **to)
{
    size_t length = before_padding(at);
    if (length == 4)
        return decode_groups(STANDARD_DIGITS, at, 4, to) == 4;
    int more = decode_end(STANDARD_DIGITS, at, length, *to);
    *to += more > 0 ? more : 0;
    return more > 0;
}

/* Completes the group that was begun; gives how many characters that took. */
static uint32_t fill(struct tg_abi_base64 *decoder, const char *text, uint32_t length, uint32_t whole)
{
    uint32_t missing = whole - decoder->count, taken = missing < length ? missing : length;
    memcpy(decoder->held + decoder->count, text, taken);
    decoder->count += taken;
    return taken;
}

int32_t tg_abi_base64_decoder_add(struct tg_abi_base64 *decoder, const char *text, uint32_t length, char *to)
{
    char *out = to;
    if (length == 0 || decoder->failed)
        return decoder->failed ? -1 : 0;
    if (decoder->count) {
        uint32_t taken = fill(decoder, text, length, 4);
        text += taken;
        length -= taken;
        if (decoder->count < 4)
            return 0;
        decoder->failed = !take_group(decoder->held, &out);
        decoder->count = 0;
    }
    while (length >= 4 && !decoder->failed) {
        size_t done = decode_groups(STANDARD_DIGITS, (const uint8_t *)text, length, &out);
        text += done;
        length -= (uint32_t)done;
        if (length < 4)
            break;
        decoder->failed = !take_group((const uint8_t *)text, &out);
        text += 4;
        length -= 4;
    }
    if (decoder->failed)
        return -1;
    fill(decoder, text, length, 4);
    return (int32_t)(out - to);
}

uint32_t tg_abi_base64_encoder_add(struct tg_abi_base64 *encoder, const char *text, uint32_t length, char *to)
{
    char *out = to;
    if (encoder->count) {
        uint32_t taken = fill(encoder, text, length, 3);
        text += taken;
        length -= taken;
        if (encoder->count < 3)
            return 0;
        out = encode_group(STANDARD, bits_of(encoder->held), out);
        encoder->count = 0;
    }
    uint32_t whole = length - length % 3;
    tg_abi_base64_encode(text, whole, out, 0);
    fill(encoder, text + whole, length - whole, 3);
    return (uint32_t)(out - to) + whole / 3 * 4;
}

uint32_t tg_abi_base64_encoder_end(struct tg_abi_base64 *encoder, char *to)
{
    if (encoder->count == 0)
        return 0;
    encode_rest(STANDARD, encoder->held, encoder->count, to, true);
    encoder->count = 0;
    return 4;
}

void tg_abi_hex(const char *text, uint32_t length, char *to)
{
    static const char HEX[] = "0123456789abcdef";
    for (uint32_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        *to++ = HEX[byte >> 4];
        *to++ = HEX[byte & 15];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int32_t tg_abi_unhex(const char *text, uint32_t length, char *to)
{
    if (length % 2)
        return -1;
    for (uint32_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        *to++ = (char)(high << 4 | low);
    }
    return (int32_t)(length / 2);
}
