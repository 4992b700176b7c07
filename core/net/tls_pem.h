/* Certificates and keys out of PEM files, with errors that an operator can act on. net/ only, in a loader's thread. */
#ifndef TG_NET_TLS_PEM_H
#define TG_NET_TLS_PEM_H

#include <openssl/ssl.h>

#include "net/tls_server.h"

enum { TG_TLS_WHY = 512 }; /* bytes of a message */

/* "path: text"; always false. OpenSSL's queue of errors is emptied. */
bool tg_tls_refuse(char why[TG_TLS_WHY], const struct tg_tls_file *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline bool tg_tls_file_given(const struct tg_tls_file *file)
{
    return file->content.at != NULL;
}

/* All certificates of the file, at least one; to be freed with their stack. NULL: `why`. */
STACK_OF(X509) *
    tg_pem_certificates(const struct tg_tls_library *library, const struct tg_tls_file *file, char why[TG_TLS_WHY]);
/* NULL: `why`: none in it, or it needs a passphrase. */
EVP_PKEY *tg_pem_key(const struct tg_tls_library *library, const struct tg_tls_file *file, char why[TG_TLS_WHY]);

/* A certificate as text for messages: its common name, or its whole subject. */
struct tg_pem_subject {
    char text[96];
};
struct tg_pem_subject tg_pem_subject_of(const X509 *certificate);

/* A certificate, its chain in order, and the key that belongs to it. */
struct tg_tls_pair {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* may be empty */
};

/* Refuses a key that isn't the certificate's, kinds and sizes of keys that clients don't take (RSA below 2048 bits),
 * and a chain out of order or with certificates that don't belong to it. */
bool tg_tls_pair_load(const struct tg_tls_library *library, const struct tg_tls_file *cert,
                      const struct tg_tls_file *key, struct tg_tls_pair *pair, char why[TG_TLS_WHY])
    __attribute__((warn_unused_result));
void tg_tls_pair_deinit(struct tg_tls_pair *pair);
/* With its chain into a context that has no certificate of that kind yet. */
bool tg_tls_pair_use(const struct tg_tls_pair *pair, SSL_CTX *context, const struct tg_tls_file *cert,
                     char why[TG_TLS_WHY]) __attribute__((warn_unused_result));

/* Authorities to check peers against. */
struct tg_tls_authorities {
    X509_STORE *store;
    STACK_OF(X509_NAME) * names;
    unsigned char digest[32]; /* SHA-256 of the certificates, in the order of the file */
};

/* Refuses a file without certificates [T06], and, where `strict`, certificates that may not issue others. */
bool tg_tls_authorities_load(const struct tg_tls_library *library, const struct tg_tls_file *file, bool strict,
                             struct tg_tls_authorities *authorities, char why[TG_TLS_WHY])
    __attribute__((warn_unused_result));
void tg_tls_authorities_deinit(struct tg_tls_authorities *authorities);

#endif
