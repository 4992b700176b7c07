/* TLS as the other layers see it: what a stream does besides carrying bytes, what its handshake came to, and the two
 * kinds of settings, built once by a loader thread, immutable from then on, counted, and shared by all threads.
 *
 * A stream under TLS is a tg_stream like any other: bytes given to it are encrypted, those it gives are clear. Its
 * owner hears on_connected when the handshake is done. OpenSSL sees no descriptor: records go through a BIO of our own
 * on the loop's blocks, and what a turn sends is gathered into full records. */
#ifndef TG_NET_TLS_H
#define TG_NET_TLS_H

#include "net/stream.h"

struct tg_tls_server; /* net/tls_server.h: certificates and policies of a listener */
struct tg_tls_client; /* net/tls_client.h: how a group's peers are spoken to and checked */
struct tg_tls_sessions;

enum tg_alpn { TG_ALPN_NONE, TG_ALPN_H1, TG_ALPN_H2 };

/* What a handshake came to. Made when it is done, immutable, counted; belongs to the worker's thread. Text lives as
 * long as the facts. Everything that a peer sent is untrusted text; control bytes, quotes and backslashes of its
 * certificate are written as \x0A [T07]. */
struct tg_tls_facts {
    uint32_t references;
    enum tg_alpn alpn;
    struct tg_slice version; /* "TLSv1.3" */
    struct tg_slice cipher;  /* "TLS_AES_128_GCM_SHA256" */
    struct tg_slice sni;     /* lower case, a valid host name; empty: none was sent */
    struct tg_slice ja3;     /* 32 hex digits; empty on an upstream's */
    struct tg_slice ja4;     /* "t13d1516h2_8daaf6152771_02713d6af862" */
    bool resumed;
    bool shown_to_script; /* handlers saw the ClientHello, and decided, be it by leaving all as it was */
    /* The client's certificate. */
    bool has_certificate, verified;
    struct tg_slice subject_cn;  /* may be empty */
    const struct tg_slice *sans; /* DNS names, addresses, mail addresses and URIs as text */
    size_t san_count;
    struct tg_slice sha256;       /* 64 hex digits of the DER */
    struct tg_tls_server *server; /* counted; NULL on an upstream's */
    uint32_t policy;              /* of the certificate that was served: tg_tls_server_policy_of */
};

static inline struct tg_tls_facts *tg_tls_facts_ref(struct tg_tls_facts *facts)
{
    if (facts)
        facts->references++;
    return facts;
}
void tg_tls_facts_unref(struct tg_tls_facts *facts); /* may be NULL */
/* May a request for this host (lower case, without port) come over such a connection? Not where the host would have
 * been served under another policy for client certificates than the connection was (RFC 9110 7.4: 421) [T03]. Where
 * handlers saw the ClientHello, only for the name in it, since nobody knows what they would have made of another: an
 * address, or no host, where it had none. NULL: clear. */
bool tg_tls_facts_allow_host(const struct tg_tls_facts *facts, struct tg_slice host);
/* The same, where a reload has brought other settings of the listener since the handshake: `now`; NULL: it has none any
 * more. A connection that has shown no good certificate doesn't outlive the rule that such a host needs one. */
bool tg_tls_facts_allow_host_now(const struct tg_tls_facts *facts, const struct tg_tls_server *now,
                                 struct tg_slice host);

/* --- the ClientHello ------------------------------------------------------------------------------------------------
 */

/* As read from the raw message, whole, before OpenSSL decides on anything [T05]. Lives until the stream's handshake is
 * over. Values of GREASE are left out of `versions` and `ciphers`. */
struct tg_client_hello {
    struct tg_slice sni;
    const struct tg_slice *alpn;
    size_t alpn_count;
    const uint16_t *versions; /* as offered: 0x0304, 0x0303 */
    size_t version_count;
    const uint16_t *ciphers; /* IANA numbers, in the client's order */
    size_t cipher_count;
    struct tg_slice ja3, ja4;
};

/* OpenSSL's name of a cipher suite, such as "TLS_AES_128_GCM_SHA256"; static text; empty: nobody here knows it. */
struct tg_slice tg_tls_cipher_name(uint16_t number);

/* What a handler decides; zeroed before. It is kept: OpenSSL asks again on a retry and after a HelloRetryRequest. */
struct tg_hello_choice {
    bool refuse;   /* fatal alert, no answer */
    bool alpn_set; /* offer only these, in this order */
    enum tg_alpn alpn[2];
    size_t alpn_count;
    int32_t certificate; /* index in the tg_tls_server; -1: by SNI */
    int32_t client_ca;   /* index in its list of CAs: a certificate is required of the client; -1: as the
                            certificate's own policy says */
};

enum tg_hello_verdict { TG_HELLO_GO_ON, TG_HELLO_WAIT };

struct tg_tls_accept_ops {
    /* Fill in *choice (certificate and client_ca are -1 before). WAIT: tg_stream_decide_hello follows, never from
     * inside this call; the hello stays. A client that leaves meanwhile is told by on_failed. Called once a stream, and
     * not where the table isn't given. */
    enum tg_hello_verdict (*client_hello)(struct tg_stream *stream, const struct tg_client_hello *hello,
                                          struct tg_hello_choice *choice);
};

/* --- streams --------------------------------------------------------------------------------------------------------
 */

/* Turns an accepted stream to TLS: on_connected when the handshake is done, else on_failed (TG_STREAM_TLS). `first`:
 * what the stream gave already, the beginning of the ClientHello or empty; takes over the reference. `ops` may be NULL.
 * The stream holds the settings. false: no memory; the owner closes the stream. */
bool tg_stream_start_tls_server(struct tg_stream *stream, struct tg_tls_server *server,
                                const struct tg_tls_accept_ops *ops, struct tg_buffer first)
    __attribute__((warn_unused_result));
void tg_stream_decide_hello(struct tg_stream *stream, const struct tg_hello_choice *choice);
/* Turns an outgoing stream to TLS right after tg_stream_connect: on_connected comes when both are done, or on_failed
 * (TG_STREAM_UNTRUSTED where the certificate is no good). `sessions`: tickets of this peer, may be NULL; it must
 * outlive the stream, and the socket that it may become. `name`: whom the certificate must name, and SNI: a host name
 * or an IP address (then without SNI), copied. */
bool tg_stream_start_tls_client(struct tg_stream *stream, struct tg_tls_client *client,
                                struct tg_tls_sessions *sessions, struct tg_slice name)
    __attribute__((warn_unused_result));
/* Right after that: only HTTP/1.1 is offered, where the settings would offer both. false: no memory. */
bool tg_stream_offer_h1_only(struct tg_stream *stream) __attribute__((warn_unused_result));
/* NULL: not under TLS, or the handshake isn't done. Borrowed from the stream. */
struct tg_tls_facts *tg_stream_tls_facts(const struct tg_stream *stream);
/* Why it failed, for the error log: "certificate has expired", "no shared cipher", ...; static text; NULL: unknown. */
const char *tg_stream_problem(const struct tg_stream *stream);
/* The alert by which the peer ended a connection that was open, such as "tlsv13 alert certificate required", which
 * comes behind the handshake (RFC 8446 4.4.2.4); static text; NULL: none. */
const char *tg_stream_alert(const struct tg_stream *stream);

/* --- tickets of upstream sessions -----------------------------------------------------------------------------------
 */

/* A few sessions of one peer identity, each used once (RFC 8446 C.4), those of TLS 1.2 by one connection at a time. Any
 * thread; locked. */
struct tg_tls_sessions *tg_tls_sessions_new(void);
void tg_tls_sessions_free(struct tg_tls_sessions *sessions); /* may be NULL */

#endif
