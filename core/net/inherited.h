/* Inside net/: listening sockets that a supervisor opened for us and handed over by LISTEN_FDS. */
#ifndef TG_NET_INHERITED_H
#define TG_NET_INHERITED_H

#include "net/address.h"

/* The descriptor that listens at this address, once; -1 where none was inherited. Control's thread only. */
int tg_inherited_take(const struct tg_address *address);

#endif
