/* Paths in one normal form, which is both matched and sent, so that no upstream sees another path than the rules did.
 */
#include "http/byte_scan.h"
#include "http/uri.h"

struct path_copy {
    const char *in, *in_end;
    char *start, *out;
    const char *problem;
};

static bool refuse(struct path_copy *copy, const char *reason)
{
    copy->problem = reason;
    return false;
}

/* Takes one "%XX". */
static bool copy_encoded(struct path_copy *copy)
{
    int high = copy->in_end - copy->in >= 3 ? tg_byte_hex_value(copy->in[1]) : -1;
    int low = high >= 0 ? tg_byte_hex_value(copy->in[2]) : -1;
    if (low < 0)
        return refuse(copy, "a malformed percent-encoding in the path");
    char byte = (char)(high << 4 | low);
    if (byte == '\0' || byte == '\\')
        return refuse(copy, "an encoded NUL or backslash in the path");
    copy->in += 3;
    if (tg_byte_is(byte, TG_BYTE_UNRESERVED)) {
        *copy->out++ = byte;
        return true;
    }
    *copy->out++ = '%';
    *copy->out++ = "0123456789ABCDEF"[high];
    *copy->out++ = "0123456789ABCDEF"[low];
    return true;
}

/* Takes the bytes up to the next '/' or the end. */
static bool copy_segment(struct path_copy *copy)
{
    while (copy->in < copy->in_end && *copy->in != '/') {
        if (*copy->in == '%') {
            if (!copy_encoded(copy))
                return false;
        } else if (tg_byte_is(*copy->in, TG_BYTE_PATH)) {
            *copy->out++ = *copy->in++;
        } else {
            return refuse(copy, "a byte in the path that no path has");
        }
    }
    return true;
}

enum segment_kind { SEGMENT_PLAIN, SEGMENT_DOT, SEGMENT_DOTDOT, SEGMENT_HOSTILE };

static bool starts_with(const char *at, const char *end, const char *three)
{
    return end - at >= 3 && memcmp(at, three, 3) == 0;
}

/* How many dots the piece at `at` consists of, when its ;parameters are left out: 1, 2, or 0 for any other piece. A
 * piece ends at an encoded slash too. */
static int dots_of_piece(const char *at, const char *end)
{
    int dots = 0;
    while (at < end && *at == '.' && dots < 3) {
        dots++;
        at++;
    }
    bool whole = at == end || *at == ';' || starts_with(at, end, "%2F") || starts_with(at, end, "%3B");
    return whole && dots < 3 ? dots : 0;
}

/* ".." hidden beside an encoded slash or before an encoded semicolon: what it means depends on who decodes it. */
static bool hides_dotdot(const char *at, const char *end)
{
    bool slash = false, parameter = false, dotdot = dots_of_piece(at, end) == 2;
    for (const char *byte = at; byte < end; byte++) {
        if (starts_with(byte, end, "%2F")) {
            slash = true;
            dotdot |= dots_of_piece(byte + 3, end) == 2;
        }
        parameter |= starts_with(byte, end, "%3B");
    }
    return dotdot && (slash || parameter);
}

static enum segment_kind segment_kind(const char *at, const char *end)
{
    if (memchr(at, '%', (size_t)(end - at)) && hides_dotdot(at, end))
        return SEGMENT_HOSTILE;
    switch (dots_of_piece(at, end)) {
    case 1: return end - at == 1 || at[1] == ';' ? SEGMENT_DOT : SEGMENT_PLAIN;
    case 2: return SEGMENT_DOTDOT;
    default: return SEGMENT_PLAIN;
    }
}

/* Takes "/segment" and resolves it against what is already there. */
static bool take_segment(struct path_copy *copy)
{
    char *slash = copy->out;
    *copy->out++ = *copy->in++;
    if (!copy_segment(copy))
        return false;
    enum segment_kind kind = segment_kind(slash + 1, copy->out);
    if (kind == SEGMENT_PLAIN)
        return true;
    if (kind == SEGMENT_HOSTILE)
        return refuse(copy, "'..' beside an encoded delimiter in the path");
    copy->out = slash;
    if (kind == SEGMENT_DOTDOT) {
        if (slash == copy->start)
            return refuse(copy, "'..' above the root of the path");
        while (*--copy->out != '/')
            ;
    }
    if (copy->in == copy->in_end)
        *copy->out++ = '/';
    return true;
}

TG_BYTE_SCAN tg_bytes16_mask match_unplain(tg_bytes16 bytes)
{
    return tg_match_invisible(bytes) |
           (tg_bytes16_mask)((bytes == '%') | (bytes == '.') | (bytes == '\\') | (bytes == '#') | (bytes == '?'));
}

TG_BYTE_SCAN bool is_unplain(char byte)
{
    return byte == '%' || byte == '.' || !tg_byte_is(byte, TG_BYTE_PATH);
}

/* Most paths are normal already. A dot matters only at the start of a segment. */
static bool is_normal(struct tg_slice path)
{
    const char *end = path.at + path.length;
    const char *at = tg_scan_until(path.at, path.at, end, match_unplain, is_unplain);
    while (at < end && *at == '.' && at[-1] != '/')
        at = tg_scan_until(path.at, at + 1, end, match_unplain, is_unplain);
    return at == end;
}

bool tg_path_normalise(struct tg_slice path, struct tg_arena *arena, struct tg_slice *out, const char **problem)
{
    *problem = "a path that doesn't start with '/'";
    if (path.length == 0 || path.at[0] != '/')
        return false;
    *out = path;
    if (is_normal(path))
        return true;
    char *space = tg_arena_alloc(arena, path.length);
    *problem = tg_problem_memory;
    if (!space)
        return false;
    struct path_copy copy = { .in = path.at, .in_end = path.at + path.length, .start = space, .out = space };
    while (copy.in < copy.in_end) {
        if (!take_segment(&copy)) {
            *problem = copy.problem;
            return false;
        }
    }
    *out = tg_slice_of(space, (size_t)(copy.out - space));
    if (tg_slice_equal(*out, path))
        *out = path;
    return true;
}
