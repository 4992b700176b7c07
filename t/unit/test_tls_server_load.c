/* What an operator gets wrong with certificates, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "net/tls_context.h"
#include "tls_material.h"
#include "tls_meeting.h"

static struct tg_tls_library *library;
static struct tls_identity root, middle, leaf, other;

static struct tls_identity issued_by(const struct tls_identity *issuer, const char *name, const char *names,
                                     bool is_authority)
{
    return tls_identity_make((struct tls_plan){
        .common_name = tg_slice_from_string(name), .names = names, .issuer = issuer, .authority = is_authority });
}

static int set_up(void **state)
{
    char why[512];
    (void)state;
    library = tg_tls_library_open(false, why);
    root = tls_authority_make("Root");
    middle = issued_by(&root, "Middle", NULL, true);
    leaf = issued_by(&middle, "leaf", "DNS:leaf.example", false);
    other = issued_by(&root, "other", "DNS:other.example", false);
    return library ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tls_identity_deinit(&root);
    tls_identity_deinit(&middle);
    tls_identity_deinit(&leaf);
    tls_identity_deinit(&other);
    tg_tls_library_close(library);
    return 0;
}

static struct tg_tls_certificate entry_of(struct tg_slice cert, struct tg_slice key)
{
    return (struct tg_tls_certificate){ .cert = tls_file("a.pem", cert), .key = tls_file("a.key", key) };
}

/* NULL: it was refused, and `why` is filled. */
static struct tg_tls_server *load(const struct tg_tls_certificate *entries, size_t count, char why[512])
{
    struct tg_tls_server_options options = { .certificates = entries, .count = count };
    why[0] = '\0';
    return tg_tls_server_new(library, NULL, &options, why);
}

static void expect_refusal_of(const struct tg_tls_certificate *entries, size_t count, const char *reason)
{
    char why[512];
    struct tg_tls_server *server = load(entries, count, why);
    if (server)
        fail_msg("was taken, not refused with '%s'", reason);
    if (!strstr(why, reason))
        fail_msg("'%s' instead of '%s'", why, reason);
}

static void expect_refusal(struct tg_slice cert, struct tg_slice key, const char *reason)
{
    struct tg_tls_certificate entry = entry_of(cert, key);
    expect_refusal_of(&entry, 1, reason);
}

/* Up to three certificates in a row. */
static struct tg_text joined(const struct tls_identity *a, const struct tls_identity *b, const struct tls_identity *c)
{
    const struct tls_identity *all[] = { a, b, c };
    struct tg_text text;
    tg_text_init(&text);
    for (size_t i = 0; i < 3; i++)
        if (all[i])
            tg_text_append(&text, all[i]->cert_pem);
    return text;
}

static void expect_chain(struct tg_text chain, const char *reason)
{
    char why[512];
    struct tg_tls_certificate entry = entry_of(tg_text_slice(&chain), leaf.key_pem);
    if (reason) {
        expect_refusal_of(&entry, 1, reason);
    } else {
        struct tg_tls_server *server = load(&entry, 1, why);
        if (!server)
            fail_msg("%s", why);
        tg_tls_server_unref(server);
    }
    tg_text_deinit(&chain);
}

static void a_file_without_a_certificate_is_refused_by_name(void **state)
{
    (void)state;
    expect_refusal((struct tg_slice){ 0 }, leaf.key_pem, "a.pem: is missing");
    expect_refusal(TG_SLICE(""), leaf.key_pem, "a.pem: has no certificate in it");
    expect_refusal(TG_SLICE("nothing of that kind"), leaf.key_pem, "a.pem: has no certificate in it");
    expect_refusal(leaf.key_pem, leaf.key_pem, "a.pem: has no certificate in it");
    expect_refusal(TG_SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), leaf.key_pem,
                   "a.pem: certificate 1 can't be read");
    expect_refusal_of(NULL, 0, "needs a certificate");
}

static void a_certificate_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct tg_text cut = joined(&leaf, &middle, NULL);
    cut.length -= 40;
    expect_chain(cut, "a.pem: certificate 2 can't be read");
}

static struct tg_slice with_passphrase(const struct tls_identity *identity)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, identity->key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
    long length = BIO_get_mem_data(bio, &at);
    struct tg_slice text = tg_slice_of(at, (size_t)length);
    struct tg_slice copy = { tg_slice_to_string(text), text.length };
    BIO_free(bio);
    return copy;
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refusal(leaf.cert_pem, (struct tg_slice){ 0 }, "a.pem: its key is missing");
    expect_refusal(leaf.cert_pem, TG_SLICE(""), "a.key: has no private key in it that can be read: a PEM file");
    expect_refusal(leaf.cert_pem, leaf.cert_pem, "a.key: has no private key in it");
    expect_refusal(leaf.cert_pem, other.key_pem, "a.key: doesn't belong to a.pem");
    struct tg_slice closed = with_passphrase(&leaf);
    expect_refusal(leaf.cert_pem, closed, "a.key: has a passphrase");
    free((char *)closed.at);
}

static void a_weak_key_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    BIO *cert = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());
    char *cert_at, *key_at;
    PEM_write_bio_X509(cert, certificate);
    PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
    size_t cert_length = (size_t)BIO_get_mem_data(cert, &cert_at), key_length = (size_t)BIO_get_mem_data(pem, &key_at);
    expect_refusal(tg_slice_of(cert_at, cert_length), tg_slice_of(key_at, key_length), "RSA key of 1024 bits");
    BIO_free(cert);
    BIO_free(pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void a_chain_stands_in_order_and_holds_nothing_else(void **state)
{
    (void)state;
    expect_chain(joined(&leaf, NULL, NULL), NULL);
    expect_chain(joined(&leaf, &middle, NULL), NULL);
    expect_chain(joined(&leaf, &middle, &root), NULL);
    expect_chain(joined(&leaf, &root, &middle),
                 "a.pem: its chain is out of order: certificate 3 ('Middle') must follow");
    expect_chain(joined(&leaf, &middle, &other), "certificate 3 ('other') doesn't belong to the chain");
    expect_chain(joined(&leaf, &other, NULL), "it didn't issue 'leaf'");
    expect_chain(joined(&middle, &leaf, NULL), "must be the first in the file; it is number 2");
}

/* One that only has the right name. */
static void a_chain_is_checked_by_its_signatures(void **state)
{
    (void)state;
    struct tls_identity impostor = issued_by(&root, "Middle", NULL, true);
    expect_chain(joined(&leaf, &impostor, NULL), "certificate 2 ('Middle') doesn't belong to the chain");
    tls_identity_deinit(&impostor);
}

static void expect_client_ca(struct tg_slice content, const char *reason)
{
    struct tg_tls_certificate entry = entry_of(leaf.cert_pem, leaf.key_pem);
    for (int optional = 0; optional < 2; optional++) {
        entry.client_auth = optional ? TG_CLIENT_AUTH_OPTIONAL : TG_CLIENT_AUTH_REQUIRE;
        entry.client_ca = tls_file("ca.pem", content);
        expect_refusal_of(&entry, 1, reason);
    }
}

/* [T06] */
static void authorities_that_cannot_be_read_are_never_no_check(void **state)
{
    (void)state;
    expect_client_ca((struct tg_slice){ 0 }, "client_ca is missing");
    expect_client_ca(TG_SLICE(""), "ca.pem: has no certificate in it");
    expect_client_ca(TG_SLICE("garbage"), "ca.pem: has no certificate in it");
    expect_client_ca(leaf.key_pem, "ca.pem: has no certificate in it");
    expect_client_ca(leaf.cert_pem, "ca.pem: certificate 1 ('leaf') isn't that of an authority");
    struct tg_tls_certificate entry = entry_of(leaf.cert_pem, leaf.key_pem);
    struct tg_tls_file extra = tls_file("extra.pem", TG_SLICE("garbage"));
    struct tg_tls_server_options options = {
        .certificates = &entry, .count = 1, .client_cas = &extra, .client_ca_count = 1
    };
    char why[512];
    assert_null(tg_tls_server_new(library, NULL, &options, why));
    assert_non_null(strstr(why, "extra.pem: has no certificate in it"));
}

static void a_name_has_one_certificate(void **state)
{
    (void)state;
    struct tls_identity twin = issued_by(&root, "twin", "DNS:x.example,DNS:LEAF.example.", false);
    struct tls_identity wild = issued_by(&root, "wild", "DNS:*.w.example", false);
    struct tg_tls_certificate entries[2] = { entry_of(leaf.cert_pem, leaf.key_pem),
                                             entry_of(twin.cert_pem, twin.key_pem) };
    entries[1].cert.path = TG_SLICE("b.pem");
    expect_refusal_of(entries, 2, "b.pem: has the name 'LEAF.example.', as has a.pem");
    entries[0] = entries[1] = entry_of(wild.cert_pem, wild.key_pem);
    expect_refusal_of(entries, 2, "has the name '*.w.example', as has a.pem");
    entries[0] = entry_of(leaf.cert_pem, leaf.key_pem);
    entries[0].name = entries[1].name = TG_SLICE("main");
    expect_refusal_of(entries, 2, "is named 'main', as is a.pem");
    tls_identity_deinit(&twin);
    tls_identity_deinit(&wild);
}

static void a_certificate_that_no_client_would_get_is_refused(void **state)
{
    (void)state;
    char why[512];
    struct tls_identity nameless = issued_by(&root, "Some device", "IP:127.0.0.1", false);
    struct tls_identity odd = issued_by(&root, "f*.example", NULL, false);
    struct tg_tls_certificate entries[2] = { entry_of(leaf.cert_pem, leaf.key_pem),
                                             entry_of(nameless.cert_pem, nameless.key_pem) };
    entries[1].cert.path = TG_SLICE("b.pem");
    expect_refusal_of(entries, 2, "b.pem: has no host name in it");
    entries[1] = entry_of(odd.cert_pem, odd.key_pem);
    expect_refusal_of(entries, 2, "has no host name in it");
    struct tg_tls_server *alone = load(&entries[1], 1, why);
    assert_non_null(alone);
    tg_tls_server_unref(alone);
    entries[1].name = TG_SLICE("by a handler");
    struct tg_tls_server *named = load(entries, 2, why);
    assert_non_null(named);
    tg_tls_server_unref(named);
    tls_identity_deinit(&nameless);
    tls_identity_deinit(&odd);
}

/* [T04] */
static void the_common_name_counts_only_without_other_names(void **state)
{
    (void)state;
    char why[512];
    struct tls_identity old = issued_by(&root, "old.example", NULL, false);
    struct tls_identity both = issued_by(&root, "common.example", "DNS:alternative.example", false);
    struct tg_tls_certificate entries[2] = { entry_of(old.cert_pem, old.key_pem),
                                             entry_of(both.cert_pem, both.key_pem) };
    struct tg_tls_server *server = load(entries, 2, why);
    assert_non_null(server);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("old.example")), 0);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("alternative.example")), 1);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("common.example")), -1);
    tg_tls_server_unref(server);
    tls_identity_deinit(&old);
    tls_identity_deinit(&both);
}

static void a_second_certificate_has_another_kind_of_key_and_no_other_names(void **state)
{
    (void)state;
    struct tls_identity rsa = tls_identity_make((struct tls_plan){
        .common_name = TG_SLICE("rsa"), .names = "DNS:leaf.example,DNS:more.example", .issuer = &root, .rsa = true });
    struct tg_tls_certificate entry = entry_of(leaf.cert_pem, leaf.key_pem);
    entry.cert2 = tls_file("b.pem", leaf.cert_pem);
    entry.key2 = tls_file("b.key", leaf.key_pem);
    expect_refusal_of(&entry, 1, "b.pem: has the same kind of key as a.pem");
    entry.cert2 = tls_file("b.pem", rsa.cert_pem);
    expect_refusal_of(&entry, 1, "b.key: doesn't belong to b.pem");
    entry.key2 = tls_file("b.key", rsa.key_pem);
    expect_refusal_of(&entry, 1, "b.pem: has the name 'more.example', which a.pem lacks");
    tls_identity_deinit(&rsa);
}

static void expect_warning(long begins, long ends, const char *expected)
{
    char why[512];
    struct tls_identity identity = tls_identity_make((struct tls_plan){ .common_name = TG_SLICE("timed"),
                                                                        .names = "DNS:timed.example",
                                                                        .issuer = &root,
                                                                        .begins = begins,
                                                                        .ends = ends });
    struct tg_tls_certificate entry = entry_of(identity.cert_pem, identity.key_pem);
    struct tg_tls_server *server = load(&entry, 1, why);
    struct tg_slice warning = { 0 };
    assert_non_null(server);
    assert_int_equal(tg_tls_server_warning(server, 0, &warning), expected != NULL);
    assert_false(tg_tls_server_warning(server, 1, &warning));
    if (expected)
        assert_string_equal(warning.at, expected);
    tg_tls_server_unref(server);
    tls_identity_deinit(&identity);
}

/* Refusing it would make an outage of a reload. */
static void a_certificate_out_of_its_time_is_a_warning(void **state)
{
    (void)state;
    expect_warning(-2000, -1000, "a.pem: 'timed' has expired");
    expect_warning(1000, 86400L * 90, "a.pem: 'timed' isn't valid yet");
    expect_warning(-2000, 86400L * 13, "a.pem: 'timed' expires within 14 days");
    expect_warning(-2000, 86400L * 15, NULL);
}

static void an_authority_for_clients_out_of_its_time_is_a_warning(void **state)
{
    (void)state;
    char why[512];
    struct tg_slice warning = { 0 };
    struct tls_identity old = tls_identity_make(
        (struct tls_plan){ .common_name = TG_SLICE("Old"), .authority = true, .begins = -2000, .ends = -1000 });
    struct tg_tls_certificate entry = entry_of(leaf.cert_pem, leaf.key_pem);
    entry.client_auth = TG_CLIENT_AUTH_REQUIRE;
    entry.client_ca = tls_file("ca.pem", old.cert_pem);
    struct tg_tls_server *server = load(&entry, 1, why);
    assert_non_null(server);
    assert_true(tg_tls_server_warning(server, 0, &warning));
    assert_string_equal(warning.at, "ca.pem: 'Old' has expired");
    tg_tls_server_unref(server);
    tls_identity_deinit(&old);
}

/* --- OCSP --- */

/* `begins`, `ends`: seconds from now. */
static struct tg_slice response_of(const struct tls_identity *subject, const struct tls_identity *issuer,
                                   const struct tls_identity *signer, int status, long begins, long ends)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), subject->certificate, issuer->certificate);
    ASN1_TIME *now = X509_gmtime_adj(NULL, begins), *next = X509_gmtime_adj(NULL, ends);
    assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, now, now, next));
    assert_int_equal(OCSP_basic_sign(basic, signer->certificate, signer->key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *der = NULL;
    int length = i2d_OCSP_RESPONSE(response, &der);
    assert_true(length > 0);
    struct tg_slice copy = { malloc((size_t)length), (size_t)length };
    memcpy((char *)copy.at, der, copy.length);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return copy;
}

static struct tg_slice usual_response(void)
{
    return response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_GOOD, -100, 1000);
}

/* Of the leaf with its chain, or alone. Takes the response over. */
static struct tg_tls_server *load_stapled(struct tg_slice response, bool chain, char why[512])
{
    struct tg_text pem = joined(&leaf, chain ? &middle : NULL, NULL);
    struct tg_tls_certificate entry = entry_of(tg_text_slice(&pem), leaf.key_pem);
    entry.ocsp = tls_file("a.ocsp", response);
    struct tg_tls_server *server = load(&entry, 1, why);
    tg_text_deinit(&pem);
    free((char *)response.at);
    return server;
}

static void expect_stapled(struct tg_tls_server *server, bool expected)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor visitor = tls_visitor_new("leaf.example");
        SSL_CTX_set_max_proto_version(visitor.context, version);
        visitor.wants_staple = true;
        struct tls_meeting *meeting = tls_meet(server, &visitor);
        const unsigned char *response = NULL;
        assert_true(meeting->done);
        long length = SSL_get_tlsext_status_ocsp_resp(meeting->client.ssl, &response);
        assert_int_equal(length > 0, expected);
        tls_meeting_free(meeting);
        tls_visitor_deinit(&visitor);
    }
}

static void expect_staple(struct tg_slice response, bool chain, bool stapled, const char *warning)
{
    char why[512];
    struct tg_slice said = { 0 };
    struct tg_tls_server *server = load_stapled(response, chain, why);
    if (!server)
        fail_msg("%s", why);
    expect_stapled(server, stapled);
    assert_int_equal(tg_tls_server_warning(server, 0, &said), warning != NULL);
    if (warning)
        assert_non_null(strstr(said.at, warning));
    tg_tls_server_unref(server);
}

static void expect_no_staple(struct tg_slice response, bool chain, const char *reason)
{
    char why[512];
    assert_null(load_stapled(response, chain, why));
    if (!strstr(why, reason))
        fail_msg("'%s' instead of '%s'", why, reason);
}

static void a_good_response_is_stapled(void **state)
{
    (void)state;
    expect_staple(usual_response(), true, true, NULL);
    expect_staple(usual_response(), false, true, NULL);
}

/* [T08] */
static void a_response_that_is_stale_or_not_good_is_not_stapled(void **state)
{
    (void)state;
    expect_staple(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_GOOD, -5000, -1000), true, false,
                  "a.ocsp: isn't valid now");
    expect_staple(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_GOOD, -5000, -10), true, false,
                  "a.ocsp: isn't valid now");
    expect_staple(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_GOOD, 1000, 5000), true, false,
                  "a.ocsp: isn't valid now");
    expect_staple(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_REVOKED, -100, 1000), true, false, "revoked");
    expect_staple(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_UNKNOWN, -100, 1000), true, false,
                  "doesn't know the certificate");
}

/* [T08] */
static void a_response_is_stapled_until_its_time_is_over(void **state)
{
    (void)state;
    char why[512];
    struct timespec step = { .tv_nsec = 20000000 };
    struct tg_tls_server *server =
        load_stapled(response_of(&leaf, &middle, &middle, V_OCSP_CERTSTATUS_GOOD, -100, 2), true, why);
    int64_t end = tg_tls_now() + 2000;
    assert_non_null(server);
    expect_stapled(server, true);
    while (tg_tls_now() <= end)
        nanosleep(&step, NULL);
    expect_stapled(server, false);
    tg_tls_server_unref(server);
}

/* [T08] */
static void a_response_that_is_not_the_issuers_about_this_certificate_is_refused(void **state)
{
    (void)state;
    expect_no_staple(response_of(&other, &root, &root, V_OCSP_CERTSTATUS_GOOD, -100, 1000), true,
                     "a.ocsp: is about another certificate than 'leaf'");
    expect_no_staple(response_of(&other, &root, &root, V_OCSP_CERTSTATUS_GOOD, -100, 1000), false,
                     "a.ocsp: is about another certificate than 'leaf'");
    expect_no_staple(response_of(&leaf, &middle, &other, V_OCSP_CERTSTATUS_GOOD, -100, 1000), true,
                     "isn't signed by the certificate's issuer");
    expect_no_staple((struct tg_slice){ strdup("garbage"), 7 }, true, "isn't an OCSP response in DER");
    expect_no_staple((struct tg_slice){ strdup(""), 0 }, true, "isn't an OCSP response in DER");
    static const unsigned char try_later[] = { 0x30, 0x03, 0x0a, 0x01, 0x03 };
    char *copy = malloc(sizeof(try_later));
    memcpy(copy, try_later, sizeof(try_later));
    expect_no_staple(tg_slice_of(copy, sizeof(try_later)), true, "without success: trylater");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_a_certificate_is_refused_by_name),
        cmocka_unit_test(a_certificate_that_is_cut_is_refused),
        cmocka_unit_test(a_key_that_does_not_fit_is_refused),
        cmocka_unit_test(a_weak_key_is_refused),
        cmocka_unit_test(a_chain_stands_in_order_and_holds_nothing_else),
        cmocka_unit_test(a_chain_is_checked_by_its_signatures),
        cmocka_unit_test(authorities_that_cannot_be_read_are_never_no_check),
        cmocka_unit_test(a_name_has_one_certificate),
        cmocka_unit_test(a_certificate_that_no_client_would_get_is_refused),
        cmocka_unit_test(the_common_name_counts_only_without_other_names),
        cmocka_unit_test(a_second_certificate_has_another_kind_of_key_and_no_other_names),
        cmocka_unit_test(a_certificate_out_of_its_time_is_a_warning),
        cmocka_unit_test(an_authority_for_clients_out_of_its_time_is_a_warning),
        cmocka_unit_test(a_good_response_is_stapled),
        cmocka_unit_test(a_response_that_is_stale_or_not_good_is_not_stapled),
        cmocka_unit_test(a_response_is_stapled_until_its_time_is_over),
        cmocka_unit_test(a_response_that_is_not_the_issuers_about_this_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
