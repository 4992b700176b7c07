#include "control/admin_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/admin_socket.h"

enum { REPLY_LIMIT = 64 * 1024 * 1024 };

static double now(void)
{
    struct tg_clock *clock = tg_clock_system();
    return clock->monotonic(clock);
}

static void explain_connect(const char *path, int problem, struct tg_text *why)
{
    if (problem == ENOENT || problem == ECONNREFUSED)
        tg_text_appendf(why, "no gateway runs at %s; start one with `tidegate run`, or name its socket with --socket",
                        path);
    else
        tg_text_appendf(why, "can't connect to %s: %s", path, strerror(problem));
}

static int connect_to(const char *path, struct tg_text *why)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        explain_connect(path, errno, why);
        if (descriptor >= 0)
            close(descriptor);
        return -1;
    }
    if (tg_admin_socket_trusts(descriptor))
        return descriptor;
    tg_text_appendf(why, "%s belongs to a process of another user", path);
    close(descriptor);
    return -1;
}

/* Waits until the descriptor is ready, or the time is over. */
static bool wait_for(int descriptor, short events, double until, struct tg_text *why)
{
    struct pollfd entry = { .fd = descriptor, .events = events };
    while (true) {
        double left = until - now();
        int ready = left > 0 ? poll(&entry, 1, (int)(left * 1000) + 1) : 0;
        if (ready > 0)
            return true;
        if (ready < 0 && errno == EINTR)
            continue;
        tg_text_appendf(why, "the gateway doesn't answer");
        return false;
    }
}

static bool send_all(int descriptor, struct tg_slice bytes, double until, struct tg_text *why)
{
    while (bytes.length > 0) {
        if (!wait_for(descriptor, POLLOUT, until, why))
            return false;
        ssize_t sent = send(descriptor, bytes.at, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            tg_text_appendf(why, "the gateway closed the connection: %s", strerror(errno));
            return false;
        }
        if (sent > 0)
            bytes = tg_slice_from(bytes, (size_t)sent);
    }
    return true;
}

static bool receive_line(int descriptor, struct tg_text *line, double until, struct tg_text *why)
{
    char bytes[16 * 1024];
    while (line->length < REPLY_LIMIT) {
        if (!wait_for(descriptor, POLLIN, until, why))
            return false;
        ssize_t got = recv(descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            break;
        tg_text_append(line, tg_slice_of(bytes, (size_t)got));
        if (bytes[got - 1] == '\n')
            return !line->failed;
    }
    tg_text_appendf(why, "the gateway ended before it answered");
    return false;
}

static json_t *read_reply(int descriptor, double until, struct tg_text *why)
{
    struct tg_text line;
    json_error_t error;
    json_t *reply = NULL;
    tg_text_init(&line);
    if (receive_line(descriptor, &line, until, why)) {
        reply = json_loadb(line.at, line.length, 0, &error);
        if (!reply)
            tg_text_appendf(why, "the gateway's answer isn't understood: %s", error.text);
    }
    tg_text_deinit(&line);
    return reply;
}

static bool send_request(int descriptor, const json_t *request, double until, struct tg_text *why)
{
    char *text = json_dumps(request, JSON_COMPACT);
    if (!text) {
        tg_text_appendf(why, "the request can't be written as JSON (names and notes must be UTF-8)");
        return false;
    }
    bool sent = send_all(descriptor, tg_slice_from_string(text), until, why) &&
                send_all(descriptor, TG_SLICE("\n"), until, why);
    free(text);
    return sent;
}

json_t *tg_admin_ask(const char *socket_path, const json_t *request, double seconds, struct tg_text *why)
{
    int descriptor = connect_to(socket_path, why);
    if (descriptor < 0)
        return NULL;
    double until = now() + seconds;
    json_t *reply = NULL;
    if (send_request(descriptor, request, until, why))
        reply = read_reply(descriptor, until, why);
    close(descriptor);
    return reply;
}
