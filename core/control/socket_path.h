/* Where the admin socket lies: as given, else $XDG_RUNTIME_DIR/tidegate.sock, else tidegate.sock in a folder of the
 * user's own, /tmp/tidegate-UID. */
#ifndef TG_CONTROL_SOCKET_PATH_H
#define TG_CONTROL_SOCKET_PATH_H

#include "base/text.h"

enum { TG_SOCKET_PATH_MAX = 108 }; /* with its NUL, as sun_path */

/* `given` may be NULL. With `make_folder` the folder in /tmp is made where it is absent. False: `why` says what is
 * wrong: the path is too long, or the folder isn't the user's own. */
bool tg_socket_path(const char *given, bool make_folder, char path[TG_SOCKET_PATH_MAX], struct tg_text *why)
    __attribute__((warn_unused_result));
/* Whether `path` is the one that is used where none is given. */
bool tg_socket_path_is_default(const char *path);

#endif
