/* Why a message is refused: the status that answers it and a text for the log. Static texts only, so it is free to
 * copy. */
#ifndef TG_HTTP_PROBLEM_H
#define TG_HTTP_PROBLEM_H

#include <stdbool.h>

/* Statuses of the answer to a request: 400 unless another belongs.
 *   405  the method is CONNECT, which a gateway doesn't offer
 *   408  the head or body came too slowly
 *   413  the body is larger than the limit
 *   414  the target is longer than the limit
 *   417  Expect asks for anything but one 100-continue
 *   431  the head or trailer section, or the number of its lines, is beyond the limit
 *   500  out of memory
 *   501  a transfer coding beside chunked, or a method longer than 64 bytes
 *   505  HTTP/d.d of another version than 1.0 and 1.1 */
struct tg_problem {
    int status;
    const char *reason; /* for logs, never for clients: "bare LF in the head" */
};

/* Fills *problem and answers false, for `return tg_problem_refuse(...)`. */
static inline bool tg_problem_refuse(struct tg_problem *problem, int status, const char *reason)
{
    *problem = (struct tg_problem){ status, reason };
    return false;
}

/* The one reason that isn't the sender's fault; compared by address. */
extern const char tg_problem_memory[];

/* The same with the status that goes with the reason: 500 for tg_problem_memory, 400 for any other. */
static inline bool tg_problem_refuse_for(struct tg_problem *problem, const char *reason)
{
    return tg_problem_refuse(problem, reason == tg_problem_memory ? 500 : 400, reason);
}

#endif
