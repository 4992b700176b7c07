#include "base/small_pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/poison.h"

enum {
    STEP = 64, /* between two sizes of pieces, their heads included */
    SIZES = 17,
    POOL_LIMIT = 256 * 1024, /* bytes kept for a thread */
    PAGE = 4096,
    OWN_PAGES = 16 * 1024, /* pieces from this size on */
};

/* The size stays readable while the piece is pooled; the rest is poisoned. */
struct piece {
    size_t size; /* of the whole allocation */
    struct piece *next;
    char data[];
};

_Static_assert(sizeof(struct piece) == 16, "pieces are aligned to 16 bytes");

static _Thread_local struct piece *pools[SIZES];
static _Thread_local size_t pooled;

static struct piece *piece_of(const void *data)
{
    return (struct piece *)((uintptr_t)data - offsetof(struct piece, data));
}

static struct piece *map_piece(size_t size)
{
    size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    /* cppcheck-suppress invalidFunctionArg ; no descriptor is -1 (mmap(2)) */
    struct piece *piece = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED)
        return NULL;
    piece->size = whole;
    return piece;
}

static void free_piece(struct piece *piece)
{
    if (piece->size >= OWN_PAGES)
        munmap(piece, piece->size);
    else
        free(piece);
}

static struct piece *make_piece(size_t whole)
{
    struct piece *piece = malloc(whole);
    if (piece)
        piece->size = whole;
    return piece;
}

void *tg_small_alloc(size_t size)
{
    if (size > SIZE_MAX - 2 * PAGE)
        return NULL;
    size_t class = (size + sizeof(struct piece) + STEP - 1) / STEP;
    struct piece *piece = class < SIZES ? pools[class] : NULL;
    if (piece) {
        pools[class] = piece->next;
        pooled -= piece->size;
        tg_unpoison(piece->data, piece->size - sizeof(*piece));
        return piece->data;
    }
    size_t whole = class < SIZES ? class * STEP : size + sizeof(*piece);
    piece = whole >= OWN_PAGES ? map_piece(whole) : make_piece(whole);
    return piece ? piece->data : NULL;
}

void tg_small_free(void *data)
{
    if (!data)
        return;
    struct piece *piece = piece_of(data);
    size_t class = piece->size / STEP;
    if (piece->size % STEP != 0 || class >= SIZES || pooled + piece->size > POOL_LIMIT) {
        free_piece(piece);
        return;
    }
    tg_poison(piece->data, piece->size - sizeof(*piece));
    piece->next = pools[class];
    pools[class] = piece;
    pooled += piece->size;
}

size_t tg_small_size(const void *data)
{
    return data ? piece_of(data)->size : 0;
}

size_t tg_small_room(const void *data)
{
    return data ? piece_of(data)->size - sizeof(struct piece) : 0;
}

void tg_small_release_thread_pool(void)
{
    for (size_t class = 0; class < SIZES; class ++) {
        while (pools[class]) {
            struct piece *piece = pools[class];
            pools[class] = piece->next;
            tg_unpoison(piece->data, piece->size - sizeof(*piece));
            free(piece);
        }
    }
    pooled = 0;
}
