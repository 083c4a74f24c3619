#include "check.h"
#include "temp_tree.h"

#include "base/auto.h"
#include "spool_dir.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_MS = 77 };

static void touch(const struct temp_dir *dir, const char *name)
{
    char path[TEMP_PATH_SIZE];

    temp_file_write(temp_dir_path(dir, name, path), "", 0);
}

static bool is_there(const struct temp_dir *dir, const char *name)
{
    char path[TEMP_PATH_SIZE];

    return access(temp_dir_path(dir, name, path), F_OK) == 0;
}

TEST(only_plain_names_are_instances)
{
    assert_true(spool_dir_is_instance("gateway-1.example_x"));
    assert_false(spool_dir_is_instance(""));
    assert_false(spool_dir_is_instance("."));
    assert_false(spool_dir_is_instance(".."));
    assert_false(spool_dir_is_instance("a/b"));
    assert_false(spool_dir_is_instance("a~adopted-1"));
    assert_false(
        spool_dir_is_instance("a2345678901234567890123456789012345678901234567890123456789012345"));
}

TEST(a_directory_is_made_with_its_parents_and_locked_once)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    char base[TEMP_PATH_SIZE];
    struct spool_dir own;
    struct spool_dir second;

    (void)temp_dir_path(&dir, "deep/er", base);
    assert_ok(spool_dir_lock(base, "a", &own, err));
    assert_true(is_there(&dir, "deep/er/a/lock"));
    assert_fails(ERROR_INVALID, spool_dir_lock(base, "a", &second, err));
    assert_non_null(strstr(err->text, "INSTANCE"));
    assert_ok(spool_dir_lock(base, "b", &second, err));

    spool_dir_release(&own);
    spool_dir_release(&second);
    assert_ok(spool_dir_lock(base, "a", &own, err));
    spool_dir_release(&own);
}

TEST(a_directory_that_cannot_be_made_is_no_persons_fault)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    char base[TEMP_PATH_SIZE];
    struct spool_dir own;

    touch(&dir, "file");
    assert_fails(ERROR_UNAVAILABLE,
                 spool_dir_lock(temp_dir_path(&dir, "file", base), "a", &own, err));
}

TEST(only_directories_whose_owner_is_gone_are_adopted_and_only_once)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    struct spool_dir alive;
    struct spool_dir gone;
    struct spool_dir adopted[4];
    char path[TEMP_PATH_SIZE];

    assert_ok(spool_dir_lock(dir.path, "alive", &alive, err));
    assert_ok(spool_dir_lock(dir.path, "gone", &gone, err));
    spool_dir_release(&gone);
    assert_int_equal(mkdir(temp_dir_path(&dir, "lost+found", path), 0700), 0);
    touch(&dir, "file");

    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted, 4), 1);
    assert_string_equal(adopted[0].path, temp_dir_path(&dir, "gone~adopted-77", path));
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted + 1, 3),
                     0);

    /* The instance that comes back finds its name free, and is adopted apart. */
    assert_ok(spool_dir_lock(dir.path, "gone", &gone, err));
    spool_dir_release(&gone);
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted + 1, 3),
                     1);
    assert_string_equal(adopted[1].path, temp_dir_path(&dir, "gone~adopted-78", path));

    /* Who adopted may be gone as well. */
    spool_dir_release(&adopted[0]);
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted, 1), 1);
    assert_string_equal(adopted[0].path, temp_dir_path(&dir, "gone~adopted-77", path));
    spool_dir_release(&adopted[0]);
    spool_dir_release(&adopted[1]);
    spool_dir_release(&alive);
}

TEST(an_adopted_directory_is_removed_unless_something_else_is_in_it)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    struct spool_dir gone;
    struct spool_dir adopted[2];
    char path[TEMP_PATH_SIZE];

    assert_ok(spool_dir_lock(dir.path, "a", &gone, err));
    spool_dir_release(&gone);
    touch(&dir, "a/spool.db");
    touch(&dir, "a/spool.db.damaged-1");
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted, 2), 1);

    assert_false(spool_dir_remove(&adopted[0]));
    assert_true(spool_dir_retire(&adopted[0], AT_MS));
    assert_true(is_there(&dir, "a~damaged-77/spool.db.damaged-1"));
    spool_dir_release(&adopted[0]);
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted, 2), 0);

    assert_ok(spool_dir_lock(dir.path, "b", &gone, err));
    spool_dir_release(&gone);
    touch(&dir, "b/spool.db");
    assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &(struct spool_dir_look){0}, adopted, 2), 1);
    assert_true(spool_dir_remove(&adopted[0]));
    assert_int_equal(access(temp_dir_path(&dir, "b~adopted-77", path), F_OK), -1);
    assert_int_equal(adopted[0].lock_fd, -1);
}

TEST(the_lock_of_a_process_that_was_killed_is_free)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    struct spool_dir own;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        struct error why;

        _exit(spool_dir_lock(dir.path, "a", &own, &why) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_ok(spool_dir_lock(dir.path, "a", &own, err));
    spool_dir_release(&own);
}

TEST(each_look_starts_behind_the_last_one)
{
    AUTO(temp_tree_remove) struct temp_dir dir = temp_dir_new();
    struct spool_dir_look look = {0};
    struct spool_dir dirs[2];
    const char *const expected[] = {"a~adopted-77", "b~adopted-77", "c~adopted-77",
                                    "d~adopted-77", "e~adopted-77", "a~adopted-77"};
    char path[TEMP_PATH_SIZE];

    for (char name[] = "a"; name[0] <= 'e'; name[0]++) {
        assert_ok(spool_dir_lock(dir.path, name, &dirs[0], err));
        spool_dir_release(&dirs[0]);
    }
    for (size_t i = 0; i < 6; i += 2) { /* none of them can be opened, so they are let go */
        assert_int_equal(spool_dir_adopt(dir.path, AT_MS, &look, dirs, 2), 2);
        assert_string_equal(dirs[0].path, temp_dir_path(&dir, expected[i], path));
        assert_string_equal(dirs[1].path, temp_dir_path(&dir, expected[i + 1], path));
        spool_dir_release(&dirs[0]);
        spool_dir_release(&dirs[1]);
    }
}

TESTS(RUN(only_plain_names_are_instances),
      RUN(a_directory_is_made_with_its_parents_and_locked_once),
      RUN(a_directory_that_cannot_be_made_is_no_persons_fault),
      RUN(only_directories_whose_owner_is_gone_are_adopted_and_only_once),
      RUN(an_adopted_directory_is_removed_unless_something_else_is_in_it),
      RUN(each_look_starts_behind_the_last_one), RUN(the_lock_of_a_process_that_was_killed_is_free))
