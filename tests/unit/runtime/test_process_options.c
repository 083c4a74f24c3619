#include "check.h"

#include "base/auto.h"
#include "runtime/log.h"
#include "runtime/process_options.h"
#include "temp_dir.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* As a service has them: not at the struct's start. */
struct settings {
    int64_t port;
    struct process_settings process;
};

static const struct option_row options[] = {
    OPTION_INT("O_PORT", FIELD(port), 8080, 1, 65535, "the port"),
    PROCESS_ROWS(process),
    OPTION_END,
};

static void settings_free(struct settings *settings)
{
    config_free(options, settings);
}

TEST(the_rows_fill_the_embedded_struct)
{
    AUTO(settings_free) struct settings settings = {0};

    assert_ok(config_load(options, &settings, err));
    assert_int_equal(settings.port, 8080);
    assert_string_equal(settings.process.log_level, "info");
    assert_null(settings.process.log_file);
    assert_int_equal(settings.process.log_file_max_bytes, 64 << 20);
    assert_int_equal(settings.process.log_files_keep, 5);
}

TEST(opening_sets_up_log_signals_and_descriptors)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(auto_free) char *text = NULL;
    char path[TEMP_PATH_SIZE];
    char level[] = "debug";
    struct process_settings settings = {level, NULL, 1 << 20, 2};
    struct rlimit limit = {0};
    struct sigaction pipe_action;

    (void)temp_dir_path(&dir, "log", path);
    settings.log_file = path;
    assert_ok(process_open("test", &settings, err));
    log_debug("seen", "n=%d", 1);
    log_close();

    text = temp_file_read(path);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"seen\""));
    assert_int_equal(sigaction(SIGPIPE, NULL, &pipe_action), 0);
    assert_true(pipe_action.sa_handler == SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

TEST(a_log_file_that_cannot_be_opened_stops_the_start)
{
    char level[] = "info";
    char path[] = "/nonexistent/log";
    struct process_settings settings = {level, path, 1 << 20, 2};

    assert_fails(ERROR_INVALID, process_open("test", &settings, err));
}

TESTS(RUN(the_rows_fill_the_embedded_struct), RUN(opening_sets_up_log_signals_and_descriptors),
      RUN(a_log_file_that_cannot_be_opened_stops_the_start))
