#include "http/byte_scan.h"
#include "http/uri.h"

TG_BYTE_SCAN tg_bytes16_mask match_no_query(tg_bytes16 bytes)
{
    return tg_match_invisible(bytes) | (tg_bytes16_mask)(bytes == '#');
}

TG_BYTE_SCAN bool is_no_query(char byte)
{
    return !tg_byte_is(byte, TG_BYTE_QUERY);
}

static bool is_query(const char *floor, struct tg_slice query)
{
    const char *end = query.at + query.length;
    return tg_scan_until(floor, query.at, end, match_no_query, is_no_query) == end;
}

bool tg_query_valid(struct tg_slice query)
{
    return query.length == 0 || is_query(query.at, query);
}

/* Takes "path" or "path?query". */
static bool parse_path_and_query(struct tg_slice text, struct tg_arena *arena, struct tg_target *target,
                                 struct tg_problem *problem)
{
    const char *reason = NULL;
    const char *mark = memchr(text.at, '?', text.length);
    target->raw_path = mark ? tg_slice_of(text.at, (size_t)(mark - text.at)) : text;
    if (mark) {
        target->has_query = true;
        target->query = tg_slice_from(text, target->raw_path.length + 1);
        if (!is_query(text.at, target->query))
            return tg_problem_refuse(problem, 400, "a byte in the query that no query has");
    }
    if (target->raw_path.length == 0)
        target->raw_path = TG_SLICE("/");
    if (!tg_path_normalise(target->raw_path, arena, &target->path, &reason))
        return tg_problem_refuse_for(problem, reason);
    return true;
}

static size_t scheme_length(struct tg_slice text)
{
    if (text.length >= 7 && tg_slice_equal_ignoring_case(tg_slice_of(text.at, 7), TG_SLICE("http://")))
        return 4;
    if (text.length >= 8 && tg_slice_equal_ignoring_case(tg_slice_of(text.at, 8), TG_SLICE("https://")))
        return 5;
    return 0;
}

/* RFC 9112 3.2.2: the authority ends at the first '/', '?' or '#'. */
static bool parse_absolute(struct tg_slice text, struct tg_arena *arena, struct tg_target *target,
                           struct tg_problem *problem)
{
    size_t length = scheme_length(text);
    if (length == 0)
        return tg_problem_refuse(problem, 400, "a target that is neither a path nor an http or https URI");
    target->form = TG_TARGET_ABSOLUTE;
    target->scheme = length == 4 ? TG_SLICE("http") : TG_SLICE("https");
    struct tg_slice rest = tg_slice_from(text, length + 3);
    size_t end = 0;
    while (end < rest.length && rest.at[end] != '/' && rest.at[end] != '?' && rest.at[end] != '#')
        end++;
    target->authority = tg_slice_of(rest.at, end);
    if (end == 0)
        return tg_problem_refuse(problem, 400, "an absolute target without a host");
    return parse_path_and_query(tg_slice_from(rest, end), arena, target, problem);
}

bool tg_target_parse(struct tg_slice text, bool connect, struct tg_arena *arena, struct tg_target *target,
                     struct tg_problem *problem)
{
    *target = (struct tg_target){ .form = TG_TARGET_ORIGIN };
    if (text.length == 0)
        return tg_problem_refuse(problem, 400, "an empty target");
    if (connect) {
        target->form = TG_TARGET_AUTHORITY;
        target->authority = text;
        return true;
    }
    if (text.at[0] == '/')
        return parse_path_and_query(text, arena, target, problem);
    if (text.length == 1 && text.at[0] == '*') {
        target->form = TG_TARGET_ASTERISK;
        target->raw_path = target->path = text;
        return true;
    }
    return parse_absolute(text, arena, target, problem);
}
