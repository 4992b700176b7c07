/* Records lie one behind the other, each starting at a multiple of its header's size; where one doesn't fit before the
 * end of the memory, a filler takes the rest. Positions only grow; their difference is what is in use. */
#include "base/log_ring.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FILLER = 0xFF, SMALLEST = 256 };

struct record {
    uint32_t length; /* of the line */
    uint32_t target; /* enum tg_log_target, or FILLER */
};

struct tg_log_ring {
    size_t size;
    void (*wake)(void *context);
    void *context;
    _Alignas(64) _Atomic uint64_t written;
    _Atomic uint64_t dropped;
    _Alignas(64) _Atomic uint64_t read;
    _Alignas(64) char data[];
};

static size_t power_of_two_from(size_t size)
{
    size_t power = SMALLEST;
    while (power < size && power <= SIZE_MAX / 4)
        power *= 2;
    return power;
}

struct tg_log_ring *tg_log_ring_new(size_t size, void (*wake)(void *context), void *context)
{
    size = power_of_two_from(size);
    struct tg_log_ring *ring = aligned_alloc(64, sizeof(*ring) + size);
    if (!ring)
        return NULL;
    ring->size = size;
    ring->wake = wake;
    ring->context = context;
    atomic_init(&ring->written, 0);
    atomic_init(&ring->dropped, 0);
    atomic_init(&ring->read, 0);
    return ring;
}

void tg_log_ring_free(struct tg_log_ring *ring)
{
    free(ring);
}

static struct record *record_at(struct tg_log_ring *ring, uint64_t position)
{
    return (struct record *)(ring->data + (position & (ring->size - 1)));
}

static size_t record_size(size_t length)
{
    return (sizeof(struct record) + length + sizeof(struct record) - 1) & ~(sizeof(struct record) - 1);
}

static bool drop(struct tg_log_ring *ring)
{
    atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
    return false;
}

/* The bytes to leave out so that a record of this size doesn't cross the end of the memory. */
static size_t filler_before(const struct tg_log_ring *ring, uint64_t position, size_t size)
{
    size_t to_end = ring->size - (size_t)(position & (ring->size - 1));
    return size > to_end ? to_end : 0;
}

bool tg_log_ring_write(struct tg_log_ring *ring, enum tg_log_target target, struct tg_slice line)
{
    if (line.length > ring->size / 4)
        return drop(ring);
    uint64_t start = atomic_load_explicit(&ring->written, memory_order_relaxed);
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
    size_t size = record_size(line.length);
    size_t filler = filler_before(ring, start, size);
    if (filler + size > ring->size - (start - read))
        return drop(ring);
    if (filler > 0)
        *record_at(ring, start) = (struct record){ (uint32_t)(filler - sizeof(struct record)), FILLER };
    struct record *record = record_at(ring, start + filler);
    *record = (struct record){ (uint32_t)line.length, target };
    if (line.length > 0)
        memcpy(record + 1, line.at, line.length);
    /* Both in one order with the reader's: either it sees this line, or we see that it had read all before. */
    atomic_store_explicit(&ring->written, start + filler + size, memory_order_seq_cst);
    if (atomic_load_explicit(&ring->read, memory_order_seq_cst) == start && ring->wake)
        ring->wake(ring->context);
    return true;
}

size_t tg_log_ring_drain(struct tg_log_ring *ring, bool (*take)(void *context, enum tg_log_target, struct tg_slice),
                         void *context)
{
    size_t lines = 0;
    uint64_t position = atomic_load_explicit(&ring->read, memory_order_relaxed);
    while (position != atomic_load_explicit(&ring->written, memory_order_seq_cst)) {
        const struct record *record = record_at(ring, position);
        if (record->target != FILLER) {
            struct tg_slice line = { (const char *)(record + 1), record->length };
            if (!take(context, (enum tg_log_target)record->target, line))
                break;
            lines++;
        }
        position += record_size(record->length);
        atomic_store_explicit(&ring->read, position, memory_order_seq_cst);
    }
    return lines;
}

uint64_t tg_log_ring_dropped(const struct tg_log_ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
