#include "runtime/log.h"

#include "base/time_text.h"
#include "runtime/clock.h"
#include "runtime/log_file.h"
#include "runtime/log_format.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The process has one log. The level is read without the lock: most debug lines end there. */
static struct {
    _Atomic int level;
    _Atomic int64_t lines_lost;
    const char *_Atomic service;
    pthread_mutex_t lock; /* guards the file */
    struct log_file file;
} the_log = {
    .level = LOG_INFO,
    .service = "adledger",
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .file = {.fd = STDERR_FILENO},
};

/* Replaces where lines go; the old file is closed. */
static void install(const char *service, enum log_level level, const struct log_file *file)
{
    struct log_file old;

    (void)pthread_mutex_lock(&the_log.lock);
    old = the_log.file;
    the_log.file = *file;
    (void)pthread_mutex_unlock(&the_log.lock);
    atomic_store(&the_log.service, service);
    atomic_store_explicit(&the_log.level, (int)level, memory_order_relaxed);
    log_file_close(&old);
}

bool log_open(const struct log_options *options, struct error *err)
{
    struct log_file file;

    if (!log_file_open(&file, options->file, options->file_max_bytes, options->files_keep, err))
        return false;
    install(options->service, options->level, &file);
    return true;
}

void log_close(void)
{
    const struct log_file to_stderr = {.fd = STDERR_FILENO};

    install(the_log.service, LOG_INFO, &to_stderr);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&the_log.level, (int)level, memory_order_relaxed);
}

void log_reopen(void)
{
    (void)pthread_mutex_lock(&the_log.lock);
    log_file_reopen(&the_log.file);
    (void)pthread_mutex_unlock(&the_log.lock);
}

bool log_parse_level(const char *text, enum log_level *out_level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&the_log.level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    struct log_line line;
    char time[TIME_TEXT_SIZE];
    va_list args;
    bool is_written = false;

    if (!log_is_on(level))
        return;
    time_text_format(clock_at_ms(), time);
    log_line_begin(&line);
    log_line_text(&line, "time", time);
    log_line_text(&line, "level", level_names[level]);
    log_line_text(&line, "service", atomic_load(&the_log.service));
    log_line_text(&line, "event", event);
    va_start(args, format);
    log_line_fields(&line, format, args);
    va_end(args);
    log_line_end(&line);

    (void)pthread_mutex_lock(&the_log.lock);
    is_written = log_file_write(&the_log.file, line.bytes, line.size);
    (void)pthread_mutex_unlock(&the_log.lock);
    if (!is_written)
        (void)atomic_fetch_add_explicit(&the_log.lines_lost, 1, memory_order_relaxed);
}

int64_t log_lines_lost(void)
{
    return atomic_load_explicit(&the_log.lines_lost, memory_order_relaxed);
}
