/* Targets, hosts and paths: the one place that decides what they mean (RFC 9112 3.2, RFC 3986). */
#ifndef TG_HTTP_URI_H
#define TG_HTTP_URI_H

#include "base/arena.h"
#include "http/problem.h"

enum tg_target_form { TG_TARGET_ORIGIN, TG_TARGET_ABSOLUTE, TG_TARGET_ASTERISK, TG_TARGET_AUTHORITY };

struct tg_authority {
    struct tg_slice
        text; /* canonical: host, and ":port" where a port was given that isn't the scheme's default; what is sent */
    struct tg_slice host; /* lower case, without port and trailing dot; an IPv6 literal with its brackets */
    uint16_t port;        /* as given, also where it is the default; 0: none given */
};

/* Parses and canonicalises a Host value or the authority of a target. Refuses userinfo, lists, empty hosts and labels,
 * ports that are empty, 0, above 65535 or no digits, bytes outside reg-name, percent-encoding, malformed IP literals.
 * RFC 3986 3.2.2. `default_port` is that of the scheme. */
bool tg_authority_parse_with(struct tg_slice value, uint16_t default_port, struct tg_arena *arena,
                             struct tg_authority *authority, const char **problem) __attribute__((warn_unused_result));
/* The same for the scheme http. */
bool tg_authority_parse(struct tg_slice value, struct tg_arena *arena, struct tg_authority *authority,
                        const char **problem) __attribute__((warn_unused_result));

struct tg_target {
    enum tg_target_form form;
    struct tg_slice scheme;    /* of the absolute form, lower case; else empty */
    struct tg_slice authority; /* of the absolute or authority form, unparsed; else empty */
    struct tg_slice raw_path;  /* as received; "/" where an absolute target has none; "*" for the asterisk form */
    struct tg_slice path;      /* normalised, still percent-encoded: what is matched and sent */
    struct tg_slice query;     /* after the '?', as received */
    bool has_query;
};

/* Splits a request target and normalises its path. `connect` says that the method is CONNECT. */
bool tg_target_parse(struct tg_slice text, bool connect, struct tg_arena *arena, struct tg_target *target,
                     struct tg_problem *problem) __attribute__((warn_unused_result));

/* Normalises an absolute path once: decodes percent-encoded unreserved bytes, makes hex upper case, resolves dot
 * segments (those with ;parameters too); %2F and // stay. Refuses: no leading '/', '..' above the root or beside %2F or
 * %3B, %00, a backslash or %5C, control or non-ASCII bytes, space, '#', '?', an incomplete or wrong %. *out is `path`
 * itself where nothing changed. */
bool tg_path_normalise(struct tg_slice path, struct tg_arena *arena, struct tg_slice *out, const char **problem)
    __attribute__((warn_unused_result));
/* Allowed bytes of a query: no control, no space, no '#', no non-ASCII. */
bool tg_query_valid(struct tg_slice query);
/* Percent-decodes for values; '+' stays. *out is the input where nothing is encoded. false for a malformed %. */
bool tg_percent_decode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
    __attribute__((warn_unused_result));
/* Percent-encodes all but unreserved bytes, for one path segment or query piece. */
bool tg_percent_encode(struct tg_slice text, struct tg_arena *arena, struct tg_slice *out)
    __attribute__((warn_unused_result));
/* The same for all bytes but those that stay as they are. */
bool tg_percent_encode_but(struct tg_slice text, bool (*stays)(unsigned char byte), struct tg_arena *arena,
                           struct tg_slice *out) __attribute__((warn_unused_result));

#endif
