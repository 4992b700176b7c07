/* Field names that the gateway or its scripts meet often are small integers; every other name is TG_FIELD_OTHER and is
 * compared as text, ignoring case. */
#ifndef TG_HTTP_FIELD_NAME_H
#define TG_HTTP_FIELD_NAME_H

#include "base/slice.h"

#define TG_FIELD_NAMES(X)                                                                                              \
    X(HOST, "host")                                                                                                    \
    X(CONNECTION, "connection")                                                                                        \
    X(CONTENT_LENGTH, "content-length")                                                                                \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                                          \
    X(KEEP_ALIVE, "keep-alive")                                                                                        \
    X(PROXY_CONNECTION, "proxy-connection")                                                                            \
    X(UPGRADE, "upgrade")                                                                                              \
    X(HTTP2_SETTINGS, "http2-settings")                                                                                \
    X(TE, "te")                                                                                                        \
    X(TRAILER, "trailer")                                                                                              \
    X(EXPECT, "expect")                                                                                                \
    X(DATE, "date")                                                                                                    \
    X(SERVER, "server")                                                                                                \
    X(VIA, "via")                                                                                                      \
    X(FORWARDED, "forwarded")                                                                                          \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                                                              \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                                          \
    X(X_FORWARDED_HOST, "x-forwarded-host")                                                                            \
    X(X_FORWARDED_PORT, "x-forwarded-port")                                                                            \
    X(X_FORWARDED_PREFIX, "x-forwarded-prefix")                                                                        \
    X(X_FORWARDED_URI, "x-forwarded-uri")                                                                              \
    X(X_FORWARDED_METHOD, "x-forwarded-method")                                                                        \
    X(X_FORWARDED_SERVER, "x-forwarded-server")                                                                        \
    X(X_REAL_IP, "x-real-ip")                                                                                          \
    X(X_REQUEST_ID, "x-request-id")                                                                                    \
    X(COOKIE, "cookie")                                                                                                \
    X(SET_COOKIE, "set-cookie")                                                                                        \
    X(AUTHORIZATION, "authorization")                                                                                  \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                                        \
    X(PROXY_AUTHORIZATION, "proxy-authorization")                                                                      \
    X(WWW_AUTHENTICATE, "www-authenticate")                                                                            \
    X(ACCEPT, "accept")                                                                                                \
    X(ACCEPT_ENCODING, "accept-encoding")                                                                              \
    X(ACCEPT_LANGUAGE, "accept-language")                                                                              \
    X(ACCEPT_RANGES, "accept-ranges")                                                                                  \
    X(AGE, "age")                                                                                                      \
    X(ALLOW, "allow")                                                                                                  \
    X(CACHE_CONTROL, "cache-control")                                                                                  \
    X(CONTENT_ENCODING, "content-encoding")                                                                            \
    X(CONTENT_RANGE, "content-range")                                                                                  \
    X(CONTENT_TYPE, "content-type")                                                                                    \
    X(ETAG, "etag")                                                                                                    \
    X(EXPIRES, "expires")                                                                                              \
    X(IF_MATCH, "if-match")                                                                                            \
    X(IF_MODIFIED_SINCE, "if-modified-since")                                                                          \
    X(IF_NONE_MATCH, "if-none-match")                                                                                  \
    X(LAST_MODIFIED, "last-modified")                                                                                  \
    X(LINK, "link")                                                                                                    \
    X(LOCATION, "location")                                                                                            \
    X(ORIGIN, "origin")                                                                                                \
    X(PRAGMA, "pragma")                                                                                                \
    X(RANGE, "range")                                                                                                  \
    X(REFERER, "referer")                                                                                              \
    X(RETRY_AFTER, "retry-after")                                                                                      \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key")                                                                          \
    X(SEC_WEBSOCKET_ACCEPT, "sec-websocket-accept")                                                                    \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version")                                                                  \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security")                                                          \
    X(USER_AGENT, "user-agent")                                                                                        \
    X(VARY, "vary")                                                                                                    \
    X(X_ARM, "x-arm")

enum tg_field_name {
    TG_FIELD_OTHER,
#define X(token, text) TG_FIELD_##token,
    TG_FIELD_NAMES(X)
#undef X
        TG_FIELD_NAME_COUNT
};

/* Any case; TG_FIELD_OTHER for a name that isn't in the list. */
enum tg_field_name tg_field_name_of(struct tg_slice name);
/* Lower case; empty for TG_FIELD_OTHER. */
struct tg_slice tg_field_name_text(enum tg_field_name name);
/* A token of RFC 9110 5.6.2, not empty, at most 65,535 bytes. */
bool tg_field_name_valid(struct tg_slice name);
/* No control characters but tab, no NUL, CR, LF, DEL; no blank at either end (RFC 9110 5.5). May be empty. */
bool tg_field_value_valid(struct tg_slice value);
/* Is `name`, with '_' and '.' read as '-', the lower case `text`? Some servers take such names for the dashed one. */
bool tg_field_name_near(struct tg_slice name, struct tg_slice text);
/* Such a name beside content-length and transfer-encoding themselves: it is refused wherever it comes from. */
bool tg_field_name_near_framing(struct tg_slice name);

#endif
