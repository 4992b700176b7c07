#include "control/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PENDING_LIMIT = 256 * 1024 };

void tg_log_sink_init(struct tg_log_sink *sink, int standard)
{
    *sink = (struct tg_log_sink){ .standard = standard, .descriptor = standard, .may_wait = true };
}

static void close_descriptor(struct tg_log_sink *sink)
{
    if (sink->descriptor > STDERR_FILENO)
        close(sink->descriptor);
    sink->descriptor = -1;
}

void tg_log_sink_deinit(struct tg_log_sink *sink)
{
    close_descriptor(sink);
    free(sink->path);
    free(sink->pending);
}

static int standard_of(const char *path, int otherwise)
{
    if (!path || !*path)
        return otherwise;
    if (strcmp(path, "stdout") == 0)
        return STDOUT_FILENO;
    return strcmp(path, "stderr") == 0 ? STDERR_FILENO : -1;
}

/* A FIFO is opened for reading too, so that it opens without a reader and no reader's end can break it. */
static int open_path(const char *path, char why[256])
{
    struct stat status;
    bool fifo = stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
    int mode = (fifo ? O_RDWR : O_WRONLY) | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int descriptor = open(path, mode, 0640);
    if (descriptor < 0)
        snprintf(why, 256, "%.180s: %s", path, strerror(errno));
    return descriptor;
}

static bool is_plain_file(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

static void use_descriptor(struct tg_log_sink *sink, int descriptor)
{
    tg_log_sink_flush(sink);
    close_descriptor(sink);
    sink->descriptor = descriptor;
    sink->may_wait = !is_plain_file(descriptor);
    sink->blocked = false;
}

bool tg_log_sink_open(struct tg_log_sink *sink, const char *path, char why[256])
{
    int standard = standard_of(path, sink->standard);
    if (standard >= 0) {
        free(sink->path);
        sink->path = NULL;
        use_descriptor(sink, standard);
        return true;
    }
    char *copy = strdup(path);
    int descriptor = copy ? open_path(path, why) : -1;
    if (!copy)
        snprintf(why, 256, "%.180s: out of memory", path);
    if (descriptor < 0) {
        free(copy);
        return false;
    }
    free(sink->path);
    sink->path = copy;
    use_descriptor(sink, descriptor);
    return true;
}

bool tg_log_sink_reopen(struct tg_log_sink *sink, char why[256])
{
    if (!sink->path)
        return true;
    int descriptor = open_path(sink->path, why);
    if (descriptor < 0)
        return false;
    use_descriptor(sink, descriptor);
    return true;
}

bool tg_log_sink_try(const char *path, char why[256])
{
    if (standard_of(path, STDERR_FILENO) >= 0)
        return true;
    int descriptor = open_path(path, why);
    if (descriptor < 0)
        return false;
    close(descriptor);
    return true;
}

static bool make_room(struct tg_log_sink *sink, size_t length)
{
    if (!sink->pending)
        sink->pending = malloc(PENDING_LIMIT);
    if (!sink->pending)
        return false;
    if (PENDING_LIMIT - sink->end >= length)
        return true;
    tg_log_sink_flush(sink);
    memmove(sink->pending, sink->pending + sink->start, sink->end - sink->start);
    sink->end -= sink->start;
    sink->start = 0;
    return PENDING_LIMIT - sink->end >= length;
}

bool tg_log_sink_add(struct tg_log_sink *sink, struct tg_slice line)
{
    if (line.length == 0)
        return true;
    if (!make_room(sink, line.length)) {
        sink->dropped++;
        return false;
    }
    memcpy(sink->pending + sink->end, line.at, line.length);
    sink->end += line.length;
    return true;
}

/* A pipe that poll calls writable takes PIPE_BUF bytes at once. Standard descriptors are shared with other processes,
 * so they are not made non-blocking. */
static bool takes_bytes(const struct tg_log_sink *sink)
{
    struct pollfd entry = { .fd = sink->descriptor, .events = POLLOUT };
    return poll(&entry, 1, 0) > 0;
}

/* Bytes taken; 0: none at once; -1: it failed. */
static ssize_t write_some(struct tg_log_sink *sink)
{
    size_t length = sink->end - sink->start;
    if (sink->may_wait) {
        if (!takes_bytes(sink))
            return 0;
        if (length > PIPE_BUF)
            length = PIPE_BUF;
    }
    ssize_t written = write(sink->descriptor, sink->pending + sink->start, length);
    if (written >= 0)
        return written;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void count_lost_lines(struct tg_log_sink *sink)
{
    for (const char *at = sink->pending + sink->start; at < sink->pending + sink->end; at++)
        sink->dropped += *at == '\n';
}

void tg_log_sink_flush(struct tg_log_sink *sink)
{
    sink->blocked = false;
    while (!tg_log_sink_is_empty(sink)) {
        ssize_t written = write_some(sink);
        if (written == 0) {
            sink->blocked = true;
            return;
        }
        if (written < 0) {
            count_lost_lines(sink);
            break;
        }
        sink->start += (size_t)written;
    }
    sink->start = sink->end = 0;
}
