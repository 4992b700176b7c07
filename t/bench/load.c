/* The client of the benchmark: keep-alive connections with one request outstanding on each, until a fixed number is
 * answered. Every request has an `x-user` of its own; every answer is checked: status, Content-Length, body, and with
 * `-a` that the arm named in `x-arm` is the origin that answered. The first wrong answer ends the run with status 1.
 * Prints one JSON object. Usage: load [-a] PORT CONNECTIONS REQUESTS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, ANSWER = 4096, BODY = 128, USERS = 1024, REQUEST = 256, LONGEST_RUN_SECONDS = 120 };

struct connection {
    int fd;
    uint64_t sent_at;
    size_t held;
    char answer[ANSWER + 1]; /* NUL after what is held */
};

struct request {
    char text[REQUEST];
    size_t length;
};

static struct request requests[USERS];
static int epoll;
static bool expect_arm;
static size_t wanted, sent, answered, arm_b;
static uint32_t *latencies; /* nanoseconds, one for each answer */

static void fail(const char *what, const struct connection *connection)
{
    fprintf(stderr, "load: %s after %zu answers\n", what, answered);
    if (connection && connection->held > 0)
        fprintf(stderr, "%s\n", connection->answer);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static void prepare_requests(void)
{
    for (unsigned user = 0; user < USERS; user++) {
        int length = snprintf(requests[user].text, REQUEST,
                              "GET /bench/page?n=1 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench/1\r\n"
                              "Accept: */*\r\nX-User: user-%06u\r\n\r\n",
                              user * 7919U % 1000000U);
        requests[user].length = (size_t)length;
    }
}

static void send_next(struct connection *connection)
{
    if (sent == wanted)
        return;
    const struct request *request = &requests[sent++ % USERS];
    connection->held = 0;
    connection->sent_at = now();
    if (send(connection->fd, request->text, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
        fail("a request was not taken", NULL);
}

static void check_arm(const struct connection *connection, char arm)
{
    const char *field = strcasestr(connection->answer, "\r\nx-arm: ");
    if (expect_arm && (!field || field[9] != arm || field[10] != '\r'))
        fail("x-arm does not name the origin that answered", connection);
    if (!expect_arm && field)
        fail("unexpected x-arm", connection);
}

static void check_head(const struct connection *connection)
{
    if (memcmp(connection->answer, "HTTP/1.1 200 ", 13) != 0)
        fail("wrong status", connection);
    if (!strcasestr(connection->answer, "\r\ncontent-length: 128\r\n"))
        fail("wrong Content-Length", connection);
}

static void check_body(const struct connection *connection, const char *body)
{
    char arm = body[0];
    if ((arm != 'a' && !(expect_arm && arm == 'b')) || memcmp(body, body + 1, BODY - 1) != 0)
        fail("wrong body", connection);
    check_arm(connection, arm);
    arm_b += arm == 'b';
}

/* True when the answer is there to its last byte. */
static bool whole_answer(const struct connection *connection)
{
    const char *end = memmem(connection->answer, connection->held, "\r\n\r\n", 4);
    if (!end)
        return false;
    const char *body = end + 4;
    size_t have = (size_t)(connection->answer + connection->held - body);
    check_head(connection);
    if (have > BODY)
        fail("bytes after the body", connection);
    if (have < BODY)
        return false;
    check_body(connection, body);
    return true;
}

static void take(struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->held, ANSWER - connection->held, 0);
    if (got <= 0)
        fail("connection lost", connection);
    connection->held += (size_t)got;
    connection->answer[connection->held] = 0;
    if (!whole_answer(connection))
        return;
    latencies[answered++] = (uint32_t)(now() - connection->sent_at);
    send_next(connection);
}

static void open_connection(struct connection *connection, uint16_t port)
{
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("cannot connect", NULL);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        fail("epoll_ctl", NULL);
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    while (answered < wanted) {
        int count = epoll_wait(epoll, events, EVENTS, 10000);
        if (count <= 0)
            fail("no answer for 10 s", NULL);
        for (int i = 0; i < count; i++)
            take(events[i].data.ptr);
    }
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double quantile(double share)
{
    return latencies[(size_t)(share * (double)(answered - 1))] / 1000.0;
}

static void report(double seconds)
{
    qsort(latencies, answered, sizeof *latencies, compare);
    printf("{\"requests\": %zu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"max_us\": %.1f, \"share_b\": %.4f}\n",
           answered, seconds, (double)answered / seconds, quantile(0.50), quantile(0.99), quantile(1.0),
           (double)arm_b / (double)answered);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "-a") == 0) {
        expect_arm = true;
        argv++;
        argc--;
    }
    if (argc != 4) {
        fprintf(stderr, "usage: load [-a] PORT CONNECTIONS REQUESTS\n");
        return 2;
    }
    size_t count = strtoul(argv[2], NULL, 10);
    wanted = strtoul(argv[3], NULL, 10);
    struct connection *connections = calloc(count + 1, sizeof *connections);
    latencies = calloc(wanted + 1, sizeof *latencies);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || !connections || !latencies || wanted == 0)
        fail("nothing to do, or no memory", NULL);
    alarm(LONGEST_RUN_SECONDS);
    prepare_requests();
    for (size_t i = 0; i < count; i++)
        open_connection(&connections[i], (uint16_t)strtoul(argv[1], NULL, 10));
    uint64_t begun = now();
    for (size_t i = 0; i < count; i++)
        send_next(&connections[i]);
    run();
    report((double)(now() - begun) / 1e9);
}
