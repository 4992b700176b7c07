/* Sizes a message may have. All in bytes or counts; 0 is never "unlimited". */
#ifndef TG_HTTP_LIMITS_H
#define TG_HTTP_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct tg_http_limits {
    size_t head;         /* request or response head with its start line: 64 KB -> 431 */
    size_t fields;       /* lines in a header or trailer section: 200 -> 431 */
    size_t target;       /* request target: 8 KB -> 414 */
    uint64_t body;       /* request body: 1 GB -> 413 (checked by the exchange) */
    size_t field_charge; /* bytes that each line of an HTTP/2 section counts beside its name and value: 32 [F10] */
    size_t chunk_extras; /* bytes of chunk extensions and of zeros before chunk sizes, beyond 1/4 of the data, in all:
                            16 KB -> 400 */
};

/* What an HTTP/2 connection of a client may do. Counts "in 30 s" are budgets that fill up again evenly: beyond one the
 * client gets GOAWAY with ENHANCE_YOUR_CALM. */
struct tg_h2_limits {
    uint32_t streams;           /* at a time: 128. A stream counts until its upstream work has stopped */
    uint32_t window;            /* bytes a client may send ahead on a stream: 64 KB */
    uint32_t connection_window; /* and on all of its streams: 1 MB */
    uint32_t resets;            /* streams ended by a reset, whoever sent it, in 30 s: 500 */
    uint32_t control;           /* SETTINGS, PING, PRIORITY, unknown frames, ... in 30 s: 1000 */
    uint32_t idle_frames;       /* empty or tiny DATA, WINDOW_UPDATE beyond what the data sent needs, in 30 s: 5000 */
    uint32_t continuations;     /* CONTINUATION frames of a header section: 8 */
    uint32_t queued;            /* control frames that wait for a client that doesn't read: 500 */
};

#define TG_H2_LIMITS_DEFAULT                                                                                           \
    {                                                                                                                  \
        .streams = 128, .window = 64 * 1024, .connection_window = 1024 * 1024, .resets = 500, .control = 1000,         \
        .idle_frames = 5000, .continuations = 8, .queued = 500,                                                        \
    }

#define TG_HTTP_LIMITS_DEFAULT                                                                                         \
    {                                                                                                                  \
        .head = 64 * 1024, .fields = 200, .target = 8 * 1024, .body = (uint64_t)1 << 30, .field_charge = 32,           \
        .chunk_extras = 16 * 1024,                                                                                     \
    }

#endif
