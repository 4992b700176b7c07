/* Resumption: keys shared by settings, their rotation, the life of a session, and what it is bound to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "net/tls_context.h"
#include "tls_material.h"
#include "tls_meeting.h"

static struct tg_tls_library *library;
static struct tls_identity authority, other_authority, first, second, client;

static int set_up(void **state)
{
    char why[512];
    (void)state;
    library = tg_tls_library_open(false, why);
    authority = tls_authority_make("Authority");
    other_authority = tls_authority_make("Other authority");
    first = tls_server_identity_make("a.example", &authority);
    second = tls_server_identity_make("b.example", &authority);
    client = tls_identity_make(
        (struct tls_plan){ .common_name = TG_SLICE("client"), .usage = "clientAuth", .issuer = &authority });
    return library ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tls_identity_deinit(&authority);
    tls_identity_deinit(&other_authority);
    tls_identity_deinit(&first);
    tls_identity_deinit(&second);
    tls_identity_deinit(&client);
    tg_tls_library_close(library);
    return 0;
}

static struct tg_tls_certificate entry_of(const struct tls_identity *identity)
{
    return (struct tg_tls_certificate){ .cert = tls_file("cert.pem", identity->cert_pem),
                                        .key = tls_file("key.pem", identity->key_pem) };
}

static struct tg_tls_server_options options_of(const struct tg_tls_certificate *entries, size_t count)
{
    return (struct tg_tls_server_options){
        .certificates = entries, .count = count, .session_life = 86400, .listener = TG_SLICE("0.0.0.0:443")
    };
}

static struct tg_tls_server *server_of(struct tg_ticket_keys *keys, struct tg_tls_server_options options)
{
    char why[512] = "";
    struct tg_tls_server *server = tg_tls_server_new(library, keys, &options, why);
    if (!server)
        fail_msg("%s", why);
    return server;
}

static struct tg_tls_server *plain_server(struct tg_ticket_keys *keys)
{
    struct tg_tls_certificate entry = entry_of(&first);
    return server_of(keys, options_of(&entry, 1));
}

/* A handshake; whether it resumed. */
static bool visit(struct tg_tls_server *server, struct tls_visitor *visitor)
{
    struct tls_meeting *meeting = tls_meet(server, visitor);
    assert_true(meeting->done);
    bool resumed = SSL_session_reused(meeting->client.ssl);
    assert_int_equal(SSL_session_reused(meeting->server.ssl), resumed);
    tls_meeting_free(meeting);
    return resumed;
}

static bool visit_again(struct tg_tls_server *server, struct tls_visitor *visitor)
{
    tls_visitor_come_again(visitor);
    return visit(server, visitor);
}

static void for_both_versions(void (*check)(int version))
{
    check(TLS1_2_VERSION);
    check(TLS1_3_VERSION);
}

static struct tls_visitor visitor_of(const char *sni, int version)
{
    struct tls_visitor visitor = tls_visitor_new(sni);
    SSL_CTX_set_max_proto_version(visitor.context, version);
    return visitor;
}

static void check_shared(int version)
{
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_server *one = plain_server(keys), *other = plain_server(keys);
    struct tls_visitor visitor = visitor_of("a.example", version);
    assert_false(visit(one, &visitor));
    assert_int_equal(visitor.tickets, 1);
    assert_true(visit_again(other, &visitor));
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(one);
    tg_tls_server_unref(other);
    tg_ticket_keys_free(keys);
}

static void a_session_of_one_generation_is_resumed_by_the_next(void **state)
{
    (void)state;
    for_both_versions(check_shared);
}

/* Old keys open tickets for as long as they are kept, and the client gets one of the current key. */
static void check_rotation(int version)
{
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_server *server = plain_server(keys);
    struct tls_visitor visitor = visitor_of("a.example", version);
    assert_false(visit(server, &visitor));
    assert_true(tg_ticket_keys_rotate(keys));
    assert_true(visit_again(server, &visitor));
    assert_int_equal(visitor.tickets, 2);
    assert_true(tg_ticket_keys_rotate(keys));
    assert_true(visit_again(server, &visitor));
    assert_true(tg_ticket_keys_rotate(keys));
    assert_true(tg_ticket_keys_rotate(keys));
    assert_false(visit_again(server, &visitor));
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

static void a_ticket_outlives_one_rotation_and_is_renewed(void **state)
{
    (void)state;
    for_both_versions(check_rotation);
}

static void a_ticket_of_other_keys_is_a_full_handshake(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new(), *other_keys = tg_ticket_keys_new();
    struct tg_tls_server *one = plain_server(keys), *other = plain_server(other_keys);
    struct tls_visitor visitor = tls_visitor_new("a.example");
    assert_false(visit(one, &visitor));
    assert_false(visit_again(other, &visitor));
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(one);
    tg_tls_server_unref(other);
    tg_ticket_keys_free(keys);
    tg_ticket_keys_free(other_keys);
}

static void pass_milliseconds(int64_t count)
{
    int64_t end = tg_tls_now() + count;
    struct timespec step = { .tv_nsec = 1000000 };
    while (tg_tls_now() < end)
        nanosleep(&step, NULL);
}

/* Settings with a short life meet a session that others have renewed just now: it counts from its first handshake. */
static void check_life(int version)
{
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    struct tg_tls_server_options options = options_of(&entry, 1);
    struct tg_tls_server *patient = server_of(keys, options);
    options.session_life = 0.1;
    struct tg_tls_server *strict = server_of(keys, options);
    struct tls_visitor visitor = visitor_of("a.example", version);
    assert_false(visit(patient, &visitor));
    pass_milliseconds(60);
    assert_true(tg_ticket_keys_rotate(keys));
    assert_true(visit_again(patient, &visitor));
    pass_milliseconds(60);
    assert_true(tg_ticket_keys_rotate(keys));
    assert_true(visit_again(patient, &visitor));
    assert_false(visit_again(strict, &visitor));
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(patient);
    tg_tls_server_unref(strict);
    tg_ticket_keys_free(keys);
}

/* [T02] */
static void the_life_of_a_session_counts_from_its_first_handshake_over_all_renewals(void **state)
{
    (void)state;
    for_both_versions(check_life);
}

static void without_a_life_or_keys_no_ticket_is_given(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    struct tg_tls_server_options options = options_of(&entry, 1);
    struct tg_tls_server *without_keys = server_of(NULL, options);
    options.session_life = 0;
    struct tg_tls_server *without_life = server_of(keys, options);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor visitor = visitor_of("a.example", version);
        assert_false(visit(without_keys, &visitor));
        assert_false(visit(without_life, &visitor));
        assert_true(!visitor.ticket || !SSL_SESSION_has_ticket(visitor.ticket));
        tls_visitor_deinit(&visitor);
    }
    tg_tls_server_unref(without_keys);
    tg_tls_server_unref(without_life);
    tg_ticket_keys_free(keys);
}

/* --- what a session is bound to --- */

/* Two names of one listener: the second one with these demands. */
static struct tg_tls_server *two_hosts(struct tg_ticket_keys *keys, enum tg_tls_client_auth first_auth,
                                       enum tg_tls_client_auth second_auth, const struct tls_identity *second_ca)
{
    struct tg_tls_certificate entries[2] = { entry_of(&first), entry_of(&second) };
    entries[0].client_auth = first_auth;
    entries[0].client_ca = tls_file("ca.pem", authority.cert_pem);
    entries[1].client_auth = second_auth;
    entries[1].client_ca = tls_file("ca2.pem", second_ca->cert_pem);
    return server_of(keys, options_of(entries, 2));
}

static void bring_certificate(struct tls_visitor *visitor)
{
    assert_int_equal(SSL_CTX_use_certificate(visitor->context, client.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(visitor->context, client.key), 1);
}

static void check_policies(int version)
{
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    static const struct {
        enum tg_tls_client_auth first_auth, second_auth;
        const struct tls_identity *second_ca;
        bool resumed;
    } cases[] = {
        { TG_CLIENT_AUTH_NONE, TG_CLIENT_AUTH_NONE, &authority, true },
        { TG_CLIENT_AUTH_NONE, TG_CLIENT_AUTH_OPTIONAL, &authority, false },
        { TG_CLIENT_AUTH_NONE, TG_CLIENT_AUTH_REQUIRE, &authority, false },
        { TG_CLIENT_AUTH_OPTIONAL, TG_CLIENT_AUTH_REQUIRE, &authority, false },
        { TG_CLIENT_AUTH_REQUIRE, TG_CLIENT_AUTH_REQUIRE, &authority, true },
        { TG_CLIENT_AUTH_OPTIONAL, TG_CLIENT_AUTH_OPTIONAL, &other_authority, false },
        { TG_CLIENT_AUTH_REQUIRE, TG_CLIENT_AUTH_NONE, &authority, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tg_tls_server *server = two_hosts(keys, cases[i].first_auth, cases[i].second_auth, cases[i].second_ca);
        struct tls_visitor visitor = visitor_of("a.example", version);
        bring_certificate(&visitor);
        assert_false(visit(server, &visitor));
        visitor.sni = "b.example";
        if (visit_again(server, &visitor) != cases[i].resumed)
            fail_msg("case %zu, version %x", i, (unsigned)version);
        tls_visitor_deinit(&visitor);
        tg_tls_server_unref(server);
    }
    tg_ticket_keys_free(keys);
}

/* [T01] */
static void a_ticket_of_one_name_is_a_full_handshake_at_one_with_other_demands(void **state)
{
    (void)state;
    for_both_versions(check_policies);
}

/* [T01] */
static void a_ticket_does_not_stand_in_for_a_certificate(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_server *server = two_hosts(keys, TG_CLIENT_AUTH_NONE, TG_CLIENT_AUTH_REQUIRE, &authority);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor visitor = visitor_of("a.example", version);
        assert_false(visit(server, &visitor));
        tls_visitor_come_again(&visitor);
        visitor.sni = "b.example";
        struct tls_meeting *meeting = tls_meet(server, &visitor);
        assert_false(meeting->done);
        tls_meeting_free(meeting);
        tls_visitor_deinit(&visitor);
    }
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

/* [T01] */
static void a_ticket_of_one_listener_is_a_full_handshake_at_another(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    struct tg_tls_server_options options = options_of(&entry, 1);
    struct tg_tls_server *one = server_of(keys, options);
    options.listener = TG_SLICE("0.0.0.0:8443");
    struct tg_tls_server *other = server_of(keys, options);
    struct tls_visitor visitor = tls_visitor_new("a.example");
    assert_false(visit(one, &visitor));
    assert_false(visit_again(other, &visitor));
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(one);
    tg_tls_server_unref(other);
    tg_ticket_keys_free(keys);
}

/* [T01] */
static void what_a_handler_asks_for_binds_the_session_too(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    struct tg_tls_server_options options = options_of(&entry, 1);
    struct tg_tls_file ca = tls_file("ca.pem", authority.cert_pem);
    options.client_cas = &ca;
    options.client_ca_count = 1;
    struct tg_tls_server *server = server_of(keys, options);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor visitor = visitor_of("a.example", version);
        bring_certificate(&visitor);
        assert_false(visit(server, &visitor));
        visitor.choice.client_ca = 0;
        assert_false(visit_again(server, &visitor));
        assert_true(visit_again(server, &visitor));
        visitor.choice.client_ca = -1;
        assert_false(visit_again(server, &visitor));
        tls_visitor_deinit(&visitor);
    }
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

static void a_resumed_session_keeps_its_certificate_and_what_was_found_of_it(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    entry.client_auth = TG_CLIENT_AUTH_OPTIONAL;
    entry.client_ca = tls_file("ca.pem", other_authority.cert_pem);
    struct tg_tls_server *server = server_of(keys, options_of(&entry, 1));
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_visitor visitor = visitor_of("a.example", version);
        bring_certificate(&visitor);
        assert_false(visit(server, &visitor));
        tls_visitor_come_again(&visitor);
        struct tls_meeting *meeting = tls_meet(server, &visitor);
        assert_true(meeting->done && SSL_session_reused(meeting->server.ssl));
        assert_non_null(SSL_get0_peer_certificate(meeting->server.ssl));
        assert_int_not_equal(SSL_get_verify_result(meeting->server.ssl), X509_V_OK);
        tls_meeting_free(meeting);
        tls_visitor_deinit(&visitor);
    }
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

/* [T01] */
static void a_session_ends_with_the_certificate_it_was_made_with(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_certificate entry = entry_of(&first);
    entry.client_auth = TG_CLIENT_AUTH_OPTIONAL;
    entry.client_ca = tls_file("ca.pem", authority.cert_pem);
    struct tg_tls_server *server = server_of(keys, options_of(&entry, 1));
    struct tls_identity expired = tls_identity_make((struct tls_plan){
        .common_name = TG_SLICE("old"), .usage = "clientAuth", .issuer = &authority, .begins = -100, .ends = -10 });
    struct tls_visitor visitor = tls_visitor_new("a.example");
    SSL_CTX_use_certificate(visitor.context, expired.certificate);
    SSL_CTX_use_PrivateKey(visitor.context, expired.key);
    assert_false(visit(server, &visitor));
    assert_false(visit_again(server, &visitor));
    tls_visitor_deinit(&visitor);
    tls_identity_deinit(&expired);
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

/* [T12] */
static void a_ticket_allows_no_early_data(void **state)
{
    (void)state;
    struct tg_ticket_keys *keys = tg_ticket_keys_new();
    struct tg_tls_server *server = plain_server(keys);
    struct tls_visitor visitor = tls_visitor_new("a.example");
    assert_false(visit(server, &visitor));
    assert_non_null(visitor.ticket);
    assert_int_equal(SSL_SESSION_get_max_early_data(visitor.ticket), 0);
    tls_visitor_deinit(&visitor);
    tg_tls_server_unref(server);
    tg_ticket_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_of_one_generation_is_resumed_by_the_next),
        cmocka_unit_test(a_ticket_outlives_one_rotation_and_is_renewed),
        cmocka_unit_test(a_ticket_of_other_keys_is_a_full_handshake),
        cmocka_unit_test(the_life_of_a_session_counts_from_its_first_handshake_over_all_renewals),
        cmocka_unit_test(without_a_life_or_keys_no_ticket_is_given),
        cmocka_unit_test(a_ticket_of_one_name_is_a_full_handshake_at_one_with_other_demands),
        cmocka_unit_test(a_ticket_does_not_stand_in_for_a_certificate),
        cmocka_unit_test(a_ticket_of_one_listener_is_a_full_handshake_at_another),
        cmocka_unit_test(what_a_handler_asks_for_binds_the_session_too),
        cmocka_unit_test(a_resumed_session_keeps_its_certificate_and_what_was_found_of_it),
        cmocka_unit_test(a_session_ends_with_the_certificate_it_was_made_with),
        cmocka_unit_test(a_ticket_allows_no_early_data),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
