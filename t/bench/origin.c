/* The origin of the benchmark: answers every request head with 200 and a body of 128 bytes, all 'a' on the first port
 * and all 'b' on the second, so that a client sees which upstream answered. `/echo` answers with the head as it
 * arrived, so that the driver sees what a gateway sends upstream. One thread; usage: origin PORT_A PORT_B. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, HEAD = 8192, BODY = 128, ARMS = 2 };

/* A listener has an arm and no buffer in use; a connection has the arm of the listener that accepted it. */
struct peer {
    int fd;
    int arm;
    bool listening;
    size_t held;
    char head[HEAD];
};

struct answer {
    char text[512];
    size_t length;
};

static struct answer answers[ARMS];
static int epoll;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void prepare_answers(void)
{
    for (int arm = 0; arm < ARMS; arm++) {
        struct answer *answer = &answers[arm];
        int head = snprintf(answer->text, sizeof answer->text,
                            "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2023 03:04:05 GMT\r\nContent-Type: text/plain\r\n"
                            "Content-Length: %d\r\nCache-Control: no-store\r\n\r\n",
                            BODY);
        memset(answer->text + head, 'a' + arm, BODY);
        answer->length = (size_t)head + BODY;
    }
}

static void peer_new(int fd, int arm, bool listening)
{
    struct peer *peer = malloc(sizeof *peer);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
    if (!peer)
        die("malloc");
    peer->fd = fd;
    peer->arm = arm;
    peer->listening = listening;
    peer->held = 0;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

static void listen_on(const char *port, int arm)
{
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
        die("listen");
    peer_new(fd, arm, true);
}

static void accept_one(const struct peer *listener)
{
    int one = 1;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer_new(fd, listener->arm, false);
}

static bool send_whole(int fd, const char *bytes, size_t length)
{
    return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool echo(int fd, const char *head, size_t length)
{
    char text[HEAD + 128];
    int start =
        snprintf(text, 128, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", length);
    memcpy(text + start, head, length);
    return send_whole(fd, text, (size_t)start + length);
}

static bool answer_head(const struct peer *peer, const char *head, size_t length)
{
    static const char echo_line[] = "GET /echo ";
    if (length > sizeof echo_line && memcmp(head, echo_line, sizeof echo_line - 1) == 0)
        return echo(peer->fd, head, length);
    return send_whole(peer->fd, answers[peer->arm].text, answers[peer->arm].length);
}

/* Answers each whole head in the buffer and keeps the rest. False: the connection is of no more use. */
static bool answer_heads(struct peer *peer)
{
    char *at = peer->head;
    char *end = peer->head + peer->held;
    char *found;
    while ((found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        size_t length = (size_t)(found + 4 - at);
        if (!answer_head(peer, at, length))
            return false;
        at += length;
    }
    peer->held = (size_t)(end - at);
    memmove(peer->head, at, peer->held);
    return peer->held < HEAD;
}

static void serve(struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->head + peer->held, HEAD - peer->held, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        peer_close(peer);
        return;
    }
    peer->held += (size_t)got;
    if (!answer_heads(peer))
        peer_close(peer);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 1 + ARMS) {
        fprintf(stderr, "usage: origin PORT_A PORT_B\n");
        return 2;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    prepare_answers();
    for (int arm = 0; arm < ARMS; arm++)
        listen_on(argv[1 + arm], arm);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->listening)
                accept_one(peer);
            else
                serve(peer);
        }
    }
}
