/* JSON strings from text of any kind: paths and error messages need not be UTF-8, JSON must. */
#ifndef TG_CONTROL_JSON_TEXT_H
#define TG_CONTROL_JSON_TEXT_H

#include <jansson.h>

#include "base/slice.h"

/* Bytes that aren't UTF-8 become "?". NULL when out of memory. */
json_t *tg_json_text(struct tg_slice text);
/* JSON's null where text is NULL. */
json_t *tg_json_string(const char *text);

#endif
