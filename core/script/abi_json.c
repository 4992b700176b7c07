/* What tg.jwt asks of JSON that cjson doesn't tell: whether every name of an object stands there once. */
#include <jansson.h>

#include "script/abi.h"

int32_t tg_abi_json_unique(const char *text, uint32_t length)
{
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    int32_t unique = value && json_is_object(value);
    json_decref(value);
    return unique;
}
