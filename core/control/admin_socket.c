#include "control/admin_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static void lock_path(const char *path, char out[TG_SOCKET_PATH_MAX + 8])
{
    snprintf(out, TG_SOCKET_PATH_MAX + 8, "%s.lock", path);
}

/* The holder removes its file before it lets go, so a lock may be on a file that is no longer the one at the path. */
static bool is_still_there(int lock, const char *path)
{
    struct stat ours, there;
    return fstat(lock, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

static bool take_lock(struct tg_admin_socket *admin, struct tg_text *why)
{
    char path[TG_SOCKET_PATH_MAX + 8];
    lock_path(admin->path, path);
    for (int tries = 0; tries < 100; tries++) {
        admin->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (admin->lock < 0) {
            tg_text_appendf(why, "can't open %s: %s", path, strerror(errno));
            return false;
        }
        bool locked = flock(admin->lock, LOCK_EX | LOCK_NB) == 0;
        if (locked && is_still_there(admin->lock, path))
            return true;
        close(admin->lock);
        admin->lock = -1;
        if (!locked)
            break;
    }
    tg_text_appendf(why,
                    "another gateway uses the admin socket %s; stop it (tidegate stop), or name another socket with "
                    "--socket",
                    admin->path);
    return false;
}

static void let_lock_go(struct tg_admin_socket *admin)
{
    char path[TG_SOCKET_PATH_MAX + 8];
    lock_path(admin->path, path);
    if (admin->lock < 0)
        return;
    unlink(path);
    close(admin->lock);
    admin->lock = -1;
}

/* Removes what a dead gateway left; anything else there isn't ours to remove. */
static bool remove_stale(const char *path, struct tg_text *why)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return true;
    if (!S_ISSOCK(status.st_mode)) {
        tg_text_appendf(why, "%s is there and is no socket; remove it, or name another path with --socket", path);
        return false;
    }
    unlink(path);
    return true;
}

static bool bind_private(struct tg_admin_socket *admin, struct tg_text *why)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, admin->path, strlen(admin->path) + 1);
    admin->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    bool bound = admin->descriptor >= 0 && bind(admin->descriptor, (struct sockaddr *)&address, sizeof address) == 0;
    int problem = errno;
    umask(before);
    if (!bound)
        tg_text_appendf(why, "can't make the admin socket %s: %s", admin->path, strerror(problem));
    return bound;
}

bool tg_admin_socket_bind(struct tg_admin_socket *admin, const char *path, struct tg_text *why)
{
    admin->lock = admin->descriptor = -1;
    memcpy(admin->path, path, strlen(path) + 1);
    if (!take_lock(admin, why))
        return false;
    if (remove_stale(admin->path, why) && bind_private(admin, why))
        return true;
    if (admin->descriptor >= 0)
        close(admin->descriptor);
    admin->descriptor = -1;
    let_lock_go(admin);
    return false;
}

bool tg_admin_socket_listen(struct tg_admin_socket *admin, struct tg_text *why)
{
    if (listen(admin->descriptor, BACKLOG) == 0)
        return true;
    tg_text_appendf(why, "can't listen on the admin socket %s: %s", admin->path, strerror(errno));
    return false;
}

void tg_admin_socket_close(struct tg_admin_socket *admin)
{
    if (admin->descriptor >= 0) {
        unlink(admin->path);
        close(admin->descriptor);
        admin->descriptor = -1;
    }
    let_lock_go(admin);
}

bool tg_admin_socket_trusts(int connection)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}
