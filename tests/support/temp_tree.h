/*
 * temp_tree.h — temp_dir.h for tests that make directories in theirs
 *
 *   AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
 */
#pragma once

#include "temp_dir.h"

#include <ftw.h>

static inline int temp_tree_on_file(const char *path, const struct stat *info, int kind,
                                    struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void temp_tree_remove(struct temp_dir *dir)
{
    (void)nftw(dir->path, temp_tree_on_file, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
