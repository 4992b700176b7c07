#include "proxy/reason.h"

struct meaning {
    const char *name, *code;
    int status;
};

static const struct meaning meanings[] = {
    [TG_REASON_NONE] = { "", "", 0 },
    [TG_REASON_CLIENT_LEFT] = { "client_left", "client_left", 499 },
    [TG_REASON_CUT] = { "cut", "upstream_failed", 502 },
    [TG_REASON_RESET] = { "reset", "upstream_failed", 502 },
    [TG_REASON_REFUSED] = { "refused", "upstream_failed", 502 },
    [TG_REASON_TIMEOUT] = { "timeout", "timeout", 504 },
    [TG_REASON_INVALID] = { "invalid", "upstream_failed", 502 },
    [TG_REASON_TOO_LARGE] = { "too_large", "too_large", 413 },
    [TG_REASON_OVERLOAD] = { "overload", "overload", 503 },
    [TG_REASON_SHUTDOWN] = { "shutdown", "overload", 503 },
    [TG_REASON_SCRIPT] = { "script", "script", 500 },
    [TG_REASON_UNPROCESSED] = { "unprocessed", "upstream_failed", 503 },
    [TG_REASON_CANCELLED] = { "cancelled", "upstream_failed", 502 },
    [TG_REASON_CALM] = { "enhance_your_calm", "upstream_failed", 502 },
    [TG_REASON_UNTRUSTED] = { "untrusted", "upstream_failed", 502 },
    [TG_REASON_MISDIRECTED] = { "misdirected", "upstream_failed", 502 },
    [TG_REASON_STREAM_RESET] = { "stream_reset", "upstream_failed", 502 },
    [TG_REASON_H1_REQUIRED] = { "http_1_1_required", "upstream_failed", 502 },
};

static const struct meaning *meaning_of(enum tg_reason reason)
{
    size_t known = sizeof(meanings) / sizeof(meanings[0]);
    return &meanings[(size_t)reason < known ? reason : TG_REASON_NONE];
}

const char *tg_reason_name(enum tg_reason reason)
{
    return meaning_of(reason)->name;
}

int tg_reason_status(enum tg_reason reason)
{
    return meaning_of(reason)->status;
}

const char *tg_reason_code(enum tg_reason reason)
{
    return meaning_of(reason)->code;
}
