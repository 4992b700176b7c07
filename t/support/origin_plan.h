/* What a request asks the test origin to do, written in its query: `/any/path?status=404&body=100&chunked=1`.
 *
 *   status=N reason=TEXT     the status line (200 OK)
 *   header=NAME:%20VALUE     a field, any number; pad=N: one of N bytes
 *   body=N seed=N            a body of N bytes of the pattern; text=BYTES a literal one; neither: a description of the
 *                            request in JSON
 *   length=N                 a Content-Length that isn't the body's
 *   chunked=1 chunk=N        chunks of N bytes; ext=1 with extensions; trailer=NAME:%20VALUE, any number
 *   close=1                  no length: the body ends with the connection; connection=close: says so and closes
 *   delay=MS pause=MS        waits before the head; between head and body
 *   drip=N every=MS          N bytes of the body every MS
 *   early=1                  answers when the head is there; the body is read meanwhile
 *   unread=1                 with early: the body isn't read at all until the answer is out
 *   slow=N every=MS          reads at most N bytes of the body every MS
 *   continue=0               no 100 although it is expected; hints=N: N times 103 before the head
 *   cut=N reset=1            ends after N bytes of the body, with FIN or RST; cut=head: before the head's end
 *   extra=BYTES              bytes after the end of the answer
 *   raw=BYTES                these bytes instead of an answer, then FIN; keep=1: stays open; in pieces with drip
 *   silent=1                 no answer ever; hangup=1: FIN instead of an answer; hangup=reset: RST
 *   hangup=stale             FIN instead of an answer, but only on a connection that served a request before
 *   check=SEED expect=N      the request's body must be N bytes of the pattern
 *   sha=0                    no digest of the request's body
 *   tunnel=echo|generate|sink  with Upgrade: 101, then raw bytes; first=BYTES with the 101 in one write;
 *                            bye=BYTES after the client's FIN; fin=1: FIN right after `first`, reading on
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_FIELDS = 64, UNSET = -1 };

enum plan_tunnel { TUNNEL_NONE, TUNNEL_ECHO, TUNNEL_GENERATE, TUNNEL_SINK };

struct plan_bytes {
    char *at;
    size_t length;
};

struct plan {
    char *query; /* decoded in place; owns all texts */
    int status;
    const char *reason, *cut_text, *hangup, *connection;
    struct plan_bytes text, extra, raw, first, bye;
    struct plan_bytes headers[PLAN_FIELDS], trailers[PLAN_FIELDS];
    size_t header_count, trailer_count;
    int64_t body, seed, length, chunk, delay, pause, drip, every, slow, hints, cut, check, expect, pad;
    bool has_text, has_raw, chunked, extensions, close, early, unread, no_continue, reset, keep, silent, no_sha, fin;
    enum plan_tunnel tunnel;
};

static int plan_hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static struct plan_bytes plan_decode(char *text)
{
    struct plan_bytes decoded = { text, 0 };
    for (char *from = text; *from; from++) {
        char byte = *from;
        if (byte == '%' && plan_hex(from[1]) >= 0 && plan_hex(from[2]) >= 0) {
            byte = (char)(plan_hex(from[1]) * 16 + plan_hex(from[2]));
            from += 2;
        }
        decoded.at[decoded.length++] = byte;
    }
    decoded.at[decoded.length] = '\0';
    return decoded;
}

static bool plan_number(struct plan *plan, const char *name, const char *value)
{
    struct {
        const char *name;
        int64_t *place;
    } numbers[] = {
        { "body", &plan->body },     { "seed", &plan->seed },   { "length", &plan->length }, { "chunk", &plan->chunk },
        { "delay", &plan->delay },   { "pause", &plan->pause }, { "drip", &plan->drip },     { "every", &plan->every },
        { "slow", &plan->slow },     { "hints", &plan->hints }, { "cut", &plan->cut },       { "check", &plan->check },
        { "expect", &plan->expect }, { "pad", &plan->pad },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, name) == 0) {
            *numbers[i].place = strtoll(value, NULL, 10);
            return true;
        }
    return false;
}

static bool plan_flag(struct plan *plan, const char *name, const char *value)
{
    struct {
        const char *name;
        bool *place;
    } flags[] = {
        { "chunked", &plan->chunked }, { "ext", &plan->extensions }, { "close", &plan->close },
        { "early", &plan->early },     { "unread", &plan->unread },  { "reset", &plan->reset },
        { "keep", &plan->keep },       { "silent", &plan->silent },  { "fin", &plan->fin },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flags[i].name, name) == 0) {
            *flags[i].place = strcmp(value, "0") != 0;
            return true;
        }
    return false;
}

static void plan_list(struct plan_bytes *list, size_t *count, struct plan_bytes bytes)
{
    if (*count < PLAN_FIELDS)
        list[(*count)++] = bytes;
}

static void plan_text(struct plan *plan, const char *name, struct plan_bytes value)
{
    if (strcmp(name, "status") == 0)
        plan->status = atoi(value.at);
    else if (strcmp(name, "reason") == 0)
        plan->reason = value.at;
    else if (strcmp(name, "header") == 0)
        plan_list(plan->headers, &plan->header_count, value);
    else if (strcmp(name, "trailer") == 0)
        plan_list(plan->trailers, &plan->trailer_count, value);
    else if (strcmp(name, "text") == 0)
        plan->text = value, plan->has_text = true;
    else if (strcmp(name, "raw") == 0)
        plan->raw = value, plan->has_raw = true;
    else if (strcmp(name, "extra") == 0)
        plan->extra = value;
    else if (strcmp(name, "first") == 0)
        plan->first = value;
    else if (strcmp(name, "bye") == 0)
        plan->bye = value;
    else if (strcmp(name, "hangup") == 0)
        plan->hangup = value.at;
    else if (strcmp(name, "connection") == 0)
        plan->connection = value.at;
    else if (strcmp(name, "continue") == 0)
        plan->no_continue = *value.at == '0';
    else if (strcmp(name, "sha") == 0)
        plan->no_sha = *value.at == '0';
    else if (strcmp(name, "tunnel") == 0)
        plan->tunnel = *value.at == 'e' ? TUNNEL_ECHO : *value.at == 'g' ? TUNNEL_GENERATE : TUNNEL_SINK;
}

static void plan_pair(struct plan *plan, char *pair)
{
    char *value = strchr(pair, '=');
    if (!value)
        return;
    *value++ = '\0';
    if (strcmp(pair, "cut") == 0 && strcmp(value, "head") == 0) {
        plan->cut_text = value;
        return;
    }
    if (plan_number(plan, pair, value) || plan_flag(plan, pair, value))
        return;
    plan_text(plan, pair, plan_decode(value));
}

/* `target` is a request's; its query is copied. */
static void plan_read(struct plan *plan, const char *target, size_t length)
{
    *plan =
        (struct plan){ .status = 200, .body = UNSET, .length = UNSET, .cut = UNSET, .check = UNSET, .expect = UNSET };
    plan->chunk = 16384;
    plan->every = 1;
    const char *question = memchr(target, '?', length);
    if (!question)
        return;
    plan->query = strndup(question + 1, (size_t)(target + length - question - 1));
    char *rest = plan->query;
    for (char *pair; (pair = strsep(&rest, "&"));)
        plan_pair(plan, pair);
}

static void plan_free(struct plan *plan)
{
    free(plan->query);
    plan->query = NULL;
}
