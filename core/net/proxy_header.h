/* The PROXY header with which a load balancer begins a connection, to say whose it is: versions 1 (a line) and 2
 * (binary) of haproxy's specification. Only believe it of a peer that was named as a sender [N06]. */
#ifndef TG_NET_PROXY_HEADER_H
#define TG_NET_PROXY_HEADER_H

#include "net/address.h"

enum { TG_PROXY_HEADER_MAX = 4096 }; /* bytes of a header of version 2; one of version 1 has 107 at most */

struct tg_proxy_header {
    size_t length;            /* bytes of it; what follows is the client's */
    bool has_client;          /* false: LOCAL, UNKNOWN, or a kind of address that isn't TCP's: the peer is the client */
    struct tg_address client; /* where so */
};

enum tg_proxy_result { TG_PROXY_MORE, TG_PROXY_DONE, TG_PROXY_ERROR };

/* Reads a header at the beginning of what came so far. MORE: all of it may be the beginning of one. ERROR: *problem is
 * a static text. */
enum tg_proxy_result tg_proxy_header_read(struct tg_slice bytes, struct tg_proxy_header *header, const char **problem)
    __attribute__((warn_unused_result));

#endif
