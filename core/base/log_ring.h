/* Lines on their way to the log thread: a bounded ring with one writer, the worker, and one reader, the log thread. A
 * full ring drops the line and counts it; nothing ever waits. */
#ifndef TG_BASE_LOG_RING_H
#define TG_BASE_LOG_RING_H

#include "base/slice.h"

enum tg_log_level { TG_LOG_DEBUG, TG_LOG_INFO, TG_LOG_WARN, TG_LOG_ERROR };
enum tg_log_target { TG_LOG_TO_ACCESS, TG_LOG_TO_ERROR };

struct tg_log_ring;

/* `size` in bytes, rounded up to a power of two. `wake` is called by the writer when the ring was empty. */
struct tg_log_ring *tg_log_ring_new(size_t size, void (*wake)(void *context), void *context);
void tg_log_ring_free(struct tg_log_ring *ring);
/* Writer: false where the line was dropped (the ring counts it). A line longer than a quarter of the ring is dropped.
 */
bool tg_log_ring_write(struct tg_log_ring *ring, enum tg_log_target target, struct tg_slice line);
/* Reader: gives each line, in order, to `take` until the ring is empty or take answers false (the line then stays). */
size_t tg_log_ring_drain(struct tg_log_ring *ring, bool (*take)(void *context, enum tg_log_target, struct tg_slice),
                         void *context);
uint64_t tg_log_ring_dropped(const struct tg_log_ring *ring);

#endif
