/* The ClientHello as it was sent: OpenSSL's own view hides extensions that it doesn't know. net/ only; no shared
 * state. */
#ifndef TG_NET_TLS_HELLO_H
#define TG_NET_TLS_HELLO_H

#include "net/tls.h"
#include "net/tls_library.h"

/* More of them than any client sends; a hello beyond one of these is refused as malformed. */
enum {
    TG_HELLO_CIPHERS = 512,
    TG_HELLO_EXTENSIONS = 128,
    TG_HELLO_GROUPS = 128,
    TG_HELLO_SIGNATURES = 128,
    TG_HELLO_VERSIONS = 32,
    TG_HELLO_POINT_FORMATS = 16,
    TG_HELLO_ALPN = 32,
};

/* Numbers in the client's order, without those of GREASE (RFC 8701). */
struct tg_hello_parts {
    uint16_t legacy_version;
    uint16_t ciphers[TG_HELLO_CIPHERS], extensions[TG_HELLO_EXTENSIONS], groups[TG_HELLO_GROUPS];
    uint16_t signatures[TG_HELLO_SIGNATURES], versions[TG_HELLO_VERSIONS], point_formats[TG_HELLO_POINT_FORMATS];
    size_t cipher_count, extension_count, group_count, signature_count, version_count, point_format_count;
    struct tg_slice alpn[TG_HELLO_ALPN]; /* in the message */
    size_t alpn_count;
    struct tg_slice sni; /* in the message, as sent */
    bool has_sni;
};

/* `message`: the whole handshake message, its header of four bytes included (RFC 8446 4.1.2, RFC 5246 7.4.1.2). false
 * where a length doesn't fit, an extension comes twice, or a limit is passed. */
bool tg_hello_read(struct tg_slice message, struct tg_hello_parts *parts) __attribute__((warn_unused_result));

enum { TG_JA3_LENGTH = 32, TG_JA4_LENGTH = 36 };

/* JA3: MD5 in hex; 0 where there is no MD5 (FIPS). JA4: as FoxIO describes it for TLS clients. Both return the length;
 * 0 on failure. */
size_t tg_hello_ja3(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[TG_JA3_LENGTH]);
size_t tg_hello_ja4(const struct tg_tls_library *library, const struct tg_hello_parts *parts, char out[TG_JA4_LENGTH]);

/* A valid host name in lower case without trailing dot, or empty where it is an address, which RFC 6066 doesn't let be
 * a name, so that none was sent. `out`: as long as the name. false: neither, refuse it. */
bool tg_hello_name(struct tg_slice sni, char *out, size_t *length) __attribute__((warn_unused_result));

/* In one block of malloc with all it points to: free() it. NULL: malformed, or no memory. */
struct tg_client_hello *tg_client_hello_new(const struct tg_tls_library *library, struct tg_slice message);

#endif
