#include "h1_feed.h"

#include <stdlib.h>

#include "http/h1_write.h"

struct tg_http_limits feed_limits = TG_HTTP_LIMITS_DEFAULT;

static const char *const versions[] = { "1.0", "1.1", "2" };
static const char *const framings[] = { "none", "length", "chunked", "close" };

static char *exact_copy(struct tg_slice bytes)
{
    char *copy = malloc(bytes.length ? bytes.length : 1);
    if (!copy)
        abort();
    if (bytes.length)
        memcpy(copy, bytes.at, bytes.length);
    return copy;
}

static void describe_fields(const struct tg_fields *fields, struct tg_text *out)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct tg_field *line = &fields->lines[i];
        if (line->removed || line->own)
            continue;
        tg_text_append(out, TG_SLICE("\n"));
        for (size_t at = 0; at < line->name.length; at++) {
            char byte = (char)tg_ascii_lower((unsigned char)line->name.at[at]);
            tg_text_append(out, tg_slice_of(&byte, 1));
        }
        tg_text_append(out, TG_SLICE(": "));
        tg_text_append(out, line->value);
    }
}

static void describe_framing(enum tg_framing framing, uint64_t length, struct tg_text *out)
{
    tg_text_appendf(out, " body=%s", framings[framing]);
    if (framing == TG_FRAMING_LENGTH)
        tg_text_appendf(out, ":%llu", (unsigned long long)length);
}

static void describe_request(const struct tg_request_head *head, struct tg_text *out)
{
    tg_text_append(out, head->method_text);
    tg_text_append(out, TG_SLICE(" "));
    tg_text_append(out, head->target.path);
    if (head->target.has_query) {
        tg_text_append(out, TG_SLICE("?"));
        tg_text_append(out, head->target.query);
    }
    tg_text_appendf(out, " %s host=", versions[head->version]);
    tg_text_append(out, head->authority.text);
    describe_framing(head->framing, head->content_length, out);
    if (head->keep_alive)
        tg_text_append(out, TG_SLICE(" keep"));
    if (head->expect_continue)
        tg_text_append(out, TG_SLICE(" continue"));
    if (head->te_trailers)
        tg_text_append(out, TG_SLICE(" te"));
    if (head->upgrade.length) {
        tg_text_append(out, TG_SLICE(" upgrade="));
        tg_text_append(out, head->upgrade);
    }
    describe_fields(&head->fields, out);
}

static void describe_response(const struct tg_response_head *head, struct tg_text *out)
{
    tg_text_appendf(out, "%d %s", head->status, versions[head->version]);
    describe_framing(head->framing, head->content_length, out);
    if (head->keep_alive)
        tg_text_append(out, TG_SLICE(" keep"));
    if (head->upgrade.length) {
        tg_text_append(out, TG_SLICE(" upgrade="));
        tg_text_append(out, head->upgrade);
    }
    describe_fields(&head->fields, out);
}

static void describe_problem(const struct tg_problem *problem, struct tg_text *out)
{
    tg_text_clear(out);
    tg_text_appendf(out, "%d %s", problem->status, problem->reason);
}

static bool describe_head(enum feed_kind kind, struct tg_slice head, struct tg_arena *arena, struct tg_text *out,
                          struct tg_problem *problem)
{
    if (kind == FEED_REQUEST) {
        struct tg_request_head request;
        if (!tg_h1_parse_request(head, &feed_limits, arena, &request, problem))
            return false;
        describe_request(&request, out);
        return true;
    }
    struct tg_response_head response;
    if (!tg_h1_parse_response(head, &feed_limits, arena, &response, problem))
        return false;
    describe_response(&response, out);
    return true;
}

static void parse_and_describe(enum feed_kind kind, struct tg_slice head, size_t behind, struct tg_text *out)
{
    struct tg_arena arena;
    struct tg_problem problem = { 0 };
    char *copy = exact_copy(head);
    tg_arena_init(&arena);
    if (!describe_head(kind, tg_slice_of(copy, head.length), &arena, out, &problem))
        describe_problem(&problem, out);
    else if (behind)
        tg_text_appendf(out, "\n(%zu behind)", behind);
    tg_arena_deinit(&arena);
    free(copy);
}

/* The next amount of input to show: first_cut bytes, then `step` more each time. */
static size_t next_length(size_t shown, size_t first_cut, size_t step, size_t all)
{
    size_t next = shown < first_cut ? first_cut : shown + step;
    return next < all ? next : all;
}

static void feed_head(enum feed_kind kind, struct tg_slice input, size_t first_cut, size_t step, struct tg_text *out)
{
    struct tg_h1_scan scan = { 0 };
    struct tg_problem problem = { 0 };
    size_t shown = 0, length = 0;
    enum tg_h1_result result = TG_H1_MORE;
    while (result == TG_H1_MORE && shown < input.length) {
        shown = next_length(shown, first_cut, step, input.length);
        char *copy = exact_copy(tg_slice_of(input.at, shown));
        result = tg_h1_scan_head(&scan, tg_slice_of(copy, shown), &feed_limits, &length, &problem);
        free(copy);
    }
    if (result == TG_H1_DONE)
        parse_and_describe(kind, tg_slice_of(input.at, length), input.length - length, out);
    else if (result == TG_H1_ERROR)
        describe_problem(&problem, out);
    else
        tg_text_append(out, TG_SLICE("more"));
}

struct chunked_feed {
    struct tg_h1_chunked decoder;
    struct tg_fields trailers;
    struct tg_problem problem;
    enum tg_h1_chunk_event event;
    size_t used; /* of the whole input */
};

/* Gives one piece of input to the decoder. */
static void feed_piece(struct chunked_feed *feed, struct tg_slice piece, struct tg_text *out)
{
    char *copy = exact_copy(piece);
    size_t at = 0;
    do {
        size_t used = 0;
        struct tg_slice data = { 0 };
        feed->event = tg_h1_chunked_next(&feed->decoder, tg_slice_of(copy + at, piece.length - at), &used, &data,
                                         &feed->trailers, &feed->problem);
        tg_text_append(out, data);
        at += used;
    } while (feed->event == TG_H1_CHUNK_DATA);
    feed->used += at;
    free(copy);
}

static void feed_chunked(struct tg_slice input, size_t first_cut, size_t step, struct tg_text *out)
{
    struct chunked_feed feed = { .event = TG_H1_CHUNK_MORE };
    struct tg_arena arena;
    size_t shown = 0;
    tg_arena_init(&arena);
    tg_h1_chunked_init(&feed.decoder, &arena, &feed_limits);
    while (feed.event == TG_H1_CHUNK_MORE && shown < input.length) {
        size_t next = next_length(shown, first_cut, step, input.length);
        feed_piece(&feed, tg_slice_of(input.at + shown, next - shown), out);
        shown = next;
    }
    if (feed.event == TG_H1_CHUNK_ERROR) {
        describe_problem(&feed.problem, out);
    } else if (feed.event == TG_H1_CHUNK_MORE) {
        tg_text_append(out, TG_SLICE("...more"));
    } else {
        tg_text_append(out, TG_SLICE("|"));
        describe_fields(&feed.trailers, out);
        if (feed.used < input.length)
            tg_text_appendf(out, "\n(%zu behind)", input.length - feed.used);
    }
    tg_arena_deinit(&arena);
}

void feed_describe(enum feed_kind kind, struct tg_slice input, size_t first_cut, size_t step, struct tg_text *out)
{
    tg_text_clear(out);
    if (kind == FEED_CHUNKED)
        feed_chunked(input, first_cut, step, out);
    else
        feed_head(kind, input, first_cut, step, out);
}

static bool feeds_alike(enum feed_kind kind, struct tg_slice input, size_t first_cut, size_t step,
                        const struct tg_text *whole, struct tg_text *other)
{
    feed_describe(kind, input, first_cut, step, other);
    return tg_slice_equal(tg_text_slice(whole), tg_text_slice(other));
}

const char *feed_every_way(enum feed_kind kind, struct tg_slice input, struct tg_text *whole,
                           struct tg_text *difference)
{
    feed_describe(kind, input, input.length, 1, whole);
    size_t stride = input.length > 2000 ? input.length / 97 : 1;
    for (size_t cut = 1; cut < input.length; cut += stride)
        if (!feeds_alike(kind, input, cut, input.length, whole, difference))
            return NULL;
    return feeds_alike(kind, input, stride, stride, whole, difference) ? whole->at : NULL;
}

/* A host without scheme is read as one of http, where ":80" is left out. */
static bool has_lasting_host(const struct tg_request_head *head)
{
    return head->authority.text.length > 0 && head->target.scheme.length != sizeof("https") - 1;
}

/* Each head is parsed where it stands; the written one is left in *written, from malloc. */
static bool rewrite_request(struct tg_slice input, struct tg_arena *arena, char **written, size_t *length)
{
    struct tg_request_head head;
    struct tg_problem problem;
    if (!tg_h1_parse_request(input, &feed_limits, arena, &head, &problem) || !has_lasting_host(&head))
        return false;
    struct tg_h1_framing framing = { .framing = head.framing,
                                     .length = head.content_length,
                                     .close = !head.keep_alive,
                                     .upgrade = head.upgrade,
                                     .te_trailers = head.te_trailers };
    size_t bound = tg_h1_request_bound(&head, &framing);
    *written = malloc(bound);
    *length = tg_h1_write_request(&head, &framing, false, *written, bound);
    return true;
}

static bool rewrite_response(struct tg_slice input, struct tg_arena *arena, char **written, size_t *length)
{
    struct tg_response_head head;
    struct tg_problem problem;
    if (!tg_h1_parse_response(input, &feed_limits, arena, &head, &problem))
        return false;
    struct tg_h1_framing framing = {
        .framing = head.framing, .length = head.content_length, .close = !head.keep_alive, .upgrade = head.upgrade
    };
    size_t bound = tg_h1_response_bound(&head, &framing);
    *written = malloc(bound);
    *length = tg_h1_write_response(&head, &framing, TG_SLICE("Thu, 01 Jan 1970 00:00:00 GMT"), *written, bound);
    return true;
}

static void drop_bytes(struct tg_text *text, char *at, size_t length)
{
    memmove(at, at + length, (size_t)(text->at + text->length - at) - length + 1);
    text->length -= length;
}

/* What the writer adds or decides itself is left out of the comparison: the version and a date. */
static void make_comparable(enum feed_kind kind, struct tg_text *text)
{
    static const char date[] = "\ndate: Thu, 01 Jan 1970 00:00:00 GMT";
    char *behind_version = strstr(text->at, kind == FEED_REQUEST ? " host=" : " body=");
    if (behind_version)
        drop_bytes(text, behind_version - 4, 4);
    char *added = strstr(text->at, date);
    if (added)
        drop_bytes(text, added, sizeof date - 1);
}

const char *feed_check_rewrite(enum feed_kind kind, struct tg_slice input, struct tg_text *first,
                               struct tg_text *second)
{
    struct tg_arena arena;
    char *written = NULL;
    size_t length = 0;
    feed_describe(kind, input, input.length, 1, first);
    tg_arena_init(&arena);
    char *copy = exact_copy(input);
    bool parsed = kind == FEED_REQUEST ? rewrite_request(tg_slice_of(copy, input.length), &arena, &written, &length)
                                       : rewrite_response(tg_slice_of(copy, input.length), &arena, &written, &length);
    if (parsed)
        feed_describe(kind, tg_slice_of(written, length), length, 1, second);
    tg_arena_deinit(&arena);
    free(written);
    free(copy);
    if (!parsed)
        return NULL;
    if (length == 0)
        return "the bound didn't suffice";
    make_comparable(kind, first);
    make_comparable(kind, second);
    return tg_slice_equal(tg_text_slice(first), tg_text_slice(second)) ? NULL : "the written head reads otherwise";
}
