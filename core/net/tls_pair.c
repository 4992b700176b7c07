/* A certificate with its chain and key, and whether they belong together. */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/tls_pem.h"

enum { RSA_BITS = 2048 };

/* -1: no certificate of the file has this key. */
static int owner_of_key(STACK_OF(X509) * certificates, const EVP_PKEY *key)
{
    for (int i = 0; i < sk_X509_num(certificates); i++)
        if (X509_check_private_key(sk_X509_value(certificates, i), key) == 1)
            return i;
    return -1;
}

static bool check_key(const struct tg_tls_file *cert, const struct tg_tls_file *file, STACK_OF(X509) * certificates,
                      EVP_PKEY *key, char why[TG_TLS_WHY])
{
    int owner = owner_of_key(certificates, key);
    int bits = EVP_PKEY_get_bits(key);
    bool rsa = EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS");
    if (owner < 0)
        return tg_tls_refuse(why, file, "doesn't belong to %.*s", (int)cert->path.length, cert->path.at);
    if (owner > 0)
        return tg_tls_refuse(why, cert, "the certificate of the key must be the first in the file; it is number %d",
                             owner + 1);
    if (rsa && bits < RSA_BITS)
        return tg_tls_refuse(why, file, "an RSA key of %d bits is too weak: at least %d are needed", bits, RSA_BITS);
    if (!rsa && !EVP_PKEY_is_a(key, "EC") && !EVP_PKEY_is_a(key, "ED25519"))
        return tg_tls_refuse(why, file, "this kind of key can't serve: RSA, ECDSA and Ed25519 can");
    return true;
}

static bool issued(X509 *issuer, X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return X509_check_issued(issuer, certificate) == X509_V_OK && key && X509_verify(certificate, key) == 1;
}

static int find_issuer(STACK_OF(X509) * certificates, int of)
{
    for (int i = 1; i < sk_X509_num(certificates); i++)
        if (i != of && issued(sk_X509_value(certificates, i), sk_X509_value(certificates, of)))
            return i;
    return -1;
}

static bool check_chain(const struct tg_tls_file *file, STACK_OF(X509) * certificates, char why[TG_TLS_WHY])
{
    for (int i = 0; i + 1 < sk_X509_num(certificates); i++) {
        X509 *certificate = sk_X509_value(certificates, i), *next = sk_X509_value(certificates, i + 1);
        if (issued(next, certificate))
            continue;
        int issuer = find_issuer(certificates, i);
        if (issuer > 0)
            return tg_tls_refuse(why, file, "its chain is out of order: certificate %d ('%s') must follow number %d",
                                 issuer + 1, tg_pem_subject_of(sk_X509_value(certificates, issuer)).text, i + 1);
        return tg_tls_refuse(why, file, "certificate %d ('%s') doesn't belong to the chain: it didn't issue '%s'",
                             i + 2, tg_pem_subject_of(next).text, tg_pem_subject_of(certificate).text);
    }
    ERR_clear_error();
    return true;
}

bool tg_tls_pair_load(const struct tg_tls_library *library, const struct tg_tls_file *cert,
                      const struct tg_tls_file *key, struct tg_tls_pair *pair, char why[TG_TLS_WHY])
{
    *pair = (struct tg_tls_pair){ 0 };
    if (tg_tls_file_given(cert) && !tg_tls_file_given(key))
        return tg_tls_refuse(why, cert, "its key is missing");
    pair->chain = tg_pem_certificates(library, cert, why);
    pair->key = pair->chain ? tg_pem_key(library, key, why) : NULL;
    bool good = pair->key && check_key(cert, key, pair->chain, pair->key, why) && check_chain(cert, pair->chain, why);
    if (good)
        pair->certificate = sk_X509_shift(pair->chain);
    else
        tg_tls_pair_deinit(pair);
    return good;
}

void tg_tls_pair_deinit(struct tg_tls_pair *pair)
{
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
    sk_X509_pop_free(pair->chain, X509_free);
    *pair = (struct tg_tls_pair){ 0 };
}

bool tg_tls_pair_use(const struct tg_tls_pair *pair, SSL_CTX *context, const struct tg_tls_file *cert,
                     char why[TG_TLS_WHY])
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate(context, pair->certificate) == 1 && SSL_CTX_use_PrivateKey(context, pair->key) == 1 &&
        SSL_CTX_set1_chain(context, pair->chain) == 1)
        return true;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return tg_tls_refuse(why, cert, "can't serve: %s", reason ? reason : "unknown reason");
}
