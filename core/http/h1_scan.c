#include "http/byte_scan.h"
#include "http/h1_parse.h"

/* What may stand beside the target in a request line: a method of at most 64 bytes, the version, blanks. */
enum { START_LINE_EXTRA = 64 + 16 };

static enum tg_h1_result refuse(struct tg_problem *problem, int status, const char *reason)
{
    *problem = (struct tg_problem){ status, reason };
    return TG_H1_ERROR;
}

/* The line that ends at `length` is too long for a start line. Asked wherever a scan stops, so that the answer doesn't
 * depend on how the input was cut. */
static bool start_line_too_long(const struct tg_h1_scan *scan, size_t length, const struct tg_http_limits *limits)
{
    return scan->lines == 0 && length - scan->line_start > limits->target + START_LINE_EXTRA;
}

static enum tg_h1_result need_more(const struct tg_h1_scan *scan, bool cut, const struct tg_http_limits *limits,
                                   struct tg_problem *problem)
{
    if (start_line_too_long(scan, scan->scanned, limits))
        return refuse(problem, 414, "a start line beyond the limit");
    if (cut)
        return refuse(problem, 431, "a head beyond the limit");
    return TG_H1_MORE;
}

/* Looks at the two bytes that end a line, which must be CRLF. */
static enum tg_h1_result check_line_end(const struct tg_h1_scan *scan, const char *at,
                                        const struct tg_http_limits *limits, struct tg_problem *problem)
{
    if (start_line_too_long(scan, scan->scanned, limits))
        return refuse(problem, 414, "a start line beyond the limit");
    if (at[0] == '\n')
        return refuse(problem, 400, "bare LF in the head");
    if (at[1] != '\n')
        return refuse(problem, 400, "bare CR in the head");
    return TG_H1_DONE;
}

/* Takes the line whose CRLF starts at scan->scanned. DONE: that was the empty one. MORE: go on. */
static enum tg_h1_result take_line(struct tg_h1_scan *scan, const struct tg_http_limits *limits,
                                   struct tg_problem *problem)
{
    size_t start = scan->line_start, length = scan->scanned - start;
    scan->scanned += 2;
    scan->line_start = scan->scanned;
    if (length > 0) {
        if (scan->lines++ <= limits->fields)
            return TG_H1_MORE;
        return refuse(problem, 431, "more field lines than the limit");
    }
    if (scan->lines > 0)
        return TG_H1_DONE;
    return start == 0 ? TG_H1_MORE : refuse(problem, 400, "more than one empty line before the start line");
}

/* Takes field lines as long as nothing is special about them; *at is left where something is. */
static void take_plain_lines(struct tg_h1_scan *scan, const char **at, const char *start, const char *end,
                             size_t most_lines)
{
    const char *line = start + scan->line_start;
    while (scan->lines > 0 && scan->lines <= most_lines && end - *at >= 2 && *at != line && (*at)[0] == '\r' &&
           (*at)[1] == '\n') {
        scan->lines++;
        line = *at + 2;
        *at = tg_scan_line_end(start, line, end);
    }
    scan->line_start = (size_t)(line - start);
}

enum tg_h1_result tg_h1_scan_head(struct tg_h1_scan *scan, struct tg_slice input, const struct tg_http_limits *limits,
                                  size_t *head_length, struct tg_problem *problem)
{
    bool cut = input.length > limits->head;
    const char *end = input.at + (cut ? limits->head : input.length);
    enum tg_h1_result result = TG_H1_MORE;
    while (result == TG_H1_MORE) {
        const char *at = tg_scan_line_end(input.at, input.at + scan->scanned, end);
        take_plain_lines(scan, &at, input.at, end, limits->fields);
        scan->scanned = (size_t)(at - input.at);
        if (end - at < 2 && (at == end || *at == '\r'))
            return need_more(scan, cut, limits, problem);
        result = check_line_end(scan, at, limits, problem);
        if (result == TG_H1_DONE)
            result = take_line(scan, limits, problem);
    }
    *head_length = scan->scanned;
    return result;
}
