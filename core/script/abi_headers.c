/* Header sections, as scripts see and change them. */
#include "http/h1_lines.h"
#include "script/run.h"

/* There is one to write to, once a script asks for it. */
static struct tg_fields *trailers_of(struct tg_exchange *exchange, struct tg_fields *trailers, bool *there)
{
    if (!*there)
        tg_fields_init(trailers, &exchange->arena);
    *there = true;
    return trailers;
}

static struct tg_fields *section_of(struct tg_abi_slot *slot, int32_t section)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    switch (section) {
    case TG_ABI_OF_REQUEST: return &exchange->request.fields;
    case TG_ABI_OF_OUT: return &exchange->outgoing.fields;
    case TG_ABI_OF_REQUEST_TRAILERS:
        return trailers_of(exchange, &exchange->request_trailers, &exchange->has_request_trailers);
    case TG_ABI_OF_RESPONSE_TRAILERS:
        return trailers_of(exchange, &exchange->response_trailers, &exchange->has_response_trailers);
    default: return &exchange->response.fields;
    }
}

static struct tg_request_head *head_of(struct tg_abi_slot *slot, int32_t section)
{
    struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    return section == TG_ABI_OF_OUT ? &exchange->outgoing : &exchange->request;
}

int32_t tg_abi_header_token(const char *name, uint32_t length)
{
    return (int32_t)tg_field_name_of(tg_slice_of(name, length));
}

int32_t tg_abi_value_valid(const char *value, uint32_t length)
{
    return tg_field_value_valid(tg_slice_of(value, length));
}

int32_t tg_abi_name_valid(const char *name, uint32_t length)
{
    return tg_field_name_valid(tg_slice_of(name, length));
}

/* What other parts of the head say, whatever the lines were. */
static const char *special(struct tg_abi_slot *slot, int32_t section, int32_t token, bool *is_special)
{
    *is_special = section < TG_ABI_OF_RESPONSE && (token == TG_FIELD_HOST || token == TG_FIELD_TE);
    if (!*is_special)
        return NULL;
    const struct tg_request_head *head = head_of(slot, section);
    if (token == TG_FIELD_TE)
        return head->te_trailers ? tg_abi_give(slot, TG_SLICE("trailers")) : NULL;
    return head->authority.text.length ? tg_abi_give(slot, head->authority.text) : NULL;
}

/* Several lines as one value, as RFC 9110 5.3 allows; cookies as RFC 9113 8.2.3 joins them. */
static const char *join(struct tg_abi_slot *slot, const struct tg_fields *fields, const struct tg_field *field)
{
    struct tg_text *joined = &tg_record_of_slot(slot)->joined;
    struct tg_slice between = field->token == TG_FIELD_COOKIE ? TG_SLICE("; ") : TG_SLICE(", ");
    tg_text_clear(joined);
    tg_text_append(joined, field->value);
    while ((field = tg_fields_find_next(fields, field))) {
        tg_text_append(joined, between);
        tg_text_append(joined, field->value);
    }
    return tg_abi_give(slot, tg_text_slice(joined));
}

const char *tg_abi_header(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name, uint32_t length)
{
    bool is_special;
    const char *text = special(slot, section, token, &is_special);
    if (is_special)
        return text;
    const struct tg_fields *fields = section_of(slot, section);
    const struct tg_field *field = tg_fields_find(fields, (enum tg_field_name)token, tg_slice_of(name, length));
    if (!field)
        return NULL;
    return tg_fields_find_next(fields, field) ? join(slot, fields, field) : tg_abi_give(slot, field->value);
}

/* Why a field isn't the script's to set; NULL where it is. */
const char *tg_abi_guard(int32_t token, bool upgrade_allowed)
{
    switch (token) {
    case TG_FIELD_CONNECTION:
    case TG_FIELD_TRANSFER_ENCODING:
    case TG_FIELD_CONTENT_LENGTH:
    case TG_FIELD_KEEP_ALIVE:
    case TG_FIELD_PROXY_CONNECTION: return "belongs to the gateway; a script can't set it";
    case TG_FIELD_UPGRADE: return upgrade_allowed ? NULL : "belongs to the gateway; a script can set it on a 426 only";
    default: return NULL;
    }
}

static const char *guard(struct tg_abi_slot *slot, int32_t section, int32_t token, struct tg_slice name)
{
    const struct tg_exchange *exchange = tg_record_of_slot(slot)->exchange;
    const struct tg_field line = { .name = name, .token = (uint16_t)token };
    if (section > TG_ABI_OF_RESPONSE && !tg_h1_trailer_allowed(&line))
        return "can't be a trailer (RFC 9110 6.5.1)";
    if (token == TG_FIELD_HOST && section == TG_ABI_OF_REQUEST)
        return "is set by req.host";
    if (token == TG_FIELD_HOST && section == TG_ABI_OF_OUT)
        return "is set by out.host";
    return tg_abi_guard(token, section == TG_ABI_OF_RESPONSE && exchange->response.status == 426);
}

static const char *write_te(struct tg_abi_slot *slot, int32_t section, struct tg_slice value)
{
    if (!tg_slice_equal_ignoring_case(value, TG_SLICE("trailers")))
        return "takes \"trailers\" only";
    head_of(slot, section)->te_trailers = true;
    return NULL;
}

/* A name that C knows is right, and needs no copy. */
static const char *write_known(struct tg_fields *fields, enum tg_field_name token, struct tg_slice value, bool add)
{
    if (!tg_field_value_valid(value))
        return "a field value with a control character, or a blank at its end";
    struct tg_slice copy = tg_arena_copy(fields->arena, value);
    if (!copy.at)
        return "out of memory";
    if (!add)
        tg_fields_remove(fields, token, (struct tg_slice){ NULL, 0 });
    return tg_fields_append(fields, token, tg_field_name_text(token), copy) ? NULL : "out of memory";
}

const char *tg_abi_header_write(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name,
                                uint32_t length, const char *value, uint32_t value_length, int32_t add)
{
    const char *problem = guard(slot, section, token, tg_slice_of(name, length));
    if (problem)
        return problem;
    if (token == TG_FIELD_TE && section < TG_ABI_OF_RESPONSE)
        return write_te(slot, section, tg_slice_of(value, value_length));
    struct tg_fields *fields = section_of(slot, section);
    struct tg_slice field_name = { name, length }, field_value = { value, value_length };
    if (token != TG_FIELD_OTHER)
        return write_known(fields, (enum tg_field_name)token, field_value, add != 0);
    bool written = add ? tg_fields_add(fields, field_name, field_value, &problem)
                       : tg_fields_set(fields, field_name, field_value, &problem);
    return written ? NULL : problem;
}

int32_t tg_abi_header_remove(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name,
                             uint32_t length)
{
    if (guard(slot, section, token, tg_slice_of(name, length)))
        return -1;
    if (token == TG_FIELD_TE && section < TG_ABI_OF_RESPONSE)
        head_of(slot, section)->te_trailers = false;
    return (int32_t)tg_fields_remove(section_of(slot, section), (enum tg_field_name)token, tg_slice_of(name, length));
}

void tg_abi_header_clear(struct tg_abi_slot *slot, int32_t section)
{
    tg_fields_clear(section_of(slot, section));
}

static bool has_member(struct tg_slice line, struct tg_slice value)
{
    struct tg_slice member, rest = line;
    if (tg_slice_equal(line, value))
        return true;
    while (tg_list_next(&rest, &member))
        if (tg_slice_equal(member, value))
            return true;
    return false;
}

int32_t tg_abi_header_any(struct tg_abi_slot *slot, int32_t section, int32_t token, const char *name, uint32_t length,
                          const char *value, uint32_t value_length)
{
    struct tg_slice wanted = { value, value_length };
    bool is_special;
    const char *text = special(slot, section, token, &is_special);
    if (is_special)
        return text && has_member(tg_slice_of(text, (size_t)slot->length), wanted);
    const struct tg_fields *fields = section_of(slot, section);
    const struct tg_field *field = tg_fields_find(fields, (enum tg_field_name)token, tg_slice_of(name, length));
    for (; field; field = tg_fields_find_next(fields, field))
        if (has_member(field->value, wanted))
            return 1;
    return 0;
}

int32_t tg_abi_header_next(struct tg_abi_slot *slot, int32_t section, int32_t from, int32_t token, const char *name,
                           uint32_t length)
{
    const struct tg_fields *fields = section_of(slot, section);
    for (uint32_t i = (uint32_t)from; i < fields->count; i++) {
        const struct tg_field *field = &fields->lines[i];
        if (!field->removed &&
            (length == 0 || tg_field_is(field, (enum tg_field_name)token, tg_slice_of(name, length))))
            return (int32_t)i;
    }
    return -1;
}

const char *tg_abi_header_line_name(struct tg_abi_slot *slot, int32_t section, int32_t position)
{
    return tg_abi_give(slot, section_of(slot, section)->lines[position].name);
}

const char *tg_abi_header_line_value(struct tg_abi_slot *slot, int32_t section, int32_t position)
{
    const struct tg_field *field = &section_of(slot, section)->lines[position];
    bool is_special;
    const char *text = special(slot, section, field->token, &is_special);
    return text ? text : tg_abi_give(slot, field->value);
}
