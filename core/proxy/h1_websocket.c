#include "proxy/h1_websocket.h"

#include "http/websocket.h"

static bool is_websocket(const struct tg_request_head *head)
{
    return tg_slice_equal(head->upgrade, TG_SLICE("websocket"));
}

/* NULL where there is none, and where there are several. */
static const struct tg_field *only(const struct tg_fields *fields, enum tg_field_name token)
{
    const struct tg_field *line = tg_fields_find(fields, token, (struct tg_slice){ 0 });
    return line && !tg_fields_find_next(fields, line) ? line : NULL;
}

static bool append(struct tg_fields *fields, enum tg_field_name token, struct tg_slice value)
{
    return value.at && tg_fields_append(fields, token, tg_field_name_text(token), value);
}

static bool add_key(struct tg_fields *fields)
{
    char key[TG_WEBSOCKET_KEY];
    if (tg_fields_has(fields, TG_FIELD_SEC_WEBSOCKET_KEY))
        return true;
    tg_websocket_make_key(key);
    return append(fields, TG_FIELD_SEC_WEBSOCKET_KEY, tg_arena_copy(fields->arena, tg_slice_of(key, sizeof key)));
}

bool tg_h1_websocket_ask(struct tg_request_head *head)
{
    if (!head->extended_connect || !is_websocket(head))
        return true;
    return add_key(&head->fields) && (tg_fields_has(&head->fields, TG_FIELD_SEC_WEBSOCKET_VERSION) ||
                                      append(&head->fields, TG_FIELD_SEC_WEBSOCKET_VERSION, TG_SLICE("13")));
}

bool tg_h1_websocket_answered(const struct tg_request_head *asked, const struct tg_response_head *head)
{
    char expected[TG_WEBSOCKET_ACCEPT];
    if (!is_websocket(asked) || !tg_fields_has(&asked->fields, TG_FIELD_SEC_WEBSOCKET_KEY))
        return true;
    const struct tg_field *key = only(&asked->fields, TG_FIELD_SEC_WEBSOCKET_KEY);
    const struct tg_field *accept = only(&head->fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT);
    return key && accept && tg_websocket_accept(key->value, expected) &&
           tg_slice_equal(accept->value, tg_slice_of(expected, sizeof expected));
}

bool tg_h1_websocket_answer(const struct tg_request_head *asked, struct tg_response_head *head)
{
    char accept[TG_WEBSOCKET_ACCEPT];
    const struct tg_field *key = only(&asked->fields, TG_FIELD_SEC_WEBSOCKET_KEY);
    if (!is_websocket(asked) || !key || tg_fields_has(&head->fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT) ||
        !tg_websocket_accept(key->value, accept))
        return true;
    return append(&head->fields, TG_FIELD_SEC_WEBSOCKET_ACCEPT,
                  tg_arena_copy(head->fields.arena, tg_slice_of(accept, sizeof accept)));
}
