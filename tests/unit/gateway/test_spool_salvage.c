#include "check.h"
#include "temp_dir.h"

#include "base/auto.h"
#include "kept_batches.h"
#include "spool_salvage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 2000, COUNT = 100, MAX_BYTES = 16 << 20, AT_MS = 1234, PAGE = 4096 };

/* A closed spool with so many batches. */
static void fill(const struct temp_dir *dir, uint64_t first, size_t count)
{
    AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(first, count, SIZE);
    AUTO(spool_file_close) struct spool_file *file = NULL;
    struct spool_salvage salvage;
    struct error err = {0};
    char path[TEMP_PATH_SIZE];

    file =
        spool_salvage_open(temp_dir_path(dir, "spool.db", path), MAX_BYTES, AT_MS, &salvage, &err);
    if (file == NULL || !spool_file_write(file, batches.jobs, AT_MS, &err))
        fail_msg("%s", err.text);
    assert_false(salvage.was_damaged);
}

static void overwrite(const struct temp_dir *dir, off_t at, size_t size_bytes)
{
    char path[TEMP_PATH_SIZE];
    char noise[PAGE * 2];
    int fd = open(temp_dir_path(dir, "spool.db", path), O_WRONLY | O_CLOEXEC);

    memset(noise, 0xa5, sizeof(noise));
    assert_true(fd >= 0 && size_bytes <= sizeof(noise));
    assert_int_equal(pwrite(fd, noise, size_bytes, at), size_bytes);
    close(fd);
}

/* Opens it and sees that what is in the new file is right, each batch once; returns how many. */
static size_t rescue(const struct temp_dir *dir, struct spool_salvage *salvage)
{
    AUTO(spool_file_close) struct spool_file *file = NULL;
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    bool seen[COUNT + 1] = {false};
    struct error err = {0};
    char path[TEMP_PATH_SIZE];

    file =
        spool_salvage_open(temp_dir_path(dir, "spool.db", path), MAX_BYTES, AT_MS, salvage, &err);
    if (file == NULL || !spool_file_read(file, &no_limits, &rows, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < rows.count; i++) {
        uint64_t number = rows.rows[i].batch.batch_no;

        assert_true(kept_row_is_right(&rows.rows[i], SIZE));
        assert_true(number <= COUNT && !seen[number]);
        seen[number] = true;
    }
    return rows.count;
}

static bool is_there(const struct temp_dir *dir, const char *name)
{
    char path[TEMP_PATH_SIZE];

    return access(temp_dir_path(dir, name, path), F_OK) == 0;
}

static void assert_is_aside(const struct temp_dir *dir, const struct spool_salvage *salvage)
{
    char path[TEMP_PATH_SIZE];

    assert_true(salvage->was_damaged);
    assert_false(salvage->is_partial);
    assert_string_equal(salvage->aside, temp_dir_path(dir, "spool.db.damaged-1234", path));
    assert_false(is_there(dir, "spool.db.damaged-1234"));
    assert_true(is_there(dir, "spool.db.damaged-1234.rescued"));
}

/* As a process leaves it that was killed between setting aside and the end of the rescue. */
static void set_aside(const struct temp_dir *dir, const char *name)
{
    char path[TEMP_PATH_SIZE];
    char aside[TEMP_PATH_SIZE];

    assert_int_equal(rename(temp_dir_path(dir, "spool.db", path), temp_dir_path(dir, name, aside)),
                     0);
}

TEST(a_file_whose_header_is_gone_gives_all_of_its_batches)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;

    fill(&dir, 1, COUNT);
    overwrite(&dir, 0, 100);

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_is_aside(&dir, &salvage);
    assert_int_equal(salvage.wrong, 0);
}

TEST(a_file_whose_first_page_is_gone_gives_all_of_its_batches)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;

    fill(&dir, 1, COUNT);
    overwrite(&dir, 0, PAGE);

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_is_aside(&dir, &salvage);
}

TEST(damaged_pages_in_the_middle_cost_only_what_was_on_them)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    size_t rescued;

    fill(&dir, 1, COUNT);
    overwrite(&dir, 30 * PAGE, PAGE);
    overwrite(&dir, 50 * PAGE, PAGE);
    rescued = rescue(&dir, &salvage);

    assert_is_aside(&dir, &salvage);
    assert_in_range(rescued, COUNT - 4, COUNT - 2);
}

TEST(a_file_that_was_cut_short_gives_what_is_before_the_cut)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];

    fill(&dir, 1, COUNT);
    assert_int_equal(truncate(temp_dir_path(&dir, "spool.db", path), 50 * PAGE), 0);

    assert_in_range(rescue(&dir, &salvage), 40, 50);
    assert_is_aside(&dir, &salvage);
}

TEST(a_file_of_noise_is_set_aside_and_a_new_one_serves)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];
    static const char noise[] = "this is no database, however long one looks at it";

    temp_file_write(temp_dir_path(&dir, "spool.db", path), noise, sizeof(noise));

    assert_int_equal(rescue(&dir, &salvage), 0);
    assert_is_aside(&dir, &salvage);
}

TEST(the_log_of_a_damaged_file_is_read_too)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];
    pid_t pid;

    fill(&dir, 1, COUNT / 2);
    pid = fork();
    if (pid == 0) { /* ends without closing: the log stays */
        AUTO(kept_batches_free)
        struct kept_batches batches = kept_batches_new(COUNT / 2 + 1, COUNT / 2, SIZE);
        bool is_damaged;
        struct spool_file *file =
            spool_file_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, &is_damaged, err);

        _exit(file != NULL && spool_file_write(file, batches.jobs, AT_MS, err) ? 0 : 1);
    }
    waitpid(pid, NULL, 0);
    overwrite(&dir, 30 * PAGE, PAGE);

    assert_in_range(rescue(&dir, &salvage), COUNT - 2, COUNT - 1);
    assert_is_aside(&dir, &salvage);
}

TEST(a_whole_file_is_opened_as_it_is)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = NULL;
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];

    fill(&dir, 1, COUNT);
    file =
        spool_salvage_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, AT_MS, &salvage, err);

    assert_non_null(file);
    assert_false(salvage.was_damaged);
    assert_int_equal(spool_file_state(file).batches, COUNT);
}

TEST(a_rescue_that_was_cut_short_goes_on_and_copies_nothing_twice)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;

    fill(&dir, 1, COUNT);
    overwrite(&dir, 0, PAGE);
    set_aside(&dir, "spool.db.damaged-7");
    {
        char path[TEMP_PATH_SIZE];
        AUTO(spool_file_close) struct spool_file *file = NULL;
        AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(1, 40, SIZE);
        bool is_damaged;

        file = spool_file_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, &is_damaged, err);
        assert_non_null(file);
        assert_ok(spool_file_write(file, batches.jobs, AT_MS, err));
    }

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_false(salvage.was_damaged);
    assert_int_equal(salvage.rescued, COUNT - 40);
    assert_true(is_there(&dir, "spool.db.damaged-7.rescued"));

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_int_equal(salvage.asides, 0);
}

TEST(a_rescue_may_be_killed_at_any_moment)
{
    for (useconds_t after_us = 0; after_us < 12000; after_us += 400) {
        AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
        struct spool_salvage salvage;
        char path[TEMP_PATH_SIZE];
        pid_t pid;

        fill(&dir, 1, COUNT);
        overwrite(&dir, 0, PAGE);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            AUTO(spool_file_close)
            struct spool_file *file = spool_salvage_open(temp_dir_path(&dir, "spool.db", path),
                                                         MAX_BYTES, AT_MS, &salvage, err);

            for (;;)
                (void)pause();
        }
        (void)usleep(after_us);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        assert_int_equal(rescue(&dir, &salvage), COUNT);
        assert_false(salvage.is_partial);
        assert_true(is_there(&dir, "spool.db.damaged-1234.rescued"));
    }
}

TEST(a_log_that_was_left_behind_follows_its_file)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];
    pid_t pid = fork();

    if (pid == 0) { /* ends without closing: all is in the log */
        AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(1, COUNT, SIZE);
        bool is_damaged;
        struct spool_file *file =
            spool_file_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, &is_damaged, err);

        _exit(file != NULL && spool_file_write(file, batches.jobs, AT_MS, err) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(is_there(&dir, "spool.db-wal"));
    set_aside(&dir, "spool.db.damaged-7");

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_true(is_there(&dir, "spool.db.damaged-7.rescued"));
}

enum { LARGE = 12000 };

/* Opens it with room for a part of COUNT batches of LARGE bytes; marks what is in it, empties it.
 */
static size_t rescue_a_part(const struct temp_dir *dir, bool seen[COUNT + 1],
                            struct spool_salvage *salvage)
{
    AUTO(spool_file_close) struct spool_file *file = NULL;
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    struct error err = {0};
    char path[TEMP_PATH_SIZE];

    file = spool_salvage_open(temp_dir_path(dir, "spool.db", path), SPOOL_FILE_MIN_BYTES, AT_MS,
                              salvage, &err);
    if (file == NULL || !spool_file_read(file, &no_limits, &rows, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < rows.count; i++) {
        assert_true(kept_row_is_right(&rows.rows[i], LARGE));
        seen[rows.rows[i].batch.batch_no] = true;
        rows.rows[i].fate = FATE_PUBLISHED;
    }
    if (!spool_file_settle(file, &rows, &err))
        fail_msg("%s", err.text);
    return rows.count;
}

TEST(without_room_for_all_a_rescue_goes_on_where_it_stopped)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    bool seen[COUNT + 1] = {false};
    struct spool_salvage salvage;
    size_t missing = 0;
    size_t first;

    {
        AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(1, COUNT, LARGE);
        AUTO(spool_file_close) struct spool_file *file = NULL;
        char path[TEMP_PATH_SIZE];
        bool is_damaged;

        file = spool_file_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, &is_damaged, err);
        assert_non_null(file);
        assert_ok(spool_file_write(file, batches.jobs, AT_MS, err));
    }
    overwrite(&dir, 200 * PAGE, PAGE);

    first = rescue_a_part(&dir, seen, &salvage);
    assert_in_range(first, 1, COUNT - 2);
    assert_true(salvage.is_partial);
    assert_int_equal(salvage.stopped_by.kind, ERROR_LIMIT);
    assert_non_null(strstr(salvage.stopped_by.text, "spool: "));
    assert_true(is_there(&dir, "spool.db.damaged-1234"));
    for (int i = 0; i < 4 && salvage.is_partial; i++)
        (void)rescue_a_part(&dir, seen, &salvage);
    assert_false(salvage.is_partial);
    assert_int_equal(salvage.stopped_by.kind, ERROR_NONE);
    assert_true(is_there(&dir, "spool.db.damaged-1234.rescued"));
    for (size_t i = 1; i <= COUNT; i++)
        missing += !seen[i];
    assert_in_range(missing, 1, 2); /* what was on the damaged page */
}

TEST(a_new_file_that_cannot_be_made_leaves_the_rescue_to_the_next_opening)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    struct error why = {0};
    struct rlimit before;
    char path[TEMP_PATH_SIZE];

    fill(&dir, 1, COUNT);
    overwrite(&dir, 0, PAGE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max}), 0);
    assert_null(spool_salvage_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, AT_MS,
                                   &salvage, &why));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(salvage.was_damaged);
    assert_true(salvage.is_partial);
    assert_string_equal(salvage.stopped_by.text, why.text);

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_int_equal(salvage.rescued, COUNT);
    assert_true(is_there(&dir, "spool.db.damaged-1234.rescued"));
}

TEST(a_file_that_cannot_be_marked_as_rescued_says_why)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_salvage salvage;
    char path[TEMP_PATH_SIZE];

    fill(&dir, 1, COUNT);
    set_aside(&dir, "spool.db.damaged-7");
    assert_int_equal(mkdir(temp_dir_path(&dir, "spool.db.damaged-7.rescued", path), 0700), 0);

    assert_int_equal(rescue(&dir, &salvage), COUNT);
    assert_true(salvage.is_partial);
    assert_int_equal(salvage.stopped_by.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(salvage.stopped_by.text, "spool.db.damaged-7 as rescued"));
    assert_int_equal(rmdir(path), 0);
}

TEST(the_files_aside_are_bounded_and_none_that_waits_is_thrown_away)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    struct spool_asides waiting;
    char path[TEMP_PATH_SIZE];

    (void)temp_dir_path(&dir, "spool.db", path);
    for (int64_t i = 0; i < SPOOL_ASIDE_MAX; i++) {
        int64_t at_ms = AT_MS; /* each the next free one */

        temp_file_write(path, "", 0);
        assert_ok(spool_aside_move(path, &at_ms, err));
        assert_int_equal(at_ms, AT_MS + i);
    }
    temp_file_write(path, "", 0);
    assert_fails(ERROR_LIMIT, spool_aside_move(path, &(int64_t){AT_MS}, err));
    assert_true(is_there(&dir, "spool.db"));

    assert_ok(spool_aside_mark(path, AT_MS, err));
    for (int64_t i = 1; i <= SPOOL_ASIDE_MAX; i++) {
        int64_t at_ms = 9000 + i;

        temp_file_write(path, "", 0);
        assert_ok(spool_aside_move(path, &at_ms, err));
        assert_ok(spool_aside_mark(path, at_ms, err));
    }
    assert_false(is_there(&dir, "spool.db.damaged-1234.rescued"));
    assert_true(is_there(&dir, "spool.db.damaged-9001.rescued"));
    spool_aside_list(path, &waiting);
    assert_int_equal(waiting.count, SPOOL_ASIDE_MAX - 1);
    assert_int_equal(waiting.at_ms[0], AT_MS + 1);
}

TESTS(RUN(a_file_whose_header_is_gone_gives_all_of_its_batches),
      RUN(a_file_whose_first_page_is_gone_gives_all_of_its_batches),
      RUN(damaged_pages_in_the_middle_cost_only_what_was_on_them),
      RUN(a_file_that_was_cut_short_gives_what_is_before_the_cut),
      RUN(a_file_of_noise_is_set_aside_and_a_new_one_serves),
      RUN(the_log_of_a_damaged_file_is_read_too), RUN(a_whole_file_is_opened_as_it_is),
      RUN(a_rescue_that_was_cut_short_goes_on_and_copies_nothing_twice),
      RUN(a_rescue_may_be_killed_at_any_moment), RUN(a_log_that_was_left_behind_follows_its_file),
      RUN(without_room_for_all_a_rescue_goes_on_where_it_stopped),
      RUN(a_new_file_that_cannot_be_made_leaves_the_rescue_to_the_next_opening),
      RUN(a_file_that_cannot_be_marked_as_rescued_says_why),
      RUN(the_files_aside_are_bounded_and_none_that_waits_is_thrown_away))
