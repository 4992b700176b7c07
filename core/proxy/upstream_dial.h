/* One attempt to open a connection to a peer: TCP, then TLS where the peer is spoken to so. What the connection speaks
 * is known when it is open. Belongs to its worker's thread. */
#ifndef TG_PROXY_UPSTREAM_DIAL_H
#define TG_PROXY_UPSTREAM_DIAL_H

#include "proxy/peer.h"
#include "proxy/side.h"
#include "proxy/worker.h"

struct tg_dial;

struct tg_dialer {
    /* Open. The stream is the dialer's from here on, and it sets its owner at once; the dial ends with this call.
     * `protocol`: H1 or H2. */
    void (*opened)(struct tg_dialer *dialer, struct tg_dial *dial, struct tg_stream *stream, enum tg_protocol protocol);
    /* The dial ends with this call. `detail`: static text, may be NULL. */
    void (*failed)(struct tg_dialer *dialer, struct tg_dial *dial, enum tg_reason reason, const char *detail);
};

struct tg_dial_limits {
    double connect; /* seconds until the peer has answered the connect */
    double tls;     /* and that the handshake may last after those */
};

struct tg_dial {
    struct tg_list link; /* the dialer's */
    void *context;       /* the dialer's */
    struct tg_dialer *dialer;
    struct tg_worker *worker;
    struct tg_peer *peer; /* counted; in its `active` as long as the dial lasts */
    struct tg_stream *stream;
    struct tg_deadline deadline;
    struct tg_dial_limits limits;
    bool shaking_hands; /* past the limit of the connect */
    bool h1_only;       /* h2 isn't offered to a peer that might take it */
};

/* One of the calls above follows, never from inside this one. NULL: no memory or descriptor. */
struct tg_dial *tg_dial_start(struct tg_dialer *dialer, struct tg_worker *worker, struct tg_peer *peer,
                              const struct tg_dial_limits *limits, bool h1_only);
/* Gives up, without a call. */
void tg_dial_cancel(struct tg_dial *dial);

#endif
