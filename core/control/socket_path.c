#include "control/socket_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool use_path(const char *text, char path[TG_SOCKET_PATH_MAX], struct tg_text *why)
{
    size_t length = strlen(text);
    if (length > 0 && length < TG_SOCKET_PATH_MAX) {
        memcpy(path, text, length + 1);
        return true;
    }
    tg_text_appendf(why,
                    "the path of the admin socket must have 1 to %d bytes, not %zu: \"%s\"; name a shorter one with "
                    "--socket",
                    TG_SOCKET_PATH_MAX - 1, length, text);
    return false;
}

/* Anybody may write to /tmp: only a folder that is ours and closed to others keeps them from our socket's name. */
static bool check_folder(const char *folder, struct tg_text *why)
{
    struct stat status;
    if (lstat(folder, &status) != 0) {
        tg_text_appendf(why, "%s: %s", folder, strerror(errno));
        return false;
    }
    const char *problem = !S_ISDIR(status.st_mode)       ? "is no folder"
                          : status.st_uid != geteuid()   ? "belongs to another user"
                          : (status.st_mode & 0077) != 0 ? "is open to other users (it must have mode 0700)"
                                                         : NULL;
    if (problem)
        tg_text_appendf(why, "%s %s; remove it, or name another socket with --socket", folder, problem);
    return !problem;
}

static bool in_temporary_folder(bool make_folder, char path[TG_SOCKET_PATH_MAX], struct tg_text *why)
{
    char folder[64];
    snprintf(folder, sizeof folder, "/tmp/tidegate-%lu", (unsigned long)geteuid());
    if (make_folder && mkdir(folder, 0700) != 0 && errno != EEXIST) {
        tg_text_appendf(why, "can't make %s: %s", folder, strerror(errno));
        return false;
    }
    struct stat status;
    bool exists = lstat(folder, &status) == 0;
    if ((exists || make_folder) && !check_folder(folder, why))
        return false;
    snprintf(path, TG_SOCKET_PATH_MAX, "%s/tidegate.sock", folder);
    return true;
}

bool tg_socket_path(const char *given, bool make_folder, char path[TG_SOCKET_PATH_MAX], struct tg_text *why)
{
    if (given)
        return use_path(given, path, why);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || runtime[0] != '/')
        return in_temporary_folder(make_folder, path, why);
    char text[4096];
    snprintf(text, sizeof text, "%s/tidegate.sock", runtime);
    return use_path(text, path, why);
}

bool tg_socket_path_is_default(const char *path)
{
    char usual[TG_SOCKET_PATH_MAX];
    struct tg_text why;
    tg_text_init(&why);
    bool is_default = tg_socket_path(NULL, false, usual, &why) && strcmp(path, usual) == 0;
    tg_text_deinit(&why);
    return is_default;
}
