/* IMF-fixdate of RFC 9110 5.6.7, formatted at most once a second by each thread. */
#ifndef TG_HTTP_DATE_H
#define TG_HTTP_DATE_H

#include "base/slice.h"

/* The slice stays right until the calling thread asks for another second. */
struct tg_slice tg_http_date(double wall_seconds);

#endif
