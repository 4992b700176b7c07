/* `tidegate types`: annotations for editors, out of the binary. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"
#include "control/command_line.h"
#include "script/embedded.h"

static const char prefix[] = "lua/types/";

static const char luarc[] =
    "{\n"
    "  \"$schema\": \"https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json\",\n"
    "  \"runtime.version\": \"LuaJIT\",\n"
    "  \"workspace.library\": [\"types\"],\n"
    "  \"workspace.checkThirdParty\": false\n"
    "}\n";

enum outcome { WRITTEN, SAME, DIFFERS, FAILED };

/* Compares without holding the file: at most one byte more than is expected is read. */
static enum outcome compare(const char *path, struct tg_slice content)
{
    FILE *file = fopen(path, "rb");
    char *there = malloc(content.length + 1);
    size_t length = file && there ? fread(there, 1, content.length + 1, file) : 0;
    bool same = file && there && length == content.length && memcmp(there, content.at, length) == 0;
    free(there);
    if (file)
        fclose(file);
    return same ? SAME : DIFFERS;
}

static enum outcome write_file(const char *path, struct tg_slice content)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return errno == EEXIST ? compare(path, content) : FAILED;
    bool whole = write(descriptor, content.at, content.length) == (ssize_t)content.length;
    return close(descriptor) == 0 && whole ? WRITTEN : FAILED;
}

/* Makes the folders on the way to the file. */
static bool make_folders(const char *path)
{
    char folder[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            return false;
    }
    return true;
}

/* False: it could not be written, or something else is there. */
static bool put(const char *folder, const char *inner, const char *name, struct tg_slice content)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s%s", folder, inner, name) >= (int)sizeof path) {
        fprintf(stderr, "tidegate types: the path is too long: %s\n", folder);
        return false;
    }
    switch (make_folders(path) ? write_file(path, content) : FAILED) {
    case WRITTEN: printf("wrote %s\n", path); return true;
    case SAME: printf("%s is up to date\n", path); return true;
    case DIFFERS:
        fprintf(stderr, "%s was left as it is: it differs from what would be written; remove it and ask again\n", path);
        return false;
    case FAILED: break;
    }
    fprintf(stderr, "can't write %s: %s\n", path, strerror(errno));
    return false;
}

int tg_command_types(const struct tg_arguments *arguments)
{
    const char *folder = arguments->operand ? arguments->operand : ".";
    bool all = true;
    for (size_t i = 0; i < tg_embedded_count; i++) {
        const struct tg_embedded_file *file = &tg_embedded_files[i];
        if (strncmp(file->name, prefix, sizeof prefix - 1) == 0)
            all &= put(folder, "types/", file->name + sizeof prefix - 1, tg_slice_of(file->text, file->length));
    }
    all &= put(folder, "", ".luarc.json", TG_SLICE(luarc));
    return all ? TG_EXIT_OK : TG_EXIT_FAILED;
}
