/* How peers are checked, and what makes one set of settings another than the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_material.h"
#include "tls_meeting.h"

static struct tg_tls_library *library;
static struct tls_identity authority, other_authority, host, address, wild, partial, expired, not_server, self_signed,
    common_name, client_identity;

static struct tls_identity host_of(struct tls_plan plan)
{
    if (plan.common_name.length == 0)
        plan.common_name = TG_SLICE("peer");
    return tls_identity_make(plan);
}

static int set_up(void **state)
{
    char why[512];
    (void)state;
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    library = tg_tls_library_open(false, why);
    authority = tls_authority_make("Authority");
    other_authority = tls_authority_make("Other authority");
    host = host_of((struct tls_plan){ .names = "DNS:api.example", .usage = "serverAuth", .issuer = &authority });
    address = host_of((struct tls_plan){ .names = "IP:10.0.0.1,IP:::1", .usage = "serverAuth", .issuer = &authority });
    wild = host_of((struct tls_plan){ .names = "DNS:*.w.example", .issuer = &authority });
    partial = host_of((struct tls_plan){ .names = "DNS:a*.w.example", .issuer = &authority });
    expired =
        host_of((struct tls_plan){ .names = "DNS:api.example", .issuer = &authority, .begins = -1000, .ends = -10 });
    not_server = host_of((struct tls_plan){ .names = "DNS:api.example", .usage = "clientAuth", .issuer = &authority });
    self_signed = host_of((struct tls_plan){ .names = "DNS:api.example" });
    common_name = host_of((struct tls_plan){
        .common_name = TG_SLICE("api.example"), .names = "DNS:other.example", .issuer = &authority });
    client_identity = host_of((struct tls_plan){ .usage = "clientAuth", .issuer = &authority });
    return library ? 0 : -1;
}

static int tear_down(void **state)
{
    struct tls_identity *all[] = { &authority, &other_authority, &host,        &address,     &wild,           &partial,
                                   &expired,   &not_server,      &self_signed, &common_name, &client_identity };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        tls_identity_deinit(all[i]);
    tg_tls_library_close(library);
    return 0;
}

static struct tg_tls_client_options usual(void)
{
    return (struct tg_tls_client_options){
        .verify = true, .ca = tls_file("ca.pem", authority.cert_pem), .offer_h1 = true, .offer_h2 = true
    };
}

static struct tg_tls_client *client_of(struct tg_tls_client_options options)
{
    char why[512] = "";
    struct tg_tls_client *client = tg_tls_client_new(library, &options, why);
    if (!client)
        fail_msg("%s", why);
    return client;
}

static struct tg_tls_server *server_of(const struct tls_identity *identity, enum tg_tls_client_auth client_auth)
{
    char why[512] = "";
    struct tg_tls_certificate entry = { .cert = tls_file("cert.pem", identity->cert_pem),
                                        .key = tls_file("key.pem", identity->key_pem),
                                        .client_ca = tls_file("ca.pem", authority.cert_pem),
                                        .client_auth = client_auth };
    struct tg_tls_server_options options = { .certificates = &entry, .count = 1 };
    struct tg_tls_server *server = tg_tls_server_new(library, NULL, &options, why);
    if (!server)
        fail_msg("%s", why);
    return server;
}

/* What OpenSSL finds of the peer's certificate; X509_V_OK only where the handshake was done. */
static long verdict(struct tg_tls_client_options options, const struct tls_identity *identity, const char *name)
{
    struct tg_tls_client *client = client_of(options);
    struct tg_tls_server *server = server_of(identity, TG_CLIENT_AUTH_NONE);
    struct tls_meeting *meeting = tls_meet_client(server, client, name, NULL);
    long result = SSL_get_verify_result(meeting->client.ssl);
    assert_int_equal(meeting->done, !options.verify || result == X509_V_OK);
    tls_meeting_free(meeting);
    tg_tls_server_unref(server);
    tg_tls_client_unref(client);
    return result;
}

/* [X06] */
static void a_peer_is_taken_only_with_a_certificate_that_is_good_in_every_way(void **state)
{
    (void)state;
    assert_int_equal(verdict(usual(), &host, "api.example"), X509_V_OK);
    assert_int_equal(verdict(usual(), &host, "API.example."), X509_V_OK);
    assert_int_equal(verdict(usual(), &host, "www.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict(usual(), &common_name, "api.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict(usual(), &expired, "api.example"), X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_equal(verdict(usual(), &not_server, "api.example"), X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(verdict(usual(), &self_signed, "api.example"), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
    struct tg_tls_client_options foreign = usual();
    foreign.ca = tls_file("other.pem", other_authority.cert_pem);
    assert_int_not_equal(verdict(foreign, &host, "api.example"), X509_V_OK);
}

/* [X06] */
static void a_wildcard_stands_for_one_whole_label(void **state)
{
    (void)state;
    assert_int_equal(verdict(usual(), &wild, "a.w.example"), X509_V_OK);
    assert_int_equal(verdict(usual(), &wild, "a.b.w.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict(usual(), &wild, "w.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verdict(usual(), &partial, "ab.w.example"), X509_V_ERR_HOSTNAME_MISMATCH);
}

/* [X06] */
static void an_address_is_checked_as_one(void **state)
{
    (void)state;
    assert_int_equal(verdict(usual(), &address, "10.0.0.1"), X509_V_OK);
    assert_int_equal(verdict(usual(), &address, "::1"), X509_V_OK);
    assert_int_equal(verdict(usual(), &address, "10.0.0.2"), X509_V_ERR_IP_ADDRESS_MISMATCH);
    assert_int_equal(verdict(usual(), &host, "10.0.0.1"), X509_V_ERR_IP_ADDRESS_MISMATCH);
}

static void without_verification_anyone_is_taken(void **state)
{
    (void)state;
    struct tg_tls_client_options options = usual();
    options.verify = false;
    (void)verdict(options, &self_signed, "www.example");
    (void)verdict(options, &expired, "10.0.0.1");
}

static void a_name_is_sent_and_an_address_is_not(void **state)
{
    (void)state;
    struct tg_tls_client *client = client_of(usual());
    struct tg_tls_server *named = server_of(&host, TG_CLIENT_AUTH_NONE);
    struct tg_tls_server *numbered = server_of(&address, TG_CLIENT_AUTH_NONE);
    struct tls_meeting *by_name = tls_meet_client(named, client, "Api.Example", NULL);
    assert_true(by_name->done);
    assert_true(tg_slice_equal(by_name->handshake.hello->sni, TG_SLICE("api.example")));
    struct tls_meeting *by_address = tls_meet_client(numbered, client, "10.0.0.1", NULL);
    assert_true(by_address->done);
    assert_memory_equal(by_address->handshake.hello->ja4.at, "t13i", 4);
    assert_null(tg_tls_client_ssl_new(client, TG_SLICE("")));
    assert_null(tg_tls_client_ssl_new(client, TG_SLICE("a b")));
    assert_null(tg_tls_client_ssl_new(client, TG_SLICE("a.example\0.b")));
    tls_meeting_free(by_name);
    tls_meeting_free(by_address);
    tg_tls_server_unref(named);
    tg_tls_server_unref(numbered);
    tg_tls_client_unref(client);
}

static void h2_is_offered_first(void **state)
{
    (void)state;
    static const struct {
        bool h1, h2;
        size_t count;
        const char *first;
    } cases[] = {
        { true, true, 2, "h2" }, { true, false, 1, "http/1.1" }, { false, true, 1, "h2" }, { false, false, 0, "" }
    };
    struct tg_tls_server *server = server_of(&host, TG_CLIENT_AUTH_NONE);
    for (size_t i = 0; i < 4; i++) {
        struct tg_tls_client_options options = usual();
        options.offer_h1 = cases[i].h1;
        options.offer_h2 = cases[i].h2;
        struct tg_tls_client *client = client_of(options);
        struct tls_meeting *meeting = tls_meet_client(server, client, "api.example", NULL);
        assert_true(meeting->done);
        assert_int_equal(meeting->handshake.hello->alpn_count, cases[i].count);
        if (cases[i].count > 0)
            assert_true(tg_slice_equal(meeting->handshake.hello->alpn[0], tg_slice_from_string(cases[i].first)));
        tls_meeting_free(meeting);
        tg_tls_client_unref(client);
    }
    tg_tls_server_unref(server);
}

static void our_certificate_is_shown_where_it_is_asked_for(void **state)
{
    (void)state;
    struct tg_tls_server *server = server_of(&host, TG_CLIENT_AUTH_REQUIRE);
    struct tg_tls_client_options options = usual();
    struct tg_tls_client *nobody = client_of(options);
    options.cert = tls_file("client.pem", client_identity.cert_pem);
    options.key = tls_file("client.key", client_identity.key_pem);
    struct tg_tls_client *somebody = client_of(options);
    struct tls_meeting *refused = tls_meet_client(server, nobody, "api.example", NULL);
    struct tls_meeting *taken = tls_meet_client(server, somebody, "api.example", NULL);
    assert_false(refused->done);
    assert_true(taken->done);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(taken->server.ssl), client_identity.certificate), 0);
    tls_meeting_free(refused);
    tls_meeting_free(taken);
    tg_tls_client_unref(nobody);
    tg_tls_client_unref(somebody);
    tg_tls_server_unref(server);
}

static void expect_refusal(struct tg_tls_client_options options, const char *reason)
{
    char why[512] = "";
    assert_null(tg_tls_client_new(library, &options, why));
    if (!strstr(why, reason))
        fail_msg("'%s' instead of '%s'", why, reason);
}

/* [T06] */
static void what_cannot_be_read_fails_the_load(void **state)
{
    (void)state;
    struct tg_tls_client_options options = usual();
    options.ca = tls_file("ca.pem", TG_SLICE(""));
    expect_refusal(options, "ca.pem: has no certificate in it");
    options.ca = tls_file("ca.pem", (struct tg_slice){ 0 });
    expect_refusal(options, "ca.pem: is missing");
    options = usual();
    options.cert = tls_file("client.pem", client_identity.cert_pem);
    expect_refusal(options, "client.pem: its key is missing");
    options.key = tls_file("client.key", host.key_pem);
    expect_refusal(options, "client.key: doesn't belong to client.pem");
    options.cert = (struct tg_tls_file){ 0 };
    expect_refusal(options, "client.key: its certificate is missing");
    options = usual();
    options.name = TG_SLICE("not a name");
    expect_refusal(options, "'not a name' is no host name");
    options = usual();
    options.key_log = "/nowhere/key.log";
    expect_refusal(options, "/nowhere/key.log");
}

/* --- the system's authorities --- */

static void write_file(const char *path, struct tg_slice content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.at, 1, content.length, file), content.length);
    fclose(file);
}

/* [T06] */
static void the_systems_authorities_serve_where_none_are_named_or_the_load_fails(void **state)
{
    (void)state;
    char folder[] = "/tmp/tidegate-cas-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    struct tg_tls_client_options options = { .verify = true };
    setenv("SSL_CERT_DIR", folder, 1);
    expect_refusal(options, "no authorities of the system were found");
    snprintf(path, sizeof(path), "%s/bundle.pem", folder);
    unsetenv("SSL_CERT_DIR");
    setenv("SSL_CERT_FILE", path, 1);
    expect_refusal(options, path);
    write_file(path, TG_SLICE("garbage"));
    expect_refusal(options, "has no certificate in it");
    write_file(path, authority.cert_pem);
    assert_int_equal(verdict(options, &host, "api.example"), X509_V_OK);
    struct tg_tls_client *before = client_of(options);
    unlink(path);
    write_file(path, other_authority.cert_pem);
    assert_int_not_equal(verdict(options, &host, "api.example"), X509_V_OK);
    struct tg_tls_client *after = client_of(options);
    assert_false(tg_slice_equal(tg_tls_client_identity(before), tg_tls_client_identity(after)));
    unlink(path);
    options.verify = false;
    (void)verdict(options, &host, "api.example");
    tg_tls_client_unref(before);
    tg_tls_client_unref(after);
    unsetenv("SSL_CERT_FILE");
    rmdir(folder);
}

/* As OpenSSL's tools lay it out: a file for each, named by the hash of its subject. */
static void a_folder_of_authorities_serves_too(void **state)
{
    (void)state;
    char folder[] = "/tmp/tidegate-cas-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/%08lx.0", folder, X509_subject_name_hash(authority.certificate));
    write_file(path, authority.cert_pem);
    setenv("SSL_CERT_DIR", folder, 1);
    assert_int_equal(verdict((struct tg_tls_client_options){ .verify = true }, &host, "api.example"), X509_V_OK);
    unsetenv("SSL_CERT_DIR");
    unlink(path);
    rmdir(folder);
}

/* --- identity --- */

/* [X01] [X02] */
static void settings_that_differ_in_anything_have_another_identity(void **state)
{
    (void)state;
    struct tg_tls_client_options all[11];
    char log[] = "/tmp/tidegate-secrets-XXXXXX";
    close(mkstemp(log));
    for (size_t i = 0; i < 11; i++)
        all[i] = usual();
    all[1].verify = false;
    all[2].name = TG_SLICE("a.example");
    all[3].name = TG_SLICE("b.example");
    all[4].ca = tls_file("ca.pem", other_authority.cert_pem);
    all[5].cert = tls_file("client.pem", client_identity.cert_pem);
    all[5].key = tls_file("client.key", client_identity.key_pem);
    all[6].cert = tls_file("client.pem", host.cert_pem);
    all[6].key = tls_file("client.key", host.key_pem);
    all[7].offer_h1 = false;
    all[8].offer_h2 = false;
    all[9].offer_h1 = all[9].offer_h2 = false;
    all[10].key_log = log;
    struct tg_tls_client *clients[11];
    for (size_t i = 0; i < 11; i++)
        clients[i] = client_of(all[i]);
    for (size_t i = 0; i < 11; i++)
        for (size_t other = 0; other < i; other++)
            assert_false(tg_slice_equal(tg_tls_client_identity(clients[i]), tg_tls_client_identity(clients[other])));
    struct tg_tls_client *same = client_of(usual());
    assert_true(tg_slice_equal(tg_tls_client_identity(clients[0]), tg_tls_client_identity(same)));
    tg_tls_client_unref(same);
    for (size_t i = 0; i < 11; i++)
        tg_tls_client_unref(clients[i]);
    unlink(log);
}

static void expect_name(const struct tg_tls_client *client, const char *peer, const char *name)
{
    struct tg_slice found = tg_tls_client_name(client, tg_slice_from_string(peer));
    if (!tg_slice_equal(found, tg_slice_from_string(name)))
        fail_msg("'%.*s' instead of '%s'", (int)found.length, found.at, name);
}

static void a_peer_is_named_by_its_address_unless_the_group_names_it(void **state)
{
    (void)state;
    struct tg_tls_client_options options = usual();
    struct tg_tls_client *unnamed = client_of(options);
    options.name = TG_SLICE("Api.Example");
    struct tg_tls_client *named = client_of(options);
    options.name = TG_SLICE("10.0.0.1");
    struct tg_tls_client *numbered = client_of(options);
    expect_name(unnamed, "10.0.0.1:443", "10.0.0.1");
    expect_name(unnamed, "[::1]:443", "::1");
    expect_name(unnamed, "localhost:8443", "localhost");
    expect_name(unnamed, "unix:/run/a:b.sock", "localhost");
    expect_name(named, "10.0.0.1:443", "api.example");
    expect_name(named, "unix:/run/a.sock", "api.example");
    expect_name(numbered, "unix:/run/a.sock", "10.0.0.1");
    tg_tls_client_unref(unnamed);
    tg_tls_client_unref(named);
    tg_tls_client_unref(numbered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_taken_only_with_a_certificate_that_is_good_in_every_way),
        cmocka_unit_test(a_wildcard_stands_for_one_whole_label),
        cmocka_unit_test(an_address_is_checked_as_one),
        cmocka_unit_test(without_verification_anyone_is_taken),
        cmocka_unit_test(a_name_is_sent_and_an_address_is_not),
        cmocka_unit_test(h2_is_offered_first),
        cmocka_unit_test(our_certificate_is_shown_where_it_is_asked_for),
        cmocka_unit_test(what_cannot_be_read_fails_the_load),
        cmocka_unit_test(the_systems_authorities_serve_where_none_are_named_or_the_load_fails),
        cmocka_unit_test(a_folder_of_authorities_serves_too),
        cmocka_unit_test(settings_that_differ_in_anything_have_another_identity),
        cmocka_unit_test(a_peer_is_named_by_its_address_unless_the_group_names_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
