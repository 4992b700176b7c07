#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

enum { LINE_LIMIT = 8192, CHARACTER_LIMIT = 8 /* the longest thing that one character of the text becomes */ };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static _Atomic int wanted_level = TG_LOG_INFO;
static _Atomic int log_descriptor = STDERR_FILENO;
static _Thread_local const char *thread_name = "main";
static _Thread_local struct tg_log_ring *thread_ring;

void tg_log_set_thread(const char *name, struct tg_log_ring *ring)
{
    thread_name = name;
    thread_ring = ring;
}

void tg_log_set_level(enum tg_log_level level)
{
    atomic_store_explicit(&wanted_level, (int)level, memory_order_relaxed);
}

bool tg_log_wants(enum tg_log_level level)
{
    return (int)level >= atomic_load_explicit(&wanted_level, memory_order_relaxed);
}

void tg_log_set_descriptor(int descriptor)
{
    atomic_store_explicit(&log_descriptor, descriptor, memory_order_relaxed);
}

struct line {
    char at[LINE_LIMIT];
    size_t length;
};

static void start_line(struct line *line, enum tg_log_level level)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(line->at, LINE_LIMIT, "%Y-%m-%dT%H:%M:%S", &parts);
    int rest =
        snprintf(line->at + length, 128, ".%03ldZ %s %.64s: ", now.tv_nsec / 1000000, level_names[level], thread_name);
    line->length = length + (size_t)(rest > 0 ? rest : 0);
}

static void append(struct line *line, const char *at, size_t length)
{
    memcpy(line->at + line->length, at, length);
    line->length += length;
}

static void append_code(struct line *line, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    char code[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
    append(line, code, sizeof(code));
}

/* C1 controls (U+0080 to U+009F) steer a terminal as ESC does. */
static bool is_control(struct tg_slice text, size_t length)
{
    unsigned char first = (unsigned char)text.at[0];
    return first < 0x20 || first == 0x7F || (length == 2 && first == 0xC2 && (unsigned char)text.at[1] < 0xA0);
}

/* Writes the text's first character; returns how many bytes of the text that was. */
static size_t append_character(struct line *line, struct tg_slice text)
{
    size_t length = tg_utf8_first(text);
    if (text.at[0] == '\n') {
        append(line, "\n    ", 5);
        return 1;
    }
    if (length == 0 || is_control(text, length)) {
        append_code(line, (unsigned char)text.at[0]);
        return 1;
    }
    append(line, text.at, length);
    return length;
}

static void append_text(struct line *line, struct tg_slice text)
{
    while (text.length > 0 && line->length + CHARACTER_LIMIT < LINE_LIMIT)
        text = tg_slice_from(text, append_character(line, text));
}

/* A line that can't be written is lost; there is nobody to tell. */
static void write_whole(struct tg_slice bytes)
{
    int descriptor = atomic_load_explicit(&log_descriptor, memory_order_relaxed);
    while (bytes.length > 0) {
        ssize_t written = write(descriptor, bytes.at, bytes.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes = tg_slice_from(bytes, (size_t)written);
    }
}

void tg_log(enum tg_log_level level, const char *format, ...)
{
    if (!tg_log_wants(level))
        return;
    int saved = errno;
    char text[LINE_LIMIT];
    struct line line;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    start_line(&line, level);
    size_t whole = length < 0 ? 0 : (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1;
    append_text(&line, tg_slice_of(text, whole));
    append(&line, "\n", 1);
    if (thread_ring)
        tg_log_ring_write(thread_ring, TG_LOG_TO_ERROR, tg_slice_of(line.at, line.length));
    else
        write_whole(tg_slice_of(line.at, line.length));
    errno = saved;
}
