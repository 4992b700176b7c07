/* The memory of an HTTP/2 codec: pooled, since it asks for a dozen small pieces a request, and bounded for each
 * connection: beyond the bound that connection ends alone. */
#include <string.h>

#include "base/small_pool.h"
#include "proxy/h2_internal.h"

static bool may_hold(const struct tg_h2_session *session, size_t more)
{
    return more <= TG_H2_MEMORY_MAX && session->memory <= TG_H2_MEMORY_MAX - more;
}

static void *take(size_t size, void *user_data)
{
    struct tg_h2_session *session = user_data;
    void *memory = may_hold(session, size) ? tg_small_alloc(size) : NULL;
    session->memory += tg_small_size(memory);
    return memory;
}

static void give_back(void *memory, void *user_data)
{
    struct tg_h2_session *session = user_data;
    session->memory -= tg_small_size(memory);
    tg_small_free(memory);
}

static void *take_cleared(size_t count, size_t size, void *user_data)
{
    size_t bytes;
    void *memory = __builtin_mul_overflow(count, size, &bytes) ? NULL : take(bytes, user_data);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static void *resize(void *memory, size_t size, void *user_data)
{
    size_t room = tg_small_room(memory);
    if (size != 0 && size <= room && size >= room / 2)
        return memory;
    void *other = size ? take(size, user_data) : NULL;
    if (!other && size)
        return NULL;
    if (memory && other)
        memcpy(other, memory, room < size ? room : size);
    give_back(memory, user_data);
    return other;
}

nghttp2_mem tg_h2_memory_of(struct tg_h2_session *session)
{
    return (nghttp2_mem){ session, take, give_back, take_cleared, resize };
}
