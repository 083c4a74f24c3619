#include "check.h"
#include "temp_dir.h"

#include "base/auto.h"
#include "kept_batches.h"
#include "runtime/clock.h"
#include "spool_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 2000, MAX_BYTES = 16 << 20, AT_MS = 1000 };

static struct spool_file *open_in(const struct temp_dir *dir, int64_t max_bytes)
{
    char path[TEMP_PATH_SIZE];
    struct error err = {0};
    bool is_damaged = false;
    struct spool_file *file =
        spool_file_open(temp_dir_path(dir, "spool.db", path), max_bytes, &is_damaged, &err);

    if (file == NULL)
        fail_msg("%s", err.text);
    return file;
}

static void write_batches(struct spool_file *file, uint64_t first, size_t count)
{
    AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(first, count, SIZE);
    struct error err = {0};

    if (!spool_file_write(file, batches.jobs, AT_MS, &err))
        fail_msg("%s", err.text);
}

/* All rows are right; returns the number of the first. */
static uint64_t read_batches(struct spool_file *file, size_t expected, struct kept_rows *rows)
{
    struct error err = {0};

    kept_rows_reset(rows);
    if (!spool_file_read(file, &no_limits, rows, &err))
        fail_msg("%s", err.text);
    assert_int_equal(rows->count, expected);
    for (size_t i = 0; i < rows->count; i++)
        assert_true(kept_row_is_right(&rows->rows[i], SIZE));
    return rows->count > 0 ? rows->rows[0].batch.batch_no : 0;
}

TEST(gives_back_what_it_was_given_oldest_first_over_a_new_opening)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    struct kept_state state;

    write_batches(file, 10, 3);
    write_batches(file, 13, 2);
    spool_file_close(&file);
    file = open_in(&dir, MAX_BYTES);

    assert_int_equal(read_batches(file, 5, &rows), 10);
    for (size_t i = 0; i < rows.count; i++)
        assert_int_equal(rows.rows[i].batch.batch_no, 10 + i);
    state = spool_file_state(file);
    assert_int_equal(state.batches, 5);
    assert_int_equal(state.events, 1 + 2 + 3 + 4 + 5);
    assert_int_equal(state.bytes, 5 * SIZE);
    assert_int_equal(state.oldest_at_ms, AT_MS);
}

TEST(a_claim_keeps_its_limits_but_takes_one_row_always)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    struct kept_limits limits = no_limits;

    write_batches(file, 10, 6); /* events 1 2 3 4 5 1, partitions 0 1 0 1 0 1 */
    limits.rows_max = 2;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(rows.count, 2);

    kept_rows_reset(&rows);
    limits = no_limits;
    limits.bytes_max = 3 * SIZE + 1;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(rows.count, 3);

    kept_rows_reset(&rows);
    limits = no_limits;
    limits.events_max = 6;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(rows.count, 3);

    kept_rows_reset(&rows);
    limits.events_max = 0;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(rows.count, 1);

    kept_rows_reset(&rows);
    limits = no_limits;
    limits.skip_partitions = 1;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rows[0].batch.batch_no, 11);
}

TEST(settling_deletes_what_is_published_and_notes_a_refusal)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};

    write_batches(file, 1, 3);
    (void)read_batches(file, 3, &rows);
    rows.rows[0].fate = FATE_PUBLISHED;
    rows.rows[1].fate = FATE_REFUSED;
    rows.rows[1].batch.attempt_k = 4;
    assert_ok(spool_file_settle(file, &rows, err));
    spool_file_close(&file);
    file = open_in(&dir, MAX_BYTES);

    assert_int_equal(read_batches(file, 2, &rows), 2);
    assert_int_equal(rows.rows[0].batch.attempt_k, 4);
    assert_int_equal(rows.rows[1].batch.attempt_k, 0);
    assert_int_equal(spool_file_state(file).batches, 2);
}

TEST(a_row_that_is_set_aside_does_not_block_and_stays_in_the_file)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    struct kept_limits limits = no_limits;

    write_batches(file, 1, 3);
    limits.payload_max = SIZE - 1;
    assert_ok(spool_file_read(file, &limits, &rows, err));
    assert_int_equal(kept_rows_count(&rows, FATE_DAMAGED), 3);
    rows.count = 1;
    assert_ok(spool_file_settle(file, &rows, err));
    rows.count = 3;
    spool_file_close(&file);
    file = open_in(&dir, MAX_BYTES);

    assert_int_equal(spool_file_damaged_count(file), 1);
    assert_int_equal(spool_file_state(file).batches, 2);
    assert_int_equal(read_batches(file, 2, &rows), 2);
    write_batches(file, 9, 1); /* and its id is not given again */
    assert_int_equal(read_batches(file, 3, &rows), 2);
}

TEST(a_full_file_refuses_keeps_what_it_has_and_takes_again_when_there_is_room)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, SPOOL_FILE_MIN_BYTES);
    AUTO(kept_batches_free) struct kept_batches more = kept_batches_new(1000, 4, SIZE);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    char path[TEMP_PATH_SIZE];
    struct stat info;
    size_t groups = 0;

    while (spool_file_write(file, more.jobs, AT_MS, err))
        assert_true(++groups < 1000);
    assert_int_equal(err->kind, ERROR_LIMIT);
    assert_false(spool_file_is_broken(file));
    assert_true(groups * 4 * SIZE > SPOOL_FILE_MIN_BYTES / 3); /* a row of this size takes a page */
    assert_int_equal(spool_file_state(file).batches, groups * 4);
    assert_true(spool_file_used_bytes(file) <= spool_file_max_bytes(file));
    assert_int_equal(stat(temp_dir_path(&dir, "spool.db", path), &info), 0);
    assert_true(info.st_size < SPOOL_FILE_MIN_BYTES);

    assert_ok(spool_file_read(file, &no_limits, &rows, err));
    for (size_t i = 0; i < rows.count; i++)
        rows.rows[i].fate = FATE_PUBLISHED;
    assert_ok(spool_file_settle(file, &rows, err));
    assert_ok(spool_file_write(file, more.jobs, AT_MS, err));
}

TEST(a_row_that_was_changed_on_disk_is_known_by_its_checksum)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    char path[TEMP_PATH_SIZE];
    char page[4096];
    ssize_t size;
    int fd;

    write_batches(file, 1, 2);
    spool_file_close(&file);
    fd = open(temp_dir_path(&dir, "spool.db", path), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 0; (size = pread(fd, page, sizeof(page), at)) > 0; at += size) {
        char *found = memmem(page, (size_t)size, "bbbbbbbb", 8); /* batch 1's filling */

        if (found == NULL)
            continue;
        assert_int_equal(pwrite(fd, "X", 1, at + (found - page)), 1);
        break;
    }
    assert_true(size > 0);
    close(fd);
    file = open_in(&dir, MAX_BYTES);

    assert_ok(spool_file_read(file, &no_limits, &rows, err));
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.rows[0].fate, FATE_DAMAGED);
    assert_true(kept_row_is_right(&rows.rows[1], SIZE));
}

TEST(a_second_process_is_kept_out)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = open_in(&dir, MAX_BYTES);
    char path[TEMP_PATH_SIZE];
    bool is_damaged = true;
    int status = -1;
    pid_t pid;

    write_batches(file, 1, 1);
    pid = fork();
    if (pid == 0) {
        struct error why = {0};
        struct spool_file *second =
            spool_file_open(temp_dir_path(&dir, "spool.db", path), MAX_BYTES, &is_damaged, &why);

        _exit(second == NULL && !is_damaged && why.kind == ERROR_UNAVAILABLE ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The child: commits batch after batch, and says so after each commit. */
static void commit_for_ever(const struct temp_dir *dir, int to_parent)
{
    struct spool_file *file = open_in(dir, MAX_BYTES);

    for (uint64_t number = 1;; number++) {
        write_batches(file, number, 1);
        if (write(to_parent, &number, sizeof(number)) != (ssize_t)sizeof(number))
            _exit(1);
    }
}

TEST(what_was_committed_is_there_after_kill_9_at_any_moment)
{
    for (useconds_t after_us = 0; after_us < 20000; after_us += 1700) {
        AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
        AUTO(spool_file_close) struct spool_file *file = NULL;
        uint64_t told = 0;
        uint64_t number;
        int pipe_fds[2];
        pid_t pid;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0)
            commit_for_ever(&dir, pipe_fds[1]);
        close(pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &told, sizeof(told)), sizeof(told));
        usleep(after_us); /* any moment is as good as another */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipe_fds[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
            told = number;
        close(pipe_fds[0]);

        file = open_in(&dir, MAX_BYTES);
        number = (uint64_t)spool_file_state(file).batches;
        assert_in_range(number, told, told + 1); /* one more may be committed and not yet told */
    }
}

static off_t size_of(const struct temp_dir *dir, const char *name)
{
    char path[TEMP_PATH_SIZE];
    struct stat info = {0};

    return stat(temp_dir_path(dir, name, path), &info) == 0 ? info.st_size : -1;
}

TEST(a_torn_end_of_the_log_costs_no_commit_before_it)
{
    AUTO(temp_dir_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_file_close) struct spool_file *file = NULL;
    AUTO(kept_rows_reset) struct kept_rows rows = {0};
    char path[TEMP_PATH_SIZE];
    int pipe_fds[2];
    off_t middle = 0;
    pid_t pid;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) { /* ends without closing: the log stays */
        struct spool_file *own = open_in(&dir, MAX_BYTES);

        write_batches(own, 1, 5);
        middle = size_of(&dir, "spool.db-wal");
        write_batches(own, 6, 5);
        _exit(write(pipe_fds[1], &middle, sizeof(middle)) == (ssize_t)sizeof(middle) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(pipe_fds[0], &middle, sizeof(middle)), sizeof(middle));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_true(middle > 0 && size_of(&dir, "spool.db-wal") > middle);
    middle += (size_of(&dir, "spool.db-wal") - middle) / 2;
    assert_int_equal(truncate(temp_dir_path(&dir, "spool.db-wal", path), middle), 0);

    file = open_in(&dir, MAX_BYTES);
    assert_int_equal(read_batches(file, 5, &rows), 1);
    write_batches(file, 11, 1);
    assert_int_equal(read_batches(file, 6, &rows), 1);
}

TESTS(RUN(gives_back_what_it_was_given_oldest_first_over_a_new_opening),
      RUN(a_claim_keeps_its_limits_but_takes_one_row_always),
      RUN(settling_deletes_what_is_published_and_notes_a_refusal),
      RUN(a_row_that_is_set_aside_does_not_block_and_stays_in_the_file),
      RUN(a_full_file_refuses_keeps_what_it_has_and_takes_again_when_there_is_room),
      RUN(a_row_that_was_changed_on_disk_is_known_by_its_checksum),
      RUN(a_second_process_is_kept_out),
      RUN(what_was_committed_is_there_after_kill_9_at_any_moment),
      RUN(a_torn_end_of_the_log_costs_no_commit_before_it))
