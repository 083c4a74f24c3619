/*
 * auto_file.h — AUTO for what open and opendir give
 *
 * Errors: none: what must be on disk is synced, and seen to be, before.
 */
#pragma once

#include "base/auto.h"

#include <dirent.h>
#include <unistd.h>

/* Leaves -1 behind, and accepts it. */
static inline void auto_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void auto_close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
    *directory = NULL;
}
