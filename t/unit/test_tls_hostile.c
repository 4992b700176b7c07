/* Peers that damage, cut and drop what they send, at any point, while owners pause, close, linger and move streams.
 * What must hold is that every owner hears of one end at most, and of nothing behind it; the sanitizers watch the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tls_rig.h"

enum { GAMES = 2000, STEPS = 30, NEVER = 1000 };

static uint32_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state = random_state * 1664525U + 1013904223U;
    return (random_state >> 8) % limit;
}

static bool one_in(uint32_t odds)
{
    return below(odds) == 0;
}

static struct tls_ear an_owner(void)
{
    return (struct tls_ear){
        .waits = one_in(4),
        .close_on_failure = one_in(2),
        .pause_on_data = one_in(4),
        .close_on_data = one_in(8),
        .close_on_connect = one_in(16),
        .close_on_hello = one_in(16),
        .choice.refuse = one_in(16),
    };
}

static void meet(struct tls_ear *ear, struct tls_raw *raw)
{
    int version = one_in(2) ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (one_in(2)) {
        tls_raw_connect(raw, tls_ear_serve(ear, one_in(2)), version);
        return;
    }
    int other = tls_ear_open(ear);
    assert_true(tg_stream_start_tls_client(ear->stream, rig.client, rig.sessions, TG_SLICE("a.example")));
    tls_raw_accept(raw, other, &rig.identity, version);
}

static void let_peer_act(struct tls_raw *raw)
{
    char bytes[3000] = { 0 };
    tls_raw_receive(raw);
    if (raw->handshaken && one_in(3))
        SSL_write(raw->ssl, bytes, 1 + (int)below(sizeof(bytes)));
    if (raw->handshaken && SSL_version(raw->ssl) == TLS1_3_VERSION && one_in(6)) {
        if (SSL_is_server(raw->ssl) && one_in(2))
            SSL_new_session_ticket(raw->ssl);
        else
            SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(raw->ssl);
    }
    if (one_in(20))
        SSL_shutdown(raw->ssl);
}

static void damage(struct tg_text *bytes)
{
    uint32_t length = (uint32_t)bytes->length;
    switch (below(4)) {
    case 0: bytes->at[below(length)] ^= (char)(1U << below(8)); break;
    case 1: bytes->at[below(length < 12 ? length : 12)] = (char)below(256); break;
    case 2: bytes->length = 1 + below(length); break;
    default:
        if (length > 20) {
            uint32_t at = below(length - 10);
            memmove(bytes->at + at, bytes->at + at + 5, length - at - 5);
            bytes->length -= 5;
        }
    }
}

static void let_peer_send(struct tls_raw *raw, bool damaged)
{
    struct tg_text bytes = tls_raw_take_output(raw);
    if (bytes.length > 0 && damaged)
        damage(&bytes);
    if (bytes.length > 0)
        (void)!send(raw->descriptor, bytes.at, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    tg_text_deinit(&bytes);
    if (one_in(40))
        shutdown(raw->descriptor, SHUT_WR);
}

static void move_stream(struct tls_ear *ear)
{
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    struct tg_socket socket = tg_stream_detach(ear->stream);
    ear->stream = tg_stream_attach(rig.loop, socket, &nobody, &tls_ear_ops, ear);
}

static void let_owner_act(struct tls_ear *ear)
{
    char bytes[5000] = { 0 };
    struct tg_hello_choice choice = { .refuse = one_in(3), .certificate = -1, .client_ca = -1 };
    if (ear->waits && ear->hellos && one_in(4))
        tg_stream_decide_hello(ear->stream, &choice);
    if (one_in(5))
        tls_ear_send(ear, bytes, 1 + below(sizeof(bytes)));
    if (one_in(10))
        tg_stream_resume(ear->stream);
    if (one_in(20))
        tg_stream_finish(ear->stream);
    if (one_in(10))
        (void)!tg_stream_silent(ear->stream);
    if (one_in(15))
        move_stream(ear);
}

static void let_owner_leave(struct tls_ear *ear)
{
    switch (below(3)) {
    case 0: tg_stream_linger(ear->stream); break;
    case 1: tg_stream_reset(ear->stream); break;
    default: tg_stream_close(ear->stream); break;
    }
    ear->stream = NULL;
}

static void play(struct tls_ear *ear, struct tls_raw *raw)
{
    uint32_t damaged_from = one_in(3) ? NEVER : below(12);
    meet(ear, raw);
    for (uint32_t step = 0; step < STEPS && ear->stream; step++) {
        int calls = ear->calls, ends = ear->eofs + ear->failures;
        let_peer_act(raw);
        let_peer_send(raw, step >= damaged_from && one_in(2));
        run_turns(rig.loop, (int)below(3));
        assert_true(ends == 0 || ear->calls == calls);
        if (ear->stream)
            let_owner_act(ear);
    }
    if (ear->stream)
        let_owner_leave(ear);
}

static void a_hostile_peer_does_no_harm(void **state)
{
    (void)state;
    int connects = 0, failures = 0, ends = 0;
    for (uint32_t game = 1; game <= GAMES; game++) {
        random_state = game;
        struct tls_raw raw = { 0 };
        struct tls_ear ear = an_owner();
        play(&ear, &raw);
        assert_true(ear.connects <= 1 && ear.hellos <= 1);
        assert_true(ear.eofs <= 1 && ear.failures <= 1);
        connects += ear.connects;
        failures += ear.failures;
        ends += ear.eofs;
        tls_raw_close(&raw);
        tls_ear_close(&ear);
        run_turns(rig.loop, 2);
    }
    assert_true(connects > GAMES / 4 && failures > GAMES / 8 && ends > GAMES / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hostile_peer_does_no_harm, tls_rig_set_up, tls_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
