#include "runtime/process_options.h"

#include "runtime/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/* A peer that hangs up is an error of that one write, not the end of the process. */
static bool ignore_sigpipe(struct error *err)
{
    struct sigaction action = {.sa_handler = SIG_IGN};

    if (sigaction(SIGPIPE, &action, NULL) != 0)
        return error_set(err, ERROR_INTERNAL, "sigaction: %s", strerrordesc_np(errno));
    return true;
}

/* A connection is a descriptor, and the soft limit is often 1024. */
static bool raise_open_files(struct error *err)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set(err, ERROR_INTERNAL, "getrlimit: %s", strerrordesc_np(errno));
    if (limit.rlim_cur == limit.rlim_max)
        return true;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set(err, ERROR_INTERNAL, "setrlimit: %s", strerrordesc_np(errno));
    return true;
}

bool process_open(const char *name, const struct process_settings *settings, struct error *err)
{
    struct log_options log = {
        .service = name,
        .file = settings->log_file,
        .file_max_bytes = settings->log_file_max_bytes,
        .files_keep = (int)settings->log_files_keep,
    };

    if (!log_parse_level(settings->log_level, &log.level))
        return error_set(err, ERROR_INVALID, "LOG_LEVEL: unknown level \"%s\"",
                         settings->log_level);
    return log_open(&log, err) && ignore_sigpipe(err) && raise_open_files(err);
}
