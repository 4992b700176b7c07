/* What the files of the door share; nobody else includes this. */
#ifndef TG_PROXY_CLIENT_DOOR_STATE_H
#define TG_PROXY_CLIENT_DOOR_STATE_H

#include "base/text.h"
#include "proxy/client_door.h"

enum tg_door_stage {
    TG_DOOR_PROXY_HEADER, /* it is awaited */
    TG_DOOR_ACCEPT,       /* the handlers wait */
    TG_DOOR_FIRST_BYTES,  /* they say what it is: TLS, HTTP/1, HTTP/2 */
    TG_DOOR_HANDSHAKE,
};

struct tg_door {
    struct tg_client base;
    struct tg_address sender; /* the other end of the connection, whatever a PROXY header says */
    enum tg_door_stage stage;
    struct tg_deadline deadline;
    bool guarded;        /* its listener asks for TLS, or has handlers: nobody comes in after that is gone */
    double until;        /* monotonic; for the codec, too */
    struct tg_text kept; /* what came and isn't the codec's yet; the PROXY header stays at its front */
    size_t header_length;
    struct tg_door_call call;      /* in its lease's list while that is pinned */
    struct tg_hello_choice choice; /* of client_hello */
};

/* client_door.c: how it ends. Each frees it. */
void tg_door_close(struct tg_door *door);
void tg_door_close_gently(struct tg_door *door);
/* The connection is a codec's from now on; `first` is borrowed, and may be empty. */
void tg_door_hand_over(struct tg_door *door, enum tg_alpn protocol, struct tg_buffer first);
/* Goes on behind the `accept` handlers. */
void tg_door_admit(struct tg_door *door);
/* The current generation's words on this listener; NULL where it knows the listener no more. */
const struct tg_listener_config *tg_door_listener(const struct tg_door *door);

/* client_door_tls.c */
/* The stream turns to TLS; `first` is borrowed: the beginning of the ClientHello. */
void tg_door_start_tls(struct tg_door *door, const struct tg_listener_config *listener, struct tg_buffer first);
/* Somebody speaks clear HTTP to a port for TLS: told so, and closed. */
void tg_door_answer_clear(struct tg_door *door);
void tg_door_handshake_done(struct tg_door *door);
/* A line in the error log, at most one a second for a worker: a flood is counted, not written out. `problem` may be
 * NULL. */
void tg_door_report(struct tg_door *door, const char *what, const char *problem);

/* client_door_calls.c: handlers. */
/* The `accept` handlers, and then whatever comes next: now, or when they are done. */
void tg_door_call_accept(struct tg_door *door, const struct tg_listener_config *listener);
/* Pins the generation until the ClientHello has been decided on, so that the handlers are those of the settings. */
void tg_door_prepare_hello(struct tg_door *door, const struct tg_listener_config *listener);
extern const struct tg_tls_accept_ops tg_door_hello_ops;
/* Cancels what waits, and unpins. */
void tg_door_end_call(struct tg_door *door);

#endif
