/* Inside net/: what tls_server.c builds and tls_server_hooks.c reads during handshakes. Immutable once built. */
#ifndef TG_NET_TLS_SERVER_STATE_H
#define TG_NET_TLS_SERVER_STATE_H

#include <stdatomic.h>

#include "net/tls_internal.h"
#include "net/tls_names.h"
#include "net/tls_ocsp.h"

enum { TG_TLS_KINDS = 2, TG_TLS_BINDING = 32 };

/* What is asked of a client, and what its sessions are bound to: the listener, the mode and the authorities [T01]. */
struct tg_tls_demand {
    enum tg_tls_client_auth client_auth;
    unsigned char binding[TG_TLS_BINDING]; /* OpenSSL's session id context */
    uint32_t policy;                       /* equal for equal bindings */
};

struct tg_tls_entry {
    SSL_CTX *context;
    struct tg_slice name; /* in `text` */
    struct tg_tls_demand demand;
    int32_t client_ca;                /* in extra_cas; -1: none */
    X509 *certificates[TG_TLS_KINDS]; /* counted; NULL: it has only one */
    struct tg_tls_staple staples[TG_TLS_KINDS];
};

struct tg_tls_extra_ca {
    struct tg_slice path; /* in `text` */
    struct tg_tls_authorities authorities;
    struct tg_tls_demand demand;
};

struct tg_tls_server {
    _Atomic uint32_t references;
    const struct tg_tls_library *library; /* outlives all settings */
    struct tg_ticket_keys *tickets;       /* likewise */
    struct tg_tls_entry *entries;         /* the first is the default */
    size_t count;
    struct tg_tls_extra_ca *extra_cas;
    size_t extra_ca_count;
    struct tg_tls_names names;
    bool h1_only, refuse_unknown_names;
    int64_t session_life; /* milliseconds; 0: sessions aren't resumed */
    int key_log;          /* -1: none */
    char **warnings;
    size_t warning_count;
};

/* The callbacks of a context of this server, all of whose fields are set. */
void tg_tls_server_hook(SSL_CTX *context, const struct tg_tls_server *server);
/* For client_auth OPTIONAL, where a bad certificate is noted and passed. */
int tg_tls_verify_mode(enum tg_tls_client_auth client_auth);
SSL_verify_cb tg_tls_verify_callback(enum tg_tls_client_auth client_auth);

#endif
