/* What Prometheus's own clients tell of a process, under the same names: no prefix. */
#include "runtime/metrics_table.h"

#include "base/auto.h"
#include "runtime/build_info.h"
#include "runtime/log.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PROC_SIZE = 4096 };

static atomic_bool is_process_ready; /* told by the service, shown by us */

/* Of /proc/self/stat, counted from the state, which is the first word behind the name. */
enum stat_word {
    STAT_USER_TICKS = 11,
    STAT_SYSTEM_TICKS = 12,
    STAT_THREADS = 17,
    STAT_START_TICKS = 19,
    STAT_VIRTUAL_BYTES = 20,
    STAT_RESIDENT_PAGES = 21,
    STAT_WORDS = 22
};

static void file_close(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file); /* only read from */
}

static void dir_close(DIR **dir)
{
    if (*dir != NULL)
        (void)closedir(*dir);
}

/* The process's numbers; the name may hold blanks and brackets, so the last bracket ends it. */
static bool read_stat(double out[STAT_WORDS])
{
    AUTO(file_close) FILE *file = fopen("/proc/self/stat", "re");
    char line[PROC_SIZE];
    char *at = NULL;

    if (file == NULL || fgets(line, sizeof(line), file) == NULL)
        return false;
    at = strrchr(line, ')');
    for (size_t i = 0; i < STAT_WORDS; i++) {
        at = at == NULL ? NULL : strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
        out[i] = strtod(at, NULL);
    }
    return true;
}

/* When the machine started, in Unix seconds; 0: /proc does not say. */
static double read_boot_time(void)
{
    AUTO(file_close) FILE *file = fopen("/proc/stat", "re");
    char line[PROC_SIZE];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "btime ", 6) == 0)
            return strtod(line + 6, NULL);
    }
    return 0;
}

/* -1: /proc does not say. The directory's own descriptor is not counted. */
static int count_open_fds(void)
{
    AUTO(dir_close) DIR *dir = opendir("/proc/self/fd");
    int count = -1;

    if (dir == NULL)
        return -1;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each call has a DIR of its own. */
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    return count;
}

static void add_sample(struct text *out, const char *name, const char *type, const char *help,
                       double value)
{
    metrics_add_head(out, name, type, help);
    text_addf(out, "%s ", name);
    metrics_add_value(out, value);
    text_add_char(out, '\n');
}

static void add_fds(struct text *out)
{
    struct rlimit limit = {0};
    int open_fds = count_open_fds();

    if (open_fds >= 0)
        add_sample(out, "process_open_fds", "gauge", "Number of open file descriptors.", open_fds);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        add_sample(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                   (double)limit.rlim_cur);
}

static void add_stat(struct text *out)
{
    double words[STAT_WORDS] = {0};
    double ticks_per_s = (double)sysconf(_SC_CLK_TCK);

    if (!read_stat(words))
        return;
    add_sample(out, "process_cpu_seconds_total", "counter",
               "Total user and system CPU time spent in seconds.",
               (words[STAT_USER_TICKS] + words[STAT_SYSTEM_TICKS]) / ticks_per_s);
    add_sample(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
               words[STAT_RESIDENT_PAGES] * (double)sysconf(_SC_PAGESIZE));
    add_sample(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
               words[STAT_VIRTUAL_BYTES]);
    add_sample(out, "process_start_time_seconds", "gauge",
               "Start time of the process since unix epoch in seconds.",
               read_boot_time() + words[STAT_START_TICKS] / ticks_per_s);
    add_sample(out, "process_threads", "gauge", "Number of threads.", words[STAT_THREADS]);
}

void metrics_set_ready(bool is_ready)
{
    atomic_store(&is_process_ready, is_ready);
}

void metrics_add_process(struct text *out)
{
    add_stat(out);
    add_fds(out);
    add_sample(out, "adledger_service_ready", "gauge",
               "1 while the process may get traffic: from proven ready to the start of its drain",
               atomic_load(&is_process_ready) ? 1 : 0);
    add_sample(out, "adledger_log_lines_lost_total", "counter",
               "log lines that could not be written", (double)log_lines_lost());
    metrics_add_head(out, "adledger_build_info", "gauge", "which build this is; always 1");
    text_addf(out, "adledger_build_info{version=\"%s\",commit=\"%s\"} 1\n", build_version(),
              build_commit());
}
