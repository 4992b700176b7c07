/* The test origin's answers: from a plan to bytes in the output of a connection. */
#pragma once

#include "origin_request.h"

static void add_literal(struct connection *connection, const char *text)
{
    text_add(&connection->output, text, strlen(text));
}

static void add_framing(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    if (plan->chunked)
        add_literal(connection, "Transfer-Encoding: chunked\r\n");
    else if (plan->length != UNSET)
        text_print(&connection->output, "Content-Length: %lld\r\n", (long long)plan->length);
    else if (!plan->close && plan->status != 204 && plan->status != 304 && plan->status >= 200)
        text_print(&connection->output, "Content-Length: %llu\r\n", (unsigned long long)connection->total);
}

static void add_head(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    for (int64_t i = 0; i < plan->hints; i++)
        text_print(&connection->output, "HTTP/1.1 103 Early Hints\r\nLink: </%lld.css>; rel=preload\r\n\r\n",
                   (long long)i);
    text_print(&connection->output, "HTTP/1.1 %03d %s\r\n", plan->status, plan->reason ? plan->reason : "OK");
    for (size_t i = 0; i < plan->header_count; i++) {
        text_add(&connection->output, plan->headers[i].at, plan->headers[i].length);
        add_literal(connection, "\r\n");
    }
    if (plan->pad > 0)
        text_print(&connection->output, "X-Pad: %0*d\r\n", (int)plan->pad, 0);
    if (plan->connection)
        text_print(&connection->output, "Connection: %s\r\n", plan->connection);
    add_framing(connection);
    if (plan->cut_text)
        return;
    add_literal(connection, "\r\n");
}

static void add_body_piece(struct connection *connection, size_t length)
{
    struct plan *plan = &connection->plan;
    if (plan->chunked)
        text_print(&connection->output, "%zx%s\r\n", length, plan->extensions ? ";name=\"a value\";flag" : "");
    char *to = text_reserve(&connection->output, length);
    if (plan->has_text || plan->body == UNSET)
        memcpy(to, plan->text.at + connection->produced, length);
    else
        pattern_fill((uint64_t)plan->seed, connection->produced, (unsigned char *)to, length);
    connection->output.end += length;
    connection->produced += length;
    if (plan->chunked)
        add_literal(connection, "\r\n");
}

static size_t next_piece(const struct connection *connection)
{
    const struct plan *plan = &connection->plan;
    uint64_t limit = plan->drip > 0 ? (uint64_t)plan->drip : plan->chunked ? (uint64_t)plan->chunk : OUTPUT_PIECE;
    uint64_t end = connection->total;
    if (plan->cut != UNSET && (uint64_t)plan->cut < end)
        end = (uint64_t)plan->cut;
    uint64_t left = end - connection->produced;
    return (size_t)(left < limit ? left : limit);
}

static void add_end(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    if (plan->chunked && !connection->head_only) {
        text_print(&connection->output, "0%s\r\n", plan->extensions ? ";last" : "");
        for (size_t i = 0; i < plan->trailer_count; i++) {
            text_add(&connection->output, plan->trailers[i].at, plan->trailers[i].length);
            add_literal(connection, "\r\n");
        }
        add_literal(connection, "\r\n");
    }
    text_add(&connection->output, plan->extra.at, plan->extra.length);
    connection->answering = ANSWER_END;
}

/* Puts the next bytes of the answer into the output, when that is empty. */
static void produce(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    if (connection->answering == ANSWER_HEAD) {
        connection->answering = ANSWER_BODY;
        if (plan->pause > 0) {
            connection->wake_at = now_ms() + plan->pause;
            wake(connection->wake_at);
            return;
        }
    }
    if (connection->answering != ANSWER_BODY || connection->wake_at > 0)
        return;
    while (text_length(&connection->output) < OUTPUT_PIECE) {
        size_t length = next_piece(connection);
        if (plan->cut != UNSET && length == 0) {
            connection->answering = ANSWER_END;
            connection->closing = true;
            return;
        }
        if (length == 0) {
            add_end(connection);
            return;
        }
        add_body_piece(connection, length);
        if (plan->drip > 0 && next_piece(connection) > 0) {
            connection->wake_at = now_ms() + plan->every;
            wake(connection->wake_at);
            return;
        }
    }
}

static void set_total(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    if (plan->status == 204 || plan->status == 304)
        connection->total = 0;
    else if (plan->body != UNSET)
        connection->total = (uint64_t)plan->body;
    else
        connection->total = plan->text.length;
}

static void begin_answer(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    connection->produced = 0;
    connection->answering = ANSWER_HEAD;
    if (plan->has_raw && plan->drip > 0) {
        plan->text = plan->raw;
        plan->has_text = true;
        connection->total = plan->raw.length;
        connection->answering = ANSWER_BODY;
        connection->closing = !plan->keep;
        return;
    }
    if (plan->has_raw) {
        text_add(&connection->output, plan->raw.at, plan->raw.length);
        connection->answering = ANSWER_END;
        connection->closing = !plan->keep;
        return;
    }
    set_total(connection);
    add_head(connection);
    if (plan->cut_text) {
        connection->answering = ANSWER_END;
        connection->closing = true;
        return;
    }
    connection->closing = plan->close || (plan->connection && strcasecmp(plan->connection, "close") == 0);
    if (connection->head_only && plan->extra.length == 0)
        connection->total = connection->produced = 0, connection->answering = ANSWER_END;
}

static void hang_up(struct connection *connection)
{
    bool reset = strcmp(connection->plan.hangup, "reset") == 0;
    remember(connection);
    connection_end(connection, reset);
}

static bool hangs_up(const struct connection *connection)
{
    const char *how = connection->plan.hangup;
    return how && (strcmp(how, "stale") != 0 || connection->requests > 1);
}

static void start_answer(struct connection *connection)
{
    struct plan *plan = &connection->plan;
    connection->wake_at = 0;
    if (hangs_up(connection)) {
        hang_up(connection);
        return;
    }
    if (plan->silent)
        return;
    if (plan->body == UNSET && !plan->has_text && !plan->has_raw) {
        connection->description.start = connection->description.end = 0;
        describe(&connection->description, connection);
        plan->text = (struct plan_bytes){ connection->description.at, text_length(&connection->description) };
    }
    begin_answer(connection);
}

static void schedule_answer(struct connection *connection)
{
    if (connection->answering != ANSWER_NONE)
        return;
    connection->answering = ANSWER_WAITS;
    if (connection->plan.delay > 0) {
        connection->wake_at = now_ms() + connection->plan.delay;
        wake(connection->wake_at);
    } else
        start_answer(connection);
}
