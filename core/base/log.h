/* The error log, for people: a line with time, level, thread and text. A thread that has a ring writes there; any other
 * writes to standard error. Text from outside goes through tg_log_escape, so that no line can be forged. */
#ifndef TG_BASE_LOG_H
#define TG_BASE_LOG_H

#include "base/log_ring.h"

/* For the calling thread; name must outlive it ("worker 3"). ring may be NULL. */
void tg_log_set_thread(const char *name, struct tg_log_ring *ring);
/* Lines below this level are dropped. Any thread. */
void tg_log_set_level(enum tg_log_level level);
bool tg_log_wants(enum tg_log_level level);
/* A printf format. Lines are cut at 8 KB. Control characters of the result are escaped, except that "\n" starts a
 * continuation line which is indented by four spaces. */
void tg_log(enum tg_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For the log thread and threads without a ring: where lines go (default 2). */
void tg_log_set_descriptor(int descriptor);

#endif
