#include "http/h1_lines.h"

#include "http/byte_scan.h"

enum { NAME_MAX = 65535 };

static bool refuse_name(struct tg_slice name, struct tg_problem *problem)
{
    if (name.length == 0)
        return tg_problem_refuse(problem, 400, "an empty field name");
    if (tg_byte_is_blank(name.at[0]))
        return tg_problem_refuse(problem, 400, "a folded line, or a blank before a field name");
    if (tg_byte_is_blank(name.at[name.length - 1]))
        return tg_problem_refuse(problem, 400, "a blank before the colon of a field");
    return tg_problem_refuse(problem, 400, "a line without a colon or with an invalid field name");
}

static bool check_other_name(struct tg_slice name, struct tg_problem *problem)
{
    if (name.length > NAME_MAX)
        return tg_problem_refuse(problem, 431, "a field name beyond the limit");
    if (!tg_field_name_valid(name))
        return refuse_name(name, problem);
    if (tg_field_name_near_framing(name))
        return tg_problem_refuse(problem, 400, "a near-name of a framing field");
    return true;
}

static inline bool is_crlf(const char *at)
{
    return at[0] == '\r' && at[1] == '\n';
}

/* Takes "name: value CRLF" and returns what is behind it, or NULL. The text ends in CRLF, which stops every search
 * here. */
static const char *parse_line(const char *floor, const char *at, const char *end, struct tg_fields *fields,
                              struct tg_problem *problem)
{
    const char *colon = tg_scan_colon(floor, at, end);
    struct tg_slice name = tg_slice_of(at, (size_t)(colon - at));
    enum tg_field_name token = tg_field_name_of(name);
    if (token == TG_FIELD_OTHER && (!check_other_name(name, problem) || colon == end))
        return NULL;
    const char *value = colon + 1;
    value += *value == ' ';
    while (tg_byte_is_blank(*value))
        value++;
    const char *line_end = tg_scan_control(floor, value, end);
    if (!is_crlf(line_end)) {
        tg_problem_refuse(problem, 400, "a control byte in a field value");
        return NULL;
    }
    const char *value_end = line_end;
    while (value_end > value && tg_byte_is_blank(value_end[-1]))
        value_end--;
    if (tg_fields_append(fields, token, name, tg_slice_of(value, (size_t)(value_end - value))))
        return line_end + 2;
    tg_problem_refuse_for(problem, tg_problem_memory);
    return NULL;
}

bool tg_h1_parse_lines(struct tg_slice text, const struct tg_http_limits *limits, struct tg_fields *fields,
                       struct tg_problem *problem)
{
    const char *at = text.at, *end = text.at + text.length;
    if (text.length < 2 || !is_crlf(end - 2))
        return tg_problem_refuse(problem, 400, "fields that don't end in an empty line");
    for (size_t room = limits->fields; end - at > 2; room--) {
        if (room == 0)
            return tg_problem_refuse(problem, 431, "more field lines than the limit");
        at = parse_line(text.at, at, end, fields, problem);
        if (!at)
            return false;
    }
    if (end - at != 2)
        return tg_problem_refuse(problem, 400, "fields that don't end in an empty line");
    return true;
}
