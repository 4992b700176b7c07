/* The plain answer of the gateway itself, where no handler made another: "502 Bad Gateway" and the request's id, so
 * that a user can name the line of the log. It tells nothing about what is behind the gateway. */
#ifndef TG_PROXY_ERROR_PAGE_H
#define TG_PROXY_ERROR_PAGE_H

#include "proxy/exchange.h"

enum { TG_ERROR_PAGE_MAX = 256 };

/* Adds the page for exchange->error.status to the answer, which is empty so far: the fields to exchange->response, the
 * body to exchange->answer_body. false when out of memory. */
bool tg_error_page_make(struct tg_exchange *exchange) __attribute__((warn_unused_result));

/* The body alone; `id` may be empty: a request whose head could not be parsed has none. Returns its length. */
size_t tg_error_page_write(int status, struct tg_slice id, char page[TG_ERROR_PAGE_MAX]);

#endif
