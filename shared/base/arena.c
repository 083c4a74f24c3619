#include "base/arena.h"

#include <stdlib.h>

enum { ALIGNMENT = _Alignof(max_align_t) };

bool arena_init(struct arena *arena, size_t capacity)
{
    arena->block = malloc(capacity);
    arena->capacity = arena->block == NULL ? 0 : capacity;
    arena->used = 0;
    return arena->block != NULL;
}

void arena_free(struct arena *arena)
{
    free(arena->block);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    size_t free_bytes = arena->capacity - arena->used;
    size_t padded = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

    /* Two zero-sized objects still have two addresses. */
    if (padded == 0)
        padded = ALIGNMENT;
    if (padded < size_bytes || padded > free_bytes)
        return NULL;
    arena->used += padded;
    return arena->block + arena->used - padded;
}
