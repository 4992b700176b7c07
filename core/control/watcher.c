/* Folders are watched, not files: editors write a new file and rename it over the old one. In a watched folder any Lua
 * file counts, since one that isn't read yet may be what a refused change lacks, and any file that was read. */
#include "control/watcher.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "net/loop.h"
#include "script/script.h"

static const double quiet_time = 0.1;
static const double longest_wait = 2; /* for quiet, from the first change on */

struct tg_watcher {
    struct ev_loop *ev;
    int descriptor;
    ev_io io;
    struct tg_deadline quiet;
    double changed_at;    /* of the first change not reported yet; 0: none */
    struct tg_map *names; /* last parts of paths that were read or looked for */
    void (*on_change)(void *context);
    void *context;
};

static bool is_lua(struct tg_slice name)
{
    return name.length > 4 && memcmp(name.at + name.length - 4, ".lua", 4) == 0;
}

static bool matters(const struct tg_watcher *watcher, const struct inotify_event *event)
{
    if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF))
        return true;
    struct tg_slice name = tg_slice_from_string(event->len > 0 ? event->name : "");
    return is_lua(name) || (name.length > 0 && tg_map_get(watcher->names, name));
}

static void note_change(struct tg_watcher *watcher)
{
    double now = tg_loop_now(watcher->quiet.loop);
    if (watcher->changed_at == 0)
        watcher->changed_at = now;
    double latest = watcher->changed_at + longest_wait;
    tg_deadline_set(&watcher->quiet, now + quiet_time < latest ? now + quiet_time : latest);
}

static void on_quiet(struct tg_deadline *deadline)
{
    struct tg_watcher *watcher = TG_CONTAINER_OF(deadline, struct tg_watcher, quiet);
    watcher->changed_at = 0;
    watcher->on_change(watcher->context);
}

static void on_readable(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    (void)events;
    struct tg_watcher *watcher = io->data;
    _Alignas(struct inotify_event) char bytes[16 * 1024];
    ssize_t got;
    while ((got = read(watcher->descriptor, bytes, sizeof bytes)) > 0) {
        const struct inotify_event *event;
        for (char *at = bytes; at < bytes + got; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)(void *)at;
            if (matters(watcher, event))
                note_change(watcher);
        }
    }
}

struct tg_watcher *tg_watcher_new(struct tg_loop *loop, void (*on_change)(void *context), void *context)
{
    struct tg_watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return NULL;
    watcher->ev = tg_loop_ev(loop);
    watcher->on_change = on_change;
    watcher->context = context;
    watcher->names = tg_map_new();
    watcher->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    tg_deadline_init(&watcher->quiet, loop, on_quiet);
    ev_io_init(&watcher->io, on_readable, watcher->descriptor, EV_READ);
    watcher->io.data = watcher;
    if (watcher->names && watcher->descriptor >= 0) {
        ev_io_start(watcher->ev, &watcher->io);
        return watcher;
    }
    tg_watcher_free(watcher);
    return NULL;
}

void tg_watcher_free(struct tg_watcher *watcher)
{
    ev_io_stop(watcher->ev, &watcher->io);
    tg_deadline_deinit(&watcher->quiet);
    if (watcher->descriptor >= 0)
        close(watcher->descriptor);
    if (watcher->names)
        tg_map_free(watcher->names);
    free(watcher);
}

static void watch_folder(struct tg_watcher *watcher, struct tg_slice path)
{
    char folder[PATH_MAX];
    if (path.length >= sizeof folder)
        return;
    memcpy(folder, path.at, path.length);
    folder[path.length] = 0;
    const char *name = path.length > 0 ? folder : ".";
    int watch = inotify_add_watch(watcher->descriptor, name,
                                  IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                                      IN_MOVE_SELF | IN_ONLYDIR);
    if (watch < 0 && errno != ENOENT && errno != ENOTDIR) /* where a module was looked for and isn't */
        tg_log(TG_LOG_WARN, "--watch can't watch the folder %s: %s; reload by hand after a change there", name,
               strerror(errno));
}

/* "a/b.lua" is the name "b.lua" in the folder "a"; "/b.lua" lies in "/". */
static void split_path(struct tg_slice path, struct tg_slice *folder, struct tg_slice *name)
{
    const char *slash = path.length > 0 ? memrchr(path.at, '/', path.length) : NULL;
    size_t length = slash ? (size_t)(slash - path.at) : 0;
    *folder = tg_slice_of(path.at, slash && length == 0 ? 1 : length);
    *name = slash ? tg_slice_from(path, length + 1) : path;
}

static void follow_name(struct tg_watcher *watcher, struct tg_slice path)
{
    struct tg_slice folder, name;
    split_path(path, &folder, &name);
    watch_folder(watcher, folder);
    if (name.length > 0 && !tg_map_set(watcher->names, name, watcher))
        tg_log(TG_LOG_WARN, "out of memory: changes of %.*s aren't noticed", (int)name.length, name.at);
}

/* Where the path's first symbolic link leads, with the rest of the path behind it; the link itself is followed. false:
 * there is none. */
static bool step_over_link(struct tg_watcher *watcher, char *path)
{
    char target[PATH_MAX], led_to[2 * PATH_MAX];
    for (char *end = path; *end; end += strspn(end, "/")) {
        end += strcspn(end, "/");
        char after = *end;
        *end = 0;
        ssize_t length = end > path ? readlink(path, target, sizeof target - 1) : -1;
        if (length > 0) {
            struct tg_slice folder, name;
            target[length] = 0;
            follow_name(watcher, tg_slice_from_string(path));
            split_path(tg_slice_from_string(path), &folder, &name);
            int folder_length = target[0] == '/' ? 0 : (int)folder.length;
            *end = after;
            snprintf(led_to, sizeof led_to, "%.*s%s%s%s", folder_length, path, folder_length ? "/" : "", target, end);
            bool fits = strlen(led_to) < PATH_MAX;
            memcpy(path, led_to, fits ? strlen(led_to) + 1 : 0);
            return fits;
        }
        *end = after;
    }
    return false;
}

/* Files and folders are often replaced by having a link on the way to them lead elsewhere. */
static void follow_links(struct tg_watcher *watcher, struct tg_slice given, bool is_folder)
{
    enum { LINKS_MAX = 16 };
    char path[PATH_MAX];
    if (given.length >= sizeof path)
        return;
    memcpy(path, given.at, given.length);
    path[given.length] = 0;
    for (int i = 0; i < LINKS_MAX && step_over_link(watcher, path); i++)
        continue;
    if (is_folder)
        watch_folder(watcher, tg_slice_from_string(path));
    else
        follow_name(watcher, tg_slice_from_string(path));
}

void tg_watcher_follow(struct tg_watcher *watcher, const struct tg_generation_source *source)
{
    for (size_t i = 0; i < tg_generation_source_count(source); i++) {
        const struct tg_source_entry *entry = tg_generation_source_entry(source, i);
        bool is_folder = entry->kind == TG_SOURCE_FOLDER;
        if (is_folder)
            watch_folder(watcher, entry->path);
        else
            follow_name(watcher, entry->path);
        if (entry->path.length > 0)
            follow_links(watcher, entry->path, is_folder);
    }
}
