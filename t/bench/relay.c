/* The floor of the benchmark: pairs each client connection with an upstream keep-alive connection and copies bytes.
 * It parses nothing, so what it costs is what the kernel costs. One thread; usage: relay LISTEN_PORT UPSTREAM_PORT. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, COPY = 16384, POOL = 256 };

/* One end of a pair. `other` is NULL for an upstream connection that waits in the pool. */
struct end {
    int fd;
    bool upstream;
    struct end *other;
    struct end *next_closed;
};

struct relay {
    int epoll;
    int listener;
    struct sockaddr_in origin;
    struct end *pool[POOL];
    size_t pooled;
    struct end *closed; /* freed after the turn: events of this turn may still name them */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int listen_on(const struct sockaddr_in *address)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 1024) < 0)
        die("listen");
    return fd;
}

static void watch(struct relay *relay, int fd, void *owner)
{
    int one = 1;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = owner };
    if (epoll_ctl(relay->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    if (owner)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static struct end *end_new(struct relay *relay, int fd, bool upstream)
{
    struct end *end = calloc(1, sizeof *end);
    if (!end)
        die("calloc");
    end->fd = fd;
    end->upstream = upstream;
    watch(relay, fd, end);
    return end;
}

static void end_close(struct relay *relay, struct end *end)
{
    close(end->fd);
    end->fd = -1;
    end->next_closed = relay->closed;
    relay->closed = end;
}

static struct end *take_upstream(struct relay *relay)
{
    if (relay->pooled > 0)
        return relay->pool[--relay->pooled];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&relay->origin, sizeof relay->origin) < 0)
        die("connect");
    return end_new(relay, fd, true);
}

static void accept_client(struct relay *relay)
{
    int fd = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct end *client = end_new(relay, fd, false);
    client->other = take_upstream(relay);
    client->other->other = client;
}

static void forget_pooled(struct relay *relay, const struct end *end)
{
    for (size_t i = 0; i < relay->pooled; i++)
        if (relay->pool[i] == end)
            relay->pool[i] = relay->pool[--relay->pooled];
}

/* A client that leaves gives its upstream connection to the next one; an upstream that leaves takes its client along.
 */
static void end_left(struct relay *relay, struct end *end)
{
    struct end *other = end->other;
    end_close(relay, end);
    if (!other) {
        forget_pooled(relay, end);
        return;
    }
    other->other = NULL;
    if (other->upstream && relay->pooled < POOL)
        relay->pool[relay->pooled++] = other;
    else
        end_close(relay, other);
}

/* The benchmark's messages are small and one is outstanding, so a send that takes less than all of it doesn't happen;
 * if it did, the pair is closed and the load generator reports it. */
static void copy(struct relay *relay, struct end *from)
{
    static char bytes[COPY];
    if (from->fd < 0)
        return;
    ssize_t got = recv(from->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || !from->other || send(from->other->fd, bytes, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT) != got)
        end_left(relay, from);
}

static void free_closed(struct relay *relay)
{
    while (relay->closed) {
        struct end *end = relay->closed;
        relay->closed = end->next_closed;
        free(end);
    }
}

static void run(struct relay *relay)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(relay->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                copy(relay, events[i].data.ptr);
            else
                accept_client(relay);
        }
        free_closed(relay);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    static struct relay relay;
    struct sockaddr_in address = loopback(argv[1]);
    relay.origin = loopback(argv[2]);
    relay.epoll = epoll_create1(EPOLL_CLOEXEC);
    relay.listener = listen_on(&address);
    if (relay.epoll < 0)
        die("epoll_create1");
    watch(&relay, relay.listener, NULL);
    run(&relay);
}
