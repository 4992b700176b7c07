#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed(FEED_CHUNKED, data, size);
    return 0;
}
