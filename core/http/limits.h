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
    size_t chunk_extras; /* bytes of chunk extensions and of zeros before chunk sizes, beyond 1/4 of the data, in all:
                            16 KB -> 400 */
};

#define TG_HTTP_LIMITS_DEFAULT                                                                                         \
    {                                                                                                                  \
        .head = 64 * 1024, .fields = 200, .target = 8 * 1024, .body = (uint64_t)1 << 30, .chunk_extras = 16 * 1024,    \
    }

#endif
