/* The command line: what it prints is caught in a file, as it goes to standard output. */
#include "check.h"

#include "base/auto.h"
#include "runtime/build_info.h"
#include "runtime/config.h"
#include "temp_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    char *url;
    char *secret;
    int64_t port;
    bool is_on;
};

static const struct option_row options[] = {
    OPTION_STRING("P_URL", FIELD(url), "nats://x", "where it is"),
    OPTION_SECRET("P_SECRET", FIELD(secret), "what nobody may see"),
    OPTION_INT("P_HTTP_PORT|P_PORT", FIELD(port), 8080, 1, 65535, "the port"),
    OPTION_BOOL("P_ON", FIELD(is_on), 1, "whether"),
    OPTION_END,
};

/* What one run of the command line did. */
struct outcome {
    bool goes_on;
    int status;
    char *out; /* owned */
};

static void outcome_free(struct outcome *outcome)
{
    free(outcome->out);
    outcome->out = NULL;
}

static bool says(const struct outcome *outcome, const char *text)
{
    return outcome->out != NULL && strstr(outcome->out, text) != NULL;
}

/* Both outputs go to one file meanwhile. */
static struct outcome run_with(int argc, const char *first, const char *second)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct outcome outcome = {.status = -1};
    struct settings settings = {0};
    char path[TEMP_PATH_SIZE];
    char words[3][40] = {"gateway", "", ""};
    char *argv[] = {words[0], words[1], words[2], NULL};
    int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int fd = open(temp_dir_path(&dir, "out", path), O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

    (void)snprintf(words[1], sizeof(words[1]), "%s", first);
    (void)snprintf(words[2], sizeof(words[2]), "%s", second);
    argv[argc] = NULL;
    (void)fflush(stdout);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    outcome.goes_on =
        config_command_line(argc, argv, "gateway", options, &settings, &outcome.status);
    (void)fflush(stdout);
    (void)dup2(saved[0], STDOUT_FILENO);
    (void)dup2(saved[1], STDERR_FILENO);
    (void)close(saved[0]);
    (void)close(saved[1]);
    (void)close(fd);
    outcome.out = temp_file_read(path);
    return outcome;
}

TEST(without_arguments_the_service_runs)
{
    AUTO(outcome_free) struct outcome outcome = run_with(1, "", "");

    assert_true(outcome.goes_on);
    assert_false(says(&outcome, "\n"));
}

TEST(help_lists_every_row_in_columns)
{
    AUTO(outcome_free) struct outcome outcome = run_with(2, "--help", "");

    assert_false(outcome.goes_on);
    assert_int_equal(outcome.status, EXIT_SUCCESS);
    assert_true(says(&outcome, "  P_URL               nats://x  text      where it is\n"
                               "  P_SECRET            -         secret    what nobody may see\n"
                               "  P_HTTP_PORT|P_PORT  8080      1..65535  the port\n"
                               "  P_ON                on        on|off    whether\n"));
}

TEST(markdown_is_a_table_for_the_docs)
{
    AUTO(outcome_free) struct outcome outcome = run_with(2, "--markdown", "");

    assert_int_equal(outcome.status, EXIT_SUCCESS);
    assert_string_equal(outcome.out,
                        "| name | default | range | meaning |\n"
                        "| --- | --- | --- | --- |\n"
                        "| `P_URL` | `nats://x` | `text` | where it is |\n"
                        "| `P_SECRET` |  | `secret` | what nobody may see |\n"
                        "| `P_HTTP_PORT`, `P_PORT` | `8080` | `1..65535` | the port |\n"
                        "| `P_ON` | `on` | `on`, `off` | whether |\n");
}

TEST(version_names_the_build)
{
    AUTO(outcome_free) struct outcome outcome = run_with(2, "--version", "");
    char expected[200];

    (void)snprintf(expected, sizeof(expected), "gateway %s (%s)\n", build_version(),
                   build_commit());
    assert_string_equal(outcome.out, expected);
    assert_int_equal(outcome.status, EXIT_SUCCESS);
}

TEST(check_config_says_whether_it_would_start)
{
    AUTO(outcome_free) struct outcome good = run_with(2, "--check-config", "");

    assert_string_equal(good.out, "configuration is valid\n");
    assert_int_equal(good.status, EXIT_SUCCESS);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a test has one thread. */
    assert_int_equal(setenv("P_PORT", "http", 1), 0);
    {
        AUTO(outcome_free) struct outcome bad = run_with(2, "--check-config", "");

        assert_string_equal(bad.out,
                            "config: P_PORT: \"http\" is not an integer from 1 to 65535\n");
        assert_int_equal(bad.status, EXIT_FAILURE);
    }
    (void)unsetenv("P_PORT"); /* NOLINT(concurrency-mt-unsafe): one thread */
}

TEST(a_program_that_does_not_listen_has_no_health)
{
    AUTO(outcome_free) struct outcome outcome = run_with(2, "--health-check", "");

    assert_false(outcome.goes_on);
    assert_int_equal(outcome.status, EXIT_FAILURE);
    assert_true(says(&outcome, "does not listen"));
}

TEST(an_unknown_argument_is_refused)
{
    AUTO(outcome_free) struct outcome unknown = run_with(2, "--port", "");
    AUTO(outcome_free) struct outcome trailing = run_with(3, "--help", "more");

    assert_false(unknown.goes_on);
    assert_int_equal(unknown.status, 2);
    assert_true(says(&unknown, "\"--port\""));
    assert_int_equal(trailing.status, 2);
    assert_true(says(&trailing, "\"more\""));
}

TESTS(RUN(without_arguments_the_service_runs), RUN(help_lists_every_row_in_columns),
      RUN(markdown_is_a_table_for_the_docs), RUN(version_names_the_build),
      RUN(check_config_says_whether_it_would_start),
      RUN(a_program_that_does_not_listen_has_no_health), RUN(an_unknown_argument_is_refused))
