/* A client's connection, whatever it speaks: what the door, the HTTP/1 and the HTTP/2 codec have in common. It is born
 * in the door (client_door.h), which hands the stream over to the codec once it knows which. Worker's thread. */
#ifndef TG_PROXY_CLIENT_H
#define TG_PROXY_CLIENT_H

#include "net/tls.h"
#include "proxy/worker.h"

/* Where a connection came in and from whom: given to each exchange on it. */
struct tg_client_info {
    const struct tg_address *peer;  /* who speaks to us: the client, or as a PROXY header says; the stream's */
    const struct tg_address *local; /* the listener's address; the stream's */
    struct tg_tls_facts *tls;       /* counted; NULL: a clear connection */
};

struct tg_client;

struct tg_client_ops {
    /* The worker drains: an idle connection has until `idle_until` (monotonic) for one more request; a busy one closes
     * after its answers. May not end the connection inside the call. */
    void (*drain)(struct tg_client *client, double idle_until);
    /* At once, whatever it does. */
    void (*kill)(struct tg_client *client);
};

struct tg_client {
    struct tg_list link; /* in worker->clients */
    const struct tg_client_ops *ops;
    struct tg_worker *worker;
    struct tg_stream *stream;
    struct tg_client_info info;
};

static inline struct tg_client *tg_client_of_link(struct tg_list *link)
{
    return TG_CONTAINER_OF(link, struct tg_client, link);
}

static inline void tg_client_drain(struct tg_list *link, double idle_until)
{
    struct tg_client *client = tg_client_of_link(link);
    client->ops->drain(client, idle_until);
}

static inline void tg_client_kill(struct tg_list *link)
{
    struct tg_client *client = tg_client_of_link(link);
    client->ops->kill(client);
}

/* Counts the connection and puts it into the worker's list; info's TLS facts are taken over by reference. Whoever hands
 * a connection on to another codec calls tg_client_leave for its own and the other tg_client_enter. */
void tg_client_enter(struct tg_client *client, const struct tg_client_ops *ops, struct tg_worker *worker,
                     struct tg_stream *stream, const struct tg_client_info *info);
void tg_client_leave(struct tg_client *client);
/* The connection has ended: it leaves, and its place at the acceptor is free. */
void tg_client_ended(struct tg_client *client);

#endif
