/* A stream under TLS as a client: whom it trusts, which sessions it offers, and what silence means. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/tls_stream.h"
#include "tls_rig.h"

static void start_as(struct tls_raw *raw, struct tls_ear *ear, const struct tls_identity *identity, const char *name,
                     int version)
{
    int other = tls_ear_open(ear);
    assert_true(tg_stream_start_tls_client(ear->stream, rig.client, rig.sessions, tg_slice_from_string(name)));
    tls_raw_accept(raw, other, identity, version);
}

static void start(struct tls_raw *raw, struct tls_ear *ear, int version)
{
    start_as(raw, ear, &rig.identity, "a.example", version);
}

static void end_both(struct tls_raw *raw, struct tls_ear *ear)
{
    tls_raw_close(raw);
    tls_ear_close(ear);
}

/* --- trust --- */

static void a_certificate_for_the_name_or_the_address_is_trusted(void **state)
{
    (void)state;
    static const char *const names[] = { "a.example", "A.Example", "127.0.0.1" };
    for (size_t i = 0; i < 3; i++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        start_as(&raw, &ear, &rig.identity, names[i], 0);
        tls_raw_shake_hands(&raw, &ear);
        const char *sni = SSL_get_servername(raw.ssl, TLSEXT_NAMETYPE_host_name);
        if (i == 2)
            assert_null(sni);
        else
            assert_string_equal(sni, "a.example");
        assert_null(tg_stream_problem(ear.stream));
        end_both(&raw, &ear);
    }
}

static void refused(const struct tls_identity *identity, const char *name, const char *problem)
{
    struct tls_ear ear = { .close_on_failure = true };
    struct tls_raw raw = { 0 };
    start_as(&raw, &ear, identity, name, 0);
    tls_ear_send(&ear, "secret", 6);
    tls_raw_until(&raw, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_UNTRUSTED);
    assert_string_equal(ear.problem, problem);
    assert_int_equal(ear.connects, 0);
    for (int steps = 0; !raw.socket_ended && steps < 100; steps++)
        tls_raw_turns(&raw, 1);
    assert_true(raw.error != 0); /* our alert */
    assert_int_equal(raw.text.length, 0);
    end_both(&raw, &ear);
}

/* [X06] */
static void a_certificate_that_is_no_good_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct tls_identity stranger = tls_authority_make("stranger");
    struct tls_plan plan = { .common_name = TG_SLICE("a.example"), .names = "DNS:a.example", .usage = "serverAuth" };
    refused(&rig.identity, "b.example", "hostname mismatch: the certificate doesn't have the name in sni");
    refused(&rig.identity, "10.0.0.1",
            "IP address mismatch: the certificate doesn't have that address: say by sni which name it has");
    struct tls_identity self_signed = tls_identity_make(plan);
    refused(&self_signed, "a.example", "self-signed certificate, and it isn't in ca");
    plan.issuer = &stranger;
    struct tls_identity by_stranger = tls_identity_make(plan);
    refused(&by_stranger, "a.example",
            "unable to get local issuer certificate: no authority of ca (or of the system), or a chain with gaps");
    plan.issuer = &rig.authority;
    plan.begins = -7200, plan.ends = -3600;
    struct tls_identity expired = tls_identity_make(plan);
    refused(&expired, "a.example", "certificate has expired");
    plan.begins = 3600, plan.ends = 7200;
    struct tls_identity early = tls_identity_make(plan);
    refused(&early, "a.example", "certificate is not yet valid");
    plan.begins = plan.ends = 0, plan.usage = "clientAuth";
    struct tls_identity for_clients = tls_identity_make(plan);
    refused(&for_clients, "a.example", "unsuitable certificate purpose");
    plan.usage = "serverAuth", plan.names = NULL;
    struct tls_identity no_names = tls_identity_make(plan);
    refused(&no_names, "b.example", "hostname mismatch: the certificate doesn't have the name in sni");
    struct tls_identity *made[] = { &stranger, &self_signed, &by_stranger, &expired, &early, &for_clients, &no_names };
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        tls_identity_deinit(made[i]);
}

static void who_asks_for_no_verification_gets_none(void **state)
{
    (void)state;
    char why[512];
    struct tg_tls_client *usual = rig.client;
    struct tls_identity self_signed = tls_identity_make((struct tls_plan){ .common_name = TG_SLICE("whoever") });
    struct tg_tls_client_options options = { .verify = false };
    rig.client = tg_tls_client_new(rig.library, &options, why);
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    start_as(&raw, &ear, &self_signed, "a.example", 0);
    tls_raw_shake_hands(&raw, &ear);
    assert_false(tg_stream_tls_facts(ear.stream)->verified);
    end_both(&raw, &ear);
    tg_tls_client_unref(rig.client);
    rig.client = usual;
    tls_identity_deinit(&self_signed);
}

static int go_on_anyway(int good, X509_STORE_CTX *verification)
{
    (void)good, (void)verification;
    return 1;
}

/* [X07] */
static void a_verification_error_that_only_the_result_tells_is_one(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    start_as(&raw, &ear, &rig.identity, "b.example", 0);
    SSL_set_verify(ear.stream->tls->ssl, SSL_VERIFY_PEER, go_on_anyway);
    tls_raw_until(&raw, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_UNTRUSTED);
    assert_string_equal(ear.problem, "hostname mismatch: the certificate doesn't have the name in sni");
    assert_int_equal(ear.connects, 0);
    end_both(&raw, &ear);
}

/* [X08] */
static void plain_bytes_before_the_handshake_are_never_data(void **state)
{
    (void)state;
    static const char forged[] = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    struct tls_ear ear = { 0 };
    int other = tls_ear_open(&ear);
    assert_int_equal(send(other, forged, sizeof(forged) - 1, MSG_NOSIGNAL), sizeof(forged) - 1);
    assert_true(tg_stream_start_tls_client(ear.stream, rig.client, NULL, TG_SLICE("a.example")));
    run_until(rig.loop, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_string_equal(ear.problem, "wrong version number: no TLS is spoken there");
    assert_int_equal(ear.bytes + ear.connects, 0);
    close(other);
    tls_ear_close(&ear);
}

static void it_begins_when_the_connection_stands(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    const char *problem;
    struct tg_address address;
    assert_true(tg_address_parse(TG_SLICE("127.0.0.1:0"), &address, &problem));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, &address.any, address.length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, &address.any, &address.length), 0);
    ear.stream = tg_stream_connect(rig.loop, &address, NULL, &tls_ear_ops, &ear);
    assert_true(tg_stream_start_tls_client(ear.stream, rig.client, NULL, TG_SLICE("a.example")));
    tls_ear_send(&ear, "soon", 4);
    run_turns(rig.loop, 3);
    assert_int_equal(ear.connects, 0);
    tls_raw_accept(&raw, accept(listener, NULL, NULL), &rig.identity, 0);
    tls_raw_shake_hands(&raw, &ear);
    assert_string_equal(raw.text.at, "soon");
    close(listener);
    int64_t before = tg_counters_total(TG_COUNTER_UPSTREAM_TLS_FAILURES);
    struct tls_ear nobody = { 0 };
    nobody.stream = tg_stream_connect(rig.loop, &address, NULL, &tls_ear_ops, &nobody);
    assert_true(tg_stream_start_tls_client(nobody.stream, rig.client, NULL, TG_SLICE("a.example")));
    run_until(rig.loop, &nobody.failures, 1);
    assert_int_equal(nobody.end, TG_STREAM_REFUSED);
    assert_int_equal(tg_counters_total(TG_COUNTER_UPSTREAM_TLS_FAILURES), before);
    tls_ear_close(&nobody);
    end_both(&raw, &ear);
}

/* --- sessions --- */

static bool resumes(void)
{
    struct tls_ear server = { 0 }, client = { 0 };
    tls_ears_connect(&server, &client);
    run_turns(rig.loop, 3); /* the ticket */
    bool resumed = tg_stream_tls_facts(client.stream)->resumed;
    assert_int_equal(tg_stream_tls_facts(server.stream)->resumed, resumed);
    tls_ear_close(&client);
    tls_ear_close(&server);
    return resumed;
}

static void a_session_is_resumed(void **state)
{
    (void)state;
    int64_t clients = tg_counters_total(TG_COUNTER_TLS_RESUMED);
    int64_t peers = tg_counters_total(TG_COUNTER_UPSTREAM_TLS_RESUMED);
    assert_false(resumes());
    for (int i = 0; i < 3; i++)
        assert_true(resumes());
    assert_int_equal(tg_counters_total(TG_COUNTER_TLS_RESUMED), clients + 3);
    assert_int_equal(tg_counters_total(TG_COUNTER_UPSTREAM_TLS_RESUMED), peers + 3);
}

static bool resumes_at_tls_1_2(void)
{
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    struct tls_ear server = { 0 }, client = { 0 };
    struct tg_socket other = { tls_ear_serve(&server, false), NULL };
    client.stream = tg_stream_attach(rig.loop, other, &nobody, &tls_ear_ops, &client);
    assert_true(tg_stream_start_tls_client(client.stream, rig.client, rig.sessions, TG_SLICE("a.example")));
    SSL_set_max_proto_version(client.stream->tls->ssl, TLS1_2_VERSION);
    run_until(rig.loop, &client.connects, 1);
    run_until(rig.loop, &server.connects, 1);
    bool resumed = tg_stream_tls_facts(client.stream)->resumed;
    tls_ear_close(&client);
    tls_ear_close(&server);
    return resumed;
}

/* There a resumed session goes on with the ticket it had, or comes with another where the key of that is on its way
 * out. */
static void a_session_of_the_older_version_is_resumed_time_after_time(void **state)
{
    (void)state;
    assert_false(resumes_at_tls_1_2());
    for (int i = 0; i < 4; i++)
        assert_true(resumes_at_tls_1_2());
    for (int i = 0; i < 4; i++) {
        assert_true(tg_ticket_keys_rotate(rig.tickets));
        assert_true(resumes_at_tls_1_2());
    }
}

static int held(void)
{
    int count = 0;
    for (SSL_SESSION *session; (session = tg_tls_sessions_take(rig.sessions)) != NULL; count++)
        SSL_SESSION_free(session);
    return count;
}

static void a_session_is_offered_once_and_few_are_kept(void **state)
{
    (void)state;
    struct tls_ear ears[8] = { 0 };
    struct tls_raw raws[8] = { 0 };
    for (int i = 0; i < 8; i++) {
        start(&raws[i], &ears[i], TLS1_3_VERSION);
        tls_raw_shake_hands(&raws[i], &ears[i]);
        run_turns(rig.loop, 3);
    }
    assert_int_equal(held(), 4);
    assert_int_equal(held(), 0);
    for (int i = 0; i < 8; i++)
        end_both(&raws[i], &ears[i]);
}

static void no_session_comes_of_a_peer_that_is_not_trusted(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    start_as(&raw, &ear, &rig.identity, "b.example", TLS1_2_VERSION);
    tls_raw_until(&raw, &ear.failures, 1);
    assert_int_equal(held(), 0);
    end_both(&raw, &ear);
}

/* Whatever made it be taken in the first place. */
static void a_session_ends_with_the_certificate_of_the_peer(void **state)
{
    (void)state;
    char why[512];
    struct tg_tls_client_options options = { .verify = false };
    struct tg_tls_client *usual = rig.client;
    rig.client = tg_tls_client_new(rig.library, &options, why);
    for (int good = 0; good < 2; good++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        struct tls_identity identity = tls_identity_make((struct tls_plan){
            .names = "DNS:a.example", .issuer = &rig.authority, .begins = -100, .ends = good ? 100 : -10 });
        start_as(&raw, &ear, &identity, "a.example", TLS1_3_VERSION);
        tls_raw_shake_hands(&raw, &ear);
        run_turns(rig.loop, 3);
        assert_int_equal(held() > 0, good);
        end_both(&raw, &ear);
        tls_identity_deinit(&identity);
    }
    tg_tls_client_unref(rig.client);
    rig.client = usual;
}

/* --- silence --- */

static void send_ticket(struct tls_raw *raw)
{
    assert_int_equal(SSL_new_session_ticket(raw->ssl), 1);
    assert_int_equal(SSL_do_handshake(raw->ssl), 1);
    tls_raw_move(raw);
}

static void connect_idle(struct tls_raw *raw, struct tls_ear *ear)
{
    start(raw, ear, TLS1_3_VERSION);
    tls_raw_shake_hands(raw, ear);
    run_turns(rig.loop, 3);
    held();
    assert_true(tg_stream_silent(ear->stream));
}

/* [X10] */
static void a_ticket_on_an_idle_connection_is_no_data(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    connect_idle(&raw, &ear);
    send_ticket(&raw);
    assert_true(tg_stream_silent(ear.stream));
    assert_int_equal(held(), 1);
    send_ticket(&raw);
    run_turns(rig.loop, 3);
    assert_int_equal(held(), 1);
    assert_int_equal(ear.calls + ear.eofs + ear.failures, 0);
    assert_true(tg_stream_silent(ear.stream));
    tls_ear_send(&ear, "request", 7);
    tls_raw_turns(&raw, 3);
    assert_string_equal(raw.text.at, "request");
    end_both(&raw, &ear);
}

/* [X10] */
static void data_on_an_idle_connection_is_no_silence_and_not_lost(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    connect_idle(&raw, &ear);
    SSL_new_session_ticket(raw.ssl);
    SSL_do_handshake(raw.ssl);
    tls_raw_write(&raw, "unasked", 7);
    assert_false(tg_stream_silent(ear.stream));
    assert_false(tg_stream_silent(ear.stream));
    assert_int_equal(ear.calls, 0);
    run_until(rig.loop, &ear.bytes, 7);
    assert_string_equal(ear.text.at, "unasked");
    assert_true(tg_stream_silent(ear.stream));
    end_both(&raw, &ear);
}

static void write_half(struct tls_raw *raw)
{
    assert_int_equal(SSL_write(raw->ssl, "unasked", 7), 7);
    struct tg_text record = tls_raw_take_output(raw);
    assert_int_equal(send(raw->descriptor, record.at, 9, MSG_NOSIGNAL), 9);
    tg_text_deinit(&record);
}

static void an_end_an_error_or_half_a_record_is_no_silence(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        connect_idle(&raw, &ear);
        if (kind == 0)
            SSL_shutdown(raw.ssl);
        else if (kind == 1)
            write_half(&raw);
        else if (kind == 2)
            send(raw.descriptor, "HTTP/1.1 408 too late\r\n\r\n", 25, MSG_NOSIGNAL);
        if (kind == 3)
            shutdown(raw.descriptor, SHUT_WR);
        tls_raw_move(&raw);
        assert_false(tg_stream_silent(ear.stream));
        end_both(&raw, &ear);
    }
}

/* --- from loop to loop --- */

static struct tg_stream *move_to(struct tg_loop *loop, struct tg_stream *stream, struct tls_ear *ear)
{
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    return tg_stream_attach(loop, tg_stream_detach(stream), &nobody, &tls_ear_ops, ear);
}

static void a_connection_goes_on_in_another_loop(void **state)
{
    (void)state;
    struct tls_ear first = { 0 }, second = { 0 };
    struct tls_raw raw = { 0 };
    struct tg_loop *usual = rig.loop, *other = tg_loop_new(NULL, NULL);
    connect_idle(&raw, &first);
    struct tg_tls *tls = first.stream->tls;
    struct tg_socket socket = tg_stream_detach(first.stream);
    assert_ptr_equal(socket.tls, tls);
    assert_null(tls->stream);
    assert_null(tls->unread.block);
    assert_null(tls->facts);
    assert_true(tg_list_empty(&tls->go_on.link));
    first.stream = NULL;
    send_ticket(&raw);
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    second.stream = tg_stream_attach(other, socket, &nobody, &tls_ear_ops, &second);
    assert_non_null(second.stream);
    assert_int_equal(tg_stream_tls_facts(second.stream)->alpn, TG_ALPN_NONE);
    assert_int_equal(held(), 1);
    rig.loop = other;
    tls_ear_send(&second, "request", 7);
    tls_raw_turns(&raw, 3);
    assert_string_equal(raw.text.at, "request");
    tls_raw_write(&raw, "answer", 6);
    run_until(other, &second.bytes, 6);
    second.stream = move_to(usual, second.stream, &second);
    assert_non_null(second.stream);
    rig.loop = usual;
    tg_loop_free(other);
    tls_raw_write(&raw, " again", 6);
    run_until(usual, &second.bytes, 12);
    end_both(&raw, &second);
    tls_ear_close(&first);
}

static void a_socket_that_stirred_is_not_attached(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    connect_idle(&raw, &ear);
    struct tg_socket socket = tg_stream_detach(ear.stream);
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    tls_raw_write(&raw, "unasked", 7);
    assert_null(tg_stream_attach(rig.loop, socket, &nobody, &tls_ear_ops, &ear));
    run_turns(rig.loop, 3);
    assert_int_equal(ear.calls + ear.eofs + ear.failures, 0);
    ear.stream = NULL;
    end_both(&raw, &ear);
}

static void what_is_detached_too_soon_serves_nobody(void **state)
{
    (void)state;
    struct tls_ear early = { 0 }, unread = { .pause_on_data = true };
    struct tls_raw raw = { 0 };
    start(&raw, &early, 0);
    assert_null(move_to(rig.loop, early.stream, &early));
    early.stream = NULL;
    end_both(&raw, &early);
    char bytes[60000] = { 0 };
    start(&raw, &unread, TLS1_3_VERSION);
    tls_raw_shake_hands(&raw, &unread);
    tls_raw_write(&raw, bytes, sizeof(bytes));
    run_until(rig.loop, &unread.calls, 1);
    assert_null(move_to(rig.loop, unread.stream, &unread));
    unread.stream = NULL;
    end_both(&raw, &unread);
}

static void a_detached_socket_can_be_closed(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    connect_idle(&raw, &ear);
    tg_socket_close(tg_stream_detach(ear.stream));
    ear.stream = NULL;
    tls_raw_move(&raw);
    assert_true(raw.socket_ended);
    end_both(&raw, &ear);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_rig_set_up, tls_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_for_the_name_or_the_address_is_trusted),
        TEST(a_certificate_that_is_no_good_is_refused_with_its_reason),
        TEST(who_asks_for_no_verification_gets_none),
        TEST(a_verification_error_that_only_the_result_tells_is_one),
        TEST(plain_bytes_before_the_handshake_are_never_data),
        TEST(it_begins_when_the_connection_stands),
        TEST(a_session_is_resumed),
        TEST(a_session_of_the_older_version_is_resumed_time_after_time),
        TEST(a_session_is_offered_once_and_few_are_kept),
        TEST(no_session_comes_of_a_peer_that_is_not_trusted),
        TEST(a_session_ends_with_the_certificate_of_the_peer),
        TEST(a_ticket_on_an_idle_connection_is_no_data),
        TEST(data_on_an_idle_connection_is_no_silence_and_not_lost),
        TEST(an_end_an_error_or_half_a_record_is_no_silence),
        TEST(a_connection_goes_on_in_another_loop),
        TEST(a_socket_that_stirred_is_not_attached),
        TEST(what_is_detached_too_soon_serves_nobody),
        TEST(a_detached_socket_can_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
