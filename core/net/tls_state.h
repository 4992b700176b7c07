/* Inside net/: what lies between a stream and its SSL object. tls_bio.c carries records in and out, tls_stream.c turns
 * streams to TLS and reads, tls_handshake.c shakes hands, tls_send.c writes, tls_facts.c says what came of the
 * handshake, tls_sessions.c keeps tickets.
 *
 * Callbacks of OpenSSL run inside SSL_do_handshake or SSL_read: they only note something down here, and never call an
 * owner. Nothing in here belongs to a worker while the state is detached: no block is held, and no loop is known. */
#ifndef TG_NET_TLS_STATE_H
#define TG_NET_TLS_STATE_H

#include <openssl/ssl.h>

#include "net/tls.h"

enum tg_tls_hello_state {
    TG_TLS_HELLO_AWAITED,
    TG_TLS_HELLO_CAME,  /* to be shown to the owner, as soon as OpenSSL has returned */
    TG_TLS_HELLO_WAITS, /* the owner takes its time */
    TG_TLS_HELLO_DECIDED,
};

/* What is only needed until the handshake is over. */
struct tg_tls_handshake {
    /* Of the first ClientHello, also after a HelloRetryRequest; one block from malloc; NULL: not yet seen, or
     * malformed. Server only, like all but `problem`. */
    struct tg_client_hello *hello;
    enum tg_tls_hello_state state;
    struct tg_hello_choice choice; /* holds once the state is DECIDED */
    uint32_t policy;               /* of the certificate that is served */
    const char *problem;           /* static text that says more than OpenSSL's error; NULL: none */
    uint32_t records, bytes;       /* that came, to bound them */
};

enum tg_tls_end {
    TG_TLS_OPEN,
    TG_TLS_CLOSED, /* close_notify came */
    TG_TLS_FAILED, /* an error, a fatal alert or a cut: no more records either way, but for those on the wire */
};

struct tg_tls {
    SSL *ssl;
    struct tg_stream *stream;     /* NULL: detached */
    struct tg_tls_server *server; /* counted; NULL on the client's side, as `client` is on the server's */
    struct tg_tls_client *client;
    struct tg_tls_sessions *sessions; /* may be NULL */
    const struct tg_tls_accept_ops *ops;
    struct tg_tls_handshake *handshake; /* NULL: done */
    struct tg_tls_facts *facts;         /* NULL: not yet done */
    const char *problem;                /* static text */
    enum tg_tls_end end;
    bool alerted;      /* `problem` is an alert that the peer sent */
    bool undrained;    /* something may lie in `unread` or in OpenSSL */
    bool close_sent;   /* our close_notify */
    uint8_t header[5]; /* of the record that is coming */
    uint8_t header_length;
    uint16_t record_left;         /* bytes of its body */
    uint32_t idle_records;        /* that came without data, less what data has made up for */
    uint32_t small_left;          /* bytes still to be sent in small records */
    double encrypted_at;          /* when a record with data was last made; the loop's time */
    struct tg_buffer unread;      /* ciphertext that OpenSSL hasn't taken yet */
    struct tg_task go_on;         /* takes up again what is undrained */
    struct tg_buffer_queue *wire; /* NULL: nothing waits */
};

static inline struct tg_tls *tg_tls_of_ssl(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

#endif
