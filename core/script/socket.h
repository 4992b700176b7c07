/* Sockets of scripts: a stream, what came of it and wasn't taken yet, and who waits for more or for room. A socket
 * belongs to the request, task or timer that opened it, one of `init` or of load to its generation: it is closed when
 * that ends, while the object itself stays until no script can reach it. The VM's thread. */
#ifndef TG_SCRIPT_SOCKET_H
#define TG_SCRIPT_SOCKET_H

#include "net/stream.h"
#include "net/tls_client.h"
#include "script/hold.h"
#include "script/owned.h"

enum {
    TG_SOCKET_KEPT = 1024,             /* idle sockets in the pool of a VM */
    TG_SOCKET_AHEAD = 64 * 1024,       /* bytes that may come before anybody asks for them */
    TG_SOCKET_MOST = 64 * 1024 * 1024, /* bytes that may be asked for at once */
};

struct tg_socket_tls {
    struct tg_abi_owned owned;
    struct tg_tls_client *client;
};

struct tg_script_socket {
    struct tg_abi_owned owned; /* first */
    struct tg_hold hold;       /* linked where somebody's end closes it */
    struct tg_stream *stream;  /* NULL: none any more, `state` says why */
    int32_t state;             /* enum tg_abi_socket_state */
    bool reused, paused, finished;
    bool sending;                      /* part of a text is given, the rest is to come */
    const char *problem;               /* static text; NULL: none */
    struct tg_run_wait reader, writer; /* run NULL: nobody waits */
    size_t want;                       /* bytes the reader waits for */
    char *data;                        /* what came lies from `begin` to `end` */
    size_t begin, end, capacity;
    struct tg_text key; /* where it may be kept: all that makes it another than others; else empty */
    uint32_t pool_most; /* idle ones of the same key */
};

static inline size_t tg_socket_buffered(const struct tg_script_socket *socket)
{
    return socket->end - socket->begin;
}

/* abi_socket_pool.c: an idle stream of the same key, which is silent; NULL: there is none. */
struct tg_stream *tg_socket_pool_take(struct tg_vm *vm, struct tg_slice key);
/* Takes the stream over. false: no memory, and it is still the caller's. */
bool tg_socket_pool_keep(struct tg_vm *vm, struct tg_slice key, uint32_t most, double idle, struct tg_stream *stream)
    __attribute__((warn_unused_result));

#endif
