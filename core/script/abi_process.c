/* Time, chance and the error log, for tg and the host table. Before a VM is attached to its worker it has no loop. */
#include <math.h>
#include <time.h>
#include <zlib.h>

#include "base/log.h"
#include "base/random.h"
#include "script/run.h"

double tg_abi_clock(struct tg_abi_control *control)
{
    const struct tg_vm *vm = (const struct tg_vm *)control;
    struct tg_clock *clock = tg_clock_system();
    return vm->loop ? tg_loop_now_fresh(vm->loop) : clock->monotonic(clock);
}

double tg_abi_now(struct tg_abi_control *control)
{
    const struct tg_vm *vm = (const struct tg_vm *)control;
    struct tg_clock *clock = tg_clock_system();
    if (!vm->loop)
        return clock->wall(clock);
    return tg_loop_wall(vm->loop) + (tg_loop_now_fresh(vm->loop) - tg_loop_now(vm->loop));
}

void tg_abi_block(double seconds)
{
    if (!(seconds > 0))
        return;
    double whole = floor(seconds < 1e6 ? seconds : 1e6);
    struct timespec left = { .tv_sec = (time_t)whole, .tv_nsec = (long)((fmin(seconds, 1e6) - whole) * 1e9) };
    while (nanosleep(&left, &left) != 0)
        continue;
}

double tg_abi_random(void)
{
    return tg_random_unit();
}

uint32_t tg_abi_crc32(const char *text, uint32_t length)
{
    return (uint32_t)crc32(0, (const unsigned char *)text, length);
}

/* RFC 9562 5.4: 122 bits that can't be guessed. */
const char *tg_abi_uuid(struct tg_abi_control *control)
{
    static const char DIGITS[] = "0123456789abcdef";
    struct tg_vm *vm = (struct tg_vm *)control;
    unsigned char bytes[16];
    tg_random_secret(bytes, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    char *to = vm->uuid;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = DIGITS[bytes[i] >> 4];
        *to++ = DIGITS[bytes[i] & 15];
    }
    control->length = (int32_t)(to - vm->uuid);
    return vm->uuid;
}

int32_t tg_abi_at_load(struct tg_abi_control *control)
{
    return ((const struct tg_vm *)control)->state != TG_VM_READY;
}

int32_t tg_abi_log_wanted(int32_t level)
{
    return tg_log_wants((enum tg_log_level)level);
}

void tg_abi_log(struct tg_abi_control *control, int32_t level, const char *text, uint32_t length)
{
    const struct tg_vm *vm = (const struct tg_vm *)control;
    const struct tg_run *run = vm->current;
    unsigned long long generation = vm->source->generation;
    if (!run || run->use >= vm->source->use_count) {
        tg_log((enum tg_log_level)level, "%.*s (generation %llu)", (int)length, text, generation);
        return;
    }
    const struct tg_exchange *exchange = run->record ? run->record->exchange : NULL;
    struct tg_slice name = vm->source->uses[run->use].name;
    tg_log((enum tg_log_level)level, "%.*s (request %.*s, handler %.*s, generation %llu)", (int)length, text,
           exchange ? 32 : 1, exchange ? exchange->id : "-", (int)name.length, name.at, generation);
}
