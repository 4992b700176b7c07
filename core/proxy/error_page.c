#include "proxy/error_page.h"

#include <stdio.h>

static size_t write_page(int status, struct tg_slice id, char *page, size_t capacity)
{
    struct tg_slice phrase = tg_status_reason(status);
    int length = snprintf(page, capacity, "%d%s%.*s\n%s%.*s%s", status, phrase.length ? " " : "", (int)phrase.length,
                          phrase.at ? phrase.at : "", id.length ? "request " : "", (int)id.length, id.at ? id.at : "",
                          id.length ? "\n" : "");
    return length < 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity - 1;
}

static bool append_field(struct tg_fields *fields, enum tg_field_name token, struct tg_slice value)
{
    return tg_fields_append(fields, token, tg_field_name_text(token), value);
}

bool tg_error_page_make(int status, struct tg_slice id, struct tg_arena *arena, struct tg_response_head *head,
                        struct tg_buffer_queue *body)
{
    char page[256];
    size_t length = write_page(status, id, page, sizeof(page));

    *head = (struct tg_response_head){
        .status = (uint16_t)status,
        .version = TG_HTTP_1_1,
        .framing = TG_FRAMING_LENGTH,
        .content_length = length,
        .has_content_length = true,
        .keep_alive = true,
    };
    tg_fields_init(&head->fields, arena);
    return append_field(&head->fields, TG_FIELD_CONTENT_TYPE, TG_SLICE("text/plain; charset=utf-8")) &&
           append_field(&head->fields, TG_FIELD_CACHE_CONTROL, TG_SLICE("no-store")) &&
           tg_buffer_queue_append(body, tg_slice_of(page, length));
}
