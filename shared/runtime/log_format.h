/*
 * log_format.h — from key=conversion fields to the text of a JSON object; log.c's inner half
 *
 * Why:    a call site reads like printf and is checked by the compiler like printf, yet the line
 *         is JSON. Each conversion is formatted by itself, so no byte of an argument is ever taken
 *         for structure.
 * Limits: the line's own storage; what does not fit is cut, and the line stays valid JSON.
 */
#pragma once

#include "runtime/log.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct log_line {
    char bytes[LOG_LINE_MAX];
    size_t size;
    bool is_cut;
};

/* "{" and the first fields; then fields by format; then "}\n". */
void log_line_begin(struct log_line *line);
void log_line_text(struct log_line *line, const char *key, const char *text);
void log_line_fields(struct log_line *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void log_line_end(struct log_line *line);
