/* What happens during a client's handshake. OpenSSL calls from inside SSL_do_handshake; nothing in here blocks, and
 * nothing but the connection's `handshake` is changed. */
#include <stdlib.h>

#include <openssl/err.h>

#include "net/tls_context.h"
#include "net/tls_hello.h"
#include "net/tls_server_state.h"
#include "net/tls_ticket_seal.h"

/* --- the hello ------------------------------------------------------------------------------------------------- */

/* The message is whole here, however many records it came in [T05]. */
static void on_message(int sent, int version, int type, const void *message, size_t length, SSL *ssl, void *unused)
{
    (void)version;
    (void)unused;
    struct tg_tls *tls = tg_tls_of_ssl(ssl);
    struct tg_tls_handshake *handshake = tls ? tls->handshake : NULL;
    const unsigned char *at = message;
    if (sent || type != SSL3_RT_HANDSHAKE || length == 0 || at[0] != SSL3_MT_CLIENT_HELLO)
        return;
    if (handshake && !handshake->hello)
        handshake->hello = tg_client_hello_new(tls->server->library, tg_slice_of(message, length));
}

/* The entry that a client gets; NULL: none, by `refuse_unknown_names`. */
static const struct tg_tls_entry *choose_entry(const struct tg_tls_server *server,
                                               const struct tg_tls_handshake *handshake)
{
    int32_t chosen = handshake->choice.certificate;
    if (chosen >= 0 && (size_t)chosen < server->count)
        return &server->entries[chosen];
    if (handshake->hello->sni.length == 0)
        return &server->entries[0];
    int32_t named = tg_tls_names_find(&server->names, handshake->hello->sni);
    if (named < 0 && server->refuse_unknown_names)
        return NULL;
    return &server->entries[named < 0 ? 0 : named];
}

static const struct tg_tls_extra_ca *chosen_ca(const struct tg_tls_server *server,
                                               const struct tg_tls_handshake *handshake)
{
    int32_t chosen = handshake->choice.client_ca;
    return chosen >= 0 && (size_t)chosen < server->extra_ca_count ? &server->extra_cas[chosen] : NULL;
}

static bool ask_by(SSL *ssl, const struct tg_tls_extra_ca *ca)
{
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(ca->authorities.names);
    if (!names)
        return false;
    SSL_set_client_CA_list(ssl, names);
    return SSL_set1_verify_cert_store(ssl, ca->authorities.store) == 1;
}

/* SSL_set_SSL_CTX moves certificates and authorities only: what else differs is set on the connection. */
static bool serve(SSL *ssl, const struct tg_tls_entry *entry, const struct tg_tls_extra_ca *ca,
                  struct tg_tls_handshake *handshake)
{
    const struct tg_tls_demand *demand = ca ? &ca->demand : &entry->demand;
    if (SSL_set_SSL_CTX(ssl, entry->context) != entry->context || (ca && !ask_by(ssl, ca)) ||
        SSL_set_session_id_context(ssl, demand->binding, TG_TLS_BINDING) != 1)
        return false;
    SSL_set_verify(ssl, tg_tls_verify_mode(demand->client_auth), tg_tls_verify_callback(demand->client_auth));
    handshake->policy = demand->policy;
    return true;
}

static int refuse(struct tg_tls_handshake *handshake, const char *problem, int alert, int *out)
{
    if (handshake)
        handshake->problem = problem;
    *out = alert;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Once it has passed, the connection has a `handshake` with a `hello` in all callbacks below. */
static int on_client_hello(SSL *ssl, int *alert, void *unused)
{
    (void)unused;
    struct tg_tls *tls = tg_tls_of_ssl(ssl);
    struct tg_tls_handshake *handshake = tls->handshake;
    if (!handshake || !handshake->hello)
        return refuse(handshake, "malformed ClientHello", SSL_AD_DECODE_ERROR, alert);
    if (!tg_tls_hello_decided(tls))
        return SSL_CLIENT_HELLO_RETRY;
    if (handshake->choice.refuse)
        return refuse(handshake, "refused by a handler", SSL_AD_HANDSHAKE_FAILURE, alert);
    const struct tg_tls_entry *entry = choose_entry(tls->server, handshake);
    if (!entry)
        return refuse(handshake, "no certificate has the name that was asked for", SSL_AD_UNRECOGNIZED_NAME, alert);
    if (!serve(ssl, entry, chosen_ca(tls->server, handshake), handshake))
        return refuse(handshake, "out of memory", SSL_AD_INTERNAL_ERROR, alert);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* --- ALPN ------------------------------------------------------------------------------------------------------ */

static struct tg_slice protocol_name(enum tg_alpn protocol)
{
    switch (protocol) {
    case TG_ALPN_H1: return TG_SLICE("http/1.1");
    case TG_ALPN_H2: return TG_SLICE("h2");
    default: return (struct tg_slice){ 0 };
    }
}

/* NULL: not in the list, or the list is malformed. What is selected is the client's own copy, as OpenSSL wants it. */
static const unsigned char *find_offer(const unsigned char *offers, size_t length, struct tg_slice name)
{
    for (size_t at = 0; at < length;) {
        size_t one = offers[at];
        if (one == 0 || one > length - at - 1)
            return NULL;
        if (tg_slice_equal(tg_slice_of((const char *)offers + at + 1, one), name))
            return offers + at + 1;
        at += 1 + one;
    }
    return NULL;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offers,
                   unsigned length, void *unused)
{
    (void)unused;
    static const enum tg_alpn usual[] = { TG_ALPN_H2, TG_ALPN_H1 };
    const struct tg_tls *tls = tg_tls_of_ssl(ssl);
    const struct tg_hello_choice *choice = &tls->handshake->choice;
    const enum tg_alpn *ours = choice->alpn_set ? choice->alpn : usual;
    size_t count = choice->alpn_set ? choice->alpn_count : 2;
    if (count == 0)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < count && i < 2; i++) {
        struct tg_slice name = protocol_name(ours[i]);
        if (ours[i] == TG_ALPN_NONE || (ours[i] == TG_ALPN_H2 && tls->server->h1_only))
            continue;
        *out = find_offer(offers, length, name);
        *out_length = (unsigned char)name.length;
        if (*out)
            return SSL_TLSEXT_ERR_OK;
    }
    tls->handshake->problem = "no protocol in common (ALPN)";
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- clients' certificates -------------------------------------------------------------------------------------- */

int tg_tls_verify_mode(enum tg_tls_client_auth client_auth)
{
    switch (client_auth) {
    case TG_CLIENT_AUTH_REQUIRE: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case TG_CLIENT_AUTH_OPTIONAL: return SSL_VERIFY_PEER;
    default: return SSL_VERIFY_NONE;
    }
}

/* Goes on whatever is wrong: the last error stays the result of the verification, also where later steps go well. */
static int pass(int good, X509_STORE_CTX *verification)
{
    (void)good;
    (void)verification;
    return 1;
}

SSL_verify_cb tg_tls_verify_callback(enum tg_tls_client_auth client_auth)
{
    return client_auth == TG_CLIENT_AUTH_OPTIONAL ? pass : NULL;
}

/* --- tickets ---------------------------------------------------------------------------------------------------- */

/* A client uses a ticket of TLS 1.3 once, so that it needs another with every handshake. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                         int seals)
{
    const struct tg_tls_server *server = tg_tls_of_ssl(ssl)->server;
    if (seals)
        return tg_ticket_keys_seal(server->tickets, server->library, name, iv, cipher, mac);
    enum tg_ticket_seal opened = tg_ticket_keys_open(server->tickets, server->library, name, iv, cipher, mac);
    bool once = SSL_version(ssl) >= TLS1_3_VERSION;
    return opened == TG_TICKET_GOOD && once ? TG_TICKET_OLD : opened;
}

/* A ticket carries the time of the full handshake that its session began with, in milliseconds, over all renewals
 * [T02].
 */
static bool first_handshake(SSL_SESSION *session, int64_t *first)
{
    void *data = NULL;
    size_t length = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &length) != 1 || length != sizeof(*first))
        return false;
    memcpy(first, data, sizeof(*first));
    return true;
}

static int on_ticket_made(SSL *ssl, void *unused)
{
    (void)unused;
    SSL_SESSION *session = SSL_get_session(ssl);
    int64_t first;
    if (!SSL_session_reused(ssl) || !first_handshake(session, &first))
        first = tg_tls_now();
    return SSL_SESSION_set1_ticket_appdata(session, &first, sizeof(first));
}

static bool within_life(const struct tg_tls_server *server, SSL_SESSION *session)
{
    int64_t first;
    if (!first_handshake(session, &first))
        return false;
    int64_t age = tg_tls_now() - first;
    return age >= 0 && age < server->session_life;
}

/* OpenSSL compares with the context that is set on the connection; this is the same demand, seen from the ticket. */
static bool bound_to_demand(SSL *ssl, const struct tg_tls_server *server, SSL_SESSION *session)
{
    const struct tg_tls_handshake *handshake = tg_tls_of_ssl(ssl)->handshake;
    const struct tg_tls_extra_ca *ca = chosen_ca(server, handshake);
    const struct tg_tls_entry *entry = choose_entry(server, handshake);
    unsigned length = 0;
    const unsigned char *bound = SSL_SESSION_get0_id_context(session, &length);
    const struct tg_tls_demand *demand = ca ? &ca->demand : entry ? &entry->demand : NULL;
    return demand && length == TG_TLS_BINDING && memcmp(bound, demand->binding, TG_TLS_BINDING) == 0;
}

/* A certificate that has expired since the full handshake doesn't live on in a session. */
static bool peer_still_valid(SSL_SESSION *session)
{
    const X509 *peer = SSL_SESSION_get0_peer(session);
    return !peer || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length,
                                          SSL_TICKET_STATUS status, void *unused)
{
    (void)name;
    (void)length;
    (void)unused;
    const struct tg_tls_server *server = tg_tls_of_ssl(ssl)->server;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!within_life(server, session) || !bound_to_demand(ssl, server, session) || !peer_still_valid(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* --- stapling, key log ------------------------------------------------------------------------------------------ */

static const struct tg_tls_staple *find_staple(const struct tg_tls_server *server, const X509 *certificate)
{
    for (size_t i = 0; i < server->count; i++)
        for (size_t kind = 0; kind < TG_TLS_KINDS; kind++)
            if (certificate && server->entries[i].certificates[kind] == certificate)
                return &server->entries[i].staples[kind];
    return NULL;
}

static int on_status_asked(SSL *ssl, void *unused)
{
    (void)unused;
    const struct tg_tls_staple *staple = find_staple(tg_tls_of_ssl(ssl)->server, SSL_get_certificate(ssl));
    if (!staple || !staple->at || tg_tls_now() >= staple->next_update)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(staple->at, staple->length);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->length);
    return SSL_TLSEXT_ERR_OK;
}

static void on_secret(const SSL *ssl, const char *line)
{
    tg_tls_key_log_write(tg_tls_of_ssl(ssl)->server->key_log, line);
}

void tg_tls_server_hook(SSL_CTX *context, const struct tg_tls_server *server)
{
    SSL_CTX_set_msg_callback(context, on_message);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_tlsext_status_cb(context, on_status_asked);
    if (server->session_life > 0) {
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket_key);
        SSL_CTX_set_session_ticket_cb(context, on_ticket_made, on_ticket_opened, NULL);
    }
    if (server->key_log >= 0)
        SSL_CTX_set_keylog_callback(context, on_secret);
}
