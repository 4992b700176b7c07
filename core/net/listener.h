/* Listening sockets and how connections reach the workers. Control opens one socket for each address (no SO_REUSEPORT),
 * adopts inherited ones (LISTEN_FDS), and never closes one while its address is configured. An accept thread takes
 * connections and hands each to the worker that holds fewest; with one worker, that worker's own loop accepts. */
#ifndef TG_NET_LISTENER_H
#define TG_NET_LISTENER_H

#include "net/stream.h"

struct tg_listener;

/* Binds and listens; a Unix path left by a dead process is replaced, a live one refused. On failure NULL, and `why`
 * (256 bytes) says what to do: "127.0.0.1:8080: address already in use (another process listens there; ...)". */
struct tg_listener *tg_listener_open(const struct tg_address *address, char why[256]);
/* Closes the socket, removes a Unix path. Call when no acceptor holds it. */
void tg_listener_close(struct tg_listener *listener);
/* As bound: with the port that the system chose for port 0. */
const struct tg_address *tg_listener_address(const struct tg_listener *listener);
/* Who comes in there has to pass TLS or handlers, as the generation says that declared it last. For the connections
 * that come out of its queue when no generation knows it any more. Any thread. */
void tg_listener_set_guarded(struct tg_listener *listener, bool guarded);
bool tg_listener_is_guarded(const struct tg_listener *listener);

/* What a worker offers to the acceptor. */
struct tg_accept_target {
    struct tg_loop *loop;
    /* In the worker's thread: a new connection. The worker sets the stream's owner, or closes it. `listener` outlives
     * the call only if the worker still has it configured. */
    void (*accepted)(struct tg_loop *loop, struct tg_stream *stream, struct tg_listener *listener);
    /* Connections this worker has: the acceptor adds when it hands one over, the worker subtracts when one has ended
     * (tg_accept_ended). */
    _Atomic uint32_t *connections;
};

struct tg_acceptor;

/* `limit`: connections for each worker; beyond it accepting pauses until one ends. Starts the accept thread where count
 * > 1. Targets are copied. */
struct tg_acceptor *tg_acceptor_new(const struct tg_accept_target *targets, size_t count, uint32_t limit);
/* Any thread; each waits until it is done, so that after _remove no connection of that listener is on its way to a
 * worker's mailbox unseen (those posted are still delivered). Connections waiting in the queue of a removed listener
 * are accepted first [A08]. */
bool tg_acceptor_add(struct tg_acceptor *acceptor, struct tg_listener *listener) __attribute__((warn_unused_result));
void tg_acceptor_remove(struct tg_acceptor *acceptor, struct tg_listener *listener);
void tg_acceptor_set_limit(struct tg_acceptor *acceptor, uint32_t limit);
/* Any thread: a connection of the target whose counter this is has ended; wakes a paused acceptor. Out of descriptors:
 * accepting pauses and tries again when a connection ends or after 100 ms, without spinning (TG_COUNTER_ACCEPT_PAUSES).
 */
void tg_accept_ended(struct tg_acceptor *acceptor, _Atomic uint32_t *connections);
/* Stops the thread. Listeners stay open. Call while the targets' loops run, or when none of their threads uses them any
 * more (each of the above, too), and before the loops are freed. Nobody may call tg_accept_ended after it. */
void tg_acceptor_free(struct tg_acceptor *acceptor);

#endif
