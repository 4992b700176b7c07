#include "tls_meeting.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Of TLS 1.3, where it comes on its own. */
static int take_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct tls_visitor *visitor = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (SSL_version(ssl) < TLS1_3_VERSION)
        return 0;
    SSL_SESSION_free(visitor->ticket);
    visitor->ticket = session;
    visitor->tickets++;
    return 1;
}

static bool same_ticket(const SSL_SESSION *a, const SSL_SESSION *b)
{
    const unsigned char *first, *second;
    size_t first_length, second_length;
    SSL_SESSION_get0_ticket(a, &first, &first_length);
    SSL_SESSION_get0_ticket(b, &second, &second_length);
    return first_length == second_length && memcmp(first, second, first_length) == 0;
}

/* Of TLS 1.2: OpenSSL's callback tells nothing of the renewed ticket of a resumed session. */
static void take_session(struct tls_visitor *visitor, SSL *ssl)
{
    SSL_SESSION *session = SSL_get1_session(ssl);
    bool old = !SSL_SESSION_has_ticket(session) || (visitor->session && same_ticket(visitor->session, session));
    visitor->tickets += !old;
    SSL_SESSION_free(visitor->ticket);
    visitor->ticket = session;
}

struct tls_visitor tls_visitor_new(const char *sni)
{
    struct tls_visitor visitor = { .context = SSL_CTX_new(TLS_client_method()), .sni = sni };
    assert_non_null(visitor.context);
    SSL_CTX_set_session_cache_mode(visitor.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(visitor.context, take_ticket);
    visitor.choice = (struct tg_hello_choice){ .certificate = -1, .client_ca = -1 };
    return visitor;
}

void tls_visitor_deinit(struct tls_visitor *visitor)
{
    SSL_SESSION_free(visitor->session);
    SSL_SESSION_free(visitor->ticket);
    SSL_CTX_free(visitor->context);
}

void tls_visitor_come_again(struct tls_visitor *visitor)
{
    assert_non_null(visitor->ticket);
    SSL_SESSION_free(visitor->session);
    visitor->session = visitor->ticket;
    visitor->ticket = NULL;
}

static struct tls_meeting *meeting_new(struct tg_tls_server *server, SSL *client)
{
    struct tls_meeting *meeting = calloc(1, sizeof(*meeting));
    assert_non_null(meeting);
    assert_non_null(client);
    meeting->server.server = server;
    meeting->server.handshake = &meeting->handshake;
    meeting->server.ssl = tg_tls_server_ssl_new(server);
    meeting->client.ssl = client;
    SSL_set_app_data(meeting->server.ssl, &meeting->server);
    SSL_set_app_data(client, &meeting->client);
    SSL_set_bio(meeting->server.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(meeting->server.ssl);
    SSL_set_connect_state(client);
    return meeting;
}

void tls_meeting_free(struct tls_meeting *meeting)
{
    /* OpenSSL takes the session of a client that leaves without a word for a bad one. */
    SSL_set_shutdown(meeting->client.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(meeting->server.ssl);
    SSL_free(meeting->client.ssl);
    free(meeting->handshake.hello);
    free(meeting);
}

static void move(SSL *from, SSL *to)
{
    char bytes[16384];
    for (int count; (count = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0;)
        assert_int_equal(BIO_write(SSL_get_rbio(to), bytes, count), count);
}

void tls_meeting_pump(struct tls_meeting *meeting)
{
    move(meeting->client.ssl, meeting->server.ssl);
    move(meeting->server.ssl, meeting->client.ssl);
}

/* The record of the client's first message as many small ones. */
static void split_hello(struct tls_meeting *meeting, size_t fragment)
{
    unsigned char record[4096];
    int length = BIO_read(SSL_get_wbio(meeting->client.ssl), record, sizeof(record));
    assert_true(length > 5);
    for (size_t at = 5; at < (size_t)length; at += fragment) {
        size_t left = (size_t)length - at;
        size_t count = left < fragment ? left : fragment;
        unsigned char head[5] = { record[0], record[1], record[2], (unsigned char)(count >> 8), (unsigned char)count };
        BIO_write(SSL_get_rbio(meeting->server.ssl), head, sizeof(head));
        BIO_write(SSL_get_rbio(meeting->server.ssl), record + at, (int)count);
    }
}

/* 1: done, 0: goes on, -1: failed. */
static int step(SSL *ssl, unsigned long *error)
{
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    if (result == 1)
        return 1;
    int why = SSL_get_error(ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_CLIENT_HELLO_CB)
        return 0;
    *error = ERR_peek_error();
    return -1;
}

/* Reads what comes after the handshake: tickets, and the alert of a server that liked the last flight not. */
static void read_behind(struct tls_meeting *meeting)
{
    char byte;
    ERR_clear_error();
    int result = SSL_read(meeting->client.ssl, &byte, 1);
    if (SSL_get_error(meeting->client.ssl, result) == SSL_ERROR_SSL)
        meeting->client_error = ERR_peek_error();
    ERR_clear_error();
}

static void run(struct tls_meeting *meeting, size_t fragment)
{
    int client = 0, server = 0;
    for (int turn = 0; turn < 20 && server == 0 && client >= 0; turn++) {
        client = step(meeting->client.ssl, &meeting->client_error);
        if (turn == 0 && fragment > 0)
            split_hello(meeting, fragment);
        move(meeting->client.ssl, meeting->server.ssl);
        server = step(meeting->server.ssl, &meeting->server_error);
        move(meeting->server.ssl, meeting->client.ssl);
    }
    if (client == 0)
        client = step(meeting->client.ssl, &meeting->client_error);
    if (client == 1)
        read_behind(meeting);
    meeting->done = client == 1 && server == 1;
    ERR_clear_error();
}

static void count_hello(int sent, int version, int type, const void *message, size_t length, SSL *ssl, void *hellos)
{
    (void)version;
    (void)ssl;
    if (sent && type == SSL3_RT_HANDSHAKE && length > 0 && *(const unsigned char *)message == SSL3_MT_CLIENT_HELLO)
        ++*(int *)hellos;
}

struct tls_meeting *tls_meet(struct tg_tls_server *server, struct tls_visitor *visitor)
{
    SSL_CTX_set_app_data(visitor->context, visitor);
    SSL *client = SSL_new(visitor->context);
    struct tls_meeting *meeting = meeting_new(server, client);
    if (visitor->sni)
        assert_int_equal(SSL_set_tlsext_host_name(client, visitor->sni), 1);
    if (visitor->session)
        assert_int_equal(SSL_set_session(client, visitor->session), 1);
    if (visitor->wants_staple)
        SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    SSL_set_msg_callback(client, count_hello);
    SSL_set_msg_callback_arg(client, &meeting->hellos);
    meeting->handshake.choice = visitor->choice;
    run(meeting, visitor->fragment);
    if (meeting->done && SSL_version(client) < TLS1_3_VERSION)
        take_session(visitor, client);
    return meeting;
}

struct tls_meeting *tls_meet_client(struct tg_tls_server *server, struct tg_tls_client *client, const char *name,
                                    struct tg_tls_sessions *sessions)
{
    struct tls_meeting *meeting = meeting_new(server, tg_tls_client_ssl_new(client, tg_slice_from_string(name)));
    meeting->client.client = client;
    meeting->client.sessions = sessions;
    meeting->handshake.choice = (struct tg_hello_choice){ .certificate = -1, .client_ca = -1 };
    run(meeting, 0);
    return meeting;
}
