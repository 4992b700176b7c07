/* Inside net/: where streams under TLS (tls_stream.c and its neighbours) and settings (tls_server.c, tls_client.c,
 * tls_hello.c) meet. */
#ifndef TG_NET_TLS_INTERNAL_H
#define TG_NET_TLS_INTERNAL_H

#include "net/tls_client.h"
#include "net/tls_server.h"
#include "net/tls_state.h"

/* --- what settings give to streams ----------------------------------------------------------------------------------
 */

/* For an accepted connection; NULL: no memory. The SSL_CTX has these callbacks, which find the connection by
 * tg_tls_of_ssl and read and write its `handshake` only:
 * - msg_callback: makes `hello` of the first ClientHello that comes whole. The stream takes it off the SSL when the
 *   handshake is done.
 * - client_hello_cb: no `hello` is an error; else asks tg_tls_hello_decided, and where that is so applies `choice`
 *   (certificates, CAs, refusal) and sets `policy`. Runs again after a retry and after a HelloRetryRequest.
 * - alpn_select_cb, tickets, OCSP, verification of clients' certificates.
 * Modes RELEASE_BUFFERS, ENABLE_PARTIAL_WRITE, ACCEPT_MOVING_WRITE_BUFFER and the option NO_RENEGOTIATION are set. BIO,
 * app data and accept state are the stream's to set. */
SSL *tg_tls_server_ssl_new(struct tg_tls_server *server);
/* For an outgoing one: verification, name, SNI, ALPN, own certificate and the modes above are set; new_session_cb is
 * tg_tls_sessions_add_of. NULL: no memory, or no name to check. `name`: a host or an IP address. */
SSL *tg_tls_client_ssl_new(struct tg_tls_client *client, struct tg_slice name);

/* --- what streams give to settings ----------------------------------------------------------------------------------
 */

/* For client_hello_cb, with `handshake->hello` in place. true: `handshake->choice` holds. false: return
 * SSL_CLIENT_HELLO_RETRY; the owner is asked as soon as OpenSSL has returned, and the callback comes again. */
bool tg_tls_hello_decided(struct tg_tls *tls);
/* The new_session_cb of clients' contexts. */
int tg_tls_sessions_add_of(SSL *ssl, SSL_SESSION *session);

#endif
