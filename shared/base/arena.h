/*
 * arena.h — memory that is given back all at once
 *
 * Why:    decoding one request or message makes dozens of small objects with one common end; a
 *         pointer that moves costs a nanosecond where malloc and free cost fifty.
 * Shape:  one block, taken once; arena_reset makes it empty again. Embedded in its owner.
 * Limits: capacity; beyond it arena_alloc returns NULL and the caller sheds that piece of work.
 * Memory: what arena_alloc returns is borrowed until arena_reset or arena_free.
 * Threads: one owner thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena {
    char *block;
    size_t capacity;
    size_t used;
};

/* False: no memory; the arena is then empty and every allocation from it fails. */
bool arena_init(struct arena *arena, size_t capacity);
void arena_free(struct arena *arena); /* copes with a zeroed arena */
void arena_reset(struct arena *arena);

/* Aligned for any type; not cleared. NULL: the arena is full. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
