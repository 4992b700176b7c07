/* The listening end of the admin socket. A lock beside it, held as long as the gateway lives, tells a live gateway from
 * a file that a dead one left. */
#ifndef TG_CONTROL_ADMIN_SOCKET_H
#define TG_CONTROL_ADMIN_SOCKET_H

#include "control/socket_path.h"

struct tg_admin_socket {
    char path[TG_SOCKET_PATH_MAX];
    int lock, descriptor;
};

/* Takes the lock and binds; nobody can connect before tg_admin_socket_listen. To be called while the process has one
 * thread. False: `why` says what to do, such as that another gateway lives there. */
bool tg_admin_socket_bind(struct tg_admin_socket *socket, const char *path, struct tg_text *why)
    __attribute__((warn_unused_result));
bool tg_admin_socket_listen(struct tg_admin_socket *socket, struct tg_text *why) __attribute__((warn_unused_result));
/* Removes both files. */
void tg_admin_socket_close(struct tg_admin_socket *socket);
/* Whether the other end of a connection is a process of this user, or of root. */
bool tg_admin_socket_trusts(int connection);

#endif
