/* The library context, and that a FIPS provider which isn't there is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "net/tls_library.h"
#include "tls_material.h"
#include "tls_meeting.h"

static void the_default_provider_serves(void **state)
{
    char why[512] = "";
    (void)state;
    struct tg_tls_library *library = tg_tls_library_open(false, why);
    assert_non_null(library);
    assert_false(tg_tls_library_is_fips(library));
    assert_true(tg_slice_equal(tg_tls_library_provider(library), TG_SLICE("default")));
    assert_null(tg_tls_library_context(library));
    assert_null(tg_tls_library_properties(library));
    assert_non_null(tg_tls_library_md5(library));
    tg_tls_library_close(library);
}

static void expect_no_fips(void)
{
    char why[512] = "";
    assert_null(tg_tls_library_open(true, why));
    if (!strstr(why, "FIPS provider"))
        fail_msg("'%s'", why);
    assert_non_null(strstr(why, "fipsinstall"));
    assert_int_equal(ERR_peek_error(), 0);
}

/* An empty folder for modules, so that it holds where a provider is installed, too. */
static void a_missing_fips_provider_is_said_with_what_to_do(void **state)
{
    char folder[] = "/tmp/tidegate-modules-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("OPENSSL_MODULES", folder, 1);
    expect_no_fips();
    char why[512] = "";
    assert_null(tg_tls_library_open(true, why));
    assert_non_null(strstr(why, folder));
    unsetenv("OPENSSL_MODULES");
    rmdir(folder);
}

/* Where fipsinstall wasn't run, or its file isn't included, the module loads but doesn't check itself. */
static void without_its_configuration_it_does_not_serve(void **state)
{
    (void)state;
    setenv("OPENSSL_CONF", "/nowhere/openssl.cnf", 1);
    expect_no_fips();
    unsetenv("OPENSSL_CONF");
}

/* A handshake with one who offers only these. */
static bool meets(struct tg_tls_server *server, const char *suite, const char *group, size_t ja3_length)
{
    struct tls_visitor visitor = tls_visitor_new("a.example");
    assert_int_equal(SSL_CTX_set_ciphersuites(visitor.context, suite), 1);
    assert_int_equal(SSL_CTX_set1_groups_list(visitor.context, group), 1);
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    bool done = meeting->done;
    assert_int_equal(meeting->handshake.hello->ja3.length, ja3_length);
    assert_int_equal(meeting->handshake.hello->ja4.length, 36);
    if (done && visitor.ticket) {
        struct tls_meeting *again;
        tls_visitor_come_again(&visitor);
        again = tls_meet(server, &visitor);
        assert_true(again->done && SSL_session_reused(again->client.ssl));
        tls_meeting_free(again);
    }
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
    return done;
}

static void check_fips(struct tg_tls_library *library)
{
    char why[512] = "";
    struct tls_identity authority = tls_authority_make("Authority");
    struct tls_identity identity = tls_server_identity_make("a.example", &authority);
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = { .cert = tls_file("cert.pem", identity.cert_pem),
                                        .key = tls_file("key.pem", identity.key_pem) };
    struct tg_tls_server_options options = { .certificates = &entry, .count = 1, .session_life = 3600 };
    struct tg_tls_client_options peer = { .verify = true, .ca = tls_file("ca.pem", authority.cert_pem) };
    struct tg_tls_server *server = tg_tls_server_new(library, keys, &options, why);
    struct tg_tls_client *client = tg_tls_client_new(library, &peer, why);
    if (!server || !client)
        fail_msg("%s", why);
    assert_true(meets(server, "TLS_AES_128_GCM_SHA256", "P-256", 0));
    assert_true(meets(server, "TLS_AES_256_GCM_SHA384", "X25519:P-384", 0));
    assert_false(meets(server, "TLS_CHACHA20_POLY1305_SHA256", "P-256", 0));
    assert_false(meets(server, "TLS_AES_128_GCM_SHA256", "X25519", 0));
    struct tls_meeting *meeting = tls_meet_client(server, client, "a.example", NULL);
    assert_true(meeting->done);
    tls_meeting_free(meeting);
    tg_tls_client_unref(client);
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
    tls_identity_deinit(&identity);
    tls_identity_deinit(&authority);
}

/* Whether OpenSSL itself finds a provider, and one that serves: Debian has none. */
static bool fips_is_installed(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    char *path = CONF_get1_default_config_file();
    if (path)
        (void)OSSL_LIB_CTX_load_config(context, path);
    OPENSSL_free(path);
    OSSL_PROVIDER *provider = OSSL_PROVIDER_load(context, "fips");
    EVP_MD *digest = provider ? EVP_MD_fetch(context, "SHA256", "fips=yes") : NULL;
    bool installed = digest != NULL;
    EVP_MD_free(digest);
    if (provider)
        OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(context);
    ERR_clear_error();
    return installed;
}

/* Where a provider is installed, as by OPENSSL_MODULES and OPENSSL_CONF; elsewhere nothing serves in its place. */
static void under_fips_only_approved_algorithms_serve(void **state)
{
    char why[512] = "";
    (void)state;
    if (!fips_is_installed()) {
        expect_no_fips();
        return;
    }
    struct tg_tls_library *library = tg_tls_library_open(true, why);
    assert_non_null(library);
    assert_true(tg_tls_library_is_fips(library));
    assert_memory_equal(tg_tls_library_provider(library).at, "fips ", 5);
    assert_null(tg_tls_library_md5(library));
    assert_string_equal(tg_tls_library_properties(library), "fips=yes");
    check_fips(library);
    tg_tls_library_close(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_provider_serves),
        cmocka_unit_test(under_fips_only_approved_algorithms_serve),
        cmocka_unit_test(a_missing_fips_provider_is_said_with_what_to_do),
        cmocka_unit_test(without_its_configuration_it_does_not_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
