#include "control/json_text.h"

#include "base/text.h"
#include "base/utf8.h"

static json_t *repaired(struct tg_slice text)
{
    struct tg_text copy;
    tg_text_init(&copy);
    while (text.length > 0) {
        size_t length = tg_utf8_first(text);
        tg_text_append(&copy, length > 0 ? tg_slice_of(text.at, length) : TG_SLICE("?"));
        text = tg_slice_from(text, length > 0 ? length : 1);
    }
    json_t *json = json_stringn(copy.at ? copy.at : "", copy.length);
    tg_text_deinit(&copy);
    return json;
}

json_t *tg_json_text(struct tg_slice text)
{
    json_t *json = json_stringn(text.at ? text.at : "", text.length);
    return json ? json : repaired(text);
}

json_t *tg_json_string(const char *text)
{
    return text ? tg_json_text(tg_slice_from_string(text)) : json_null();
}
