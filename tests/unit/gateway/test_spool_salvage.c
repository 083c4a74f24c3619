#include "check.h"
#include "temp_dir.h"

#include "base/auto.h"
#include "kept_batches.h"
#include "spool_salvage.h"

#include <fcntl.h>
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
    assert_int_equal(salvage->rescued, rows.count);
    return rows.count;
}

static void assert_is_aside(const struct temp_dir *dir, const struct spool_salvage *salvage)
{
    char path[TEMP_PATH_SIZE];

    assert_true(salvage->was_damaged);
    assert_string_equal(salvage->aside, temp_dir_path(dir, "spool.db.damaged-1234", path));
    assert_int_equal(access(salvage->aside, F_OK), 0);
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

TESTS(RUN(a_file_whose_header_is_gone_gives_all_of_its_batches),
      RUN(a_file_whose_first_page_is_gone_gives_all_of_its_batches),
      RUN(damaged_pages_in_the_middle_cost_only_what_was_on_them),
      RUN(a_file_that_was_cut_short_gives_what_is_before_the_cut),
      RUN(a_file_of_noise_is_set_aside_and_a_new_one_serves),
      RUN(the_log_of_a_damaged_file_is_read_too), RUN(a_whole_file_is_opened_as_it_is))
