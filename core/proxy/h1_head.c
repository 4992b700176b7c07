#include "proxy/h1_head.h"

enum { FIRST_CAPACITY = 4096 };

static bool keep(struct tg_h1_head_reader *reader, struct tg_slice bytes)
{
    struct tg_block *old = reader->partial;
    size_t used = old ? old->used : 0, needed = used + bytes.length;
    if (!old || old->capacity < needed) {
        struct tg_block *grown = tg_block_new_of(needed < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : 2 * needed);
        if (!grown)
            return false;
        if (old) {
            memcpy(grown->data, old->data, used);
            tg_block_unref(old);
        }
        reader->partial = grown;
    }
    memcpy(reader->partial->data + used, bytes.at, bytes.length);
    reader->partial->used = (uint32_t)needed;
    return true;
}

static enum tg_h1_result out_of_memory(struct tg_problem *problem)
{
    *problem = (struct tg_problem){ 500, "out of memory for a head" };
    return TG_H1_ERROR;
}

enum tg_h1_result tg_h1_head_read(struct tg_h1_head_reader *reader, struct tg_slice input,
                                  const struct tg_http_limits *limits, struct tg_slice *head, size_t *used,
                                  struct tg_problem *problem)
{
    size_t before = reader->partial ? reader->partial->used : 0, length = 0;
    struct tg_slice whole = input;
    if (reader->partial) {
        if (!keep(reader, input))
            return out_of_memory(problem);
        whole = tg_slice_of(reader->partial->data, reader->partial->used);
    }
    *used = input.length;
    enum tg_h1_result result = tg_h1_scan_head(&reader->scan, whole, limits, &length, problem);
    if (result == TG_H1_MORE && !reader->partial && !keep(reader, input))
        return out_of_memory(problem);
    if (result == TG_H1_DONE) {
        *head = tg_slice_of(whole.at, length);
        *used = length - before;
    }
    return result;
}

void tg_h1_head_reset(struct tg_h1_head_reader *reader)
{
    if (reader->partial)
        tg_block_unref(reader->partial);
    *reader = (struct tg_h1_head_reader){ 0 };
}
