/*
 * log.h — one JSON line an event
 *
 * A line is {"time","level","service","event",...fields}. The fields are given as key=value pairs,
 * space between: log_warn("click_rejected", "sequence=%llu why=\"%s\"", sequence, why). A value is
 * text, conversions or both, in quotes when it holds blanks; one number alone becomes a JSON
 * number, all else a JSON string. Text is escaped, so that nothing from outside can forge a line.
 *
 * Threads: any; a line is written whole. Never call it per event on a hot path above debug.
 * Limits:  a line is at most LOG_LINE_MAX bytes: longer text is cut and the line says "cut":true;
 *          LOG_FILE is rotated at LOG_FILE_MAX_BYTES and LOG_FILES_KEEP old files are kept.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

enum { LOG_LINE_MAX = 8192 };

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_options {
    const char *service; /* borrowed for the life of the process */
    enum log_level level;
    const char *file; /* NULL or "": stderr */
    int64_t file_max_bytes;
    int files_keep;
};

/* Before it, and after log_close, lines of info and above go to stderr. */
MUST_CHECK bool log_open(const struct log_options *options, struct error *err);
void log_close(void);
void log_set_level(enum log_level level);
/* Goes on in a new file when LOG_FILE was moved away, at once rather than with the next line. */
void log_reopen(void);
bool log_parse_level(const char *text, enum log_level *out_level);
bool log_is_on(enum log_level level); /* worth gathering fields for? */

void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines that could not be written: a full disk, a closed pipe. */
int64_t log_lines_lost(void);

/* NOLINTBEGIN(readability-identifier-naming): they stand for functions, and read like them. */
#define log_debug(event, ...) log_write(LOG_DEBUG, (event), __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_INFO, (event), __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_WARN, (event), __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_ERROR, (event), __VA_ARGS__)
/* NOLINTEND(readability-identifier-naming) */
