/* How the peers of a group are spoken to under TLS: what is checked, what is offered, who we are. Built by a loader
 * thread, immutable, counted (any thread). */
#ifndef TG_NET_TLS_CLIENT_H
#define TG_NET_TLS_CLIENT_H

#include "net/tls.h"
#include "net/tls_library.h"
#include "net/tls_server.h"

struct tg_tls_client_options {
    bool verify;                  /* the default is true: chain, name, purpose and time */
    struct tg_slice name;         /* SNI and whom the certificate must name; empty: the host of the peer's address */
    struct tg_tls_file ca;        /* PEM; absent: the system's */
    struct tg_tls_file cert, key; /* who we are; may be absent */
    bool offer_h1, offer_h2;      /* ALPN, h2 first; neither: no ALPN */
    const char *key_log;
};

/* NULL: `why` names the file and the reason [T06]. */
struct tg_tls_client *tg_tls_client_new(struct tg_tls_library *library, const struct tg_tls_client_options *options,
                                        char why[512]);
struct tg_tls_client *tg_tls_client_ref(struct tg_tls_client *client);
void tg_tls_client_unref(struct tg_tls_client *client); /* may be NULL */
/* All that makes a connection under these settings another than one under others, as text: verification, name, digests
 * of CA, certificate and key, ALPN, and where secrets are logged. Part of a peer's identity [X01] [X02]. */
struct tg_slice tg_tls_client_identity(const struct tg_tls_client *client);
/* The name to give to tg_stream_start_tls_client for a peer of this address text ("10.0.0.1:443", "unix:/x"). */
struct tg_slice tg_tls_client_name(const struct tg_tls_client *client, struct tg_slice address);

#endif
