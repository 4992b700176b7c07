/* A PROXY header: whatever it says, it is read the same at each split, and never beyond what came. Built like the
 * others, with core/net/proxy_header.c and core/net/address.c. */
#include "fuzz.h"
#include "net/proxy_header.h"

static enum tg_proxy_result read_exactly(const uint8_t *data, size_t size, struct tg_proxy_header *header)
{
    const char *problem = NULL;
    char *copy = malloc(size ? size : 1);
    if (size > 0)
        memcpy(copy, data, size);
    enum tg_proxy_result result = tg_proxy_header_read(tg_slice_of(copy, size), header, &problem);
    free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tg_text none;
    struct tg_proxy_header whole, part;
    enum tg_proxy_result result = read_exactly(data, size, &whole);
    for (size_t came = 0; came < size; came++) {
        enum tg_proxy_result early = read_exactly(data, came, &part);
        bool is_done = result == TG_PROXY_DONE && came >= whole.length;
        bool may_fail = result == TG_PROXY_ERROR;
        fuzz_require(early == TG_PROXY_MORE || (is_done && early == TG_PROXY_DONE && part.length == whole.length) ||
                         (may_fail && early == TG_PROXY_ERROR),
                     "a part is read otherwise", &none, &none);
        fuzz_require(!is_done || early == TG_PROXY_DONE, "a whole header is not seen", &none, &none);
    }
    fuzz_require(result != TG_PROXY_DONE || whole.length <= size, "longer than what came", &none, &none);
    fuzz_require(result != TG_PROXY_MORE || size < TG_PROXY_HEADER_MAX, "waits beyond the limit", &none, &none);
    return 0;
}
