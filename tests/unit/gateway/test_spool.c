#include "check.h"
#include "temp_tree.h"

#include "base/auto.h"
#include "kept_batches.h"
#include "runtime/clock.h"
#include "runtime/service.h"
#include "spool.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 2000, MAX_BYTES = 16 << 20 };

static struct spool *open_as(const char *directory, const char *instance, struct error *err)
{
    return spool_open(&(struct spool_options){.directory = directory,
                                              .instance = instance,
                                              .max_bytes = MAX_BYTES},
                      err);
}

static bool keep(struct spool *spool, uint64_t first, size_t count, struct error *err)
{
    AUTO(kept_batches_free) struct kept_batches batches = kept_batches_new(first, count, SIZE);
    struct keep_store store = spool_store(spool);

    for (size_t i = 0; i < count; i++)
        batches.jobs[i].deadline_ms = clock_now_ms() + 1000;
    return store.write(store.ctx, batches.jobs, err);
}

static void must(bool is_done, const struct error *err)
{
    if (!is_done)
        fail_msg("%s", err->text);
}

/* Empties every source as a replayer would; returns how many batches there were. */
static size_t drain(struct spool *spool)
{
    static struct kept_rows rows;
    struct replay_source sources[SPOOL_ADOPTED_MAX + 1];
    size_t count = spool_sources(spool, sources);
    size_t drained = 0;
    struct error err = {0};

    for (size_t i = 0; i < count; i++) {
        must(sources[i].claim(sources[i].ctx, &no_limits, &rows, &err), &err);
        for (size_t j = 0; j < rows.count; j++) {
            assert_true(kept_row_is_right(&rows.rows[j], SIZE));
            rows.rows[j].fate = FATE_PUBLISHED;
        }
        drained += rows.count;
        must(sources[i].settle(sources[i].ctx, &rows, &err), &err);
        kept_rows_reset(&rows);
    }
    return drained;
}

static const char *state_of(struct spool *spool)
{
    spool_report(spool);
    return spool_describe(spool).state;
}

/* Tends it until the clock that it is given has gone on so far. */
static void tend_for(struct spool *spool, int64_t span_ms)
{
    int64_t now_ms = clock_now_ms();

    for (int64_t at_ms = now_ms; at_ms <= now_ms + span_ms; at_ms += 100)
        spool_tend(spool, at_ms);
}

TEST(keeps_batches_over_a_restart_and_gives_them_to_be_published)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *spool = open_as(dir.path, "a", err);

    assert_non_null(spool);
    assert_string_equal(state_of(spool), "up");
    assert_ok(keep(spool, 1, 5, err));
    spool_close(&spool);
    spool = open_as(dir.path, "a", err);

    assert_int_equal(spool_batches(spool), 5);
    assert_int_equal(drain(spool), 5);
    assert_int_equal(spool_batches(spool), 0);
}

TEST(a_living_process_with_the_same_name_is_told_of_at_the_start)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *first = open_as(dir.path, "a", err);
    struct spool *second = open_as(dir.path, "a", err);

    assert_null(second);
    assert_int_equal(err->kind, ERROR_INVALID);
    assert_non_null(strstr(err->text, "INSTANCE"));
}

TEST(the_spool_of_an_instance_that_is_gone_is_adopted_emptied_and_removed)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *gone = open_as(dir.path, "gone", err);
    AUTO(spool_close) struct spool *alive = open_as(dir.path, "alive", err);
    AUTO(spool_close) struct spool *spool = open_as(dir.path, "a", err);
    struct replay_source sources[SPOOL_ADOPTED_MAX + 1];

    assert_ok(keep(gone, 1, 3, err));
    assert_ok(keep(alive, 1, 1, err));
    assert_ok(keep(spool, 1, 2, err));
    spool_close(&gone);
    tend_for(spool, SPOOL_ADOPT_EVERY_MS);

    assert_int_equal(spool_sources(spool, sources), 2);
    assert_non_null(strstr(sources[1].name, "gone~adopted-"));
    spool_report(spool);
    assert_int_equal(spool_batches(spool), 5);
    assert_int_equal(drain(spool), 5);
    tend_for(spool, 0);
    assert_int_equal(spool_sources(spool, sources), 0);
    {
        struct spool_dir left[4];

        assert_int_equal(spool_dir_adopt(dir.path, 1, &(struct spool_dir_look){0}, left, 4), 0);
    }
    assert_int_equal(spool_batches(alive), 1);
}

TEST(without_a_directory_it_starts_refuses_and_serves_when_there_is_one)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    char base[TEMP_PATH_SIZE];
    AUTO(spool_close) struct spool *spool = NULL;

    temp_file_write(temp_dir_path(&dir, "spools", base), "", 0); /* in its way */
    spool = open_as(base, "a", err);
    assert_non_null(spool);
    assert_string_equal(state_of(spool), "down");
    assert_fails(ERROR_UNAVAILABLE, keep(spool, 1, 1, err));

    assert_int_equal(unlink(base), 0);
    tend_for(spool, SPOOL_REOPEN_CAP_MS);
    assert_string_equal(state_of(spool), "up");
    assert_ok(keep(spool, 1, 1, err));
}

TEST(a_damaged_file_is_set_aside_and_a_damaged_adopted_one_left_to_a_person)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *gone = open_as(dir.path, "gone", err);
    AUTO(spool_close) struct spool *spool = NULL;
    char path[TEMP_PATH_SIZE];
    int fd;

    assert_ok(keep(gone, 1, 50, err));
    spool_close(&gone);
    fd = open(temp_dir_path(&dir, "gone/spool.db", path), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, path, 100, 0), 100);
    close(fd);

    spool = open_as(dir.path, "a", err);
    tend_for(spool, SPOOL_ADOPT_EVERY_MS);
    assert_int_equal(drain(spool), 50);
    tend_for(spool, SPOOL_ADOPT_EVERY_MS);
    assert_int_equal(spool_batches(spool), 0);
    {
        struct spool_dir left[4];

        assert_int_equal(spool_dir_adopt(dir.path, 1, &(struct spool_dir_look){0}, left, 4), 0);
    }
}

TEST(a_file_of_another_format_is_left_as_it_is)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *gone = open_as(dir.path, "gone", err);
    AUTO(spool_close) struct spool *spool = NULL;
    struct spool_dir left[4];
    char path[TEMP_PATH_SIZE];
    const unsigned char version[4] = {0, 0, 0, 99};
    int fd;

    assert_ok(keep(gone, 1, 5, err));
    spool_close(&gone);
    fd = open(temp_dir_path(&dir, "gone/spool.db", path), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, version, sizeof(version), 60), sizeof(version)); /* user_version */
    close(fd);

    spool = open_as(dir.path, "a", err);
    tend_for(spool, SPOOL_ADOPT_EVERY_MS);
    assert_int_equal(drain(spool), 0);
    assert_int_equal(spool_dir_adopt(dir.path, 1, &(struct spool_dir_look){0}, left, 4),
                     0); /* a person's now */
}

TEST(a_full_disk_refuses_and_loses_nothing)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *spool = NULL;
    int64_t kept = 0;

    if (geteuid() != 0 || mount("adledger-test", dir.path, "tmpfs", MS_NOSUID, "size=2m") != 0)
        skip(); /* only root may mount */
    spool = open_as(dir.path, "a", err);
    while (keep(spool, (uint64_t)kept + 1, 20, err)) {
        kept += 20;
        assert_true(kept < 10000);
    }
    assert_int_equal(err->kind, ERROR_LIMIT);
    assert_string_equal(state_of(spool), "degraded");
    assert_true(kept > 0);
    assert_int_equal(spool_batches(spool), kept);

    /* As if killed: what was committed is there, and can be published although the disk is full. */
    spool_close(&spool);
    spool = open_as(dir.path, "a", err);
    assert_int_equal(spool_batches(spool), kept);
    for (size_t drained = 1; drained > 0;)
        drained = drain(spool);
    assert_int_equal(spool_batches(spool), 0);
    assert_ok(keep(spool, 1, 20, err));
    spool_close(&spool);
    assert_int_equal(umount(dir.path), 0);
}

/* The file aside of which too little can be written is told of, and read on when there is room. */
TEST(a_rescue_that_found_no_room_is_told_and_goes_on_by_itself)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *spool = open_as(dir.path, "a", err);
    char path[TEMP_PATH_SIZE];
    char aside[TEMP_PATH_SIZE];

    assert_ok(keep(spool, 1, 50, err));
    spool_close(&spool);
    assert_int_equal(rename(temp_dir_path(&dir, "a/spool.db", path),
                            temp_dir_path(&dir, "a/spool.db.damaged-7", aside)),
                     0);
    /* In the way of the log that a reader makes: as a directory that cannot be written to. */
    assert_int_equal(mkdir(temp_dir_path(&dir, "a/spool.db.damaged-7-wal", path), 0700), 0);

    spool = open_as(dir.path, "a", err);
    assert_int_equal(spool_batches(spool), 0);
    assert_string_equal(state_of(spool), "degraded");
    assert_non_null(strstr(spool_describe(spool).detail, "not rescued yet"));

    assert_int_equal(rmdir(path), 0);
    tend_for(spool, SPOOL_RESCUE_EVERY_MS + 1000);
    assert_string_equal(state_of(spool), "up");
    assert_int_equal(drain(spool), 50);
}

TEST(directories_that_cannot_be_opened_do_not_hold_back_a_good_one)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    AUTO(spool_close) struct spool *gone = open_as(dir.path, "z", err);
    AUTO(spool_close) struct spool *spool = NULL;
    char path[TEMP_PATH_SIZE];

    assert_ok(keep(gone, 1, 3, err));
    spool_close(&gone);
    for (char name[] = "b/spool.db"; name[0] < 'b' + SPOOL_ADOPTED_MAX; name[0]++) {
        char instance[] = {name[0], '\0'};
        struct spool_dir bad;

        assert_ok(spool_dir_lock(dir.path, instance, &bad, err));
        assert_int_equal(mkdir(temp_dir_path(&dir, name, path), 0700), 0); /* no file at all */
        spool_dir_release(&bad);
    }

    spool = open_as(dir.path, "a", err);
    tend_for(spool, 2 * SPOOL_ADOPT_EVERY_MS);
    assert_int_equal(drain(spool), 3);
}

TESTS(RUN(keeps_batches_over_a_restart_and_gives_them_to_be_published),
      RUN(a_living_process_with_the_same_name_is_told_of_at_the_start),
      RUN(the_spool_of_an_instance_that_is_gone_is_adopted_emptied_and_removed),
      RUN(without_a_directory_it_starts_refuses_and_serves_when_there_is_one),
      RUN(a_damaged_file_is_set_aside_and_a_damaged_adopted_one_left_to_a_person),
      RUN(directories_that_cannot_be_opened_do_not_hold_back_a_good_one),
      RUN(a_rescue_that_found_no_room_is_told_and_goes_on_by_itself),
      RUN(a_file_of_another_format_is_left_as_it_is), RUN(a_full_disk_refuses_and_loses_nothing))
