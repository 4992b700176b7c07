/* The plain answer of the gateway itself, where no handler made another: "502 Bad Gateway" and the request's id, so
 * that a user can name the line of the log. It tells nothing about what is behind the gateway. */
#ifndef TG_PROXY_ERROR_PAGE_H
#define TG_PROXY_ERROR_PAGE_H

#include "base/buffer.h"
#include "http/message.h"

/* Fills the head anew, fields included, and appends the page to `body`. `id` may be empty: a request whose head could
 * not be parsed has none. false when out of memory. */
bool tg_error_page_make(int status, struct tg_slice id, struct tg_arena *arena, struct tg_response_head *head,
                        struct tg_buffer_queue *body) __attribute__((warn_unused_result));

#endif
