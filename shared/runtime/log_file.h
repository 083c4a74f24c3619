/*
 * log_file.h — where lines go: standard error, or a file that rotates by size
 *
 * Shape:   file, file.1 (the newest old one) ... file.<keep>. The file is looked up before each
 *          line, so that logrotate or a second process may move it away at any time.
 * Threads: one at a time; log.c holds its lock.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_file {
    int fd;
    char *path; /* owned; NULL: standard error */
    int64_t max_bytes;
    int keep;
};

MUST_CHECK bool log_file_open(struct log_file *file, const char *path, int64_t max_bytes, int keep,
                              struct error *err);
void log_file_close(struct log_file *file);
void log_file_reopen(struct log_file *file); /* nothing to do for standard error */

/* One write(2), after a rotation if the line would not fit. False: the line is lost. */
MUST_CHECK bool log_file_write(struct log_file *file, const char *bytes, size_t size_bytes);
