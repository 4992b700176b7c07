#include "proxy/error_page.h"

#include <stdio.h>

size_t tg_error_page_write(int status, struct tg_slice id, char page[TG_ERROR_PAGE_MAX])
{
    struct tg_slice phrase = tg_status_reason(status);
    int length = snprintf(page, TG_ERROR_PAGE_MAX, "%d%s%.*s\n%s%.*s%s", status, phrase.length ? " " : "",
                          (int)phrase.length, phrase.at ? phrase.at : "", id.length ? "request " : "", (int)id.length,
                          id.at ? id.at : "", id.length ? "\n" : "");
    return length < 0 ? 0 : length < TG_ERROR_PAGE_MAX ? (size_t)length : TG_ERROR_PAGE_MAX - 1;
}

static bool append_field(struct tg_fields *fields, enum tg_field_name token, struct tg_slice value)
{
    return tg_fields_append(fields, token, tg_field_name_text(token), value);
}

/* A 405 says what would be allowed (RFC 9110 15.5.6): ours answers CONNECT, which no resource here takes. */
static bool append_allow(struct tg_fields *fields, int status)
{
    return status != 405 ||
           append_field(fields, TG_FIELD_ALLOW, TG_SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
}

bool tg_error_page_make(struct tg_exchange *exchange)
{
    char page[TG_ERROR_PAGE_MAX];
    struct tg_fields *fields = &exchange->response.fields;
    size_t length = tg_error_page_write(exchange->error.status, tg_slice_of(exchange->id, sizeof(exchange->id)), page);
    return append_field(fields, TG_FIELD_CONTENT_TYPE, TG_SLICE("text/plain; charset=utf-8")) &&
           append_field(fields, TG_FIELD_CACHE_CONTROL, TG_SLICE("no-store")) &&
           append_allow(fields, exchange->error.status) &&
           tg_buffer_queue_append(&exchange->answer_body, tg_slice_of(page, length));
}
