/* Header sections made of any bytes: whatever is taken has to be sayable in HTTP/1 again, and mean the same there. The
 * input is a list of lines: name, 0x01, value, 0x02. Built like the others (fuzz.h), with -lnghttp2 and -lcrypto. */
#include "fuzz.h"

#include "http/h1_parse.h"
#include "http/h1_write.h"
#include "http/h2_head.h"

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static struct tg_slice until(struct tg_slice *rest, char end)
{
    const char *found = rest->length ? memchr(rest->at, end, rest->length) : NULL;
    size_t length = found ? (size_t)(found - rest->at) : rest->length;
    struct tg_slice part = tg_slice_of(rest->at, length);
    *rest = tg_slice_from(*rest, length + (found != NULL));
    return part;
}

static void collect(struct tg_h2_section *section, struct tg_slice rest)
{
    while (rest.length > 0) {
        struct tg_slice name = until(&rest, 1), value = until(&rest, 2);
        tg_h2_section_add(section, name, value, false);
    }
}

/* [V01] */
static void say_in_http_1(const struct tg_request_head *head, struct tg_arena *arena,
                          const struct tg_http_limits *limits)
{
    struct tg_h1_framing framing = { .framing = head->framing, .length = head->content_length };
    struct tg_http_limits wide = *limits;
    struct tg_request_head again;
    struct tg_problem problem;
    size_t bound = tg_h1_request_bound(head, &framing);
    char *text = tg_arena_alloc(arena, bound);
    require(text != NULL, "no memory");
    size_t length = tg_h1_write_request(head, &framing, false, text, bound);
    require(length > 0, "the bound is too small");
    wide.head *= 2;
    wide.fields *= 2;
    if (!tg_h1_parse_request(tg_slice_of(text, length), &wide, arena, &again, &problem)) {
        fprintf(stderr, "%s\n%.*s\n", problem.reason, (int)length, text);
        abort();
    }
    require(tg_slice_equal(again.authority.text, head->authority.text), "another host");
    require(tg_slice_equal(again.target.path, head->target.path), "another path");
    require(tg_slice_equal(again.method_text, head->method_text), "another method");
    require(again.framing == head->framing && again.content_length == head->content_length, "another framing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_http_limits limits = TG_HTTP_LIMITS_DEFAULT;
    struct tg_h2_section section;
    struct tg_arena arena;
    struct tg_problem problem;
    struct tg_request_head request;
    struct tg_response_head response;
    struct tg_fields trailers;
    struct tg_h2_lines lines;
    struct tg_slice input = tg_slice_of((const char *)data, size);
    struct tg_h2_request_context context = { .end = size & 1, .secure = size & 2, .extended_connect = true };
    tg_arena_init(&arena);
    tg_h2_section_init(&section, TG_H2_REQUEST, &arena, &limits);
    collect(&section, input);
    if (tg_h2_request_head(&section, &context, &request, &problem)) {
        struct tg_h2_request_writing writing = { .scheme = TG_SLICE("http") };
        require(tg_h2_write_request(&request, &writing, &arena, &lines), "no memory");
        if (!request.extended_connect)
            say_in_http_1(&request, &arena, &limits);
    }
    tg_h2_section_init(&section, TG_H2_RESPONSE, &arena, &limits);
    collect(&section, input);
    if (tg_h2_response_head(&section, false, &response, &problem))
        require(tg_h2_write_response(&response, true, TG_SLICE("now"), &arena, &lines), "no memory");
    tg_h2_section_init(&section, TG_H2_TRAILERS, &arena, &limits);
    collect(&section, input);
    if (tg_h2_trailers(&section, true, &trailers, &problem))
        require(tg_h2_write_trailers(&trailers, &arena, &lines), "no memory");
    tg_arena_deinit(&arena);
    return 0;
}
