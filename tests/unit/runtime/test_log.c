#include "check.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "runtime/log.h"
#include "temp_dir.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { THREADS = 4, LINES = 500 };

static struct log_options to(const char *path)
{
    return (struct log_options){
        .service = "test",
        .level = LOG_INFO,
        .file = path,
        .file_max_bytes = 1 << 20,
        .files_keep = 3,
    };
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; text != NULL && *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

TEST(a_line_has_time_level_service_event_and_fields)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(auto_free) char *text = NULL;
    char path[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));
    int64_t at_ms = 0;

    assert_ok(log_open(&options, err));
    log_warn("click_rejected", "sequence=%d why=\"%s\"", 7, "no \"ad\"");
    log_close();

    text = temp_file_read(path);
    assert_non_null(text);
    assert_memory_equal(text, "{\"time\":\"", 9);
    assert_true(time_text_parse(text + 9, TIME_TEXT_SIZE - 1, &at_ms));
    assert_string_equal(text + 9 + TIME_TEXT_SIZE - 1,
                        "\",\"level\":\"warn\",\"service\":\"test\",\"event\":\"click_rejected\","
                        "\"sequence\":7,\"why\":\"no \\\"ad\\\"\"}\n");
}

TEST(lines_below_the_level_are_left_out)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(auto_free) char *text = NULL;
    char path[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));

    options.level = LOG_WARN;
    assert_ok(log_open(&options, err));
    assert_false(log_is_on(LOG_INFO));
    assert_true(log_is_on(LOG_WARN));
    log_debug("a", "n=%d", 1);
    log_info("b", "n=%d", 2);
    log_warn("c", "n=%d", 3);
    log_error("d", "n=%d", 4);
    log_close();

    text = temp_file_read(path);
    assert_int_equal(count_lines(text), 2);
}

TEST(levels_are_known_by_name)
{
    enum log_level level = LOG_DEBUG;

    assert_true(log_parse_level("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_parse_level("ERROR", &level));
    assert_false(log_parse_level("", &level));
}

TEST(a_full_file_is_rotated_and_the_oldest_go)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    char old[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));
    struct stat status;
    char last[64];

    options.file_max_bytes = 4096;
    assert_ok(log_open(&options, err));
    for (int i = 0; i < 400; i++)
        log_info("filler", "number=%d", i);
    log_close();

    for (int i = 0; i <= 3; i++) {
        AUTO(auto_free) char *text = NULL;
        char name[16];

        (void)snprintf(name, sizeof(name), i == 0 ? "log" : "log.%d", i);
        assert_int_equal(stat(temp_dir_path(&dir, name, old), &status), 0);
        assert_in_range(status.st_size, 1, 4096);
        text = temp_file_read(old);
        assert_int_equal(text[strlen(text) - 1], '\n'); /* lines are never torn */
    }
    assert_int_not_equal(stat(temp_dir_path(&dir, "log.4", old), &status), 0);
    {
        AUTO(auto_free) char *text = temp_file_read(path);

        (void)snprintf(last, sizeof(last), "\"number\":%d}\n", 399);
        assert_non_null(strstr(text, last));
    }
}

TEST(keeping_no_old_files_begins_anew)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    char old[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));
    struct stat status;

    options.file_max_bytes = 4096;
    options.files_keep = 0;
    assert_ok(log_open(&options, err));
    for (int i = 0; i < 100; i++)
        log_info("filler", "number=%d", i);
    log_close();

    assert_int_equal(stat(path, &status), 0);
    assert_in_range(status.st_size, 1, 4096);
    assert_int_not_equal(stat(temp_dir_path(&dir, "log.1", old), &status), 0);
}

TEST(a_file_that_was_moved_away_is_made_anew)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(auto_free) char *text = NULL;
    char path[TEMP_PATH_SIZE];
    char old[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));

    assert_ok(log_open(&options, err));
    log_info("one", "n=%d", 1);
    assert_int_equal(rename(path, temp_dir_path(&dir, "moved", old)), 0);
    log_info("two", "n=%d", 2);
    log_close();

    text = temp_file_read(path);
    assert_non_null(text);
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "\"two\""));
}

TEST(an_existing_file_is_continued)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(auto_free) char *text = NULL;
    char path[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));

    for (int i = 0; i < 2; i++) {
        assert_ok(log_open(&options, err));
        log_info("start", "n=%d", i);
        log_close();
    }
    text = temp_file_read(path);
    assert_int_equal(count_lines(text), 2);
}

TEST(a_file_that_cannot_be_opened_is_an_error)
{
    struct log_options options = to("/nonexistent/log");

    assert_fails(ERROR_INVALID, log_open(&options, err));
    assert_string_equal(err->text, "log: /nonexistent/log: No such file or directory");
}

TEST(a_line_that_cannot_be_written_is_counted)
{
    struct log_options options = to("/dev/full");
    int64_t before = log_lines_lost();

    assert_ok(log_open(&options, err));
    log_info("gone", "n=%d", 1);
    log_close();
    assert_int_equal(log_lines_lost() - before, 1);
}

static void *write_lines(void *ctx)
{
    const int *thread = ctx;

    for (int i = 0; i < LINES; i++)
        log_info("line", "thread=%d number=%d", *thread, i);
    return NULL;
}

TEST(lines_of_many_threads_stay_whole_over_rotations)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    char path[TEMP_PATH_SIZE];
    struct log_options options = to(temp_dir_path(&dir, "log", path));
    pthread_t threads[THREADS];
    int numbers[THREADS] = {0, 1, 2, 3};
    size_t lines = 0;

    options.file_max_bytes = 20000;
    options.files_keep = 50;
    assert_ok(log_open(&options, err));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_close();

    for (int i = 0; i <= 50; i++) {
        AUTO(auto_free) char *text = NULL;
        char name[16];
        char old[TEMP_PATH_SIZE];

        (void)snprintf(name, sizeof(name), i == 0 ? "log" : "log.%d", i);
        text = temp_file_read(temp_dir_path(&dir, name, old));
        lines += count_lines(text);
    }
    assert_int_equal(lines, THREADS * LINES);
}

TESTS(RUN(a_line_has_time_level_service_event_and_fields), RUN(lines_below_the_level_are_left_out),
      RUN(levels_are_known_by_name), RUN(a_full_file_is_rotated_and_the_oldest_go),
      RUN(keeping_no_old_files_begins_anew), RUN(a_file_that_was_moved_away_is_made_anew),
      RUN(an_existing_file_is_continued), RUN(a_file_that_cannot_be_opened_is_an_error),
      RUN(a_line_that_cannot_be_written_is_counted),
      RUN(lines_of_many_threads_stay_whole_over_rotations))
