#include "http/byte_scan.h"
#include "http/h1_lines.h"
#include "http/h1_parse.h"

static bool parse_method(struct tg_slice text, struct tg_request_head *out, struct tg_problem *problem)
{
    out->method_text = text;
    out->method = tg_method_of(text);
    if (out->method == TG_METHOD_CONNECT)
        return tg_problem_refuse(problem, 405, "CONNECT is not supported");
    if (out->method != TG_METHOD_OTHER || tg_method_valid(text))
        return true;
    if (tg_field_name_valid(text))
        return tg_problem_refuse(problem, 501, "a method of more than 64 bytes");
    return tg_problem_refuse(problem, 400, "an invalid method");
}

/* Takes "HTTP/1.1 CRLF" and leaves *at behind it. */
static bool parse_version(const char **at, const char *end, enum tg_version *version, struct tg_problem *problem)
{
    const char *text = *at;
    if (end - text >= 10 && memcmp(text, "HTTP/1.1\r\n", 10) == 0) {
        *version = TG_HTTP_1_1;
        *at = text + 10;
        return true;
    }
    if (end - text < 10 || memcmp(text, "HTTP/", 5) != 0 || !tg_byte_is_digit(text[5]) || text[6] != '.' ||
        !tg_byte_is_digit(text[7]) || text[8] != '\r' || text[9] != '\n')
        return tg_problem_refuse(problem, 400, "a request line that doesn't end in a version");
    if (text[5] != '1' || text[7] > '1')
        return tg_problem_refuse(problem, 505, "another version than HTTP/1.0 and HTTP/1.1");
    *version = text[7] == '0' ? TG_HTTP_1_0 : TG_HTTP_1_1;
    *at = text + 10;
    return true;
}

/* Takes "METHOD SP target SP version CRLF" and leaves *rest behind it. */
static bool parse_request_line(struct tg_slice *rest, const struct tg_http_limits *limits, struct tg_arena *arena,
                               struct tg_request_head *out, struct tg_problem *problem)
{
    const char *at = rest->at, *end = at + rest->length;
    const char *method_end = tg_scan_invisible(at, at, end);
    if (method_end == end || *method_end != ' ')
        return tg_problem_refuse(problem, 400, "a malformed request line");
    const char *target = method_end + 1;
    const char *target_end = tg_scan_invisible(at, target, end);
    if (target_end == end || *target_end != ' ')
        return tg_problem_refuse(problem, 400, "a malformed request line");
    struct tg_slice text = tg_slice_of(target, (size_t)(target_end - target));
    if (text.length > limits->target)
        return tg_problem_refuse(problem, 414, "a target beyond the limit");
    const char *version = target_end + 1;
    if (!parse_method(tg_slice_of(at, (size_t)(method_end - at)), out, problem) ||
        !parse_version(&version, end, &out->version, problem) ||
        !tg_target_parse(text, false, arena, &out->target, problem))
        return false;
    if (out->target.form == TG_TARGET_ASTERISK && out->method != TG_METHOD_OPTIONS)
        return tg_problem_refuse(problem, 400, "the target '*' with another method than OPTIONS");
    *rest = tg_slice_of(version, (size_t)(end - version));
    return true;
}

/* RFC 9112 3.2: one valid Host in HTTP/1.1, whatever the target says; the authority of an absolute target wins over it,
 * and Host then says the same to whoever reads it. */
static bool reconcile_authority(struct tg_arena *arena, struct tg_request_head *out, struct tg_problem *problem)
{
    const char *reason = NULL;
    const struct tg_field *host = tg_fields_find(&out->fields, TG_FIELD_HOST, (struct tg_slice){ 0 });
    if (!host && out->version == TG_HTTP_1_1)
        return tg_problem_refuse(problem, 400, "no Host");
    if (host && tg_fields_find_next(&out->fields, host))
        return tg_problem_refuse(problem, 400, "more than one Host");
    if (host && !tg_authority_parse(host->value, arena, &out->authority, &reason))
        return tg_problem_refuse_for(problem, reason);
    uint16_t default_port = out->target.scheme.length == 5 ? 443 : 80;
    if (out->target.form == TG_TARGET_ABSOLUTE &&
        !tg_authority_parse_with(out->target.authority, default_port, arena, &out->authority, &reason))
        return tg_problem_refuse_for(problem, reason);
    if (host)
        out->fields.lines[host - out->fields.lines].value = out->authority.text;
    return true;
}

static bool decide_framing(struct tg_request_head *out, struct tg_problem *problem)
{
    bool length = tg_fields_has(&out->fields, TG_FIELD_CONTENT_LENGTH);
    if (tg_fields_has(&out->fields, TG_FIELD_TRANSFER_ENCODING)) {
        if (length)
            return tg_problem_refuse(problem, 400, "both Content-Length and Transfer-Encoding");
        if (out->version == TG_HTTP_1_0)
            return tg_problem_refuse(problem, 400, "Transfer-Encoding in HTTP/1.0");
        out->framing = TG_FRAMING_CHUNKED;
        return tg_h1_only_chunked(&out->fields, problem);
    }
    if (!length)
        return true;
    out->framing = TG_FRAMING_LENGTH;
    return tg_h1_content_length(&out->fields, &out->content_length, problem);
}

static bool decide_connection(struct tg_request_head *out, struct tg_problem *problem)
{
    struct tg_h1_hop hop;
    tg_h1_take_hop(&out->fields, &hop);
    if (out->version == TG_HTTP_1_0)
        hop.upgrade = false;
    out->keep_alive = !hop.close && (out->version == TG_HTTP_1_1 || hop.keep_alive);
    out->te_trailers = hop.te_trailers;
    if (!tg_h1_take_upgrade(&out->fields, &hop, &out->upgrade))
        return tg_problem_refuse_for(problem, tg_problem_memory);
    return true;
}

bool tg_h1_parse_request(struct tg_slice head, const struct tg_http_limits *limits, struct tg_arena *arena,
                         struct tg_request_head *out, struct tg_problem *problem)
{
    struct tg_slice rest = head;
    if (head.length >= 2 && head.at[0] == '\r' && head.at[1] == '\n')
        rest = tg_slice_from(head, 2);
    *out = (struct tg_request_head){ 0 };
    tg_fields_init(&out->fields, arena);
    return parse_request_line(&rest, limits, arena, out, problem) &&
           tg_h1_parse_lines(rest, limits, &out->fields, problem) && reconcile_authority(arena, out, problem) &&
           decide_framing(out, problem) && tg_h1_take_expectation(out, problem) && decide_connection(out, problem);
}
