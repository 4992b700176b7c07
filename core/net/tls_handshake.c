/* Streams begin TLS here. */
#include <math.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "net/tls_internal.h"
#include "net/tls_stream.h"

/* --- the end of it --- */

/* A client that connects and goes without a word is a probe. */
void tg_tls_break_off_handshake(struct tg_tls *tls)
{
    if (!tls->handshake)
        return;
    bool began = tls->server ? tls->handshake->bytes > 0 : !SSL_in_before(tls->ssl);
    if (began)
        tg_counters_add(&tls->stream->loop->counters,
                        tls->server ? TG_COUNTER_TLS_HANDSHAKE_FAILURES : TG_COUNTER_UPSTREAM_TLS_FAILURES, 1);
    tg_tls_end_handshake(tls);
}

static void count_success(struct tg_tls *tls)
{
    struct tg_counters *counters = &tls->stream->loop->counters;
    tg_counters_add(counters, tls->server ? TG_COUNTER_TLS_HANDSHAKES : TG_COUNTER_UPSTREAM_TLS_HANDSHAKES, 1);
    if (SSL_session_reused(tls->ssl))
        tg_counters_add(counters, tls->server ? TG_COUNTER_TLS_RESUMED : TG_COUNTER_UPSTREAM_TLS_RESUMED, 1);
}

static bool is_untrusted(const struct tg_tls *tls)
{
    return (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) && SSL_get_verify_result(tls->ssl) != X509_V_OK;
}

/* OpenSSL's words, and what to look at where these alone don't tell. */
static const char *text_of_untrusted(const struct tg_tls *tls)
{
    long result = SSL_get_verify_result(tls->ssl);
    if (tls->server)
        return X509_verify_cert_error_string(result);
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH: return "hostname mismatch: the certificate doesn't have the name in sni";
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "IP address mismatch: the certificate doesn't have that address: say by sni which name it has";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        return "unable to get local issuer certificate: no authority of ca (or of the system), or a chain with gaps";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "self-signed certificate, and it isn't in ca";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "self-signed certificate in certificate chain, and it isn't in ca";
    default: return X509_verify_cert_error_string(result);
    }
}

static const char *text_of_failure(const struct tg_tls *tls)
{
    bool clear = tls->client && ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
    return clear ? "wrong version number: no TLS is spoken there" : tg_tls_error_text();
}

static void fail(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    const char *problem = tls->handshake->problem;
    bool untrusted = is_untrusted(tls);
    if (!problem)
        problem = untrusted ? text_of_untrusted(tls) : text_of_failure(tls);
    tg_tls_fail(stream, untrusted && tls->client ? TG_STREAM_UNTRUSTED : TG_STREAM_TLS, problem);
}

/* A handshake that is done, though what was to be verified wasn't, is a failed one, too [X07]. */
static bool is_as_demanded(const struct tg_tls *tls)
{
    return !tls->client || !(SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) ||
           (SSL_get_verify_result(tls->ssl) == X509_V_OK && SSL_get0_peer_certificate(tls->ssl));
}

/* Of TLS 1.2 OpenSSL tells a session only when it is new: one that was resumed, with the ticket that it has now, serves
 * again. */
static void keep_resumed_session(struct tg_tls *tls)
{
    if (tls->client && SSL_session_reused(tls->ssl) && SSL_version(tls->ssl) < TLS1_3_VERSION)
        (void)tg_tls_sessions_add_of(tls->ssl, SSL_get_session(tls->ssl));
}

static void finish(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    if (!is_as_demanded(tls)) {
        fail(stream);
        return;
    }
    tls->facts = tg_tls_facts_new(tls);
    if (!tls->facts) {
        tg_tls_fail(stream, TG_STREAM_ERROR, NULL);
        return;
    }
    count_success(tls);
    keep_resumed_session(tls);
    SSL_set_msg_callback(tls->ssl, NULL);
    tg_tls_end_handshake(tls);
    tls->idle_records = 0;
    if (tg_stream_unsent(stream) > 0 || stream->finishing)
        tg_stream_flush_soon(stream);
    stream->ops->on_connected(stream);
}

/* --- step by step --- */

void tg_tls_shake_hands(struct tg_stream *stream)
{
    struct tg_tls *tls = stream->tls;
    tg_tls_enter(tls);
    int result = SSL_do_handshake(tls->ssl);
    int error = SSL_get_error(tls->ssl, result);
    tg_tls_leave(tls);
    if (tls->wire)
        tg_stream_flush_soon(stream);
    if (result == 1)
        finish(stream);
    else if (error == SSL_ERROR_WANT_READ)
        tls->undrained = false;
    else if (error == SSL_ERROR_WANT_CLIENT_HELLO_CB && tls->handshake->state == TG_TLS_HELLO_CAME)
        tg_tls_ask_owner(stream);
    else
        fail(stream);
}

/* --- the beginning --- */

static bool begin(struct tg_stream *stream, struct tg_tls *tls)
{
    if (!tls->ssl || !SSL_set_app_data(tls->ssl, tls) || !tg_tls_bio_give(tls)) {
        tg_tls_free(tls);
        return false;
    }
    tls->encrypted_at = -INFINITY;
    tls->undrained = true;
    stream->tls = tls;
    tg_tls_run_soon(stream);
    return true;
}

bool tg_stream_start_tls_server(struct tg_stream *stream, struct tg_tls_server *server,
                                const struct tg_tls_accept_ops *ops, struct tg_buffer first)
{
    struct tg_tls *tls = tg_tls_new(stream);
    if (!tls) {
        tg_buffer_unref(first);
        return false;
    }
    tls->server = tg_tls_server_ref(server);
    tls->ops = ops;
    tls->handshake->choice = (struct tg_hello_choice){ .certificate = -1, .client_ca = -1 };
    tls->ssl = tg_tls_server_ssl_new(server);
    if (first.length > 0)
        tls->unread = first;
    else
        tg_buffer_unref(first);
    if (tls->ssl)
        SSL_set_accept_state(tls->ssl);
    return begin(stream, tls);
}

static void offer_session(struct tg_tls *tls)
{
    SSL_SESSION *session = tls->sessions ? tg_tls_sessions_take(tls->sessions) : NULL;
    if (session)
        SSL_set_session(tls->ssl, session);
    SSL_SESSION_free(session);
}

bool tg_stream_start_tls_client(struct tg_stream *stream, struct tg_tls_client *client,
                                struct tg_tls_sessions *sessions, struct tg_slice name)
{
    struct tg_tls *tls = tg_tls_new(stream);
    if (!tls)
        return false;
    tls->client = tg_tls_client_ref(client);
    tls->sessions = sessions;
    tls->ssl = tg_tls_client_ssl_new(client, name);
    if (tls->ssl) {
        SSL_set_connect_state(tls->ssl);
        offer_session(tls);
    }
    return begin(stream, tls);
}

bool tg_stream_offer_h1_only(struct tg_stream *stream)
{
    static const unsigned char h1[] = "\x08http/1.1";
    return SSL_set_alpn_protos(stream->tls->ssl, h1, sizeof(h1) - 1) == 0;
}
