/* For tests of streams under TLS: one authority, settings of a listener and of a group, owners that note what they
 * hear, and a raw peer: an SSL object of OpenSSL's own that is moved by hand, so that a test sees each record. */
#ifndef TG_UNIT_TLS_RIG_H
#define TG_UNIT_TLS_RIG_H

#include "base/text.h"
#include "net/stream_state.h"
#include "net/tls_client.h"
#include "net/tls_state.h"
#include "run_loop.h"
#include "tls_material.h"

struct tls_rig {
    struct tg_loop *loop;
    struct tg_tls_library *library;
    struct tg_ticket_keys *tickets;
    struct tls_identity authority, identity; /* of "a.example" */
    struct tg_tls_server *server;
    struct tg_tls_client *client;
    struct tg_tls_sessions *sessions;
};

extern struct tls_rig rig;
/* As cmocka's set-up and tear-down. */
int tls_rig_set_up(void **state);
int tls_rig_tear_down(void **state);

/* What an owner heard. */
struct tls_ear {
    struct tg_stream *stream;
    struct tg_text text;
    int connects, calls, bytes, eofs, drains, failures, finishes, hellos;
    enum tg_stream_end end;
    char problem[128];
    struct tg_hello_choice choice; /* what it answers to a hello */
    struct tg_text sni;            /* of the hello */
    bool waits, pause_on_data, close_on_connect, close_on_data, close_on_hello, close_on_failure, keeps_open;
    int started; /* the stream was turned to TLS when its first bytes came */
    bool start_on_data;
};

extern const struct tg_stream_ops tls_ear_ops;
extern const struct tg_tls_accept_ops tls_ear_accept_ops;
void tls_ear_close(struct tls_ear *ear);
void tls_ear_send(struct tls_ear *ear, const char *at, size_t length);

/* A stream of ours; the answer is the other end of its socket, which doesn't block. */
int tls_ear_open(struct tls_ear *ear);
/* As a server; `ear.hellos` counts where `asks`. */
int tls_ear_serve(struct tls_ear *ear, bool asks);
/* Two streams, server and client, with their handshake done. */
void tls_ears_connect(struct tls_ear *server, struct tls_ear *client);

struct tls_raw {
    int descriptor;
    SSL *ssl;
    BIO *in, *out;
    struct tg_text text; /* what was decrypted */
    int records;         /* of application data (by their outer type) that came */
    size_t largest;      /* body of those */
    uint8_t header[5];
    size_t header_length, record_left;
    bool handshaken, ended; /* close_notify came */
    bool socket_ended;
    int socket_error;
    unsigned long error; /* OpenSSL's reason for a failure */
    bool deaf;           /* takes nothing from the socket */
};

/* `version`: TLS1_2_VERSION or TLS1_3_VERSION; 0: whatever suits both. */
void tls_raw_connect(struct tls_raw *raw, int descriptor, int version);
/* A server with this certificate. */
void tls_raw_accept(struct tls_raw *raw, int descriptor, const struct tls_identity *identity, int version);
/* Reads and decrypts what is there. */
void tls_raw_receive(struct tls_raw *raw);
/* One step: that, and sends what is due. */
void tls_raw_move(struct tls_raw *raw);
/* Steps and turns of the loop, until *value >= target. */
void tls_raw_until(struct tls_raw *raw, const int *value, int target);
/* Until the handshake is done, on both sides. */
void tls_raw_shake_hands(struct tls_raw *raw, struct tls_ear *ear);
/* So many steps and turns. */
void tls_raw_turns(struct tls_raw *raw, int turns);
void tls_raw_write(struct tls_raw *raw, const char *at, size_t length);
void tls_raw_close(struct tls_raw *raw);
/* Bytes that an SSL object wants to send, without sending them; the caller frees the text. */
struct tg_text tls_raw_take_output(struct tls_raw *raw);

#endif
