/* One file that log lines go to: a path, or a standard descriptor of the process. A file that may make its writer wait
 * (a FIFO, a pipe, a terminal) is written only as far as it takes bytes at once; what it doesn't take waits in a
 * bounded buffer, and lines beyond that are dropped and counted. Belongs to the log thread. */
#ifndef TG_CONTROL_LOG_SINK_H
#define TG_CONTROL_LOG_SINK_H

#include "base/slice.h"

struct tg_log_sink {
    char *path;     /* NULL: the standard descriptor */
    int standard;   /* 1 or 2 */
    int descriptor; /* -1: closed */
    bool may_wait;
    bool blocked; /* took less than was there: ask poll for room */
    char *pending;
    size_t start, end; /* of what is pending */
    uint64_t dropped;  /* lines */
};

/* Writes to the standard descriptor (1 or 2) until another file is opened. */
void tg_log_sink_init(struct tg_log_sink *sink, int standard);
void tg_log_sink_deinit(struct tg_log_sink *sink);
/* `path`: NULL or empty, or "stdout" or "stderr": that standard descriptor. On failure the file used so far stays, and
 * `why` (256 bytes) says what is wrong. */
bool tg_log_sink_open(struct tg_log_sink *sink, const char *path, char why[256]) __attribute__((warn_unused_result));
/* Opens the same path again, after its file was moved away. */
bool tg_log_sink_reopen(struct tg_log_sink *sink, char why[256]) __attribute__((warn_unused_result));
/* Whether the path could be opened for writing. */
bool tg_log_sink_try(const char *path, char why[256]) __attribute__((warn_unused_result));
/* False: dropped. */
bool tg_log_sink_add(struct tg_log_sink *sink, struct tg_slice line);
/* Writes what is pending, as far as that needs no waiting. */
void tg_log_sink_flush(struct tg_log_sink *sink);
static inline bool tg_log_sink_is_empty(const struct tg_log_sink *sink)
{
    return sink->start == sink->end;
}

#endif
