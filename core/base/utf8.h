/* One character of UTF-8 at a time, strictly: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef TG_BASE_UTF8_H
#define TG_BASE_UTF8_H

#include "base/slice.h"

/* How many bytes the first character has (1 to 4); 0 where the slice is empty or doesn't start with a whole one. */
size_t tg_utf8_first(struct tg_slice text);

#endif
