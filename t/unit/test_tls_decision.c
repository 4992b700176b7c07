/* Who decides on a ClientHello, when, and what becomes of the decision; and what is known of a client afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_rig.h"

static bool is(struct tg_slice slice, const char *text)
{
    return tg_slice_equal(slice, tg_slice_from_string(text));
}

static void end_both(struct tls_raw *raw, struct tls_ear *ear)
{
    tls_raw_close(raw);
    tls_ear_close(ear);
}

static const struct tg_hello_choice by_name = { .certificate = -1, .client_ca = -1 };

static void the_owner_is_asked_once_and_may_go_on_at_once(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    tls_raw_shake_hands(&raw, &ear);
    assert_int_equal(ear.hellos, 1);
    assert_string_equal(ear.sni.at, "a.example");
    assert_true(tg_stream_tls_facts(ear.stream)->shown_to_script);
    end_both(&raw, &ear);
}

static void a_decision_may_come_later_and_is_told_from_no_call(void **state)
{
    (void)state;
    struct tls_ear ear = { .waits = true };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    tls_raw_until(&raw, &ear.hellos, 1);
    tls_raw_turns(&raw, 5);
    assert_false(raw.handshaken);
    struct tg_hello_choice choice = { .certificate = 0, .client_ca = -1 };
    tg_stream_decide_hello(ear.stream, &choice);
    assert_int_equal(ear.connects, 0);
    tls_raw_shake_hands(&raw, &ear);
    assert_int_equal(ear.hellos, 1);
    assert_true(tg_stream_tls_facts(ear.stream)->shown_to_script);
    tg_stream_decide_hello(ear.stream, &choice); /* too late, and nothing */
    tls_raw_write(&raw, "on", 2);
    run_until(rig.loop, &ear.bytes, 2);
    end_both(&raw, &ear);
}

/* What lies behind the hello stays where it is; a hello has nothing behind it unless the client is no client. */
static void bytes_that_come_while_the_owner_thinks_are_kept(void **state)
{
    (void)state;
    struct tls_ear ear = { .waits = true };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    struct tg_text hello = tls_raw_take_output(&raw);
    tg_text_append(&hello, TG_SLICE("\x15\x03\x03\x00\x02\x02\x28")); /* an alert: handshake_failure */
    assert_int_equal(send(raw.descriptor, hello.at, hello.length, MSG_NOSIGNAL), hello.length);
    run_until(rig.loop, &ear.hellos, 1);
    run_turns(rig.loop, 3);
    assert_int_equal(ear.stream->tls->unread.length, 7);
    tg_stream_decide_hello(ear.stream, &by_name);
    run_until(rig.loop, &ear.failures, 1);
    assert_non_null(strstr(ear.problem, "alert handshake failure"));
    tg_text_deinit(&hello);
    end_both(&raw, &ear);
}

static void a_decision_is_kept_across_a_hello_retry_request(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct tls_ear ear = { .waits = waits };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, true), TLS1_3_VERSION);
        assert_int_equal(SSL_set1_groups_list(raw.ssl, "P-521:X25519"), 1);
        tls_raw_until(&raw, &ear.hellos, 1);
        if (waits)
            tg_stream_decide_hello(ear.stream, &by_name);
        tls_raw_shake_hands(&raw, &ear);
        assert_int_equal(SSL_get_negotiated_group(raw.ssl), NID_X25519);
        assert_int_equal(ear.hellos, 1);
        end_both(&raw, &ear);
    }
}

/* [T03] No other name than the one that the handlers saw, whatever the certificates ask for. */
static void what_was_decided_for_a_name_holds_for_that_name(void **state)
{
    (void)state;
    static const char *const others[] = { "b.example", "a.example.b", "127.0.0.1", "[::1]", "", "a_b!", "*.example" };
    for (int named = 0; named < 2; named++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
        SSL_set_tlsext_host_name(raw.ssl, named ? "A.Example" : NULL);
        tls_raw_shake_hands(&raw, &ear);
        const struct tg_tls_facts *facts = tg_stream_tls_facts(ear.stream);
        assert_int_equal(tg_tls_facts_allow_host(facts, TG_SLICE("a.example")), named);
        assert_int_equal(tg_tls_facts_allow_host(facts, TG_SLICE("a.example.")), named);
        for (int i = 0; i < 7; i++)
            assert_int_equal(tg_tls_facts_allow_host(facts, tg_slice_from_string(others[i])), !named && i > 1 && i < 5);
        end_both(&raw, &ear);
    }
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, false), 0);
    tls_raw_shake_hands(&raw, &ear);
    for (int i = 0; i < 7; i++)
        assert_true(tg_tls_facts_allow_host(tg_stream_tls_facts(ear.stream), tg_slice_from_string(others[i])));
    end_both(&raw, &ear);
}

static void a_refusal_is_an_alert(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct tls_ear ear = { .waits = waits, .choice = { .refuse = true }, .close_on_failure = true };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
        tls_raw_until(&raw, &ear.hellos, 1);
        if (waits)
            tg_stream_decide_hello(ear.stream, &ear.choice);
        tls_raw_until(&raw, &ear.failures, 1);
        tls_raw_turns(&raw, 3);
        assert_int_equal(raw.error, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        assert_int_equal(ear.end, TG_STREAM_TLS);
        assert_string_equal(ear.problem, "refused by a handler");
        end_both(&raw, &ear);
    }
}

static void an_owner_may_close_the_stream_over_a_hello(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct tls_ear ear = { .close_on_hello = true, .waits = waits };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
        tls_raw_until(&raw, &ear.hellos, 1);
        run_turns(rig.loop, 3);
        assert_int_equal(ear.connects + ear.failures, 0);
        end_both(&raw, &ear);
    }
}

static void a_client_that_leaves_while_the_owner_thinks_is_told(void **state)
{
    (void)state;
    struct tls_ear ear = { .waits = true };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    tls_raw_until(&raw, &ear.hellos, 1);
    tls_raw_close(&raw);
    run_until(rig.loop, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_int_equal(ear.finishes, 0);
    tg_stream_decide_hello(ear.stream, &by_name);
    run_turns(rig.loop, 3);
    assert_int_equal(ear.failures, 1);
    tls_ear_close(&ear);
}

static void a_malformed_hello_reaches_no_owner(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    struct tg_text hello = tls_raw_take_output(&raw);
    hello.at[5 + 4 + 2 + 32] = (char)200; /* the length of its session id */
    assert_int_equal(send(raw.descriptor, hello.at, hello.length, MSG_NOSIGNAL), hello.length);
    run_until(rig.loop, &ear.failures, 1);
    assert_int_equal(ear.hellos, 0);
    tg_text_deinit(&hello);
    end_both(&raw, &ear);
}

/* --- what is known of a client --- */

static struct tg_tls_server *server_that_asks(enum tg_tls_client_auth client_auth)
{
    char why[512];
    struct tg_tls_certificate certificates[] = {
        { .cert = tls_file("a.pem", rig.identity.cert_pem),
          .key = tls_file("a.key", rig.identity.key_pem),
          .client_ca = tls_file("ca.pem", rig.authority.cert_pem),
          .client_auth = client_auth },
    };
    struct tg_tls_server_options options = {
        .certificates = certificates, .count = 1, .session_life = 86400, .listener = TG_SLICE("127.0.0.1:443")
    };
    struct tg_tls_server *server = tg_tls_server_new(rig.library, rig.tickets, &options, why);
    assert_non_null(server);
    return server;
}

static void show(struct tls_raw *raw, const struct tls_identity *identity)
{
    assert_int_equal(SSL_use_certificate(raw->ssl, identity->certificate), 1);
    assert_int_equal(SSL_use_PrivateKey(raw->ssl, identity->key), 1);
}

static void connect_with(struct tls_raw *raw, struct tls_ear *ear, enum tg_tls_client_auth client_auth,
                         const struct tls_identity *identity)
{
    struct tg_tls_server *usual = rig.server;
    rig.server = server_that_asks(client_auth);
    tls_raw_connect(raw, tls_ear_serve(ear, false), 0);
    tg_tls_server_unref(rig.server); /* the stream holds it */
    rig.server = usual;
    if (identity)
        show(raw, identity);
}

/* [T07] */
static void a_hostile_certificate_is_clean_text(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    struct tls_identity identity = tls_identity_make((struct tls_plan){
        .common_name = TG_SLICE("ad\0min\r\nx-role: \"root\\\x7f \xc3\xa4"),
        .names = "DNS:c.example,email:c@c.example,IP:10.0.0.1,IP:2001:db8::1,URI:spiffe://c/x,RID:1.2.3",
        .usage = "clientAuth",
        .issuer = &rig.authority });
    connect_with(&raw, &ear, TG_CLIENT_AUTH_REQUIRE, &identity);
    tls_raw_shake_hands(&raw, &ear);
    struct tg_tls_facts *facts = tg_tls_facts_ref(tg_stream_tls_facts(ear.stream));
    end_both(&raw, &ear);
    assert_true(facts->has_certificate && facts->verified);
    assert_true(is(facts->subject_cn, "ad\\x00min\\x0D\\x0Ax-role: \\x22root\\x5C\\x7F \xc3\xa4"));
    static const char *const sans[] = { "c.example", "c@c.example", "10.0.0.1", "2001:db8::1", "spiffe://c/x" };
    assert_int_equal(facts->san_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(is(facts->sans[i], sans[i]));
    assert_int_equal(facts->sha256.length, 64);
    for (size_t i = 0; i < 64; i++)
        assert_non_null(strchr("0123456789abcdef", facts->sha256.at[i]));
    assert_non_null(facts->server);
    tg_tls_facts_unref(facts);
    tls_identity_deinit(&identity);
}

static void a_certificate_of_nobody_known_is_seen_but_not_verified(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 }, none = { 0 };
    struct tls_raw raw = { 0 };
    struct tls_identity identity =
        tls_identity_make((struct tls_plan){ .common_name = TG_SLICE("self"), .usage = "clientAuth" });
    connect_with(&raw, &ear, TG_CLIENT_AUTH_OPTIONAL, &identity);
    tls_raw_shake_hands(&raw, &ear);
    const struct tg_tls_facts *facts = tg_stream_tls_facts(ear.stream);
    assert_true(facts->has_certificate);
    assert_false(facts->verified);
    assert_true(is(facts->subject_cn, "self"));
    end_both(&raw, &ear);
    connect_with(&raw, &none, TG_CLIENT_AUTH_OPTIONAL, NULL);
    tls_raw_shake_hands(&raw, &none);
    facts = tg_stream_tls_facts(none.stream);
    assert_false(facts->has_certificate || facts->verified);
    end_both(&raw, &none);
    tls_identity_deinit(&identity);
}

static void a_required_certificate_that_is_no_good_fails_with_its_reason(void **state)
{
    (void)state;
    struct tls_identity stranger =
        tls_identity_make((struct tls_plan){ .common_name = TG_SLICE("self"), .usage = "clientAuth" });
    const struct tls_identity *shown[] = { NULL, &stranger };
    static const char *const problems[] = { "peer did not return a certificate", "self-signed certificate" };
    for (int i = 0; i < 2; i++) {
        struct tls_ear ear = { .close_on_failure = true };
        struct tls_raw raw = { 0 };
        connect_with(&raw, &ear, TG_CLIENT_AUTH_REQUIRE, shown[i]);
        tls_raw_until(&raw, &ear.failures, 1);
        assert_int_equal(ear.end, TG_STREAM_TLS);
        assert_string_equal(ear.problem, problems[i]);
        assert_int_equal(ear.connects, 0);
        for (int steps = 0; !raw.socket_ended && steps < 100; steps++)
            tls_raw_turns(&raw, 1);
        assert_int_equal(raw.error, i == 0 ? SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED : SSL_R_TLSV1_ALERT_UNKNOWN_CA);
        end_both(&raw, &ear);
    }
    tls_identity_deinit(&stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_rig_set_up, tls_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_owner_is_asked_once_and_may_go_on_at_once),
        TEST(a_decision_may_come_later_and_is_told_from_no_call),
        TEST(bytes_that_come_while_the_owner_thinks_are_kept),
        TEST(a_decision_is_kept_across_a_hello_retry_request),
        TEST(what_was_decided_for_a_name_holds_for_that_name),
        TEST(a_refusal_is_an_alert),
        TEST(an_owner_may_close_the_stream_over_a_hello),
        TEST(a_client_that_leaves_while_the_owner_thinks_is_told),
        TEST(a_malformed_hello_reaches_no_owner),
        TEST(a_hostile_certificate_is_clean_text),
        TEST(a_certificate_of_nobody_known_is_seen_but_not_verified),
        TEST(a_required_certificate_that_is_no_good_fails_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
