/* A listener's TLS settings: certificates, which client gets which, and under what policy. Built by a loader thread
 * from files it has read, immutable, counted (any thread). */
#ifndef TG_NET_TLS_SERVER_H
#define TG_NET_TLS_SERVER_H

#include "base/text.h"
#include "net/tls.h"
#include "net/tls_library.h"
#include "net/tls_tickets.h"

/* A file as the loader read it. */
struct tg_tls_file {
    struct tg_slice path;    /* for messages */
    struct tg_slice content; /* `at` NULL: not given */
};

/* OPTIONAL: a client may come without a certificate, or with one that doesn't verify: it goes on, and the facts say
 * has_certificate, but not verified. REQUIRE: both fail the handshake. */
enum tg_tls_client_auth { TG_CLIENT_AUTH_NONE, TG_CLIENT_AUTH_OPTIONAL, TG_CLIENT_AUTH_REQUIRE };

/* One entry of a listener's `tls`. */
struct tg_tls_certificate {
    struct tg_slice name;    /* for hello:use_certificate; may be empty: a DNS name of the certificate serves, too */
    struct tg_tls_file cert; /* PEM: the certificate, then its chain */
    struct tg_tls_file key;  /* PEM; without a passphrase */
    struct tg_tls_file cert2, key2; /* the same names with another kind of key (ECDSA beside RSA); may be absent */
    struct tg_tls_file ocsp, ocsp2; /* DER responses to be stapled; may be absent */
    struct tg_tls_file client_ca;   /* PEM; needed unless client_auth is NONE */
    enum tg_tls_client_auth client_auth;
};

enum tg_tls_policy { TG_TLS_INTERMEDIATE, TG_TLS_MODERN }; /* as Mozilla's guidelines call them */

struct tg_tls_server_options {
    const struct tg_tls_certificate *certificates; /* the first is the default */
    size_t count;
    const struct tg_tls_file *client_cas; /* more that hello:ask_client_certificate may name, by path */
    size_t client_ca_count;
    enum tg_tls_policy policy;
    bool h1_only;              /* don't offer h2 */
    bool refuse_unknown_names; /* an SNI that no certificate has gets the alert unrecognized_name, not the default */
    double session_life;       /* seconds from the first full handshake for which it may be resumed: 86400 [T02]; at
                                  most 7 days (RFC 8446 4.6.1); 0: not at all */
    struct tg_slice listener;  /* its address: part of the session context [T01] */
    const char *key_log;       /* file that gets the secrets, for debugging; NULL: none */
};

/* `library` and `tickets` outlive the settings; `tickets` may be NULL: no session is resumed. NULL: `why` names the
 * file and the reason: "tls/a.key: doesn't belong to tls/a.pem". A certificate out of its time is a warning only: to
 * refuse it would make an outage of a reload. */
struct tg_tls_server *tg_tls_server_new(struct tg_tls_library *library, struct tg_ticket_keys *tickets,
                                        const struct tg_tls_server_options *options, char why[512]);
struct tg_tls_server *tg_tls_server_ref(struct tg_tls_server *server);
void tg_tls_server_unref(struct tg_tls_server *server); /* may be NULL */

/* What isn't wrong but should be known, such as a certificate that has expired, or does within 14 days, or a stale OCSP
 * response; one a call, `index` from 0; false when there is no more. */
bool tg_tls_server_warning(const struct tg_tls_server *server, size_t index, struct tg_slice *warning);

/* For status. Of the certificate at `index`, of its first or second kind of key (0, 1): when it ends, in Unix time, and
 * its names, by `visit`, which may stop them with false. false: there is no such certificate. */
bool tg_tls_server_describe(const struct tg_tls_server *server, size_t index, int kind, int64_t *ends,
                            bool (*visit)(struct tg_slice name, void *context), void *context);

/* Indices for struct tg_hello_choice; -1: none. */
int32_t tg_tls_server_find_certificate(const struct tg_tls_server *server, struct tg_slice name);
int32_t tg_tls_server_find_client_ca(const struct tg_tls_server *server, struct tg_slice path);
/* The CA of this certificate, whatever it asks for of itself; certificate -1: of the one that `sni` gets. */
int32_t tg_tls_server_client_ca_of(const struct tg_tls_server *server, int32_t certificate, struct tg_slice sni);
/* For messages: appends what may be named, in quotes, with commas between. */
void tg_tls_server_list_certificates(const struct tg_tls_server *server, struct tg_text *text);
void tg_tls_server_list_client_cas(const struct tg_tls_server *server, struct tg_text *text);
/* The policy under which a client that asks for `host` is served: equal numbers, equal demands on the client's
 * certificate. Exact name, then wildcard, then the default [T04]. */
uint32_t tg_tls_server_policy_of(const struct tg_tls_server *server, struct tg_slice host);
/* TG_CLIENT_AUTH_REQUIRE, as that policy says. */
bool tg_tls_server_requires_certificate(const struct tg_tls_server *server, struct tg_slice host);

#endif
