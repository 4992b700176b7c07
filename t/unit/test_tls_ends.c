/* How a stream under TLS ends: by either side, tidily, cut, refused, or by a peer that only makes work. */
#include <errno.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_rig.h"

enum { MEGABYTE = 1 << 20 };

static void raw_client(struct tls_raw *raw, struct tls_ear *ear, int version)
{
    tls_raw_connect(raw, tls_ear_serve(ear, false), version);
    tls_raw_shake_hands(raw, ear);
}

static void end_both(struct tls_raw *raw, struct tls_ear *ear)
{
    tls_raw_close(raw);
    tls_ear_close(ear);
}

static void until_socket_ends(struct tls_raw *raw)
{
    for (int steps = 0; !raw->socket_ended && !raw->socket_error; steps++) {
        assert_true(steps < 10000);
        tls_raw_turns(raw, 1);
    }
}

/* --- by the peer --- */

static void a_close_notify_is_a_tidy_end_and_leaves_our_direction_open(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    tls_raw_write(&raw, "question", 8);
    SSL_shutdown(raw.ssl);
    tls_raw_until(&raw, &ear.eofs, 1);
    assert_string_equal(ear.text.at, "question");
    tls_ear_send(&ear, "answer", 6);
    tls_raw_turns(&raw, 3);
    assert_string_equal(raw.text.at, "answer");
    shutdown(raw.descriptor, SHUT_WR);
    tls_raw_turns(&raw, 5);
    assert_int_equal(ear.eofs, 1);
    assert_int_equal(ear.failures, 0);
    end_both(&raw, &ear);
}

/* [T13] */
static void an_end_without_close_notify_is_a_cut_and_told_after_the_data(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    tls_raw_write(&raw, "half a mess", 11);
    shutdown(raw.descriptor, SHUT_WR);
    run_until(rig.loop, &ear.failures, 1);
    assert_string_equal(ear.text.at, "half a mess");
    assert_int_equal(ear.eofs, 0);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_string_equal(ear.problem, "the connection ended without close_notify");
    end_both(&raw, &ear);
}

static void half_a_record_is_never_given(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    assert_int_equal(SSL_write(raw.ssl, "not whole", 9), 9);
    struct tg_text record = tls_raw_take_output(&raw);
    assert_int_equal(send(raw.descriptor, record.at, record.length - 1, MSG_NOSIGNAL), record.length - 1);
    run_turns(rig.loop, 3);
    shutdown(raw.descriptor, SHUT_WR);
    run_until(rig.loop, &ear.failures, 1);
    assert_int_equal(ear.bytes, 0);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    tg_text_deinit(&record);
    end_both(&raw, &ear);
}

static void a_damaged_record_fails_the_stream_and_the_peer_gets_an_alert(void **state)
{
    (void)state;
    struct tls_ear ear = { .close_on_failure = true };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    tls_raw_write(&raw, "good", 4);
    assert_int_equal(SSL_write(raw.ssl, "bad", 3), 3);
    struct tg_text record = tls_raw_take_output(&raw);
    record.at[record.length - 1] ^= 1;
    assert_int_equal(send(raw.descriptor, record.at, record.length, MSG_NOSIGNAL), record.length);
    run_until(rig.loop, &ear.failures, 1);
    assert_string_equal(ear.text.at, "good");
    assert_int_equal(ear.end, TG_STREAM_TLS);
    tls_raw_turns(&raw, 3);
    assert_int_equal(raw.error, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    tg_text_deinit(&record);
    end_both(&raw, &ear);
}

static void an_alert_of_the_peer_fails_the_stream(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_2_VERSION);
    /* A change of cipher where none is due: the raw peer tells that it is wrong. */
    tg_stream_send(ear.stream, (struct tg_buffer){ NULL, "x", 1 });
    run_turns(rig.loop, 1);
    char record[64];
    ssize_t length = recv(raw.descriptor, record, sizeof(record), 0);
    assert_true(length > 20);
    record[length - 1] ^= 1;
    assert_int_equal(BIO_write(raw.in, record, (int)length), length);
    tls_raw_until(&raw, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_non_null(strstr(ear.problem, "alert bad record mac"));
    end_both(&raw, &ear);
}

/* --- by us --- */

static void finishing_sends_close_notify_behind_the_last_byte(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char *bytes = calloc(1, MEGABYTE);
    raw_client(&raw, &ear, 0);
    tls_ear_send(&ear, bytes, MEGABYTE);
    tg_stream_finish(ear.stream);
    until_socket_ends(&raw);
    assert_int_equal(raw.text.length, MEGABYTE);
    assert_true(raw.ended);
    SSL_write(raw.ssl, "still heard", 11);
    SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_write(raw.ssl, "!", 1);
    tls_raw_until(&raw, &ear.bytes, 12);
    assert_string_equal(ear.text.at, "still heard!");
    end_both(&raw, &ear);
    free(bytes);
}

static void finishing_before_the_handshake_is_done_waits_for_it(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, false), 0);
    tls_ear_send(&ear, "soon", 4);
    tg_stream_finish(ear.stream);
    until_socket_ends(&raw);
    assert_string_equal(raw.text.at, "soon");
    assert_true(raw.ended);
    end_both(&raw, &ear);
}

static void a_lingering_stream_sends_all_it_has_and_close_notify(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char *bytes = calloc(1, MEGABYTE);
    raw_client(&raw, &ear, 0);
    tls_ear_send(&ear, bytes, MEGABYTE);
    tg_stream_linger(ear.stream);
    ear.stream = NULL;
    assert_true(tg_loop_has_last_words(rig.loop));
    tls_raw_write(&raw, "and more", 8);
    until_socket_ends(&raw);
    assert_int_equal(raw.text.length, MEGABYTE);
    assert_true(raw.ended);
    assert_false(tg_loop_has_last_words(rig.loop));
    assert_int_equal(ear.bytes, 0);
    SSL_shutdown(raw.ssl);
    tls_raw_turns(&raw, 3);
    assert_true(tg_list_empty(&rig.loop->streams));
    end_both(&raw, &ear);
    free(bytes);
}

static void closing_says_so_where_all_was_sent(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    tls_ear_send(&ear, "all", 3);
    run_turns(rig.loop, 1);
    tls_ear_close(&ear);
    until_socket_ends(&raw);
    assert_string_equal(raw.text.at, "all");
    assert_true(raw.ended);
    end_both(&raw, &ear);
}

/* What is cut must not look whole. */
static void closing_and_resetting_with_bytes_unsent_say_nothing(void **state)
{
    (void)state;
    char *bytes = calloc(1, MEGABYTE);
    for (int kind = 0; kind < 3; kind++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        raw_client(&raw, &ear, 0);
        tls_ear_send(&ear, bytes, MEGABYTE);
        if (kind > 0)
            run_turns(rig.loop, 1);
        if (kind == 2)
            tg_stream_reset(ear.stream);
        else
            tg_stream_close(ear.stream);
        ear.stream = NULL;
        until_socket_ends(&raw);
        assert_true(raw.text.length < MEGABYTE);
        assert_false(raw.ended);
        end_both(&raw, &ear);
    }
    free(bytes);
}

static void streams_left_open_go_with_the_loop(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    struct tls_ear waiting = { 0 };
    close(tls_ear_serve(&waiting, false));
    tls_raw_write(&raw, "unread", 6);
    tls_raw_close(&raw);
    tg_text_deinit(&ear.text);
}

static void an_owner_that_closes_hears_nothing_more(void **state)
{
    (void)state;
    for (int on_data = 0; on_data < 2; on_data++) {
        struct tls_ear ear = { .close_on_connect = !on_data, .close_on_data = on_data };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, false), 0);
        tls_raw_until(&raw, &ear.connects, 1);
        if (on_data) {
            for (int i = 0; i < 50; i++)
                SSL_write(raw.ssl, "drop", 4);
            SSL_shutdown(raw.ssl);
            tls_raw_until(&raw, &ear.calls, 1);
        }
        assert_null(ear.stream);
        until_socket_ends(&raw);
        assert_int_equal(ear.calls, on_data);
        assert_int_equal(ear.eofs + ear.failures, 0);
        end_both(&raw, &ear);
    }
}

/* --- handshakes that fail --- */

static int64_t failures(void)
{
    return tg_counters_total(TG_COUNTER_TLS_HANDSHAKE_FAILURES);
}

static void the_alert_reaches_a_peer_though_the_stream_is_closed_at_once(void **state)
{
    (void)state;
    struct tls_ear ear = { .close_on_failure = true };
    struct tls_raw raw = { 0 };
    int64_t before = failures();
    tls_raw_connect(&raw, tls_ear_serve(&ear, false), TLS1_2_VERSION);
    assert_int_equal(SSL_set_cipher_list(raw.ssl, "ECDHE-RSA-AES128-GCM-SHA256"), 1);
    tls_raw_until(&raw, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_string_equal(ear.problem, "no shared cipher");
    assert_int_equal(ear.connects, 0);
    until_socket_ends(&raw);
    assert_int_equal(raw.error, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    assert_int_equal(failures(), before + 1);
    end_both(&raw, &ear);
}

static void a_peer_that_sends_on_still_gets_the_alert(void **state)
{
    (void)state;
    for (int lingers = 0; lingers < 2; lingers++) {
        struct tls_ear ear = { .close_on_failure = !lingers };
        struct tls_raw raw = { 0 };
        char *bytes = calloc(1, MEGABYTE);
        tls_raw_connect(&raw, tls_ear_serve(&ear, false), TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(raw.ssl, "ECDHE-RSA-AES128-GCM-SHA256"), 1);
        tls_raw_move(&raw);
        assert_true(send(raw.descriptor, bytes, 60000, MSG_NOSIGNAL | MSG_DONTWAIT) > 0);
        run_until(rig.loop, &ear.failures, 1);
        if (lingers) {
            tg_stream_linger(ear.stream);
            ear.stream = NULL;
            run_turns(rig.loop, 5);
        }
        until_socket_ends(&raw);
        assert_int_equal(raw.socket_error, 0);
        assert_int_equal(raw.error, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        end_both(&raw, &ear);
        run_turns(rig.loop, 3);
        assert_true(tg_list_empty(&rig.loop->streams));
        free(bytes);
    }
}

static void what_is_no_tls_fails(void **state)
{
    (void)state;
    static const char *const greetings[] = { "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
                                             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\xff\xff more",
                                             "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00" };
    for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        struct tls_ear ear = { 0 };
        int64_t before = failures();
        int other = tls_ear_serve(&ear, false);
        size_t length = i == 3 ? 10 : strlen(greetings[i]);
        assert_int_equal(send(other, greetings[i], length, MSG_NOSIGNAL), length);
        run_turns(rig.loop, 3);
        shutdown(other, SHUT_WR);
        run_until(rig.loop, &ear.failures, 1);
        assert_int_equal(ear.end, TG_STREAM_TLS);
        assert_true(ear.problem[0] != 0);
        assert_int_equal(ear.connects + ear.bytes, 0);
        assert_int_equal(failures(), before + 1);
        close(other);
        tls_ear_close(&ear);
    }
}

static void a_peer_that_comes_and_goes_is_a_failure_but_not_counted(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    int64_t before = failures();
    close(tls_ear_serve(&ear, false));
    run_until(rig.loop, &ear.failures, 1);
    assert_int_equal(ear.end, TG_STREAM_TLS);
    assert_int_equal(failures(), before);
    tls_ear_close(&ear);
}

static void a_handshake_of_too_many_bytes_or_records_fails(void **state)
{
    (void)state;
    static const char empty[] = { 0x16, 3, 1, 0, 1, 1 };
    struct tls_ear ear = { 0 };
    int other = tls_ear_serve(&ear, false);
    /* The message claims 16 MB less one byte, and its bytes come one a record. */
    assert_int_equal(send(other, "\x16\x03\x01\x00\x04\x01\x00\xff\xff", 9, MSG_NOSIGNAL), 9);
    for (int i = 0; i < 10000 && !ear.failures; i++) {
        (void)!send(other, empty, sizeof(empty), MSG_NOSIGNAL);
        if (i % 64 == 0)
            run_turns(rig.loop, 1);
    }
    assert_int_equal(ear.failures, 1);
    assert_string_equal(ear.problem, "too much in the handshake");
    close(other);
    tls_ear_close(&ear);
}

/* --- work without data [T10] --- */

static void until_overrun(struct tls_raw *raw, struct tls_ear *ear, bool (*make_work)(struct tls_raw *raw), int limit)
{
    int made = 0;
    while (!ear->failures && made < limit && make_work(raw)) {
        made++;
        tls_raw_turns(raw, 1);
    }
    tls_raw_turns(raw, 2);
    assert_int_equal(ear->failures, 1);
    assert_int_equal(ear->end, TG_STREAM_TLS);
    assert_true(made > 10 && made < limit);
    assert_string_equal(ear->problem, "too many records without data");
    end_both(raw, ear);
}

static bool update_keys(struct tls_raw *raw)
{
    return SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(raw->ssl) == 1;
}

static bool update_keys_and_send_a_byte(struct tls_raw *raw)
{
    return update_keys(raw) && SSL_write(raw->ssl, "x", 1) == 1;
}

/* [T10] */
static void changes_of_keys_are_bounded(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    until_overrun(&raw, &ear, update_keys, 1000);
    struct tls_ear other = { 0 };
    raw_client(&raw, &other, TLS1_3_VERSION);
    until_overrun(&raw, &other, update_keys_and_send_a_byte, 1000);
}

/* [T10] All of it lies in the socket before we look. */
static void changes_of_keys_in_one_slice_are_bounded(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    for (int i = 0; i < 1000; i++)
        assert_true(update_keys(&raw));
    tls_raw_until(&raw, &ear.failures, 1);
    assert_string_equal(ear.problem, "too many records without data");
    assert_true(ear.stream->tls->idle_records < 140);
    end_both(&raw, &ear);
}

/* [T10] */
static void changes_of_keys_among_data_are_no_harm(void **state)
{
    (void)state;
    enum { TIMES = 500, PIECE = 2000 };
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char bytes[PIECE] = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    for (int i = 0; i < TIMES; i++) {
        assert_true(update_keys(&raw));
        tls_raw_write(&raw, bytes, PIECE);
        if (i % 100 == 0)
            tls_ear_send(&ear, "answer", 6);
        tls_raw_turns(&raw, 1);
    }
    tls_raw_until(&raw, &ear.bytes, TIMES * PIECE);
    assert_int_equal(ear.failures, 0);
    assert_int_equal(raw.text.length, 30);
    end_both(&raw, &ear);
}

/* [T10] The data makes up for the changes of keys, but their answers pile up. */
static void answers_that_a_peer_does_not_take_are_bounded(void **state)
{
    (void)state;
    enum { TIMES = 40000, PIECE = 1024, LIMIT = 300 * 1024 };
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char bytes[PIECE] = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    raw.deaf = true;
    for (int i = 0; i < TIMES && !ear.failures; i++) {
        assert_true(update_keys(&raw));
        tls_raw_write(&raw, bytes, PIECE);
        tls_raw_turns(&raw, 1);
        assert_true(tg_stream_unsent(ear.stream) < LIMIT);
    }
    assert_int_equal(ear.failures, 1);
    assert_string_equal(ear.problem, "the peer takes none of the answers that its records ask for");
    end_both(&raw, &ear);
}

/* [T10] */
static void a_client_can_not_renegotiate(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_2_VERSION);
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    SSL_do_handshake(raw.ssl);
    tls_raw_turns(&raw, 5);
    assert_int_equal(raw.error, SSL_R_NO_RENEGOTIATION);
    assert_int_equal(ear.hellos, 0);
    assert_int_equal(ear.connects, 1);
    end_both(&raw, &ear);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_rig_set_up, tls_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_close_notify_is_a_tidy_end_and_leaves_our_direction_open),
        TEST(an_end_without_close_notify_is_a_cut_and_told_after_the_data),
        TEST(half_a_record_is_never_given),
        TEST(a_damaged_record_fails_the_stream_and_the_peer_gets_an_alert),
        TEST(an_alert_of_the_peer_fails_the_stream),
        TEST(finishing_sends_close_notify_behind_the_last_byte),
        TEST(finishing_before_the_handshake_is_done_waits_for_it),
        TEST(a_lingering_stream_sends_all_it_has_and_close_notify),
        TEST(closing_says_so_where_all_was_sent),
        TEST(closing_and_resetting_with_bytes_unsent_say_nothing),
        TEST(streams_left_open_go_with_the_loop),
        TEST(an_owner_that_closes_hears_nothing_more),
        TEST(the_alert_reaches_a_peer_though_the_stream_is_closed_at_once),
        TEST(a_peer_that_sends_on_still_gets_the_alert),
        TEST(what_is_no_tls_fails),
        TEST(a_peer_that_comes_and_goes_is_a_failure_but_not_counted),
        TEST(a_handshake_of_too_many_bytes_or_records_fails),
        TEST(changes_of_keys_are_bounded),
        TEST(changes_of_keys_in_one_slice_are_bounded),
        TEST(changes_of_keys_among_data_are_no_harm),
        TEST(answers_that_a_peer_does_not_take_are_bounded),
        TEST(a_client_can_not_renegotiate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
