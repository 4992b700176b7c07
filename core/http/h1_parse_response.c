#include "http/byte_scan.h"
#include "http/h1_lines.h"
#include "http/h1_parse.h"

static bool refuse(struct tg_problem *problem, const char *reason)
{
    return tg_problem_refuse(problem, 502, reason);
}

/* Takes "HTTP/1.x SP 3DIGIT [SP reason] CRLF" and leaves *rest behind it. Servers that leave out the last blank where
 * there is no reason are many, and it changes nothing. */
static bool parse_status_line(struct tg_slice *rest, struct tg_response_head *out, struct tg_problem *problem)
{
    const char *at = rest->at, *end = at + rest->length;
    if (rest->length < 14 || memcmp(at, "HTTP/1.", 7) != 0 || (at[7] != '0' && at[7] != '1') || at[8] != ' ')
        return refuse(problem, "a status line of another version than HTTP/1.0 and HTTP/1.1");
    out->version = at[7] == '1' ? TG_HTTP_1_1 : TG_HTTP_1_0;
    if (!tg_byte_is_digit(at[9]) || !tg_byte_is_digit(at[10]) || !tg_byte_is_digit(at[11]) ||
        (at[12] != ' ' && at[12] != '\r'))
        return refuse(problem, "a status that isn't three digits");
    int status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
    if (status < 100 || status > 599)
        return refuse(problem, "a status outside 100 to 599");
    out->status = (uint16_t)status;
    const char *line_end = tg_scan_control(at, at + 12, end);
    if (end - line_end < 2 || line_end[0] != '\r' || line_end[1] != '\n')
        return refuse(problem, "a control byte in the reason phrase");
    *rest = tg_slice_of(line_end + 2, (size_t)(end - line_end - 2));
    return true;
}

static bool decide_framing(struct tg_response_head *out, struct tg_problem *problem)
{
    out->has_content_length = tg_fields_has(&out->fields, TG_FIELD_CONTENT_LENGTH);
    out->framing = TG_FRAMING_CLOSE;
    if (tg_fields_has(&out->fields, TG_FIELD_TRANSFER_ENCODING)) {
        if (out->has_content_length)
            return refuse(problem, "both Content-Length and Transfer-Encoding");
        if (out->version == TG_HTTP_1_0)
            return refuse(problem, "Transfer-Encoding in HTTP/1.0");
        out->framing = TG_FRAMING_CHUNKED;
        return tg_h1_only_chunked(&out->fields, problem);
    }
    if (!out->has_content_length)
        return true;
    out->framing = TG_FRAMING_LENGTH;
    return tg_h1_content_length(&out->fields, &out->content_length, problem);
}

/* Upgrade is meant for this hop; only a 101 hands it on. */
static bool decide_connection(struct tg_response_head *out, struct tg_problem *problem)
{
    struct tg_h1_hop hop;
    tg_h1_take_hop(&out->fields, &hop);
    if (out->status != 101)
        hop.upgrade = false;
    out->keep_alive = !hop.close && (out->version == TG_HTTP_1_1 || hop.keep_alive);
    if (!tg_h1_take_upgrade(&out->fields, &hop, &out->upgrade))
        return refuse(problem, tg_problem_memory);
    return true;
}

bool tg_h1_parse_response(struct tg_slice head, const struct tg_http_limits *limits, struct tg_arena *arena,
                          struct tg_response_head *out, struct tg_problem *problem)
{
    struct tg_slice rest = head;
    *out = (struct tg_response_head){ 0 };
    tg_fields_init(&out->fields, arena);
    if (parse_status_line(&rest, out, problem) && tg_h1_parse_lines(rest, limits, &out->fields, problem) &&
        decide_framing(out, problem) && decide_connection(out, problem))
        return true;
    problem->status = 502; /* whatever it would be in a request */
    return false;
}
