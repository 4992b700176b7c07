#include "tls_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 20000, STEP = 64 * 1024 };

struct tls_rig rig;

static void make_server(void)
{
    char why[512];
    struct tg_tls_certificate certificate = { .name = TG_SLICE("a"),
                                              .cert = tls_file("a.pem", rig.identity.cert_pem),
                                              .key = tls_file("a.key", rig.identity.key_pem) };
    struct tg_tls_server_options options = {
        .certificates = &certificate, .count = 1, .session_life = 86400, .listener = TG_SLICE("127.0.0.1:443")
    };
    rig.server = tg_tls_server_new(rig.library, rig.tickets, &options, why);
    if (!rig.server)
        print_message("%s\n", why);
    assert_non_null(rig.server);
}

static void make_client(void)
{
    char why[512];
    struct tg_tls_client_options options = { .verify = true,
                                             .ca = tls_file("ca.pem", rig.authority.cert_pem),
                                             .offer_h1 = true };
    rig.client = tg_tls_client_new(rig.library, &options, why);
    if (!rig.client)
        print_message("%s\n", why);
    assert_non_null(rig.client);
}

int tls_rig_set_up(void **state)
{
    (void)state;
    char why[512];
    rig.loop = tg_loop_new(NULL, NULL);
    rig.library = tg_tls_library_open(false, why);
    rig.tickets = tg_ticket_keys_new();
    rig.authority = tls_authority_make("authority");
    rig.identity = tls_server_identity_make("a.example", &rig.authority);
    rig.sessions = tg_tls_sessions_new();
    make_server();
    make_client();
    return 0;
}

int tls_rig_tear_down(void **state)
{
    (void)state;
    tg_loop_free(rig.loop);
    tg_tls_client_unref(rig.client);
    tg_tls_server_unref(rig.server);
    tg_tls_sessions_free(rig.sessions);
    tls_identity_deinit(&rig.identity);
    tls_identity_deinit(&rig.authority);
    tg_ticket_keys_free(rig.tickets);
    tg_tls_library_close(rig.library);
    tg_block_release_thread_pool();
    return 0;
}

/* --- owners --- */

void tls_ear_close(struct tls_ear *ear)
{
    if (ear->stream)
        tg_stream_close(ear->stream);
    ear->stream = NULL;
    tg_text_deinit(&ear->text);
    tg_text_deinit(&ear->sni);
}

static void close_stream(struct tls_ear *ear)
{
    tg_stream_close(ear->stream);
    ear->stream = NULL;
}

static void hear_connected(struct tg_stream *stream)
{
    struct tls_ear *ear = tg_stream_owner(stream);
    ear->connects++;
    if (ear->close_on_connect)
        close_stream(ear);
}

static void hear_data(struct tg_stream *stream, struct tg_buffer data)
{
    struct tls_ear *ear = tg_stream_owner(stream);
    if (ear->start_on_data) {
        ear->start_on_data = false;
        ear->started++;
        assert_true(tg_stream_start_tls_server(stream, rig.server, NULL, tg_buffer_ref(data)));
        return;
    }
    tg_text_append(&ear->text, tg_buffer_slice(data));
    ear->calls++;
    ear->bytes += (int)data.length;
    if (ear->pause_on_data)
        tg_stream_pause(stream);
    if (ear->close_on_data)
        close_stream(ear);
}

static void hear_eof(struct tg_stream *stream)
{
    ((struct tls_ear *)tg_stream_owner(stream))->eofs++;
}

static void hear_drained(struct tg_stream *stream)
{
    ((struct tls_ear *)tg_stream_owner(stream))->drains++;
}

static void hear_failed(struct tg_stream *stream, enum tg_stream_end end)
{
    struct tls_ear *ear = tg_stream_owner(stream);
    const char *problem = tg_stream_problem(stream);
    ear->failures++;
    ear->end = end;
    snprintf(ear->problem, sizeof(ear->problem), "%s", problem ? problem : "");
    if (ear->close_on_failure)
        close_stream(ear);
}

static void hear_peer_finished(struct tg_stream *stream)
{
    ((struct tls_ear *)tg_stream_owner(stream))->finishes++;
}

const struct tg_stream_ops tls_ear_ops = { hear_connected, hear_data,   hear_eof,
                                           hear_drained,   hear_failed, hear_peer_finished };

static enum tg_hello_verdict hear_hello(struct tg_stream *stream, const struct tg_client_hello *hello,
                                        struct tg_hello_choice *choice)
{
    struct tls_ear *ear = tg_stream_owner(stream);
    ear->hellos++;
    tg_text_append(&ear->sni, hello->sni);
    assert_int_equal(choice->certificate, -1);
    assert_int_equal(choice->client_ca, -1);
    *choice = ear->choice;
    if (ear->close_on_hello)
        close_stream(ear);
    return ear->waits ? TG_HELLO_WAIT : TG_HELLO_GO_ON;
}

const struct tg_tls_accept_ops tls_ear_accept_ops = { hear_hello };

int tls_ear_open(struct tls_ear *ear)
{
    int ends[2];
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ear->stream = tg_stream_attach(rig.loop, (struct tg_socket){ ends[0], NULL }, &nobody, &tls_ear_ops, ear);
    assert_non_null(ear->stream);
    if (ear->choice.certificate == 0 && !ear->choice.refuse)
        ear->choice.certificate = ear->choice.client_ca = -1;
    return ends[1];
}

int tls_ear_serve(struct tls_ear *ear, bool asks)
{
    int other = tls_ear_open(ear);
    assert_true(tg_stream_start_tls_server(ear->stream, rig.server, asks ? &tls_ear_accept_ops : NULL,
                                           (struct tg_buffer){ 0 }));
    return other;
}

void tls_ears_connect(struct tls_ear *server, struct tls_ear *client)
{
    struct tg_address nobody = { .length = 2, .any.sa_family = AF_UNIX };
    int other = tls_ear_serve(server, false);
    client->stream = tg_stream_attach(rig.loop, (struct tg_socket){ other, NULL }, &nobody, &tls_ear_ops, client);
    assert_non_null(client->stream);
    assert_true(tg_stream_start_tls_client(client->stream, rig.client, rig.sessions, TG_SLICE("a.example")));
    run_until(rig.loop, &client->connects, 1);
    run_until(rig.loop, &server->connects, 1);
}

void tls_ear_send(struct tls_ear *ear, const char *at, size_t length)
{
    struct tg_buffer_queue queue;
    tg_buffer_queue_init(&queue);
    assert_true(tg_buffer_queue_append(&queue, tg_slice_of(at, length)));
    tg_stream_send_queue(ear->stream, &queue);
    tg_buffer_queue_deinit(&queue);
}

/* --- a raw peer --- */

static void start(struct tls_raw *raw, int descriptor, SSL_CTX *context, int version)
{
    if (version) {
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
    }
    raw->descriptor = descriptor;
    raw->ssl = SSL_new(context);
    SSL_CTX_free(context);
    raw->in = BIO_new(BIO_s_mem());
    raw->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(raw->in, -1);
    BIO_set_mem_eof_return(raw->out, -1);
    SSL_set_bio(raw->ssl, raw->in, raw->out);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
}

void tls_raw_connect(struct tls_raw *raw, int descriptor, int version)
{
    start(raw, descriptor, SSL_CTX_new(TLS_client_method()), version);
    SSL_set_connect_state(raw->ssl);
    SSL_set_tlsext_host_name(raw->ssl, "a.example");
}

void tls_raw_accept(struct tls_raw *raw, int descriptor, const struct tls_identity *identity, int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, identity->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, identity->key), 1);
    start(raw, descriptor, context, version);
    SSL_set_accept_state(raw->ssl);
}

static void end_record(struct tls_raw *raw)
{
    size_t length = (size_t)raw->header[3] << 8 | raw->header[4];
    raw->record_left = length;
    raw->header_length = 0;
    if (raw->header[0] != SSL3_RT_APPLICATION_DATA)
        return;
    raw->records++;
    if (length > raw->largest)
        raw->largest = length;
}

static void count_records(struct tls_raw *raw, const uint8_t *at, size_t length)
{
    for (size_t i = 0; i < length;) {
        if (raw->record_left > 0) {
            size_t part = raw->record_left < length - i ? raw->record_left : length - i;
            raw->record_left -= part;
            i += part;
        } else {
            raw->header[raw->header_length++] = at[i++];
            if (raw->header_length == 5)
                end_record(raw);
        }
    }
}

static void receive(struct tls_raw *raw)
{
    uint8_t room[STEP];
    ssize_t got = recv(raw->descriptor, room, sizeof(room), 0);
    if (got > 0) {
        count_records(raw, room, (size_t)got);
        assert_int_equal(BIO_write(raw->in, room, (int)got), got);
    } else if (got == 0) {
        raw->socket_ended = true;
    } else if (errno != EAGAIN) {
        raw->socket_error = errno;
    }
}

static void note_error(struct tls_raw *raw, int result)
{
    int error = SSL_get_error(raw->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        raw->ended = true;
    else if (error == SSL_ERROR_SSL && !raw->error)
        raw->error = (unsigned long)ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
}

static void decrypt(struct tls_raw *raw)
{
    char room[STEP];
    int result;
    ERR_clear_error();
    if (!raw->handshaken) {
        result = SSL_do_handshake(raw->ssl);
        raw->handshaken = result == 1;
        if (result != 1)
            note_error(raw, result);
    }
    while (raw->handshaken && !raw->ended && !raw->error) {
        result = SSL_read(raw->ssl, room, sizeof(room));
        if (result > 0) {
            tg_text_append(&raw->text, tg_slice_of(room, (size_t)result));
            continue;
        }
        note_error(raw, result);
        break;
    }
}

static void flush(struct tls_raw *raw)
{
    char *at;
    long length = BIO_get_mem_data(raw->out, &at);
    char room[STEP];
    if (length <= 0)
        return;
    ssize_t sent = send(raw->descriptor, at, (size_t)length < sizeof(room) ? (size_t)length : sizeof(room),
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        assert_int_equal(BIO_read(raw->out, room, (int)sent), sent);
}

void tls_raw_receive(struct tls_raw *raw)
{
    if (!raw->deaf)
        receive(raw);
    decrypt(raw);
}

void tls_raw_move(struct tls_raw *raw)
{
    tls_raw_receive(raw);
    flush(raw);
}

void tls_raw_until(struct tls_raw *raw, const int *value, int target)
{
    for (int steps = 0; *value < target; steps++) {
        assert_true(steps < PATIENCE);
        tls_raw_move(raw);
        run_turns(rig.loop, 1);
    }
}

void tls_raw_turns(struct tls_raw *raw, int turns)
{
    for (int i = 0; i < turns; i++) {
        tls_raw_move(raw);
        run_turns(rig.loop, 1);
    }
}

void tls_raw_shake_hands(struct tls_raw *raw, struct tls_ear *ear)
{
    tls_raw_until(raw, &ear->connects, 1);
    tls_raw_turns(raw, 3);
    assert_true(raw->handshaken);
}

void tls_raw_write(struct tls_raw *raw, const char *at, size_t length)
{
    ERR_clear_error();
    assert_int_equal(SSL_write(raw->ssl, at, (int)length), length);
    flush(raw);
}

struct tg_text tls_raw_take_output(struct tls_raw *raw)
{
    struct tg_text output = { 0 };
    char room[STEP];
    int got;
    if (!raw->handshaken)
        decrypt(raw);
    while ((got = BIO_read(raw->out, room, sizeof(room))) > 0)
        tg_text_append(&output, tg_slice_of(room, (size_t)got));
    return output;
}

void tls_raw_close(struct tls_raw *raw)
{
    SSL_free(raw->ssl);
    close(raw->descriptor);
    tg_text_deinit(&raw->text);
    *raw = (struct tls_raw){ 0 };
}
