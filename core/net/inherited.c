#include "net/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_DESCRIPTOR = 3, LIMIT = 256 };

static int descriptors[LIMIT];
static size_t count;
static bool read_already;

static uint64_t number_in(const char *variable)
{
    uint64_t value;
    return tg_slice_to_u64(tg_slice_from_string(getenv(variable)), &value) ? value : 0;
}

static bool listens(int descriptor)
{
    int on = 0;
    socklen_t length = sizeof(on);
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == 0 && on;
}

static void keep(int descriptor)
{
    if (!listens(descriptor))
        return;
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    descriptors[count++] = descriptor;
}

/* The variables go, so that no process started by us takes them for its own. */
static void read_environment(void)
{
    uint64_t handed = number_in("LISTEN_FDS");
    bool ours = number_in("LISTEN_PID") == (uint64_t)getpid();
    for (uint64_t i = 0; ours && i < handed && i < LIMIT; i++)
        keep(FIRST_DESCRIPTOR + (int)i);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    read_already = true;
}

static bool is_bound_to(int descriptor, const struct tg_address *address)
{
    struct tg_address bound = { .length = sizeof(bound.storage) };
    return getsockname(descriptor, &bound.any, &bound.length) == 0 && tg_address_equal(&bound, address);
}

int tg_inherited_take(const struct tg_address *address)
{
    if (!read_already)
        read_environment();
    for (size_t i = 0; i < count; i++) {
        if (!is_bound_to(descriptors[i], address))
            continue;
        int descriptor = descriptors[i];
        descriptors[i] = descriptors[--count];
        return descriptor;
    }
    return -1;
}
