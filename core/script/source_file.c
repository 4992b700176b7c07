/* Files of a generation: each is read once and noted with its digest. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script/source.h"

enum { FILE_MAX = 64 * 1024 * 1024 };

struct tg_slice *tg_source_keep(struct tg_generation_source *source, struct tg_slice slice)
{
    struct tg_slice *kept = tg_arena_alloc(&source->arena, sizeof(*kept));
    if (kept)
        *kept = slice;
    return kept;
}

struct tg_slice tg_source_path(struct tg_generation_source *source, struct tg_slice path)
{
    if (path.length && path.at[0] == '/')
        return tg_arena_copy(&source->arena, path);
    size_t length = source->folder.length + path.length;
    char *joined = tg_arena_alloc(&source->arena, length + 1);
    if (!joined)
        return (struct tg_slice){ NULL, 0 };
    if (source->folder.length)
        memcpy(joined, source->folder.at, source->folder.length);
    if (path.length)
        memcpy(joined + source->folder.length, path.at, path.length);
    joined[length] = '\0';
    return tg_slice_of(joined, length);
}

static bool grow_entries(struct tg_generation_source *source)
{
    size_t capacity = source->entry_capacity ? source->entry_capacity * 2 : 32;
    struct tg_source_entry *grown = realloc(source->entries, capacity * sizeof(*grown));
    if (!grown)
        return false;
    source->entries = grown;
    source->entry_capacity = capacity;
    return true;
}

bool tg_source_note(struct tg_generation_source *source, enum tg_source_kind kind, struct tg_slice path,
                    struct tg_slice content)
{
    for (size_t i = 0; i < source->entry_count; i++)
        if (source->entries[i].kind == kind && tg_slice_equal(source->entries[i].path, path))
            return true;
    if (source->entry_count == source->entry_capacity && !grow_entries(source))
        return false;
    struct tg_source_entry *entry = &source->entries[source->entry_count++];
    *entry = (struct tg_source_entry){ .kind = kind, .path = path };
    if (kind == TG_SOURCE_FILE)
        SHA256((const unsigned char *)(content.at ? content.at : ""), content.length, entry->sha256);
    return true;
}

static bool read_whole(int descriptor, char *to, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t count = read(descriptor, to + done, length - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count < 0 ? errno : EIO; /* it became shorter meanwhile */
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

static int usable_size(int descriptor, size_t *size)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    if (status.st_size > FILE_MAX)
        return EFBIG;
    *size = (size_t)status.st_size;
    return 0;
}

static struct tg_slice read_open(struct tg_generation_source *source, int descriptor)
{
    size_t size = 0;
    int problem = usable_size(descriptor, &size);
    char *content = problem ? NULL : tg_arena_alloc(&source->arena, size + 1);
    if (!problem && !content)
        problem = ENOMEM;
    if (!problem && !read_whole(descriptor, content, size))
        problem = errno;
    if (problem) {
        errno = problem;
        return (struct tg_slice){ NULL, 0 };
    }
    content[size] = '\0';
    return tg_slice_of(content, size);
}

struct tg_slice tg_source_read(struct tg_generation_source *source, struct tg_slice path)
{
    int descriptor = open(path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct tg_slice content = { NULL, 0 };
    if (descriptor >= 0) {
        content = read_open(source, descriptor);
        int problem = errno;
        close(descriptor);
        errno = problem;
    }
    int problem = errno;
    if (!tg_source_note(source, content.at ? TG_SOURCE_FILE : TG_SOURCE_ABSENT, path, content))
        return (struct tg_slice){ NULL, 0 };
    errno = problem;
    return content;
}
