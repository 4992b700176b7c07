/* Memory that is pooled or not yet given out is marked for AddressSanitizer, so that a use after its end is seen as one
 * of freed memory would be. Without the sanitizer these do nothing. */
#ifndef TG_BASE_POISON_H
#define TG_BASE_POISON_H

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define tg_poison(at, length) ASAN_POISON_MEMORY_REGION(at, length)
#define tg_unpoison(at, length) ASAN_UNPOISON_MEMORY_REGION(at, length)
#else
#define tg_poison(at, length) ((void)(at), (void)(length))
#define tg_unpoison(at, length) ((void)(at), (void)(length))
#endif

#endif
