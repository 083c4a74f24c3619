/*
 * process_options.h — the settings that every process of ours has, and what they set up
 *
 * Why:     three services log alike and live under the same limits; each has these rows in its
 *          table.
 * Errors:  ERROR_INVALID for a log that cannot be written, ERROR_INTERNAL when the system refuses.
 * Memory:  the strings are the settings', freed with them.
 *
 *   struct settings {
 *       struct process_settings process;
 *       ...
 *   };
 *   static const struct option_row options[] = {
 *       PROCESS_ROWS(process),
 *       ...
 */
#pragma once

#include "runtime/config.h"

struct process_settings {
    char *log_level;
    char *log_file;
    int64_t log_file_max_bytes;
    int64_t log_files_keep;
};

#define PROCESS_FIELD(member, field) (FIELD(member) + offsetof(struct process_settings, field))
#define PROCESS_ROWS(member)                                                                       \
    RELOADABLE(CHOICE, "LOG_LEVEL", PROCESS_FIELD(member, log_level), "info",                      \
               "debug|info|warn|error", "the least important lines that are logged"),              \
        OPTION_STRING("LOG_FILE", PROCESS_FIELD(member, log_file), NULL,                           \
                      "where log lines go; unset: standard error"),                                \
        OPTION_INT("LOG_FILE_MAX_BYTES", PROCESS_FIELD(member, log_file_max_bytes), 64 << 20,      \
                   4096, 1LL << 40, "size in bytes at which the log file is rotated"),             \
        OPTION_INT("LOG_FILES_KEEP", PROCESS_FIELD(member, log_files_keep), 5, 0, 100,             \
                   "rotated log files that are kept")

/* Opens the log, ignores SIGPIPE, raises the limit of open files to its hard limit. name is
 * borrowed for the life of the process. */
MUST_CHECK bool process_open(const char *name, const struct process_settings *settings,
                             struct error *err);
