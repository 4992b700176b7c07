#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/inherited.h"
#include "net/listener_state.h"

enum { WHY = 256 };

void tg_listener_ref(struct tg_listener *listener)
{
    atomic_fetch_add_explicit(&listener->references, 1, memory_order_relaxed);
}

void tg_listener_unref(struct tg_listener *listener)
{
    if (atomic_fetch_sub_explicit(&listener->references, 1, memory_order_acq_rel) == 1)
        free(listener);
}

static const char *path_of(const struct tg_address *address)
{
    return ((const struct sockaddr_un *)(const void *)&address->storage)->sun_path;
}

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE: return "address already in use (another process listens there: stop it, or choose another port)";
    case EACCES: return "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    case EADDRNOTAVAIL: return "this machine has no such address";
    case EMFILE:
    case ENFILE: return "no descriptors are left (raise LimitNOFILE or ulimit -n)";
    default: return strerror(error);
    }
}

static void explain(const struct tg_address *address, const char *reason, char why[WHY])
{
    char text[128];
    size_t length = tg_address_format(address, text);
    snprintf(why, WHY, "%.*s: %s", (int)length, text, reason);
}

/* Accepted sockets inherit TCP_NODELAY, which saves a call for each. */
static void set_options(int descriptor, const struct tg_address *address)
{
    int on = 1;
    if (tg_address_is_unix(address))
        return;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (address->any.sa_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

/* Whether somebody answers behind the path. A full queue is an answer too. */
static bool is_alive(const struct tg_address *address)
{
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return true;
    bool alive = connect(descriptor, &address->any, address->length) == 0 || errno != ECONNREFUSED;
    close(descriptor);
    return alive;
}

/* NULL, or what stands in the way. */
static const char *clear_unix_path(const struct tg_address *address)
{
    struct stat status;
    if (!tg_address_is_unix(address) || lstat(path_of(address), &status) != 0)
        return NULL;
    if (!S_ISSOCK(status.st_mode))
        return "a file that isn't a socket has this path (remove it, or choose another)";
    if (is_alive(address))
        return "address already in use (another process listens there)";
    return unlink(path_of(address)) == 0 ? NULL : "the socket left by a dead process can't be removed";
}

static bool bind_and_listen(int descriptor, const struct tg_address *address)
{
    set_options(descriptor, address);
    return bind(descriptor, &address->any, address->length) == 0 && listen(descriptor, SOMAXCONN) == 0;
}

static int open_socket(const struct tg_address *address, char why[WHY])
{
    const char *obstacle = clear_unix_path(address);
    if (obstacle) {
        explain(address, obstacle, why);
        return -1;
    }
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && bind_and_listen(descriptor, address))
        return descriptor;
    explain(address, advice(errno), why);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

static void remember_path(struct tg_listener *listener)
{
    struct stat status;
    if (!tg_address_is_unix(&listener->address) || lstat(path_of(&listener->address), &status) != 0)
        return;
    listener->path_device = status.st_dev;
    listener->path_inode = status.st_ino;
}

static void learn_address(struct tg_listener *listener, const struct tg_address *asked)
{
    listener->address = *asked;
    if (tg_address_is_unix(asked))
        return;
    listener->address.length = sizeof(listener->address.storage);
    if (getsockname(listener->watch.descriptor, &listener->address.any, &listener->address.length) != 0)
        listener->address = *asked;
}

struct tg_listener *tg_listener_open(const struct tg_address *address, char why[WHY])
{
    struct tg_listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        explain(address, "out of memory", why);
        return NULL;
    }
    int descriptor = tg_inherited_take(address);
    listener->inherited = descriptor >= 0;
    if (listener->inherited)
        set_options(descriptor, address);
    else
        descriptor = open_socket(address, why);
    if (descriptor < 0) {
        free(listener);
        return NULL;
    }
    listener->watch.descriptor = descriptor;
    atomic_init(&listener->references, 1);
    tg_list_init(&listener->link);
    learn_address(listener, address);
    if (!listener->inherited)
        remember_path(listener);
    return listener;
}

static void remove_own_path(const struct tg_listener *listener)
{
    struct stat status;
    if (listener->path_inode == 0 || lstat(path_of(&listener->address), &status) != 0)
        return;
    if (status.st_dev == listener->path_device && status.st_ino == listener->path_inode)
        unlink(path_of(&listener->address));
}

void tg_listener_close(struct tg_listener *listener)
{
    if (!listener)
        return;
    remove_own_path(listener);
    close(listener->watch.descriptor);
    tg_listener_unref(listener);
}

const struct tg_address *tg_listener_address(const struct tg_listener *listener)
{
    return &listener->address;
}

void tg_listener_set_guarded(struct tg_listener *listener, bool guarded)
{
    atomic_store_explicit(&listener->guarded, guarded, memory_order_relaxed);
}

bool tg_listener_is_guarded(const struct tg_listener *listener)
{
    return atomic_load_explicit(&listener->guarded, memory_order_relaxed);
}
