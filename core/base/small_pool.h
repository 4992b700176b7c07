/* Memory for a library that asks for many small pieces and gives them back soon: pieces of up to 1 KB are kept in a
 * pool of the thread by size, larger ones come from malloc, those of 16 KB and more have pages of their own: what is
 * never touched of them takes no memory. Unlike an arena each piece ends by itself. A piece may be freed by another
 * thread than that which made it. */
#ifndef TG_BASE_SMALL_POOL_H
#define TG_BASE_SMALL_POOL_H

#include <stddef.h>

/* Aligned to 16 bytes, not cleared; NULL when out of memory. */
void *tg_small_alloc(size_t size);
/* May be NULL. */
void tg_small_free(void *piece);
/* What the piece takes in all; 0 for NULL. */
size_t tg_small_size(const void *piece);
/* How much of it may be used. */
size_t tg_small_room(const void *piece);
/* Frees the pieces pooled by the calling thread; call before the thread ends. */
void tg_small_release_thread_pool(void);

#endif
