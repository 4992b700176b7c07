/* Why a message is refused: the status that answers it and a text for the log. Static texts only, so it is free to
 * copy. */
#ifndef TG_HTTP_PROBLEM_H
#define TG_HTTP_PROBLEM_H

struct tg_problem {
    int status;         /* of the answer to a request: 400, 408, 413, 414, 431, 501, 505 */
    const char *reason; /* for logs, never for clients: "bare LF in the head" */
};

#endif
