/* JA3 and JA4 of a ClientHello. */
#include <stdlib.h>

#include <openssl/evp.h>

#include "net/tls_hello.h"

/* Room for the longest list of each, so that no text has to be checked for its end: a number takes at most five
 * characters and one between. */
enum {
    JA3_TEXT = 6 + 6 * (TG_HELLO_CIPHERS + TG_HELLO_EXTENSIONS + TG_HELLO_GROUPS + TG_HELLO_POINT_FORMATS) + 4,
    JA4_TEXT = 5 * (TG_HELLO_CIPHERS + TG_HELLO_EXTENSIONS + TG_HELLO_SIGNATURES) + 4,
    JA4_HASH = 12,
    SERVER_NAME = 0,
    ALPN = 16,
};

static const char hex_digits[] = "0123456789abcdef";

static char *put_hex(char *at, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *at++ = hex_digits[bytes[i] >> 4];
        *at++ = hex_digits[bytes[i] & 15];
    }
    return at;
}

static char *put_decimal(char *at, uint16_t value)
{
    char digits[5];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + first, sizeof(digits) - first);
    return at + sizeof(digits) - first;
}

static char *put_decimals(char *at, const uint16_t *values, size_t count)
{
    *at++ = ',';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = '-';
        at = put_decimal(at, values[i]);
    }
    return at;
}

size_t tg_hello_ja3(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[TG_JA3_LENGTH])
{
    const EVP_MD *md5 = tg_tls_library_md5(library);
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[JA3_TEXT];
    if (!md5)
        return 0;
    char *at = put_decimal(text, parts->legacy_version);
    at = put_decimals(at, parts->ciphers, parts->cipher_count);
    at = put_decimals(at, parts->extensions, parts->extension_count);
    at = put_decimals(at, parts->groups, parts->group_count);
    at = put_decimals(at, parts->point_formats, parts->point_format_count);
    if (!EVP_Digest(text, (size_t)(at - text), digest, NULL, md5, NULL))
        return 0;
    put_hex(out, digest, 16);
    return TG_JA3_LENGTH;
}

static int compare(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static char *put_hex_list(char *at, const uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[2] = { (unsigned char)(values[i] >> 8), (unsigned char)values[i] };
        if (i > 0)
            *at++ = ',';
        at = put_hex(at, bytes, sizeof(bytes));
    }
    return at;
}

static const char *version_name(const struct tg_hello_parts *parts)
{
    uint16_t version = parts->version_count ? 0 : parts->legacy_version;
    for (size_t i = 0; i < parts->version_count; i++)
        if (parts->versions[i] > version)
            version = parts->versions[i];
    switch (version) {
    case 0x0304: return "13";
    case 0x0303: return "12";
    case 0x0302: return "11";
    case 0x0301: return "10";
    case 0x0300: return "s3";
    case 0x0002: return "s2";
    default: return "00";
    }
}

static bool alphanumeric(unsigned char c)
{
    return (c >= '0' && c <= '9') || (tg_ascii_lower(c) >= 'a' && tg_ascii_lower(c) <= 'z');
}

/* First and last character of the first protocol, of its hex digits where one of them is no letter or digit. */
static void put_alpn(char out[2], const struct tg_hello_parts *parts)
{
    memcpy(out, "00", 2);
    if (parts->alpn_count == 0)
        return;
    unsigned char first = (unsigned char)parts->alpn[0].at[0];
    unsigned char last = (unsigned char)parts->alpn[0].at[parts->alpn[0].length - 1];
    bool plain = alphanumeric(first) && alphanumeric(last);
    out[0] = plain ? (char)first : hex_digits[first >> 4];
    out[1] = plain ? (char)last : hex_digits[last & 15];
}

static void put_count(char out[2], size_t count)
{
    size_t shown = count < 99 ? count : 99;
    out[0] = (char)('0' + shown / 10);
    out[1] = (char)('0' + shown % 10);
}

/* Twelve digits of the SHA-256, zeros for nothing. */
static bool put_hash(const struct tg_tls_library *library, struct tg_slice text, char out[JA4_HASH])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (text.length == 0)
        return memset(out, '0', JA4_HASH);
    if (!EVP_Digest(text.at, text.length, digest, NULL, tg_tls_library_sha256(library), NULL))
        return false;
    put_hex(out, digest, JA4_HASH / 2);
    return true;
}

static bool put_ciphers(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[JA4_HASH])
{
    uint16_t sorted[TG_HELLO_CIPHERS];
    char text[JA4_TEXT];
    memcpy(sorted, parts->ciphers, parts->cipher_count * sizeof(*sorted));
    qsort(sorted, parts->cipher_count, sizeof(*sorted), compare);
    char *end = put_hex_list(text, sorted, parts->cipher_count);
    return put_hash(library, tg_slice_of(text, (size_t)(end - text)), out);
}

/* Without the name and ALPN, which differ from host to host, and with the signature algorithms as they were sent. */
static bool put_extensions(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[JA4_HASH])
{
    uint16_t sorted[TG_HELLO_EXTENSIONS] = { 0 };
    size_t count = 0;
    char text[JA4_TEXT];
    for (size_t i = 0; i < parts->extension_count; i++)
        if (parts->extensions[i] != SERVER_NAME && parts->extensions[i] != ALPN)
            sorted[count++] = parts->extensions[i];
    qsort(sorted, count, sizeof(*sorted), compare);
    char *end = put_hex_list(text, sorted, count);
    if (parts->signature_count > 0) {
        *end++ = '_';
        end = put_hex_list(end, parts->signatures, parts->signature_count);
    }
    return put_hash(library, tg_slice_of(text, (size_t)(end - text)), out);
}

size_t tg_hello_ja4(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[TG_JA4_LENGTH])
{
    out[0] = 't';
    memcpy(out + 1, version_name(parts), 2);
    out[3] = parts->has_sni ? 'd' : 'i';
    put_count(out + 4, parts->cipher_count);
    put_count(out + 6, parts->extension_count);
    put_alpn(out + 8, parts);
    out[10] = '_';
    out[23] = '_';
    bool done = put_ciphers(library, parts, out + 11) && put_extensions(library, parts, out + 24);
    return done ? TG_JA4_LENGTH : 0;
}
