/*
 * told.h — a failure that is tried again is logged once, not at every try
 *
 * Shape:   one struct per thing that fails, embedded in its owner; allocates nothing.
 * Threads: one owner thread; no locks inside.
 */
#pragma once

#include "base/error.h"

struct told {
    struct error last; /* zeroed: nothing has been told */
};

/* True, once, when err says something else than the last that was told. */
bool told_is_news(struct told *told, const struct error *err);

/* It has worked: the next failure is news, whatever it says. */
void told_reset(struct told *told);
