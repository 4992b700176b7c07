/* The queue of buffers. Its capacity is always a power of two, so that an index wraps by a mask. */
#include <stdlib.h>
#include <sys/uio.h>

#include "base/buffer.h"

enum {
    GATHER_FROM = TG_BUFFER_QUEUE_INLINE, /* buffers in a queue, from which on small ones are copied together */
    GATHER_BELOW = 1024,                  /* bytes */
};

_Static_assert((TG_BUFFER_QUEUE_INLINE & (TG_BUFFER_QUEUE_INLINE - 1)) == 0, "an index wraps by a mask");

static struct tg_buffer *entry(const struct tg_buffer_queue *queue, uint32_t index)
{
    struct tg_buffer *ring = queue->ring ? queue->ring : (struct tg_buffer *)queue->inline_ring;
    return &ring[(queue->first + index) & (queue->capacity - 1)];
}

static struct tg_buffer *last_entry(const struct tg_buffer_queue *queue)
{
    return queue->count > 0 ? entry(queue, queue->count - 1) : NULL;
}

void tg_buffer_queue_init(struct tg_buffer_queue *queue)
{
    queue->ring = NULL;
    queue->capacity = TG_BUFFER_QUEUE_INLINE;
    queue->first = queue->count = 0;
    queue->bytes = 0;
}

void tg_buffer_queue_clear(struct tg_buffer_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        tg_buffer_unref(*entry(queue, i));
    queue->first = queue->count = 0;
    queue->bytes = 0;
}

void tg_buffer_queue_deinit(struct tg_buffer_queue *queue)
{
    tg_buffer_queue_clear(queue);
    free(queue->ring);
    tg_buffer_queue_init(queue);
}

static bool grow(struct tg_buffer_queue *queue)
{
    if (queue->capacity > UINT32_MAX / 2)
        return false;
    struct tg_buffer *ring = malloc(2 * (size_t)queue->capacity * sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = *entry(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->capacity *= 2;
    queue->first = 0;
    return true;
}

static bool continues(const struct tg_buffer *last, struct tg_buffer buffer)
{
    return last && buffer.block && last->block == buffer.block && last->at + last->length == buffer.at;
}

static bool put_last(struct tg_buffer_queue *queue, struct tg_buffer buffer)
{
    if (queue->count == queue->capacity && !grow(queue)) {
        tg_buffer_unref(buffer);
        return false;
    }
    *entry(queue, queue->count++) = buffer;
    queue->bytes += buffer.length;
    return true;
}

/* Copies a small piece behind the others, in a block that is the queue's alone. */
static bool gather(struct tg_buffer_queue *queue, struct tg_buffer buffer)
{
    struct tg_buffer *last = last_entry(queue);
    bool own = last->block && last->block->references == 1 &&
               last->at + last->length == last->block->data + last->block->used &&
               last->block->capacity - last->block->used >= buffer.length;
    struct tg_block *block = own ? last->block : tg_block_new();
    if (!block)
        return put_last(queue, buffer);
    struct tg_buffer copy = { block, block->data + block->used, buffer.length };
    memcpy(block->data + block->used, buffer.at, buffer.length);
    block->used += (uint32_t)buffer.length;
    tg_buffer_unref(buffer);
    if (!own)
        return put_last(queue, copy);
    last->length += copy.length;
    queue->bytes += copy.length;
    return true;
}

bool tg_buffer_queue_push(struct tg_buffer_queue *queue, struct tg_buffer buffer)
{
    struct tg_buffer *last = last_entry(queue);
    if (buffer.length == 0) {
        tg_buffer_unref(buffer);
        return true;
    }
    if (continues(last, buffer)) {
        last->length += buffer.length;
        queue->bytes += buffer.length;
        tg_buffer_unref(buffer);
        return true;
    }
    if (queue->count >= GATHER_FROM && buffer.length < GATHER_BELOW)
        return gather(queue, buffer);
    return put_last(queue, buffer);
}

/* How many bytes may be written right behind the last buffer, in its own block. */
static size_t room_behind(const struct tg_buffer *last)
{
    struct tg_block *block = last ? last->block : NULL;
    if (!block || last->at + last->length != block->data + block->used)
        return 0;
    return block->capacity - block->used;
}

static size_t write_to_block(struct tg_block *block, struct tg_slice bytes, size_t room)
{
    size_t length = bytes.length < room ? bytes.length : room;
    memcpy(block->data + block->used, bytes.at, length);
    block->used += (uint32_t)length;
    return length;
}

static bool append_fresh_block(struct tg_buffer_queue *queue, struct tg_slice *bytes)
{
    struct tg_block *block = tg_block_new();
    if (!block)
        return false;
    size_t length = write_to_block(block, *bytes, block->capacity);
    *bytes = tg_slice_from(*bytes, length);
    return put_last(queue, (struct tg_buffer){ block, block->data, length });
}

bool tg_buffer_queue_append(struct tg_buffer_queue *queue, struct tg_slice bytes)
{
    struct tg_buffer *last = last_entry(queue);
    size_t room = room_behind(last);
    if (room > 0 && bytes.length > 0) {
        size_t length = write_to_block(last->block, bytes, room);
        last->length += length;
        queue->bytes += length;
        bytes = tg_slice_from(bytes, length);
    }
    while (bytes.length > 0) {
        if (!append_fresh_block(queue, &bytes))
            return false;
    }
    return true;
}

struct tg_buffer tg_buffer_queue_peek(const struct tg_buffer_queue *queue)
{
    return queue->count > 0 ? *entry(queue, 0) : (struct tg_buffer){ 0 };
}

static void advance(struct tg_buffer_queue *queue)
{
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
}

struct tg_buffer tg_buffer_queue_pop(struct tg_buffer_queue *queue, size_t limit)
{
    if (queue->count == 0 || limit == 0)
        return (struct tg_buffer){ 0 };
    struct tg_buffer *front = entry(queue, 0);
    struct tg_buffer buffer = *front;
    if (buffer.length > limit) {
        buffer.length = limit;
        tg_buffer_ref(buffer);
        front->at += limit;
        front->length -= limit;
    } else {
        advance(queue);
    }
    queue->bytes -= buffer.length;
    return buffer;
}

void tg_buffer_queue_drop(struct tg_buffer_queue *queue, uint64_t bytes)
{
    queue->bytes -= bytes;
    while (bytes > 0) {
        struct tg_buffer *front = entry(queue, 0);
        if (front->length > bytes) {
            front->at += bytes;
            front->length -= bytes;
            return;
        }
        bytes -= front->length;
        tg_buffer_unref(*front);
        advance(queue);
    }
}

int tg_buffer_queue_to_vector(const struct tg_buffer_queue *queue, struct iovec *vector, int limit)
{
    int count = 0;
    for (; count < limit && (uint32_t)count < queue->count; count++) {
        const struct tg_buffer *buffer = entry(queue, (uint32_t)count);
        vector[count] = (struct iovec){ .iov_base = (char *)buffer->at, .iov_len = buffer->length };
    }
    return count;
}

bool tg_buffer_queue_move(struct tg_buffer_queue *to, struct tg_buffer_queue *from)
{
    bool whole = true;
    while (from->count > 0)
        whole = tg_buffer_queue_push(to, tg_buffer_queue_pop(from, SIZE_MAX)) && whole;
    return whole;
}
