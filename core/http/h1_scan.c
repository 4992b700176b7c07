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

/* Takes the line whose CRLF starts at `length`. DONE: that was the empty one. MORE: go on. */
static enum tg_h1_result take_line(struct tg_h1_scan *scan, size_t length, const struct tg_http_limits *limits,
                                   struct tg_problem *problem)
{
    bool empty = length == scan->line_start;
    bool first = scan->lines == 0;
    scan->scanned = scan->line_start = length + 2;
    if (empty && first && length > 0)
        return refuse(problem, 400, "more than one empty line before the start line");
    if (empty)
        return first ? TG_H1_MORE : TG_H1_DONE;
    if (scan->lines++ > limits->fields)
        return refuse(problem, 431, "more field lines than the limit");
    return TG_H1_MORE;
}

enum tg_h1_result tg_h1_scan_head(struct tg_h1_scan *scan, struct tg_slice input, const struct tg_http_limits *limits,
                                  size_t *head_length, struct tg_problem *problem)
{
    bool cut = input.length > limits->head;
    const char *end = input.at + (cut ? limits->head : input.length);
    for (;;) {
        const char *at = tg_scan_line_end(input.at + scan->scanned, end);
        scan->scanned = (size_t)(at - input.at);
        if (at == end || (*at == '\r' && at + 1 == end))
            return need_more(scan, cut, limits, problem);
        if (start_line_too_long(scan, scan->scanned, limits))
            return refuse(problem, 414, "a start line beyond the limit");
        if (*at == '\n')
            return refuse(problem, 400, "bare LF in the head");
        if (at[1] != '\n')
            return refuse(problem, 400, "bare CR in the head");
        enum tg_h1_result result = take_line(scan, scan->scanned, limits, problem);
        if (result == TG_H1_MORE)
            continue;
        *head_length = scan->scanned;
        return result;
    }
}
