#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_feed(FEED_RESPONSE, data, size);
    return 0;
}
