/* What the fuzzers share. Build one with: clang -g -O1 -fsanitize=fuzzer,address,undefined -std=gnu11 -D_GNU_SOURCE
 * -Icore -It/unit t/fuzz/fuzz_X.c t/unit/h1_feed.c core/http/<all>.c core/base/<all>.c -lm */
#ifndef TG_FUZZ_FUZZ_H
#define TG_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "h1_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run with the input kept by the fuzzer. */
static inline void fuzz_require(bool holds, const char *what, const struct tg_text *first, const struct tg_text *second)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n--- first\n%s\n--- second\n%s\n", what, first->at ? first->at : "",
            second->at ? second->at : "");
    abort();
}

/* The outcome is the same whole, in two pieces and byte by byte; and what is written reads as what was read. */
static inline void fuzz_feed(enum feed_kind kind, const uint8_t *data, size_t size)
{
    struct tg_slice input = tg_slice_of((const char *)data, size);
    struct tg_text first, second;
    tg_text_init(&first);
    tg_text_init(&second);
    feed_describe(kind, input, size, 1, &first);
    feed_describe(kind, input, size / 2, size, &second);
    fuzz_require(tg_slice_equal(tg_text_slice(&first), tg_text_slice(&second)), "two pieces read otherwise", &first,
                 &second);
    feed_describe(kind, input, 1, 1, &second);
    fuzz_require(tg_slice_equal(tg_text_slice(&first), tg_text_slice(&second)), "single bytes read otherwise", &first,
                 &second);
    if (kind != FEED_CHUNKED) {
        const char *wrong = feed_check_rewrite(kind, input, &first, &second);
        fuzz_require(!wrong, wrong, &first, &second);
    }
    tg_text_deinit(&first);
    tg_text_deinit(&second);
}

#endif
