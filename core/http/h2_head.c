/* Sections to heads: the rules of RFC 9113 8.1.1, 8.3 and RFC 8441, by the same functions that decide for HTTP/1. */
#include "http/byte_class.h"
#include "http/h1_lines.h"
#include "http/h2_section.h"

static bool refuse(struct tg_problem *problem, const char *reason)
{
    return tg_problem_refuse(problem, 400, reason);
}

static bool has(const struct tg_h2_section *section, enum tg_h2_pseudo pseudo)
{
    return tg_h2_section_has(section, pseudo);
}

/* --- requests --- */

static bool take_method(const struct tg_h2_section *section, struct tg_request_head *out, struct tg_problem *problem)
{
    if (!has(section, TG_H2_PSEUDO_METHOD))
        return refuse(problem, "no :method");
    struct tg_slice text = section->pseudo[TG_H2_PSEUDO_METHOD];
    out->method_text = text;
    out->method = tg_method_of(text);
    if (out->method != TG_METHOD_OTHER || tg_method_valid(text))
        return true;
    if (tg_field_name_valid(text))
        return tg_problem_refuse(problem, 501, "a method of more than 64 bytes");
    return refuse(problem, "an invalid method");
}

/* RFC 9113 8.5, RFC 8441 4 */
static bool decide_connect(const struct tg_h2_section *section, const struct tg_h2_request_context *context,
                           struct tg_request_head *out, struct tg_problem *problem)
{
    bool connect = out->method == TG_METHOD_CONNECT, extended = has(section, TG_H2_PSEUDO_PROTOCOL);
    if (extended && !(connect && context->extended_connect))
        return refuse(problem, ":protocol, which wasn't offered or doesn't go with the method");
    if (!connect)
        return true;
    if (!extended && (has(section, TG_H2_PSEUDO_PATH) || has(section, TG_H2_PSEUDO_SCHEME)))
        return refuse(problem, "CONNECT with :scheme or :path");
    if (!extended)
        return tg_problem_refuse(problem, 405, "CONNECT is not supported");
    if (!tg_slice_equal(section->pseudo[TG_H2_PSEUDO_PROTOCOL], TG_SLICE("websocket")))
        return tg_problem_refuse(problem, 501, "an extended CONNECT for another protocol than websocket");
    out->method = TG_METHOD_GET;
    out->method_text = TG_SLICE("GET");
    out->upgrade = TG_SLICE("websocket");
    out->extended_connect = true;
    return true;
}

/* Which scheme it was, the connection tells [V07]. */
static bool check_scheme(const struct tg_h2_section *section, struct tg_problem *problem)
{
    struct tg_slice scheme = section->pseudo[TG_H2_PSEUDO_SCHEME];
    if (tg_slice_equal_ignoring_case(scheme, TG_SLICE("http")) ||
        tg_slice_equal_ignoring_case(scheme, TG_SLICE("https")))
        return true;
    return refuse(problem, "no :scheme, or another than http and https");
}

static bool take_target(const struct tg_h2_section *section, struct tg_arena *arena, struct tg_request_head *out,
                        struct tg_problem *problem)
{
    struct tg_slice path = section->pseudo[TG_H2_PSEUDO_PATH];
    bool asterisk = tg_slice_equal(path, TG_SLICE("*"));
    if (path.length == 0 || (path.at[0] != '/' && !asterisk))
        return refuse(problem, "no :path, or one that doesn't begin with a slash");
    if (asterisk && out->method != TG_METHOD_OPTIONS)
        return refuse(problem, "the target '*' with another method than OPTIONS");
    return tg_target_parse(path, false, arena, &out->target, problem);
}

static bool parse_authority(struct tg_slice text, bool secure, struct tg_arena *arena, struct tg_authority *out,
                            struct tg_problem *problem)
{
    const char *reason = NULL;
    return tg_authority_parse_with(text, secure ? 443 : 80, arena, out, &reason) ||
           tg_problem_refuse_for(problem, reason);
}

/* RFC 9113 8.3.1: one of :authority and Host, or both with the same meaning [V08]. Host then says it to whoever reads
 * it. */
static bool reconcile_authority(const struct tg_h2_section *section, bool secure, struct tg_arena *arena,
                                struct tg_request_head *out, struct tg_problem *problem)
{
    struct tg_slice none = { 0 };
    struct tg_authority by_host;
    const struct tg_field *host = tg_fields_find(&out->fields, TG_FIELD_HOST, none);
    bool has_authority = has(section, TG_H2_PSEUDO_AUTHORITY);
    if (!host && !has_authority)
        return refuse(problem, "neither :authority nor Host");
    if (host && tg_fields_find_next(&out->fields, host))
        return refuse(problem, "more than one Host");
    if (host && !parse_authority(host->value, secure, arena, &by_host, problem))
        return false;
    if (!has_authority)
        out->authority = by_host;
    else if (!parse_authority(section->pseudo[TG_H2_PSEUDO_AUTHORITY], secure, arena, &out->authority, problem))
        return false;
    else if (host && !tg_slice_equal(by_host.text, out->authority.text))
        return refuse(problem, ":authority and Host differ");
    if (host)
        out->fields.lines[host - out->fields.lines].value = out->authority.text;
    else if (!tg_fields_append(&out->fields, TG_FIELD_HOST, tg_field_name_text(TG_FIELD_HOST), out->authority.text))
        return tg_problem_refuse_for(problem, tg_problem_memory);
    return true;
}

/* The end of the stream delimits the body; a length has to agree with it (RFC 9113 8.1.1). */
static bool decide_framing(bool end, struct tg_request_head *out, struct tg_problem *problem)
{
    out->framing = end || out->extended_connect ? TG_FRAMING_NONE : TG_FRAMING_CHUNKED;
    if (out->extended_connect || !tg_fields_has(&out->fields, TG_FIELD_CONTENT_LENGTH))
        return true;
    out->framing = TG_FRAMING_LENGTH;
    if (!tg_h1_content_length(&out->fields, &out->content_length, problem))
        return false;
    if (end && out->content_length > 0)
        return refuse(problem, "a content-length, and no body");
    return true;
}

bool tg_h2_request_head(struct tg_h2_section *section, const struct tg_h2_request_context *context,
                        struct tg_request_head *out, struct tg_problem *problem)
{
    struct tg_slice none = { 0 };
    struct tg_arena *arena = section->arena;
    *out = (struct tg_request_head){ .version = TG_HTTP_2, .keep_alive = true };
    bool joined = tg_h2_section_join_cookies(section);
    out->fields = section->fields;
    out->method_text = section->pseudo[TG_H2_PSEUDO_METHOD];
    out->method = tg_method_of(out->method_text);
    *problem = section->problem;
    if (!joined || problem->status)
        return false;
    if (!take_method(section, out, problem) || !decide_connect(section, context, out, problem) ||
        !check_scheme(section, problem) || !take_target(section, arena, out, problem) ||
        !reconcile_authority(section, context->secure, arena, out, problem) ||
        !decide_framing(context->end, out, problem) || !tg_h1_take_expectation(out, problem))
        return false;
    out->te_trailers = tg_fields_remove(&out->fields, TG_FIELD_TE, none) > 0;
    return true;
}

/* --- responses --- */

static bool refuse_response(struct tg_problem *problem, const char *reason)
{
    return tg_problem_refuse(problem, 502, reason);
}

static bool take_status(const struct tg_h2_section *section, bool end, struct tg_response_head *out,
                        struct tg_problem *problem)
{
    struct tg_slice text = section->pseudo[TG_H2_PSEUDO_STATUS];
    if (text.length != 3 || !tg_byte_is_digit(text.at[0]) || !tg_byte_is_digit(text.at[1]) ||
        !tg_byte_is_digit(text.at[2]))
        return refuse_response(problem, "no :status, or one that isn't three digits");
    int status = (text.at[0] - '0') * 100 + (text.at[1] - '0') * 10 + (text.at[2] - '0');
    if (status < 100 || status > 599)
        return refuse_response(problem, "a status outside 100 to 599");
    if (status == 101)
        return refuse_response(problem, "101, which HTTP/2 doesn't have");
    if (status < 200 && end)
        return refuse_response(problem, "an informational response that ends the stream");
    out->status = (uint16_t)status;
    return true;
}

bool tg_h2_response_head(struct tg_h2_section *section, bool end, struct tg_response_head *out,
                         struct tg_problem *problem)
{
    *out = (struct tg_response_head){ .version = TG_HTTP_2, .keep_alive = true, .fields = section->fields };
    *problem = section->problem;
    if (problem->status) {
        problem->status = 502;
        return false;
    }
    if (!take_status(section, end, out, problem))
        return false;
    out->framing = end ? TG_FRAMING_NONE : TG_FRAMING_CHUNKED;
    out->has_content_length = tg_fields_has(&out->fields, TG_FIELD_CONTENT_LENGTH);
    if (!out->has_content_length)
        return true;
    out->framing = TG_FRAMING_LENGTH;
    if (tg_h1_content_length(&out->fields, &out->content_length, problem))
        return true;
    problem->status = 502;
    return false;
}
