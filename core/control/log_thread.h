/* The only thread that writes logs. Each other thread has a ring to it, where a line that finds no room is dropped and
 * counted, so that nobody ever waits for a disk, a terminal or a FIFO. */
#ifndef TG_CONTROL_LOG_THREAD_H
#define TG_CONTROL_LOG_THREAD_H

#include "base/log_ring.h"

struct tg_log_thread;

/* Access lines to standard output and error lines to standard error, until other files are named. NULL where the system
 * refuses. */
struct tg_log_thread *tg_log_thread_start(void);
/* Writes what is left for at most `seconds`, ends the thread and frees the rings. */
void tg_log_thread_stop(struct tg_log_thread *logs, double seconds);
/* A new ring of `size` bytes, which the log thread owns. Control's thread. NULL when out of memory. */
struct tg_log_ring *tg_log_thread_ring(struct tg_log_thread *logs, size_t size);
/* Which files lines go to from now on; copied; empty: the standard descriptors. What can't be opened is said in the
 * error log, and the file used so far stays. Any thread. */
void tg_log_thread_use_files(struct tg_log_thread *logs, struct tg_slice access, struct tg_slice error);
/* Opens the files again by their names. Any thread. */
void tg_log_thread_reopen(struct tg_log_thread *logs);
/* Lines that found no room, in rings and in front of files. Any thread. */
uint64_t tg_log_thread_dropped(const struct tg_log_thread *logs);

#endif
