/* What a request that reaches the test origin must be, and how the origin describes it in JSON. */
#pragma once

#include "origin_state.h"

static void check_request_line(struct connection *connection, struct strict_text line)
{
    const char *first = memchr(line.at, ' ', line.length);
    const char *second = first ? memchr(first + 1, ' ', (size_t)(line.at + line.length - first - 1)) : NULL;
    if (!second || !strict_is_token((struct strict_text){ line.at, (size_t)(first - line.at) })) {
        violation(connection, "a request line that isn't method, target, version");
        return;
    }
    struct strict_text target = { first + 1, (size_t)(second - first - 1) };
    struct strict_text version = { second + 1, (size_t)(line.at + line.length - second - 1) };
    if (version.length != 8 || memcmp(version.at, "HTTP/1.1", 8) != 0)
        violation(connection, "a version other than HTTP/1.1");
    for (size_t i = 0; i < target.length; i++)
        if (target.at[i] <= 32 || target.at[i] >= 127)
            violation(connection, "a blank, control or non-ASCII byte in the target");
    if (target.length == 0 || (*target.at != '/' && !(target.length == 1 && *target.at == '*')))
        violation(connection, "a target that doesn't begin with a slash");
    connection->head_only = first - line.at == 4 && memcmp(line.at, "HEAD", 4) == 0;
    plan_free(&connection->plan);
    plan_read(&connection->plan, target.at, target.length);
}

static void check_connection_fields(struct connection *connection)
{
    const struct strict_head *head = &connection->head;
    const struct strict_field *listed = strict_find(head, "connection");
    const struct strict_field *upgrade = strict_find(head, "upgrade");
    bool listed_upgrade = listed && strict_equals(listed->value, "upgrade");
    if (listed && !listed_upgrade && !strict_equals(listed->value, "close") &&
        !strict_equals(listed->value, "keep-alive") && !strict_equals(listed->value, "te"))
        violation(connection, "a Connection field of somebody else");
    if ((upgrade != NULL) != listed_upgrade)
        violation(connection, "Upgrade without Connection, or Connection without Upgrade");
    if (strict_count(head, "connection") > 1 || strict_count(head, "upgrade") > 1)
        violation(connection, "Connection or Upgrade twice");
    connection->upgrades = listed_upgrade;
    connection->asks_close = listed && strict_equals(listed->value, "close");
}

static void check_fields(struct connection *connection)
{
    static const char *forbidden[] = { "keep-alive", "proxy-connection", "proxy-authenticate", "http2-settings" };
    static const char *once[] = { "host",
                                  "date",
                                  "expect",
                                  "content-type",
                                  "user-agent",
                                  "authorization",
                                  "x-forwarded-for",
                                  "x-forwarded-proto",
                                  "x-forwarded-host",
                                  "forwarded" };
    const struct strict_head *head = &connection->head;
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (strict_find(head, forbidden[i]))
            violation(connection, "a hop-by-hop field was passed on");
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        if (strict_count(head, once[i]) > 1)
            violation(connection, "a field that must be single came twice");
    if (strict_count(head, "host") != 1)
        violation(connection, "no Host");
    const struct strict_field *te = strict_find(head, "te");
    if (te && !strict_equals(te->value, "trailers"))
        violation(connection, "TE other than trailers");
    const struct strict_field *expect = strict_find(head, "expect");
    if (expect && !strict_equals(expect->value, "100-continue"))
        violation(connection, "an unknown expectation");
    connection->expects = expect != NULL;
    check_connection_fields(connection);
}

static void describe_fields(struct text_buffer *to, const struct strict_head *head)
{
    text_add(to, "[", 1);
    for (size_t i = 0; i < head->count; i++) {
        text_print(to, i > 0 ? ",[" : "[");
        text_add_json(to, head->fields[i].name.at, head->fields[i].name.length);
        text_add(to, ",", 1);
        text_add_json(to, head->fields[i].value.at, head->fields[i].value.length);
        text_add(to, "]", 1);
    }
    text_add(to, "]", 1);
}

static void describe_digest(struct text_buffer *to, struct connection *connection)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!connection->digest || connection->plan.no_sha)
        return;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    EVP_MD_CTX_copy_ex(copy, connection->digest);
    EVP_DigestFinal_ex(copy, digest, &length);
    EVP_MD_CTX_free(copy);
    text_print(to, ",\"sha256\":\"");
    for (unsigned i = 0; i < length; i++)
        text_print(to, "%02x", digest[i]);
    text_print(to, "\"");
}

static void describe(struct text_buffer *to, struct connection *connection)
{
    struct strict_text line = connection->head.first;
    text_print(to, "{\"connection\":%u,\"request\":%llu,\"port\":%u,\"line\":", connection->number,
               (unsigned long long)connection->requests, origin.ports[connection->listener]);
    text_add_json(to, line.at, line.length);
    text_print(to, ",\"headers\":");
    describe_fields(to, &connection->head);
    text_print(to, ",\"length\":%llu", (unsigned long long)connection->received);
    describe_digest(to, connection);
    text_print(to, ",\"trailers\":");
    struct strict_head trailers = { 0 };
    if (text_length(&connection->trailer_text) > 0)
        strict_head_parse(&trailers, connection->trailer_text.at, text_length(&connection->trailer_text), true);
    describe_fields(to, &trailers);
    if (*connection->wrong) {
        text_print(to, ",\"violation\":");
        text_add_json(to, connection->wrong, strlen(connection->wrong));
    }
    text_print(to, "}");
}

static void remember(struct connection *connection)
{
    struct text_buffer text = { 0 };
    describe(&text, connection);
    char **place = &origin.remembered[origin.remembered_count++ % REMEMBERED];
    free(*place);
    *place = strndup(text.at, text.end);
    text_free(&text);
}
