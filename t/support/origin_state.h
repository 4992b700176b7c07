/* The test origin's connections and counts. */
#pragma once

#include "origin_plan.h"
#include "pattern.h"
#include "strict_head.h"
#include "text_buffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_ROOM = 262144, OUTPUT_PIECE = 65536, OUTPUT_HIGH = 262144, REMEMBERED = 64, SHOWN_VIOLATIONS = 32 };

enum reading { READ_HEAD, READ_BODY, READ_NOTHING, READ_TUNNEL, READ_DISCARD };
enum answering { ANSWER_NONE, ANSWER_WAITS, ANSWER_HEAD, ANSWER_BODY, ANSWER_END, ANSWER_DONE };

struct connection {
    struct connection *next, *previous;
    int socket;
    unsigned listener, number;
    uint64_t requests;
    uint32_t interest;
    bool dead, closing, half_closed, listening;
    enum reading reading;
    enum answering answering;
    char *input;
    size_t input_start, input_end;
    struct text_buffer output, head_text, trailer_text, description;
    struct strict_head head;
    struct plan plan;
    struct strict_body body;
    bool expects, upgrades, asks_close, head_only, one_zero;
    uint64_t received, produced, total;
    EVP_MD_CTX *digest;
    int64_t wake_at, read_at, idle_since;
    char wrong[256];
};

static struct {
    int set;
    struct connection *first;
    int64_t next_wake, idle_limit;
    unsigned connections, ports[1024], port_count;
    struct {
        uint64_t accepted, requests, violations, cut_requests, left_early, resets, tunnel_bytes, on_port[1024];
    } count;
    char *violations[SHOWN_VIOLATIONS], *remembered[REMEMBERED];
    uint64_t remembered_count;
} origin;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(int64_t at)
{
    if (at < origin.next_wake)
        origin.next_wake = at;
}

static void violation(struct connection *connection, const char *text)
{
    fprintf(stderr, "violation: connection %u, request %llu: %s\n", connection->number,
            (unsigned long long)connection->requests, text);
    if (!*connection->wrong)
        snprintf(connection->wrong, sizeof connection->wrong, "%s", text);
    if (origin.count.violations < SHOWN_VIOLATIONS)
        origin.violations[origin.count.violations] = strdup(text);
    origin.count.violations++;
}

static void set_interest(struct connection *connection)
{
    bool reads = connection->reading != READ_NOTHING || connection->answering != ANSWER_NONE;
    if (connection->reading == READ_TUNNEL && text_length(&connection->output) > OUTPUT_HIGH)
        reads = false;
    if (connection->half_closed || connection->read_at > 0)
        reads = false;
    if (connection->plan.unread && connection->answering != ANSWER_NONE && connection->answering != ANSWER_DONE &&
        connection->reading == READ_BODY)
        reads = false;
    uint32_t wanted = (reads ? (uint32_t)EPOLLIN : 0) | (text_length(&connection->output) ? (uint32_t)EPOLLOUT : 0);
    if (wanted == connection->interest)
        return;
    struct epoll_event event = { .events = wanted, .data.ptr = connection };
    epoll_ctl(origin.set, EPOLL_CTL_MOD, connection->socket, &event);
    connection->interest = wanted;
}

static struct connection *connection_new(int socket, bool listening, unsigned listener)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        abort();
    connection->socket = socket;
    connection->listening = listening;
    connection->listener = listener;
    connection->interest = EPOLLIN;
    connection->idle_since = now_ms();
    connection->next = origin.first;
    if (origin.first)
        origin.first->previous = connection;
    origin.first = connection;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    epoll_ctl(origin.set, EPOLL_CTL_ADD, socket, &event);
    return connection;
}

static void connection_end(struct connection *connection, bool reset)
{
    if (connection->dead)
        return;
    struct linger linger = { 1, 0 };
    if (reset)
        setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(connection->socket);
    connection->dead = true;
    wake(0);
}

static void connection_free(struct connection *connection)
{
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        origin.first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    plan_free(&connection->plan);
    text_free(&connection->output);
    text_free(&connection->head_text);
    text_free(&connection->trailer_text);
    text_free(&connection->description);
    EVP_MD_CTX_free(connection->digest);
    free(connection->input);
    free(connection);
}

static void accept_all(struct connection *listening)
{
    for (int socket; (socket = accept4(listening->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int yes = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *connection = connection_new(socket, false, listening->listener);
        connection->number = ++origin.connections;
        connection->input = malloc(INPUT_ROOM);
        if (!connection->input)
            abort();
        origin.count.accepted++;
        origin.count.on_port[listening->listener]++;
        if (origin.idle_limit > 0)
            wake(connection->idle_since + origin.idle_limit);
    }
}
