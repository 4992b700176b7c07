/* The shared libraries that this process runs with, which may be others than those it was built with. */
#ifndef TG_CONTROL_LIBRARIES_H
#define TG_CONTROL_LIBRARIES_H

#include <stdbool.h>

/* "3.0.17", "1.52.0": static text. */
const char *tg_libraries_openssl(void);
const char *tg_libraries_nghttp2(void);
/* False: `why` says which one is too old and what to do. */
bool tg_libraries_fit(char why[256]) __attribute__((warn_unused_result));

#endif
