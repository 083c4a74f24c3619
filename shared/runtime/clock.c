#include "runtime/clock.h"

#include <time.h>

enum { MS_PER_S = 1000, US_PER_S = 1000000, NS_PER_US = 1000, NS_PER_MS = 1000000 };

static struct timespec read_clock(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now); /* fails only for an unknown clock */
    return now;
}

int64_t clock_now_ms(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);

    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

int64_t clock_now_us(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);

    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US;
}

int64_t clock_at_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);

    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

void clock_sleep_ms(int64_t wait_ms)
{
    struct timespec wait = {wait_ms / MS_PER_S, (wait_ms % MS_PER_S) * NS_PER_MS};

    if (wait_ms > 0)
        (void)nanosleep(&wait, NULL); /* a signal ends it early: the header says so */
}
