/* Certificates and keys for tests, made as they are asked for. */
#ifndef TG_UNIT_TLS_MATERIAL_H
#define TG_UNIT_TLS_MATERIAL_H

#include <openssl/ssl.h>

#include "net/tls_server.h"

struct tls_identity {
    X509 *certificate;
    EVP_PKEY *key;
    struct tg_slice cert_pem, key_pem; /* NUL follows */
};

struct tls_plan {
    struct tg_slice common_name; /* may hold any byte; empty: none */
    const char *names;           /* subjectAltName as OpenSSL writes it: "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const char *usage;           /* extendedKeyUsage: "serverAuth"; NULL: none */
    const struct tls_identity *issuer; /* NULL: itself */
    bool authority;
    bool rsa;          /* else ECDSA over P-256 */
    long begins, ends; /* seconds from now; both 0: from an hour ago for 90 days */
};

struct tls_identity tls_identity_make(struct tls_plan plan);
void tls_identity_deinit(struct tls_identity *identity);
/* An authority named `name`. */
struct tls_identity tls_authority_make(const char *name);
/* What a server of `host` has, signed by `issuer`; names 127.0.0.1, too. */
struct tls_identity tls_server_identity_make(const char *host, const struct tls_identity *issuer);

static inline struct tg_tls_file tls_file(const char *path, struct tg_slice content)
{
    return (struct tg_tls_file){ .path = tg_slice_from_string(path), .content = content };
}

#endif
