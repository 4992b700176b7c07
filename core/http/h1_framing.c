/* Content-Length and Transfer-Encoding: whoever reads these otherwise than the next hop lets one message become two. */
#include "http/h1_lines.h"
#include "http/message.h"

enum { LENGTH_DIGITS = 19 };

bool tg_h1_content_length(const struct tg_fields *fields, uint64_t *length, struct tg_problem *problem)
{
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_CONTENT_LENGTH, (struct tg_slice){ 0 });
    if (tg_fields_find_next(fields, line))
        return tg_problem_refuse(problem, 400, "more than one Content-Length");
    if (line->value.length > LENGTH_DIGITS || !tg_slice_to_u64(line->value, length))
        return tg_problem_refuse(problem, 400, "a malformed Content-Length");
    return true;
}

struct codings {
    size_t chunked, others;
    bool empty_member, chunked_last;
};

static void count_codings(const struct tg_fields *fields, struct codings *codings)
{
    const struct tg_field *line = tg_fields_find(fields, TG_FIELD_TRANSFER_ENCODING, (struct tg_slice){ 0 });
    for (; line; line = tg_fields_find_next(fields, line)) {
        struct tg_slice rest = line->value, coding;
        while (tg_list_next(&rest, &coding)) {
            codings->chunked_last = tg_slice_equal_ignoring_case(coding, TG_SLICE("chunked"));
            codings->chunked += codings->chunked_last;
            codings->others += !codings->chunked_last;
            codings->empty_member |= coding.length == 0;
        }
    }
}

bool tg_h1_only_chunked(const struct tg_fields *fields, struct tg_problem *problem)
{
    struct codings codings = { 0 };
    count_codings(fields, &codings);
    if (codings.empty_member)
        return tg_problem_refuse(problem, 400, "an empty member in Transfer-Encoding");
    if (codings.chunked != 1 || !codings.chunked_last)
        return tg_problem_refuse(problem, 400, "a Transfer-Encoding whose one final coding isn't chunked");
    if (codings.others)
        return tg_problem_refuse(problem, 501, "a transfer coding beside chunked");
    return true;
}

bool tg_h1_take_expectation(struct tg_request_head *head, struct tg_problem *problem)
{
    struct tg_slice none = { 0 };
    const struct tg_field *line = tg_fields_find(&head->fields, TG_FIELD_EXPECT, none);
    if (!line)
        return true;
    if (tg_fields_find_next(&head->fields, line) ||
        !tg_slice_equal_ignoring_case(line->value, TG_SLICE("100-continue")))
        return tg_problem_refuse(problem, 417, "an Expect that isn't one 100-continue");
    bool body = head->framing == TG_FRAMING_CHUNKED || head->content_length > 0;
    head->expect_continue = body && head->version != TG_HTTP_1_0;
    if (!head->expect_continue)
        tg_fields_remove(&head->fields, TG_FIELD_EXPECT, none);
    return true;
}
