#include "net/tls_hello.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
    CLIENT_HELLO = 1,
    SERVER_NAME = 0,
    SUPPORTED_GROUPS = 10,
    EC_POINT_FORMATS = 11,
    SIGNATURE_ALGORITHMS = 13,
    ALPN = 16,
    SUPPORTED_VERSIONS = 43,
    NAME_LIMIT = 253, /* RFC 1035 3.1, as text */
    LABEL_LIMIT = 63,
};

/* Reads never pass the end: one that would makes the reader bad, and all further ones give nothing. */
struct reader {
    const unsigned char *at, *end;
    bool bad;
};

static struct tg_slice take(struct reader *reader, size_t length)
{
    if (reader->bad || (size_t)(reader->end - reader->at) < length) {
        reader->bad = true;
        return (struct tg_slice){ 0 };
    }
    struct tg_slice taken = tg_slice_of((const char *)reader->at, length);
    reader->at += length;
    return taken;
}

/* A big-endian number of 1 to 3 bytes. */
static uint32_t number(struct reader *reader, size_t bytes)
{
    struct tg_slice taken = take(reader, bytes);
    uint32_t value = 0;
    for (size_t i = 0; i < taken.length; i++)
        value = value << 8 | (unsigned char)taken.at[i];
    return value;
}

static struct reader reader_of(struct tg_slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    return (struct reader){ .at = at, .end = bytes.length ? at + bytes.length : at };
}

/* A vector whose length stands before it in so many bytes. */
static struct tg_slice vector(struct reader *reader, size_t bytes_of_length)
{
    return take(reader, number(reader, bytes_of_length));
}

static bool at_end(const struct reader *reader)
{
    return !reader->bad && reader->at == reader->end;
}

static bool is_grease(uint16_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* A list of numbers of one or two bytes each, at least one. */
static bool read_list(struct tg_slice bytes, size_t width, uint16_t *out, size_t limit, size_t *count)
{
    struct reader reader = reader_of(bytes);
    size_t kept = 0;
    while (!reader.bad && reader.at < reader.end) {
        uint16_t value = (uint16_t)number(&reader, width);
        if (width == 2 && is_grease(value))
            continue;
        if (kept == limit)
            return false;
        out[kept++] = value;
    }
    *count = kept;
    return bytes.length > 0 && at_end(&reader);
}

/* An extension that is one list. */
static bool read_list_extension(struct tg_slice body, size_t bytes_of_length, size_t width, uint16_t *out, size_t limit,
                                size_t *count)
{
    struct reader reader = reader_of(body);
    struct tg_slice list = vector(&reader, bytes_of_length);
    return at_end(&reader) && read_list(list, width, out, limit, count);
}

/* One name of the one kind there is (RFC 6066 3). */
static bool read_server_name(struct tg_slice body, struct tg_hello_parts *parts)
{
    struct reader reader = reader_of(body);
    struct reader list = reader_of(vector(&reader, 2));
    uint32_t kind = number(&list, 1);
    parts->sni = vector(&list, 2);
    parts->has_sni = true;
    return at_end(&reader) && at_end(&list) && kind == 0 && parts->sni.length > 0;
}

/* RFC 7301 3.1: no empty list, no empty name. */
static bool read_alpn(struct tg_slice body, struct tg_hello_parts *parts)
{
    struct reader reader = reader_of(body);
    struct reader list = reader_of(vector(&reader, 2));
    while (!list.bad && list.at < list.end) {
        struct tg_slice name = vector(&list, 1);
        if (name.length == 0 || parts->alpn_count == TG_HELLO_ALPN)
            return false;
        parts->alpn[parts->alpn_count++] = name;
    }
    return at_end(&reader) && at_end(&list) && parts->alpn_count > 0;
}

static bool read_extension(uint16_t type, struct tg_slice body, struct tg_hello_parts *parts)
{
    switch (type) {
    case SERVER_NAME: return read_server_name(body, parts);
    case ALPN: return read_alpn(body, parts);
    case SUPPORTED_GROUPS: return read_list_extension(body, 2, 2, parts->groups, TG_HELLO_GROUPS, &parts->group_count);
    case EC_POINT_FORMATS:
        return read_list_extension(body, 1, 1, parts->point_formats, TG_HELLO_POINT_FORMATS,
                                   &parts->point_format_count);
    case SIGNATURE_ALGORITHMS:
        return read_list_extension(body, 2, 2, parts->signatures, TG_HELLO_SIGNATURES, &parts->signature_count);
    case SUPPORTED_VERSIONS:
        return read_list_extension(body, 1, 2, parts->versions, TG_HELLO_VERSIONS, &parts->version_count);
    default: return true;
    }
}

/* An extension that comes twice could mean one thing to us and another to OpenSSL. */
static bool note_extension(uint16_t type, struct tg_hello_parts *parts)
{
    for (size_t i = 0; i < parts->extension_count; i++)
        if (parts->extensions[i] == type)
            return false;
    if (parts->extension_count == TG_HELLO_EXTENSIONS)
        return false;
    parts->extensions[parts->extension_count++] = type;
    return true;
}

static bool read_extensions(struct tg_slice bytes, struct tg_hello_parts *parts)
{
    struct reader reader = reader_of(bytes);
    while (!reader.bad && reader.at < reader.end) {
        uint16_t type = (uint16_t)number(&reader, 2);
        struct tg_slice body = vector(&reader, 2);
        if (reader.bad)
            return false;
        if (!is_grease(type) && (!note_extension(type, parts) || !read_extension(type, body, parts)))
            return false;
    }
    return at_end(&reader);
}

bool tg_hello_read(struct tg_slice message, struct tg_hello_parts *parts)
{
    *parts = (struct tg_hello_parts){ 0 };
    struct reader whole = reader_of(message);
    uint32_t type = number(&whole, 1);
    struct reader body = reader_of(vector(&whole, 3));
    if (type != CLIENT_HELLO || !at_end(&whole))
        return false;
    parts->legacy_version = (uint16_t)number(&body, 2);
    take(&body, 32); /* random */
    struct tg_slice session = vector(&body, 1);
    struct tg_slice ciphers = vector(&body, 2);
    struct tg_slice compressions = vector(&body, 1);
    if (body.bad || session.length > 32 || compressions.length == 0 ||
        !read_list(ciphers, 2, parts->ciphers, TG_HELLO_CIPHERS, &parts->cipher_count))
        return false;
    if (at_end(&body))
        return true; /* TLS 1.2 without extensions */
    struct tg_slice extensions = vector(&body, 2);
    return at_end(&body) && read_extensions(extensions, parts);
}

/* --- names ------------------------------------------------------------------------------------------------------ */

static bool is_address(struct tg_slice name)
{
    char text[64];
    unsigned char bytes[16];
    if (name.length >= sizeof(text) || memchr(name.at, '\0', name.length))
        return false;
    memcpy(text, name.at, name.length);
    text[name.length] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool name_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool tg_hello_name(struct tg_slice sni, char *out, size_t *length)
{
    *length = 0;
    if (is_address(sni))
        return true;
    if (sni.length > 0 && sni.at[sni.length - 1] == '.')
        sni.length--;
    size_t label = 0;
    for (size_t i = 0; i < sni.length; i++) {
        unsigned char c = tg_ascii_lower((unsigned char)sni.at[i]);
        bool dot = c == '.';
        if (dot ? label == 0 : !name_byte(c) || label == LABEL_LIMIT)
            return false;
        label = dot ? 0 : label + 1;
        out[i] = (char)c;
    }
    *length = sni.length;
    return label > 0 && sni.length <= NAME_LIMIT;
}

/* --- one block ------------------------------------------------------------------------------------------------- */

/* In the order of their alignment: slices, numbers, text. */
static size_t block_size(const struct tg_hello_parts *parts)
{
    size_t numbers = (parts->version_count + parts->cipher_count) * sizeof(uint16_t);
    size_t text = parts->sni.length + TG_JA3_LENGTH + TG_JA4_LENGTH;
    for (size_t i = 0; i < parts->alpn_count; i++)
        text += parts->alpn[i].length;
    return sizeof(struct tg_client_hello) + parts->alpn_count * sizeof(struct tg_slice) + numbers + text;
}

static const uint16_t *put_numbers(char **free_room, const uint16_t *numbers, size_t count)
{
    uint16_t *put = (uint16_t *)(void *)*free_room;
    memcpy(put, numbers, count * sizeof(*numbers));
    *free_room += count * sizeof(*numbers);
    return put;
}

static struct tg_slice put_text(char **free_room, struct tg_slice text)
{
    char *put = *free_room;
    if (text.length > 0)
        memcpy(put, text.at, text.length);
    *free_room += text.length;
    return tg_slice_of(put, text.length);
}

static bool put_name(char **free_room, struct tg_slice sni, struct tg_slice *name)
{
    name->at = *free_room;
    if (sni.length == 0)
        return true;
    if (!tg_hello_name(sni, *free_room, &name->length))
        return false;
    *free_room += name->length;
    return true;
}

static bool fill(const struct tg_tls_library *library, const struct tg_hello_parts *parts,
                 struct tg_client_hello *hello)
{
    struct tg_slice *alpn = (struct tg_slice *)(hello + 1);
    char *room = (char *)(alpn + parts->alpn_count);
    hello->alpn = alpn;
    hello->alpn_count = parts->alpn_count;
    hello->versions = put_numbers(&room, parts->versions, parts->version_count);
    hello->version_count = parts->version_count;
    hello->ciphers = put_numbers(&room, parts->ciphers, parts->cipher_count);
    hello->cipher_count = parts->cipher_count;
    for (size_t i = 0; i < parts->alpn_count; i++)
        alpn[i] = put_text(&room, parts->alpn[i]);
    hello->ja3 = tg_slice_of(room, tg_hello_ja3(library, parts, room));
    room += hello->ja3.length;
    hello->ja4 = tg_slice_of(room, tg_hello_ja4(library, parts, room));
    room += hello->ja4.length;
    return hello->ja4.length > 0 && put_name(&room, parts->sni, &hello->sni);
}

struct tg_client_hello *tg_client_hello_new(const struct tg_tls_library *library, struct tg_slice message)
{
    struct tg_hello_parts parts;
    if (!tg_hello_read(message, &parts))
        return NULL;
    struct tg_client_hello *hello = calloc(1, block_size(&parts));
    if (hello && !fill(library, &parts, hello)) {
        free(hello);
        return NULL;
    }
    return hello;
}
