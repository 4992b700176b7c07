#include "net/tls_pem.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

bool tg_tls_refuse(char why[TG_TLS_WHY], const struct tg_tls_file *file, const char *format, ...)
{
    va_list arguments;
    int shown = file->path.length < TG_TLS_WHY / 2 ? (int)file->path.length : TG_TLS_WHY / 2;
    int length = snprintf(why, TG_TLS_WHY, "%.*s: ", shown, file->path.at ? file->path.at : "");
    va_start(arguments, format);
    vsnprintf(why + length, TG_TLS_WHY - (size_t)length, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return false;
}

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

static BIO *open_file(const struct tg_tls_file *file, char why[TG_TLS_WHY])
{
    if (!tg_tls_file_given(file) || file->content.length > INT_MAX) {
        tg_tls_refuse(why, file, tg_tls_file_given(file) ? "is too large" : "is missing");
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(file->content.at, (int)file->content.length);
    if (!bio)
        tg_tls_refuse(why, file, "out of memory");
    return bio;
}

/* false: no more, or a bad one, as the queue of errors says. */
static bool read_certificate(const struct tg_tls_library *library, BIO *bio, STACK_OF(X509) * certificates)
{
    X509 *certificate = X509_new_ex(tg_tls_library_context(library), tg_tls_library_properties(library));
    if (certificate && PEM_read_bio_X509(bio, &certificate, NULL, NULL) && sk_X509_push(certificates, certificate) > 0)
        return true;
    X509_free(certificate);
    return false;
}

STACK_OF(X509) *
    tg_pem_certificates(const struct tg_tls_library *library, const struct tg_tls_file *file, char why[TG_TLS_WHY])
{
    BIO *bio = open_file(file, why);
    if (!bio)
        return NULL;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    ERR_clear_error();
    while (certificates && read_certificate(library, bio, certificates))
        ;
    BIO_free(bio);
    int count = certificates ? sk_X509_num(certificates) : 0;
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (count > 0 && ended) {
        ERR_clear_error();
        return certificates;
    }
    if (ended)
        tg_tls_refuse(why, file, "has no certificate in it: a PEM file with BEGIN CERTIFICATE is needed");
    else
        tg_tls_refuse(why, file, "certificate %d can't be read: %s", count + 1, last_reason());
    sk_X509_pop_free(certificates, X509_free);
    return NULL;
}

static int note_passphrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

EVP_PKEY *tg_pem_key(const struct tg_tls_library *library, const struct tg_tls_file *file, char why[TG_TLS_WHY])
{
    BIO *bio = open_file(file, why);
    if (!bio)
        return NULL;
    bool asked = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(bio, NULL, note_passphrase, &asked, tg_tls_library_context(library),
                                               tg_tls_library_properties(library));
    BIO_free(bio);
    if (!key && asked)
        tg_tls_refuse(why, file,
                      "has a passphrase, which can't be asked for here: take it off with 'openssl pkey -in FILE'");
    else if (!key)
        tg_tls_refuse(why, file,
                      "has no private key in it that can be read: a PEM file with BEGIN PRIVATE KEY is needed (%s)",
                      last_reason());
    ERR_clear_error();
    return key;
}

struct tg_pem_subject tg_pem_subject_of(const X509 *certificate)
{
    struct tg_pem_subject subject = { .text = "" };
    X509_NAME *name = X509_get_subject_name(certificate);
    if (X509_NAME_get_text_by_NID(name, NID_commonName, subject.text, sizeof(subject.text)) <= 0)
        X509_NAME_oneline(name, subject.text, sizeof(subject.text));
    for (char *at = subject.text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return subject;
}

/* --- authorities ------------------------------------------------------------------------------------------------ */

static bool add_authority(X509 *certificate, EVP_MD_CTX *digest, struct tg_tls_authorities *authorities)
{
    unsigned char one[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
    if (name && sk_X509_NAME_push(authorities->names, name) == 0) {
        X509_NAME_free(name);
        name = NULL;
    }
    return name && X509_digest(certificate, EVP_sha256(), one, &length) == 1 &&
           EVP_DigestUpdate(digest, one, length) == 1 && X509_STORE_add_cert(authorities->store, certificate) == 1;
}

static bool add_authorities(const struct tg_tls_library *library, const struct tg_tls_file *file, bool strict,
                            STACK_OF(X509) * certificates, struct tg_tls_authorities *authorities, char why[TG_TLS_WHY])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool added = digest && EVP_DigestInit_ex(digest, tg_tls_library_sha256(library), NULL) == 1;
    for (int i = 0; added && i < sk_X509_num(certificates); i++) {
        X509 *certificate = sk_X509_value(certificates, i);
        if (strict && X509_check_ca(certificate) == 0) {
            EVP_MD_CTX_free(digest);
            return tg_tls_refuse(why, file, "certificate %d ('%s') isn't that of an authority", i + 1,
                                 tg_pem_subject_of(certificate).text);
        }
        added = add_authority(certificate, digest, authorities);
    }
    added = added && EVP_DigestFinal_ex(digest, authorities->digest, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return added || tg_tls_refuse(why, file, "can't be used: %s", last_reason());
}

bool tg_tls_authorities_load(const struct tg_tls_library *library, const struct tg_tls_file *file, bool strict,
                             struct tg_tls_authorities *authorities, char why[TG_TLS_WHY])
{
    *authorities = (struct tg_tls_authorities){ 0 };
    STACK_OF(X509) *certificates = tg_pem_certificates(library, file, why);
    if (!certificates)
        return false;
    authorities->store = X509_STORE_new();
    authorities->names = sk_X509_NAME_new_null();
    bool loaded = (authorities->store && authorities->names) || tg_tls_refuse(why, file, "out of memory");
    loaded = loaded && add_authorities(library, file, strict, certificates, authorities, why);
    sk_X509_pop_free(certificates, X509_free);
    if (!loaded)
        tg_tls_authorities_deinit(authorities);
    return loaded;
}

void tg_tls_authorities_deinit(struct tg_tls_authorities *authorities)
{
    X509_STORE_free(authorities->store);
    sk_X509_NAME_pop_free(authorities->names, X509_NAME_free);
    *authorities = (struct tg_tls_authorities){ 0 };
}
