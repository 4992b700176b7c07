/* A listener's settings in handshakes: which certificate, which versions and protocols, what is asked of clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "tls_material.h"
#include "tls_meeting.h"

static struct tg_tls_library *library;
static struct tls_identity authority, other_authority, plain, wild, shop, shop_rsa;
static struct tls_identity good_client, foreign_client, expired_client, server_as_client;

static struct tls_identity host_identity(const char *names, bool rsa)
{
    return tls_identity_make((struct tls_plan){
        .common_name = TG_SLICE("host"), .names = names, .usage = "serverAuth", .issuer = &authority, .rsa = rsa });
}

static struct tls_identity client_identity(const struct tls_identity *issuer, const char *usage, bool expired)
{
    return tls_identity_make((struct tls_plan){ .common_name = TG_SLICE("client"),
                                                .usage = usage,
                                                .issuer = issuer,
                                                .begins = expired ? -1000 : 0,
                                                .ends = expired ? -100 : 0 });
}

static int set_up(void **state)
{
    char why[512];
    (void)state;
    library = tg_tls_library_open(false, why);
    authority = tls_authority_make("Authority");
    other_authority = tls_authority_make("Other authority");
    plain = host_identity("DNS:plain.example", false);
    wild = host_identity("DNS:*.wild.example,DNS:Exact.Wild.example", false);
    shop = host_identity("DNS:shop.example", false);
    shop_rsa = host_identity("DNS:shop.example", true);
    good_client = client_identity(&authority, "clientAuth", false);
    foreign_client = client_identity(&other_authority, "clientAuth", false);
    expired_client = client_identity(&authority, "clientAuth", true);
    server_as_client = client_identity(&authority, "serverAuth", false);
    return library ? 0 : -1;
}

static int tear_down(void **state)
{
    struct tls_identity *all[] = { &authority, &other_authority, &plain,          &wild,           &shop,
                                   &shop_rsa,  &good_client,     &foreign_client, &expired_client, &server_as_client };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        tls_identity_deinit(all[i]);
    tg_tls_library_close(library);
    return 0;
}

static struct tg_tls_certificate entry_of(const struct tls_identity *identity)
{
    return (struct tg_tls_certificate){ .cert = tls_file("cert.pem", identity->cert_pem),
                                        .key = tls_file("key.pem", identity->key_pem) };
}

static struct tg_tls_server *server_of(struct tg_tls_server_options options)
{
    char why[512] = "";
    struct tg_tls_server *server = tg_tls_server_new(library, NULL, &options, why);
    if (!server)
        fail_msg("%s", why);
    return server;
}

static struct tg_tls_server *one_host(void)
{
    struct tg_tls_certificate entry = entry_of(&plain);
    return server_of((struct tg_tls_server_options){ .certificates = &entry, .count = 1 });
}

static struct tg_tls_server *three_hosts(bool refuse_unknown_names)
{
    struct tg_tls_certificate entries[3] = { entry_of(&plain), entry_of(&wild), entry_of(&shop) };
    entries[2].cert2 = tls_file("rsa.pem", shop_rsa.cert_pem);
    entries[2].key2 = tls_file("rsa.key", shop_rsa.key_pem);
    entries[2].name = TG_SLICE("the shop");
    return server_of((struct tg_tls_server_options){
        .certificates = entries, .count = 3, .refuse_unknown_names = refuse_unknown_names });
}

/* --- names --- */

static void expect_served(struct tg_tls_server *server, struct tls_visitor *visitor,
                          const struct tls_identity *expected)
{
    struct tls_meeting *meeting = tls_meet(server, visitor);
    assert_true(meeting->done);
    X509 *served = SSL_get0_peer_certificate(meeting->client.ssl);
    if (X509_cmp(served, expected->certificate) != 0)
        fail_msg("%s got another certificate", visitor->sni ? visitor->sni : "a client without a name");
    tls_meeting_free(meeting);
}

static void expect_served_by_name(struct tg_tls_server *server, const char *sni, const struct tls_identity *expected)
{
    struct tls_visitor visitor = tls_visitor_new(sni);
    expect_served(server, &visitor, expected);
    tls_visitor_deinit(&visitor);
}

/* [T04] */
static void a_name_gets_its_certificate_however_it_is_written(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(false);
    expect_served_by_name(server, "shop.example", &shop);
    expect_served_by_name(server, "SHOP.Example", &shop);
    expect_served_by_name(server, "shop.example.", &shop);
    expect_served_by_name(server, "any.wild.example", &wild);
    expect_served_by_name(server, "ANY.WILD.example", &wild);
    expect_served_by_name(server, "exact.wild.example", &wild);
    expect_served_by_name(server, "plain.example", &plain);
    tg_tls_server_unref(server);
}

/* [T04] */
static void a_name_that_nothing_has_and_no_name_get_the_first_certificate(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(false);
    expect_served_by_name(server, "a.b.wild.example", &plain);
    expect_served_by_name(server, "wild.example", &plain);
    expect_served_by_name(server, "xshop.example", &plain);
    expect_served_by_name(server, NULL, &plain);
    tg_tls_server_unref(server);
}

static void expect_refused(struct tg_tls_server *server, struct tls_visitor *visitor, int reason, const char *problem)
{
    struct tls_meeting *meeting = tls_meet(server, visitor);
    assert_false(meeting->done);
    if (reason && ERR_GET_REASON(meeting->client_error) != reason)
        fail_msg("the client saw '%s'", ERR_reason_error_string(meeting->client_error));
    if (problem)
        assert_string_equal(meeting->handshake.problem, problem);
    tls_meeting_free(meeting);
}

static void a_name_that_nothing_has_is_refused_by_option(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(true);
    struct tls_visitor visitor = tls_visitor_new("unknown.example");
    expect_refused(server, &visitor, SSL_R_TLSV1_UNRECOGNIZED_NAME, "no certificate has the name that was asked for");
    tls_visitor_deinit(&visitor);
    expect_served_by_name(server, "a.wild.example", &wild);
    expect_served_by_name(server, NULL, &plain);
    tg_tls_server_unref(server);
}

static void a_client_gets_the_kind_of_key_that_it_can_check(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(false);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor modern = tls_visitor_new("shop.example"), old = tls_visitor_new("shop.example");
        SSL_CTX_set_max_proto_version(modern.context, version);
        SSL_CTX_set_max_proto_version(old.context, version);
        SSL_CTX_set1_sigalgs_list(old.context, "RSA-PSS+SHA256:RSA+SHA256");
        expect_served(server, &modern, &shop);
        expect_served(server, &old, &shop_rsa);
        tls_visitor_deinit(&modern);
        tls_visitor_deinit(&old);
    }
    tg_tls_server_unref(server);
}

/* [T05] */
static void a_name_is_found_in_a_hello_of_many_small_records(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(true);
    static const size_t sizes[] = { 1, 4, 100 };
    for (size_t i = 0; i < 3; i++) {
        struct tls_visitor visitor = tls_visitor_new("shop.example");
        visitor.fragment = sizes[i];
        expect_served(server, &visitor, &shop);
        tls_visitor_deinit(&visitor);
    }
    tg_tls_server_unref(server);
}

/* --- versions and ciphers --- */

static bool meets(struct tg_tls_server *server, struct tls_visitor *visitor)
{
    struct tls_meeting *meeting = tls_meet(server, visitor);
    bool done = meeting->done;
    tls_meeting_free(meeting);
    return done;
}

static bool meets_version(struct tg_tls_server *server, int version)
{
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    SSL_CTX_set_security_level(visitor.context, 0);
    SSL_CTX_set_min_proto_version(visitor.context, version);
    SSL_CTX_set_max_proto_version(visitor.context, version);
    bool done = meets(server, &visitor);
    tls_visitor_deinit(&visitor);
    return done;
}

static void versions_are_those_of_the_policy(void **state)
{
    (void)state;
    struct tg_tls_certificate entry = entry_of(&plain);
    struct tg_tls_server *intermediate = one_host();
    struct tg_tls_server *modern =
        server_of((struct tg_tls_server_options){ .certificates = &entry, .count = 1, .policy = TG_TLS_MODERN });
    assert_false(meets_version(intermediate, TLS1_VERSION));
    assert_false(meets_version(intermediate, TLS1_1_VERSION));
    assert_true(meets_version(intermediate, TLS1_2_VERSION));
    assert_true(meets_version(intermediate, TLS1_3_VERSION));
    assert_false(meets_version(modern, TLS1_2_VERSION));
    assert_true(meets_version(modern, TLS1_3_VERSION));
    tg_tls_server_unref(intermediate);
    tg_tls_server_unref(modern);
}

static bool meets_cipher(struct tg_tls_server *server, const char *cipher)
{
    struct tls_visitor visitor = tls_visitor_new("shop.example");
    SSL_CTX_set_max_proto_version(visitor.context, TLS1_2_VERSION);
    SSL_CTX_set_security_level(visitor.context, 0);
    assert_int_equal(SSL_CTX_set_cipher_list(visitor.context, cipher), 1);
    bool done = meets(server, &visitor);
    tls_visitor_deinit(&visitor);
    return done;
}

static void ciphers_have_forward_secrecy_and_authentication(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(false);
    static const char *const good[] = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                                        "ECDHE-ECDSA-CHACHA20-POLY1305" };
    static const char *const bad[] = { "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "AES256-SHA",
                                       "ECDHE-ECDSA-AES128-SHA256", "ADH-AES128-GCM-SHA256" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(meets_cipher(server, good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(meets_cipher(server, bad[i]));
    tg_tls_server_unref(server);
}

/* [T10] */
static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct tg_tls_server *server = one_host();
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    SSL_CTX_set_max_proto_version(visitor.context, TLS1_2_VERSION);
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    assert_true(meeting->done);
    assert_int_equal(SSL_renegotiate(meeting->client.ssl), 1);
    char byte;
    for (int turn = 0; turn < 4 && !ERR_peek_error(); turn++) {
        assert_int_not_equal(SSL_do_handshake(meeting->client.ssl), 1);
        if (ERR_peek_error())
            break;
        tls_meeting_pump(meeting);
        assert_true(SSL_read(meeting->server.ssl, &byte, 1) <= 0);
        tls_meeting_pump(meeting);
    }
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    assert_int_equal(meeting->hellos, 2);
    ERR_clear_error();
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
}

/* --- ALPN --- */

static struct tls_visitor speaker(const char *protocols)
{
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    if (protocols)
        assert_int_equal(
            SSL_CTX_set_alpn_protos(visitor.context, (const unsigned char *)protocols, (unsigned)strlen(protocols)), 0);
    return visitor;
}

static void expect_protocol(struct tg_tls_server *server, struct tls_visitor visitor, const char *expected)
{
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    const unsigned char *at;
    unsigned length;
    assert_true(meeting->done);
    SSL_get0_alpn_selected(meeting->client.ssl, &at, &length);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(at, expected, length);
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
}

static void expect_no_protocol(struct tg_tls_server *server, struct tls_visitor visitor)
{
    expect_refused(server, &visitor, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "no protocol in common (ALPN)");
    tls_visitor_deinit(&visitor);
}

/* [T09] */
static void the_protocol_is_ours_in_our_order_or_none_at_all(void **state)
{
    (void)state;
    struct tg_tls_certificate entry = entry_of(&plain);
    struct tg_tls_server *both = one_host();
    struct tg_tls_server *h1_only =
        server_of((struct tg_tls_server_options){ .certificates = &entry, .count = 1, .h1_only = true });
    expect_protocol(both, speaker("\x08http/1.1\x02h2"), "h2");
    expect_protocol(both, speaker("\x08http/1.1"), "http/1.1");
    expect_protocol(both, speaker("\x02h3\x08http/1.1"), "http/1.1");
    expect_protocol(both, speaker(NULL), "");
    expect_protocol(h1_only, speaker("\x02h2\x08http/1.1"), "http/1.1");
    expect_no_protocol(h1_only, speaker("\x02h2"));
    expect_no_protocol(both, speaker("\x03"
                                     "ftp\x08http/1.0"));
    expect_no_protocol(both, speaker("\x01h"));
    expect_no_protocol(both, speaker("\x03h2c"));
    tg_tls_server_unref(both);
    tg_tls_server_unref(h1_only);
}

static struct tls_visitor speaker_with(const char *protocols, enum tg_alpn first, enum tg_alpn second, size_t count)
{
    struct tls_visitor visitor = speaker(protocols);
    visitor.choice.alpn_set = true;
    visitor.choice.alpn[0] = first;
    visitor.choice.alpn[1] = second;
    visitor.choice.alpn_count = count;
    return visitor;
}

static void a_handler_narrows_the_protocols(void **state)
{
    (void)state;
    struct tg_tls_server *server = one_host();
    static const char *both = "\x02h2\x08http/1.1";
    expect_protocol(server, speaker_with(both, TG_ALPN_H1, TG_ALPN_NONE, 1), "http/1.1");
    expect_protocol(server, speaker_with(both, TG_ALPN_H1, TG_ALPN_H2, 2), "http/1.1");
    expect_protocol(server, speaker_with(both, TG_ALPN_H2, TG_ALPN_NONE, 2), "h2");
    expect_protocol(server, speaker_with(both, TG_ALPN_NONE, TG_ALPN_NONE, 0), "");
    expect_no_protocol(server, speaker_with("\x08http/1.1", TG_ALPN_H2, TG_ALPN_NONE, 1));
    tg_tls_server_unref(server);
}

/* --- what a handler decides --- */

static void a_handler_chooses_the_certificate_by_name(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(true);
    struct tls_visitor visitor = tls_visitor_new("unknown.example");
    visitor.choice.certificate = tg_tls_server_find_certificate(server, TG_SLICE("the shop"));
    assert_int_equal(visitor.choice.certificate, 2);
    expect_served(server, &visitor, &shop);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("shop.EXAMPLE")), 2);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("*.wild.example")), 1);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("x.wild.example")), 1);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("The Shop")), -1);
    assert_int_equal(tg_tls_server_find_certificate(server, TG_SLICE("")), -1);
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
}

static void a_handler_refuses(void **state)
{
    (void)state;
    struct tg_tls_server *server = one_host();
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    visitor.choice.refuse = true;
    expect_refused(server, &visitor, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "refused by a handler");
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
}

static void a_decision_holds_over_a_second_hello(void **state)
{
    (void)state;
    struct tg_tls_server *server = three_hosts(false);
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    SSL_CTX_set1_groups_list(visitor.context, "P-521:P-256");
    visitor.choice.certificate = 1;
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    assert_true(meeting->done);
    assert_int_equal(meeting->hellos, 2);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(meeting->client.ssl), wild.certificate), 0);
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
}

/* --- clients' certificates --- */

static void bring(struct tls_visitor *visitor, const struct tls_identity *identity)
{
    if (!identity)
        return;
    assert_int_equal(SSL_CTX_use_certificate(visitor->context, identity->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(visitor->context, identity->key), 1);
}

enum outcome { REFUSED, WITHOUT, UNVERIFIED, VERIFIED };

static enum outcome outcome_of(struct tg_tls_server *server, const struct tls_identity *identity, int version,
                               int32_t asked_by_handler)
{
    struct tls_visitor visitor = tls_visitor_new("plain.example");
    SSL_CTX_set_max_proto_version(visitor.context, version);
    bring(&visitor, identity);
    visitor.choice.client_ca = asked_by_handler;
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    enum outcome outcome = REFUSED;
    if (meeting->done && !SSL_get0_peer_certificate(meeting->server.ssl))
        outcome = WITHOUT;
    else if (meeting->done)
        outcome = SSL_get_verify_result(meeting->server.ssl) == X509_V_OK ? VERIFIED : UNVERIFIED;
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
    return outcome;
}

static void clients_are_asked_as_the_entry_says(void **state)
{
    (void)state;
    static const struct {
        enum tg_tls_client_auth client_auth;
        const struct tls_identity *identity;
        enum outcome outcome;
    } cases[] = {
        { TG_CLIENT_AUTH_NONE, NULL, WITHOUT },
        { TG_CLIENT_AUTH_NONE, &good_client, WITHOUT },
        { TG_CLIENT_AUTH_OPTIONAL, NULL, WITHOUT },
        { TG_CLIENT_AUTH_OPTIONAL, &good_client, VERIFIED },
        { TG_CLIENT_AUTH_OPTIONAL, &foreign_client, UNVERIFIED },
        { TG_CLIENT_AUTH_OPTIONAL, &expired_client, UNVERIFIED },
        { TG_CLIENT_AUTH_OPTIONAL, &server_as_client, UNVERIFIED },
        { TG_CLIENT_AUTH_REQUIRE, NULL, REFUSED },
        { TG_CLIENT_AUTH_REQUIRE, &good_client, VERIFIED },
        { TG_CLIENT_AUTH_REQUIRE, &foreign_client, REFUSED },
        { TG_CLIENT_AUTH_REQUIRE, &expired_client, REFUSED },
        { TG_CLIENT_AUTH_REQUIRE, &server_as_client, REFUSED },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tg_tls_certificate entry = entry_of(&plain);
        entry.client_auth = cases[i].client_auth;
        entry.client_ca = tls_file("ca.pem", authority.cert_pem);
        struct tg_tls_server *server = server_of((struct tg_tls_server_options){ .certificates = &entry, .count = 1 });
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
            if (outcome_of(server, cases[i].identity, version, -1) != cases[i].outcome)
                fail_msg("case %zu, version %x", i, (unsigned)version);
        tg_tls_server_unref(server);
    }
}

/* The demands are those of the name, also where it isn't the first certificate's. */
static void the_demands_of_a_name_hold_for_it_alone(void **state)
{
    (void)state;
    struct tg_tls_certificate entries[2] = { entry_of(&shop), entry_of(&plain) };
    entries[1].client_auth = TG_CLIENT_AUTH_REQUIRE;
    entries[1].client_ca = tls_file("ca.pem", authority.cert_pem);
    struct tg_tls_server *server = server_of((struct tg_tls_server_options){ .certificates = entries, .count = 2 });
    assert_int_equal(outcome_of(server, NULL, TLS1_3_VERSION, -1), REFUSED);
    assert_int_equal(outcome_of(server, &foreign_client, TLS1_3_VERSION, -1), REFUSED);
    assert_int_equal(outcome_of(server, &good_client, TLS1_3_VERSION, -1), VERIFIED);
    expect_served_by_name(server, "shop.example", &shop);
    tg_tls_server_unref(server);
}

static void a_handler_asks_for_a_certificate(void **state)
{
    (void)state;
    struct tg_tls_certificate entry = entry_of(&plain);
    struct tg_tls_file cas[2] = { tls_file("a.pem", authority.cert_pem), tls_file("b.pem", other_authority.cert_pem) };
    struct tg_tls_server *server = server_of(
        (struct tg_tls_server_options){ .certificates = &entry, .count = 1, .client_cas = cas, .client_ca_count = 2 });
    assert_int_equal(tg_tls_server_find_client_ca(server, TG_SLICE("b.pem")), 1);
    assert_int_equal(tg_tls_server_find_client_ca(server, TG_SLICE("c.pem")), -1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_int_equal(outcome_of(server, NULL, version, -1), WITHOUT);
        assert_int_equal(outcome_of(server, NULL, version, 0), REFUSED);
        assert_int_equal(outcome_of(server, &good_client, version, 0), VERIFIED);
        assert_int_equal(outcome_of(server, &foreign_client, version, 0), REFUSED);
        assert_int_equal(outcome_of(server, &foreign_client, version, 1), VERIFIED);
    }
    tg_tls_server_unref(server);
}

/* [T03] */
static void equal_demands_have_equal_policies(void **state)
{
    (void)state;
    struct tg_tls_certificate entries[3] = { entry_of(&plain), entry_of(&wild), entry_of(&shop) };
    entries[1].client_auth = TG_CLIENT_AUTH_REQUIRE;
    entries[1].client_ca = tls_file("ca.pem", authority.cert_pem);
    struct tg_tls_server *server = server_of((struct tg_tls_server_options){ .certificates = entries, .count = 3 });
    uint32_t open = tg_tls_server_policy_of(server, TG_SLICE("plain.example"));
    uint32_t closed = tg_tls_server_policy_of(server, TG_SLICE("a.wild.example"));
    assert_int_not_equal(open, closed);
    assert_int_equal(tg_tls_server_policy_of(server, TG_SLICE("shop.example")), open);
    assert_int_equal(tg_tls_server_policy_of(server, TG_SLICE("unknown.example")), open);
    assert_int_equal(tg_tls_server_policy_of(server, TG_SLICE("[::1]")), open);
    assert_int_equal(tg_tls_server_policy_of(server, TG_SLICE("EXACT.wild.example.")), closed);
    struct tls_visitor visitor = tls_visitor_new("a.wild.example");
    bring(&visitor, &good_client);
    struct tls_meeting *meeting = tls_meet(server, &visitor);
    assert_true(meeting->done);
    assert_int_equal(meeting->handshake.policy, closed);
    tls_meeting_free(meeting);
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
}

/* --- the key log --- */

static void secrets_go_to_a_file_of_ones_own_only_where_one_is_named(void **state)
{
    (void)state;
    char path[] = "/tmp/tidegate-key-log-XXXXXX", why[512] = "", line[64] = "";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    unlink(path);
    struct tg_tls_certificate entry = entry_of(&plain);
    struct tg_tls_server_options options = { .certificates = &entry, .count = 1, .key_log = path };
    struct tg_tls_server *server = server_of(options);
    assert_true(meets_version(server, TLS1_3_VERSION));
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_non_null(strstr(line, "SECRET"));
    fclose(file);
    chmod(path, 0644);
    assert_null(tg_tls_server_new(library, NULL, &options, why));
    assert_non_null(strstr(why, "chmod 600"));
    unlink(path);
    options.key_log = "/nowhere/key.log";
    assert_null(tg_tls_server_new(library, NULL, &options, why));
    assert_non_null(strstr(why, "/nowhere/key.log"));
    tg_tls_server_unref(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_gets_its_certificate_however_it_is_written),
        cmocka_unit_test(a_name_that_nothing_has_and_no_name_get_the_first_certificate),
        cmocka_unit_test(a_name_that_nothing_has_is_refused_by_option),
        cmocka_unit_test(a_client_gets_the_kind_of_key_that_it_can_check),
        cmocka_unit_test(a_name_is_found_in_a_hello_of_many_small_records),
        cmocka_unit_test(versions_are_those_of_the_policy),
        cmocka_unit_test(ciphers_have_forward_secrecy_and_authentication),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(the_protocol_is_ours_in_our_order_or_none_at_all),
        cmocka_unit_test(a_handler_narrows_the_protocols),
        cmocka_unit_test(a_handler_chooses_the_certificate_by_name),
        cmocka_unit_test(a_handler_refuses),
        cmocka_unit_test(a_decision_holds_over_a_second_hello),
        cmocka_unit_test(clients_are_asked_as_the_entry_says),
        cmocka_unit_test(the_demands_of_a_name_hold_for_it_alone),
        cmocka_unit_test(a_handler_asks_for_a_certificate),
        cmocka_unit_test(equal_demands_have_equal_policies),
        cmocka_unit_test(secrets_go_to_a_file_of_ones_own_only_where_one_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
