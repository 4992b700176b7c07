/* A stream under TLS against another one, and against OpenSSL moved by hand. */
#include <errno.h>
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

static char *pattern(size_t length)
{
    char *at = malloc(length);
    assert_non_null(at);
    for (size_t i = 0; i < length; i++)
        at[i] = (char)(i * 7 + i / 251 + i / 65521);
    return at;
}

static bool is(struct tg_slice slice, const char *text)
{
    return tg_slice_equal(slice, tg_slice_from_string(text));
}

static void raw_client(struct tls_raw *raw, struct tls_ear *ear, int version)
{
    tls_raw_connect(raw, tls_ear_serve(ear, false), version);
    tls_raw_shake_hands(raw, ear);
}

/* --- both ways --- */

static void bytes_go_both_ways_under_each_version(void **state)
{
    (void)state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (int i = 0; i < 2; i++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        raw_client(&raw, &ear, versions[i]);
        const struct tg_tls_facts *facts = tg_stream_tls_facts(ear.stream);
        assert_true(is(facts->version, i == 0 ? "TLSv1.2" : "TLSv1.3"));
        assert_true(is(facts->sni, "a.example"));
        assert_int_equal(facts->ja3.length, 32);
        assert_false(facts->has_certificate || facts->resumed || facts->verified);
        tls_raw_write(&raw, "low tide", 8);
        run_until(rig.loop, &ear.bytes, 8);
        assert_string_equal(ear.text.at, "low tide");
        assert_int_equal(tg_stream_received(ear.stream), 8);
        tls_ear_send(&ear, "high tide", 9);
        tls_raw_turns(&raw, 3);
        assert_string_equal(raw.text.at, "high tide");
        assert_int_equal(tg_stream_unsent(ear.stream), 0);
        tls_raw_close(&raw);
        tls_ear_close(&ear);
    }
}

static void a_megabyte_goes_both_ways_at_once(void **state)
{
    (void)state;
    struct tls_ear server = { 0 }, client = { 0 };
    char *bytes = pattern(MEGABYTE);
    tls_ears_connect(&server, &client);
    assert_true(is(tg_stream_tls_facts(client.stream)->version, "TLSv1.3"));
    assert_int_equal(tg_stream_tls_facts(client.stream)->alpn, TG_ALPN_H1);
    assert_int_equal(tg_stream_tls_facts(server.stream)->alpn, TG_ALPN_H1);
    tls_ear_send(&client, bytes, MEGABYTE);
    tls_ear_send(&server, bytes, MEGABYTE);
    run_until(rig.loop, &server.bytes, MEGABYTE);
    run_until(rig.loop, &client.bytes, MEGABYTE);
    assert_memory_equal(server.text.at, bytes, MEGABYTE);
    assert_memory_equal(client.text.at, bytes, MEGABYTE);
    assert_int_equal(server.drains, 1);
    assert_int_equal(client.drains, 1);
    assert_true(tg_stream_sent(server.stream) > MEGABYTE);
    tls_ear_close(&server);
    tls_ear_close(&client);
    free(bytes);
}

/* --- a hello in pieces --- */

static struct tg_text hello_of(struct tls_raw *raw)
{
    struct tg_text hello = tls_raw_take_output(raw);
    assert_true(hello.length > 100);
    return hello;
}

static void send_part(const struct tls_raw *raw, const struct tg_text *hello, size_t from, size_t to)
{
    assert_int_equal(send(raw->descriptor, hello->at + from, to - from, MSG_NOSIGNAL), to - from);
}

static void finish_split(struct tls_raw *raw, struct tls_ear *ear, struct tg_text *hello)
{
    tls_raw_shake_hands(raw, ear);
    assert_true(is(tg_stream_tls_facts(ear->stream)->sni, "a.example"));
    tg_text_deinit(hello);
    tls_raw_close(raw);
    tls_ear_close(ear);
}

/* [T05] */
static void a_hello_may_be_split_anywhere(void **state)
{
    (void)state;
    size_t length = 2;
    for (size_t at = 1; at < length; at++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, false), 0);
        struct tg_text hello = hello_of(&raw);
        length = hello.length;
        send_part(&raw, &hello, 0, at);
        run_turns(rig.loop, 2);
        send_part(&raw, &hello, at, length);
        finish_split(&raw, &ear, &hello);
    }
    assert_true(length > 100);
}

/* [T05] */
static void a_hello_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    struct tg_text hello = hello_of(&raw);
    for (size_t at = 0; at < hello.length; at++) {
        assert_int_equal(ear.hellos, 0);
        send_part(&raw, &hello, at, at + 1);
        run_turns(rig.loop, 1);
    }
    finish_split(&raw, &ear, &hello);
    assert_int_equal(ear.hellos, 1);
}

/* [T05] The hello's message in records of one byte each: OpenSSL must see all of it before anybody reads its SNI. */
static void a_hello_may_come_in_records_of_one_byte(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, true), 0);
    struct tg_text hello = hello_of(&raw);
    for (size_t at = 5; at < hello.length; at++) {
        char record[] = { hello.at[0], hello.at[1], hello.at[2], 0, 1, hello.at[at] };
        assert_int_equal(ear.hellos, 0);
        assert_int_equal(send(raw.descriptor, record, sizeof(record), MSG_NOSIGNAL), sizeof(record));
        run_turns(rig.loop, at % 16 == 0);
    }
    finish_split(&raw, &ear, &hello);
    assert_int_equal(ear.hellos, 1);
}

static void what_the_owner_read_already_goes_first(void **state)
{
    (void)state;
    size_t length = 1000;
    for (size_t at = 1; at <= length; at += at < 8 ? 1 : 37) {
        struct tls_ear ear = { .start_on_data = true };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_open(&ear), 0);
        struct tg_text hello = hello_of(&raw);
        length = hello.length;
        send_part(&raw, &hello, 0, at);
        if (at % 2)
            run_until(rig.loop, &ear.started, 1);
        send_part(&raw, &hello, at, length);
        finish_split(&raw, &ear, &hello);
    }
}

/* --- pauses --- */

static void what_came_while_paused_comes_after_the_pause(void **state)
{
    (void)state;
    struct tls_ear ear = { .pause_on_data = true };
    struct tls_raw raw = { 0 };
    char *bytes = pattern(MEGABYTE);
    raw_client(&raw, &ear, 0);
    tls_raw_write(&raw, bytes, MEGABYTE);
    tls_raw_until(&raw, &ear.calls, 1);
    for (int calls = 1; ear.bytes < MEGABYTE; calls++) {
        tls_raw_turns(&raw, 2);
        assert_int_equal(ear.calls, calls);
        tg_stream_resume(ear.stream);
        assert_int_equal(ear.calls, calls);
        tls_raw_until(&raw, &ear.calls, calls + 1);
    }
    assert_memory_equal(ear.text.at, bytes, MEGABYTE);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
    free(bytes);
}

/* All of it lies in one slice of the socket, so that nothing but the stream itself knows of the rest. */
static void an_end_behind_a_pause_is_told_after_it(void **state)
{
    (void)state;
    struct tls_ear ear = { .pause_on_data = true };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    assert_int_equal(SSL_write(raw.ssl, "last words", 10), 10);
    SSL_shutdown(raw.ssl);
    tls_raw_until(&raw, &ear.calls, 1);
    tls_raw_turns(&raw, 3);
    assert_int_equal(ear.eofs + ear.failures, 0);
    assert_int_equal(ear.finishes, 1);
    tg_stream_resume(ear.stream);
    assert_int_equal(ear.eofs, 0);
    run_until(rig.loop, &ear.eofs, 1);
    run_turns(rig.loop, 3);
    assert_int_equal(ear.eofs, 1);
    assert_int_equal(ear.finishes, 1);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
}

static void a_pause_does_not_stop_the_handshake(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    tls_raw_connect(&raw, tls_ear_serve(&ear, false), 0);
    tg_stream_pause(ear.stream);
    tls_raw_shake_hands(&raw, &ear);
    tls_raw_write(&raw, "later", 5);
    run_turns(rig.loop, 5);
    assert_int_equal(ear.calls, 0);
    tg_stream_resume(ear.stream);
    run_until(rig.loop, &ear.bytes, 5);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
}

/* --- records --- */

static void what_a_turn_gives_leaves_in_one_record(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    int before = raw.records;
    for (int i = 0; i < 16; i++)
        tls_ear_send(&ear, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
    tls_raw_turns(&raw, 3);
    assert_int_equal(raw.text.length, 16 * 64);
    assert_int_equal(raw.records - before, 1);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
}

static void records_are_small_after_a_silence_and_then_full(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char *bytes = pattern(MEGABYTE);
    enum { FIRST = 64 * 1024, PIECE = 1000 };
    raw_client(&raw, &ear, TLS1_3_VERSION);
    int before = raw.records;
    for (size_t at = 0; at < FIRST; at += PIECE)
        tls_ear_send(&ear, bytes + at, FIRST - at < PIECE ? FIRST - at : PIECE);
    tls_raw_turns(&raw, 10);
    assert_int_equal(raw.text.length, FIRST);
    assert_int_equal(raw.records - before, (FIRST + 1399) / 1400);
    assert_true(raw.largest < 1500);
    before = raw.records;
    for (size_t at = FIRST; at < MEGABYTE; at += PIECE)
        tls_ear_send(&ear, bytes + at, MEGABYTE - at < PIECE ? MEGABYTE - at : PIECE);
    tls_raw_turns(&raw, 100);
    assert_int_equal(raw.text.length, MEGABYTE);
    assert_int_equal(raw.records - before, (MEGABYTE - FIRST) / 16384);
    assert_memory_equal(raw.text.at, bytes, MEGABYTE);
    ear.stream->tls->encrypted_at -= 2; /* seconds */
    raw.largest = 0;
    tls_ear_send(&ear, bytes, 10000);
    tls_raw_turns(&raw, 3);
    assert_true(raw.largest < 1500);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
    free(bytes);
}

/* RFC 6066 4: a small client takes no larger records than it has room for. */
static void records_are_as_small_as_the_client_asks_for(void **state)
{
    (void)state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    char *bytes = pattern(MEGABYTE);
    for (int i = 0; i < 2; i++) {
        struct tls_ear ear = { 0 };
        struct tls_raw raw = { 0 };
        tls_raw_connect(&raw, tls_ear_serve(&ear, false), versions[i]);
        assert_int_equal(SSL_set_tlsext_max_fragment_length(raw.ssl, TLSEXT_max_fragment_length_512), 1);
        tls_raw_shake_hands(&raw, &ear);
        raw.largest = 0;
        tls_ear_send(&ear, bytes, MEGABYTE / 4);
        tls_raw_turns(&raw, 30);
        assert_int_equal(ear.failures, 0);
        assert_int_equal(raw.text.length, MEGABYTE / 4);
        assert_memory_equal(raw.text.at, bytes, MEGABYTE / 4);
        assert_true(raw.largest < 512 + 64);
        tls_raw_close(&raw);
        tls_ear_close(&ear);
    }
    free(bytes);
}

static void many_small_records_are_given_together(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(SSL_write(raw.ssl, "drop", 4), 4);
    tls_raw_until(&raw, &ear.bytes, 400);
    assert_int_equal(ear.calls, 1);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
}

static void a_slow_peer_makes_bytes_wait_and_few_of_them_encrypted(void **state)
{
    (void)state;
    enum { ALL = 8 * MEGABYTE, AHEAD = 128 * 1024 + 17 * 1024 };
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    char *bytes = pattern(ALL);
    raw_client(&raw, &ear, 0);
    tls_ear_send(&ear, bytes, ALL);
    run_turns(rig.loop, 10);
    uint64_t unsent = tg_stream_unsent(ear.stream), wire = tg_spare_queue_length(ear.stream->tls->wire);
    assert_true(unsent > ALL / 2);
    assert_true(wire > 0 && wire < AHEAD);
    assert_int_equal(unsent, tg_spare_queue_length(ear.stream->out) + wire);
    assert_int_equal(ear.drains, 0);
    tls_raw_until(&raw, &ear.drains, 1);
    tls_raw_turns(&raw, 20);
    assert_int_equal(tg_stream_unsent(ear.stream), 0);
    assert_int_equal(raw.text.length, ALL);
    assert_memory_equal(raw.text.at, bytes, ALL);
    assert_int_equal(ear.drains, 1);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
    free(bytes);
}

static void an_idle_connection_holds_no_buffer(void **state)
{
    (void)state;
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    raw_client(&raw, &ear, 0);
    tls_raw_write(&raw, "request", 7);
    run_until(rig.loop, &ear.bytes, 7);
    tls_ear_send(&ear, "answer", 6);
    tls_raw_turns(&raw, 3);
    const struct tg_tls *tls = ear.stream->tls;
    assert_null(tls->unread.block);
    assert_null(tls->wire);
    assert_null(ear.stream->out);
    assert_null(tls->handshake);
    assert_false(tls->undrained);
    assert_true(sizeof(*tls) < 256);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
}

/* --- all of it at random --- */

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525U + 1013904223U;
    return (random_state >> 8) % limit;
}

/* Part of what is due goes to the socket, cut anywhere. */
static void send_some(struct tls_raw *raw, struct tg_text *due)
{
    struct tg_text fresh = tls_raw_take_output(raw);
    tg_text_append(due, tg_text_slice(&fresh));
    tg_text_deinit(&fresh);
    if (due->length == 0)
        return;
    size_t part = 1 + random_below((uint32_t)due->length);
    ssize_t sent = send(raw->descriptor, due->at, part, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        memmove(due->at, due->at + sent, due->length - (size_t)sent);
        due->length -= (size_t)sent;
    }
}

static void take_a_step(struct tls_raw *raw, struct tls_ear *ear, const char *bytes, size_t *to, size_t *from)
{
    enum { MOST = 40000 };
    size_t length = random_below(random_below(2) ? MOST : 300);
    switch (random_below(8)) {
    case 0: tg_stream_pause(ear->stream); break;
    case 1:
    case 2: tg_stream_resume(ear->stream); break;
    case 3:
        if (SSL_version(raw->ssl) == TLS1_3_VERSION && length > 2000)
            SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED);
        break;
    case 4:
    case 5:
        length = length < MEGABYTE - *to ? length : MEGABYTE - *to;
        if (length > 0 && SSL_write(raw->ssl, bytes + *to, (int)length) == (int)length)
            *to += length;
        break;
    default:
        length = length < MEGABYTE - *from ? length : MEGABYTE - *from;
        if (length > 0)
            tls_ear_send(ear, bytes + *from, length);
        *from += length;
        break;
    }
}

static void play(int version, bool tidy)
{
    struct tls_ear ear = { 0 };
    struct tls_raw raw = { 0 };
    struct tg_text due = { 0 };
    char *bytes = pattern(MEGABYTE);
    size_t to = 0, from = 0;
    raw_client(&raw, &ear, version);
    for (int steps = 0; to < MEGABYTE || from < MEGABYTE || raw.text.length < MEGABYTE; steps++) {
        assert_true(steps < 100000);
        take_a_step(&raw, &ear, bytes, &to, &from);
        send_some(&raw, &due);
        raw.deaf = random_below(3) == 0;
        tls_raw_receive(&raw);
        run_turns(rig.loop, (int)random_below(2));
    }
    if (tidy)
        SSL_shutdown(raw.ssl);
    for (int steps = 0; ear.bytes < MEGABYTE || due.length > 0 || BIO_pending(raw.out) > 0; steps++) {
        assert_true(steps < 100000);
        tg_stream_resume(ear.stream);
        send_some(&raw, &due);
        run_turns(rig.loop, 1);
    }
    shutdown(raw.descriptor, SHUT_WR);
    run_until(rig.loop, tidy ? &ear.eofs : &ear.failures, 1);
    assert_int_equal(ear.bytes, MEGABYTE);
    assert_memory_equal(ear.text.at, bytes, MEGABYTE);
    assert_int_equal(raw.text.length, MEGABYTE);
    assert_memory_equal(raw.text.at, bytes, MEGABYTE);
    assert_int_equal(ear.eofs + ear.failures, 1);
    tg_text_deinit(&due);
    tls_raw_close(&raw);
    tls_ear_close(&ear);
    free(bytes);
}

static void bytes_and_ends_are_right_however_they_are_cut_and_held_up(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        random_state = seed;
        play(seed % 2 ? TLS1_3_VERSION : TLS1_2_VERSION, seed % 4 < 2);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_rig_set_up, tls_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways_under_each_version),
        TEST(a_megabyte_goes_both_ways_at_once),
        TEST(a_hello_may_be_split_anywhere),
        TEST(a_hello_may_come_byte_by_byte),
        TEST(a_hello_may_come_in_records_of_one_byte),
        TEST(what_the_owner_read_already_goes_first),
        TEST(what_came_while_paused_comes_after_the_pause),
        TEST(an_end_behind_a_pause_is_told_after_it),
        TEST(a_pause_does_not_stop_the_handshake),
        TEST(what_a_turn_gives_leaves_in_one_record),
        TEST(records_are_small_after_a_silence_and_then_full),
        TEST(records_are_as_small_as_the_client_asks_for),
        TEST(many_small_records_are_given_together),
        TEST(a_slow_peer_makes_bytes_wait_and_few_of_them_encrypted),
        TEST(an_idle_connection_holds_no_buffer),
        TEST(bytes_and_ends_are_right_however_they_are_cut_and_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
