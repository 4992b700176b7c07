#include "http/date.h"

#include <stdint.h>
#include <time.h>

enum { DATE_LENGTH = 29 };

static void put_name(char *to, const char *names, int index)
{
    memcpy(to, names + index * 3, 3);
}

static void put_two(char *to, int value)
{
    to[0] = (char)('0' + value / 10 % 10);
    to[1] = (char)('0' + value % 10);
}

/* By hand, since strftime follows the locale. */
static void format(char text[DATE_LENGTH + 1], time_t second)
{
    struct tm parts = { .tm_mday = 1 };
    gmtime_r(&second, &parts);
    int year = parts.tm_year + 1900;
    memcpy(text, "Thu, 01 Jan 1970 00:00:00 GMT", DATE_LENGTH + 1);
    put_name(text, "SunMonTueWedThuFriSat", parts.tm_wday);
    put_two(text + 5, parts.tm_mday);
    put_name(text + 8, "JanFebMarAprMayJunJulAugSepOctNovDec", parts.tm_mon);
    put_two(text + 12, year / 100);
    put_two(text + 14, year % 100);
    put_two(text + 17, parts.tm_hour);
    put_two(text + 20, parts.tm_min);
    put_two(text + 23, parts.tm_sec);
}

struct tg_slice tg_http_date(double wall_seconds)
{
    static _Thread_local char text[DATE_LENGTH + 1];
    static _Thread_local int64_t formatted = INT64_MIN;
    int64_t second = (int64_t)wall_seconds;
    if (second != formatted) {
        format(text, (time_t)second);
        formatted = second;
    }
    return tg_slice_of(text, DATE_LENGTH);
}
