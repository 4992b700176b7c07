/* --watch: notices changes in the folders that the current generation was read from. Control's thread. */
#ifndef TG_CONTROL_WATCHER_H
#define TG_CONTROL_WATCHER_H

struct tg_generation_source;
struct tg_loop;
struct tg_watcher;

/* `on_change` is called once things have been quiet for 100 ms after a change. NULL where the system refuses. */
struct tg_watcher *tg_watcher_new(struct tg_loop *loop, void (*on_change)(void *context), void *context);
void tg_watcher_free(struct tg_watcher *watcher);
/* Watches what this generation was made from. Folders watched so far stay, so that the correction of a refused change
 * is noticed too. */
void tg_watcher_follow(struct tg_watcher *watcher, const struct tg_generation_source *source);

#endif
