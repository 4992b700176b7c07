/* An HTTP/1 connection to a peer: the upstream end of one exchange after another. Belongs to its worker's thread; while
 * it is parked, only its socket exists. */
#ifndef TG_PROXY_UPSTREAM_H1_H
#define TG_PROXY_UPSTREAM_H1_H

#include "proxy/exchange.h"
#include "proxy/h1_body.h"
#include "proxy/h1_head.h"

struct tg_upstream_h1;

/* Who has the idle connections: the pool. */
struct tg_upstream_keeper {
    /* The connection has ended an exchange in order, or was opened for one that has gone: the keeper has it now. */
    void (*release)(struct tg_upstream_keeper *keeper, struct tg_upstream_h1 *connection);
    /* An idle connection has ended or stirred: the keeper drops it, and it closes. */
    void (*forget)(struct tg_upstream_keeper *keeper, struct tg_upstream_h1 *connection);
};

struct tg_upstream_h1 {
    struct tg_upstream_side side; /* side.peer is counted */
    struct tg_worker *worker;
    struct tg_stream *stream;
    struct tg_exchange *exchange; /* NULL while idle */

    /* For its keeper. */
    struct tg_upstream_keeper *keeper;
    struct tg_list peer_link; /* hot ones of this peer, newest first */
    struct tg_list age_link;  /* all hot ones, oldest first */
    double idle_since, idle_until;
    uint32_t pool_size; /* of the group that used it last */
    double pool_idle;

    /* The current response. */
    struct tg_h1_head_reader head;
    struct tg_h1_body_reader reader;
    bool head_done;
    bool response_over;
    bool spoke; /* a byte of this response has come */
    bool tunnel;
    bool unusable; /* after this exchange */

    struct tg_h1_body_writer writer;
    bool request_over;
};

/* Takes over a stream that is open. NULL: no memory; then it is closed. */
struct tg_upstream_h1 *tg_upstream_h1_open(struct tg_upstream_keeper *keeper, struct tg_worker *worker,
                                           struct tg_peer *peer, struct tg_stream *stream);
/* From the shared pool: NULL where the socket is no good any more. */
struct tg_upstream_h1 *tg_upstream_h1_adopt(struct tg_upstream_keeper *keeper, struct tg_worker *worker,
                                            struct tg_peer *peer, struct tg_socket socket);
/* Readies an idle connection for the exchange. */
void tg_upstream_h1_begin(struct tg_upstream_h1 *connection, struct tg_exchange *exchange, struct tg_group *group);
/* Takes the socket out of an idle connection, whose memory goes. */
struct tg_socket tg_upstream_h1_detach_socket(struct tg_upstream_h1 *connection);
/* At once; frees it after the event batch. */
void tg_upstream_h1_close(struct tg_upstream_h1 *connection);

#endif
