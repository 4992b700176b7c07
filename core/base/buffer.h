/* Bytes on their way: reference-counted blocks from a pool of the thread, references to parts of them, and queues of
 * such references. A block belongs to the thread that made it; counts aren't atomic. */
#ifndef TG_BASE_BUFFER_H
#define TG_BASE_BUFFER_H

#include "base/slice.h"

enum { TG_BLOCK_SIZE = 32 * 1024 }; /* bytes of data of a pooled block */

struct tg_block {
    uint32_t references;
    uint32_t capacity; /* TG_BLOCK_SIZE, or more for a block of its own */
    uint32_t used;     /* where the next writer may append */
    struct tg_block *next_free;
    char data[];
};

/* With one reference; NULL when out of memory. */
struct tg_block *tg_block_new(void);
/* A block of at least `capacity` bytes, pooled if that is at most TG_BLOCK_SIZE. */
struct tg_block *tg_block_new_of(size_t capacity);
void tg_block_free(struct tg_block *block); /* called by unref only */

static inline struct tg_block *tg_block_ref(struct tg_block *block)
{
    block->references++;
    return block;
}

static inline void tg_block_unref(struct tg_block *block)
{
    if (--block->references == 0)
        tg_block_free(block);
}

/* Frees the blocks pooled by the calling thread. */
void tg_block_release_thread_pool(void);

/* A reference to part of a block. A buffer whose block is NULL borrows static bytes. */
struct tg_buffer {
    struct tg_block *block; /* may be NULL */
    const char *at;
    size_t length;
};

static inline struct tg_buffer tg_buffer_ref(struct tg_buffer buffer)
{
    if (buffer.block)
        tg_block_ref(buffer.block);
    return buffer;
}

static inline void tg_buffer_unref(struct tg_buffer buffer)
{
    if (buffer.block)
        tg_block_unref(buffer.block);
}

static inline struct tg_slice tg_buffer_slice(struct tg_buffer buffer)
{
    return (struct tg_slice){ buffer.at, buffer.length };
}

/* A first-in first-out queue of buffers: a ring that starts inside the struct and grows by malloc. */
enum { TG_BUFFER_QUEUE_INLINE = 8 };

struct tg_buffer_queue {
    struct tg_buffer *ring; /* NULL: the inline one */
    uint32_t capacity, first, count;
    uint64_t bytes;
    struct tg_buffer inline_ring[TG_BUFFER_QUEUE_INLINE];
};

void tg_buffer_queue_init(struct tg_buffer_queue *queue);
/* Drops what is in it. */
void tg_buffer_queue_deinit(struct tg_buffer_queue *queue);
void tg_buffer_queue_clear(struct tg_buffer_queue *queue);
/* Takes over the caller's reference, also on failure; false when out of memory. An empty buffer is dropped. A buffer
 * that continues the last one in the same block is merged into it; small ones are copied together once there are many,
 * so that none keeps a whole block of what has come and gone. */
bool tg_buffer_queue_push(struct tg_buffer_queue *queue, struct tg_buffer buffer) __attribute__((warn_unused_result));
/* Copies bytes into fresh or half-filled blocks at the end of the queue. */
bool tg_buffer_queue_append(struct tg_buffer_queue *queue, struct tg_slice bytes) __attribute__((warn_unused_result));
/* The first buffer, which stays in the queue; length 0 where the queue is empty. */
struct tg_buffer tg_buffer_queue_peek(const struct tg_buffer_queue *queue);
/* Hands the first buffer, or its first `limit` bytes, to the caller, who then owns the reference. */
struct tg_buffer tg_buffer_queue_pop(struct tg_buffer_queue *queue, size_t limit);
/* Drops `bytes` from the front; the queue must hold them. */
void tg_buffer_queue_drop(struct tg_buffer_queue *queue, uint64_t bytes);
/* Fills at most `limit` entries of the vector with the front of the queue; returns how many. */
struct iovec;
int tg_buffer_queue_to_vector(const struct tg_buffer_queue *queue, struct iovec *vector, int limit);
/* Moves everything from `from` to the end of `to`. */
bool tg_buffer_queue_move(struct tg_buffer_queue *to, struct tg_buffer_queue *from) __attribute__((warn_unused_result));

static inline uint64_t tg_buffer_queue_length(const struct tg_buffer_queue *queue)
{
    return queue->bytes;
}

#endif
