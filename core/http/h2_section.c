/* Lines as HPACK gives them, into a section. */
#include "http/h1_lines.h"
#include "http/h2_head.h"

static const struct tg_slice pseudo_names[TG_H2_PSEUDO_COUNT] = {
    [TG_H2_PSEUDO_METHOD] = TG_SLICE(":method"),       [TG_H2_PSEUDO_SCHEME] = TG_SLICE(":scheme"),
    [TG_H2_PSEUDO_AUTHORITY] = TG_SLICE(":authority"), [TG_H2_PSEUDO_PATH] = TG_SLICE(":path"),
    [TG_H2_PSEUDO_PROTOCOL] = TG_SLICE(":protocol"),   [TG_H2_PSEUDO_STATUS] = TG_SLICE(":status"),
};

void tg_h2_section_init(struct tg_h2_section *section, enum tg_h2_section_kind kind, struct tg_arena *arena,
                        const struct tg_http_limits *limits)
{
    *section = (struct tg_h2_section){ .kind = kind, .arena = arena, .limits = limits };
    tg_fields_init(&section->fields, arena);
}

static bool refuse(struct tg_h2_section *section, int status, const char *reason)
{
    if (!section->problem.status)
        section->problem = (struct tg_problem){ status, reason };
    return false;
}

static bool charge(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value)
{
    const struct tg_http_limits *limits = section->limits;
    section->charged += name.length + value.length + limits->field_charge;
    section->lines += name.length == 0 || name.at[0] != ':';
    if (section->charged > limits->head)
        return refuse(section, 431, "a header section beyond the limit");
    if (section->lines > limits->fields)
        return refuse(section, 431, "more field lines than the limit");
    return true;
}

static enum tg_h2_pseudo pseudo_of(struct tg_slice name)
{
    unsigned pseudo = 0;
    while (pseudo < TG_H2_PSEUDO_COUNT && !tg_slice_equal(name, pseudo_names[pseudo]))
        pseudo++;
    return pseudo;
}

static bool store(struct tg_h2_section *section, struct tg_slice *bytes)
{
    if (!section->arena || bytes->length == 0)
        return true;
    *bytes = tg_arena_copy(section->arena, *bytes);
    return bytes->at || refuse(section, 500, tg_problem_memory);
}

/* RFC 9113 8.3: each once, before all fields, none in trailers, and of its kind. */
static void add_pseudo(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value)
{
    enum tg_h2_pseudo pseudo = pseudo_of(name);
    bool of_response = pseudo == TG_H2_PSEUDO_STATUS;
    if (section->kind == TG_H2_TRAILERS)
        refuse(section, 400, "a pseudo-header field in trailers");
    else if (pseudo == TG_H2_PSEUDO_COUNT || of_response != (section->kind == TG_H2_RESPONSE))
        refuse(section, 400, "a pseudo-header field that isn't one of this kind of message");
    else if (section->lines > 0)
        refuse(section, 400, "a pseudo-header field behind a field");
    else if (section->pseudo_seen >> pseudo & 1)
        refuse(section, 400, "a pseudo-header field that came twice");
    else if (!tg_field_value_valid(value))
        refuse(section, 400, "a pseudo-header field with a control character, or a blank at its end");
    else if (pseudo == TG_H2_PSEUDO_PATH && value.length > section->limits->target)
        refuse(section, 414, "a target beyond the limit");
    else if (store(section, &value))
        section->pseudo[pseudo] = value;
    section->pseudo_seen |= pseudo < TG_H2_PSEUDO_COUNT ? 1u << pseudo : 0;
}

static bool is_lower(struct tg_slice name)
{
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)(name.at[i] - 'A') < 26)
            return false;
    return true;
}

static bool check_other_name(struct tg_h2_section *section, struct tg_slice name)
{
    if (!tg_field_name_valid(name))
        return refuse(section, 400, "not a field name");
    if (tg_field_name_near_framing(name))
        return refuse(section, 400, "a near-name of a framing field");
    return true;
}

/* RFC 9113 8.2.2 */
static bool check_hop(struct tg_h2_section *section, enum tg_field_name token, struct tg_slice value)
{
    switch (token) {
    case TG_FIELD_CONNECTION:
    case TG_FIELD_KEEP_ALIVE:
    case TG_FIELD_PROXY_CONNECTION:
    case TG_FIELD_TRANSFER_ENCODING:
    case TG_FIELD_UPGRADE: return refuse(section, 400, "a connection-specific field");
    case TG_FIELD_TE:
        if (!tg_slice_equal_ignoring_case(value, TG_SLICE("trailers")))
            return refuse(section, 400, "a te that isn't trailers");
        return true;
    case TG_FIELD_HTTP2_SETTINGS: return false; /* means nothing here, and goes no further (RFC 7540 3.2.1) */
    default: return true;
    }
}

static void add_field(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value, bool sensitive)
{
    enum tg_field_name token = tg_field_name_of(name);
    if (!is_lower(name)) {
        refuse(section, 400, "a field name in upper case");
        return;
    }
    if (token == TG_FIELD_OTHER && !check_other_name(section, name))
        return;
    if (!tg_field_value_valid(value)) {
        refuse(section, 400, "a field value with a control character, or a blank at its end");
        return;
    }
    if (!check_hop(section, token, value) || !section->arena)
        return;
    if (token != TG_FIELD_OTHER)
        name = tg_field_name_text(token);
    else if (!store(section, &name))
        return;
    if (!store(section, &value))
        return;
    if (!tg_fields_append(&section->fields, token, name, value)) {
        refuse(section, 500, tg_problem_memory);
        return;
    }
    section->fields.lines[section->fields.count - 1].sensitive = sensitive;
    if (token == TG_FIELD_COOKIE) {
        section->crumbs++;
        section->crumb_bytes += value.length;
    }
}

void tg_h2_section_add(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value, bool sensitive)
{
    bool pseudo = name.length > 0 && name.at[0] == ':';
    if (pseudo && value.length > section->limits->target && tg_slice_equal(name, pseudo_names[TG_H2_PSEUDO_PATH]))
        refuse(section, 414, "a target beyond the limit");
    if (!charge(section, name, value) || section->problem.status)
        return;
    if (pseudo)
        add_pseudo(section, name, value);
    else
        add_field(section, name, value, sensitive);
}

void tg_h2_section_add_invalid(struct tg_h2_section *section, struct tg_slice name, struct tg_slice value)
{
    charge(section, name, value);
    section->problem = (struct tg_problem){ 400, "a field that the codec finds invalid" };
}

bool tg_h2_section_join_cookies(struct tg_h2_section *section)
{
    struct tg_field *first = NULL;
    if (section->crumbs < 2)
        return true;
    size_t length = section->crumb_bytes + 2 * (size_t)(section->crumbs - 1);
    char *text = tg_arena_alloc(section->arena, length), *at = text;
    if (!text)
        return refuse(section, 500, tg_problem_memory);
    for (uint32_t i = 0; i < section->fields.count; i++) {
        struct tg_field *line = &section->fields.lines[i];
        if (line->token != TG_FIELD_COOKIE)
            continue;
        if (first) {
            memcpy(at, "; ", 2);
            at += 2;
            line->removed = true;
            first->sensitive |= line->sensitive;
        } else {
            first = line;
        }
        if (line->value.length)
            memcpy(at, line->value.at, line->value.length);
        at += line->value.length;
    }
    first->value = tg_slice_of(text, length);
    return true;
}

bool tg_h2_trailers(struct tg_h2_section *section, bool end, struct tg_fields *out, struct tg_problem *problem)
{
    if (!end)
        refuse(section, 400, "trailers without END_STREAM");
    *problem = section->problem;
    if (problem->status)
        return false;
    for (uint32_t i = 0; i < section->fields.count; i++) {
        struct tg_field *line = &section->fields.lines[i];
        line->removed = line->removed || !tg_h1_trailer_allowed(line);
    }
    *out = section->fields;
    return true;
}
