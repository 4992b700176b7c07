#include "tls_material.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct tg_slice text_of(BIO *bio)
{
    char *at;
    long length = BIO_get_mem_data(bio, &at);
    assert_true(length > 0);
    char *text = calloc(1, (size_t)length + 1);
    assert_non_null(text);
    memcpy(text, at, (size_t)length);
    BIO_free(bio);
    return tg_slice_of(text, (size_t)length);
}

static void write_pem(struct tls_identity *identity)
{
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(cert, identity->certificate), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(key, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    identity->cert_pem = text_of(cert);
    identity->key_pem = text_of(key);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_names(X509 *certificate, const struct tls_plan *plan)
{
    static _Atomic long serial = 1000;
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (plan->common_name.length > 0)
        assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                                    (const unsigned char *)plan->common_name.at,
                                                    (int)plan->common_name.length, -1, 0),
                         1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_set_issuer_name(certificate, plan->issuer ? X509_get_subject_name(plan->issuer->certificate) : subject);
}

static void set_life(X509 *certificate, long begins, long ends)
{
    bool usual = begins == 0 && ends == 0;
    X509_gmtime_adj(X509_getm_notBefore(certificate), usual ? -3600 : begins);
    X509_gmtime_adj(X509_getm_notAfter(certificate), usual ? 90L * 86400 : ends);
}

static void add_extensions(X509 *certificate, const struct tls_plan *plan)
{
    X509 *issuer = plan->issuer ? plan->issuer->certificate : certificate;
    add_extension(certificate, issuer, NID_basic_constraints, plan->authority ? "critical,CA:TRUE" : "CA:FALSE");
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
    if (plan->issuer)
        add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
    if (plan->names)
        add_extension(certificate, issuer, NID_subject_alt_name, plan->names);
    if (plan->usage)
        add_extension(certificate, issuer, NID_ext_key_usage, plan->usage);
}

struct tls_identity tls_identity_make(struct tls_plan plan)
{
    struct tls_identity identity = { .certificate = X509_new() };
    identity.key = plan.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    assert_non_null(identity.key);
    X509_set_version(identity.certificate, 2);
    set_names(identity.certificate, &plan);
    set_life(identity.certificate, plan.begins, plan.ends);
    X509_set_pubkey(identity.certificate, identity.key);
    add_extensions(identity.certificate, &plan);
    assert_true(X509_sign(identity.certificate, plan.issuer ? plan.issuer->key : identity.key, EVP_sha256()) > 0);
    write_pem(&identity);
    return identity;
}

void tls_identity_deinit(struct tls_identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    free((char *)identity->cert_pem.at);
    free((char *)identity->key_pem.at);
    *identity = (struct tls_identity){ 0 };
}

struct tls_identity tls_authority_make(const char *name)
{
    return tls_identity_make((struct tls_plan){ .common_name = tg_slice_from_string(name), .authority = true });
}

struct tls_identity tls_server_identity_make(const char *host, const struct tls_identity *issuer)
{
    char names[320];
    snprintf(names, sizeof(names), "DNS:%s,IP:127.0.0.1", host);
    return tls_identity_make((struct tls_plan){
        .common_name = tg_slice_from_string(host), .names = names, .usage = "serverAuth", .issuer = issuer });
}
