/* For tests: a client and a server's settings shake hands in memory. */
#ifndef TG_UNIT_TLS_MEETING_H
#define TG_UNIT_TLS_MEETING_H

#include "net/tls_internal.h"

/* A client of OpenSSL's own that takes any certificate. */
struct tls_visitor {
    SSL_CTX *context;
    const char *sni;               /* NULL: sends none */
    SSL_SESSION *session;          /* to be resumed; counted */
    SSL_SESSION *ticket;           /* the last that a server gave; counted */
    int tickets;                   /* that servers gave */
    size_t fragment;               /* its first message comes in records of so many bytes; 0: whole */
    struct tg_hello_choice choice; /* of a handler, for the server */
    bool wants_staple;
};

struct tls_visitor tls_visitor_new(const char *sni);
void tls_visitor_deinit(struct tls_visitor *visitor);
/* The session that comes next is to be the last ticket. */
void tls_visitor_come_again(struct tls_visitor *visitor);

struct tls_meeting {
    struct tg_tls server, client;
    struct tg_tls_handshake handshake; /* the server's */
    bool done;                         /* by both */
    unsigned long client_error;        /* OpenSSL's; 0: none */
    unsigned long server_error;
    int hellos; /* that the client sent */
};

/* Both sides to their end, tickets included. The settings stay the caller's. */
struct tls_meeting *tls_meet(struct tg_tls_server *server, struct tls_visitor *visitor);
/* With settings for peers in place of a visitor. */
struct tls_meeting *tls_meet_client(struct tg_tls_server *server, struct tg_tls_client *client, const char *name,
                                    struct tg_tls_sessions *sessions);
/* Moves what each has sent to the other. */
void tls_meeting_pump(struct tls_meeting *meeting);
void tls_meeting_free(struct tls_meeting *meeting);

#endif
