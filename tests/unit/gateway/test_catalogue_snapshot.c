#include "check.h"

#include "base/auto.h"
#include "catalogue_file.h"
#include "catalogue_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct ad ad_named(const char *id)
{
    return (struct ad){.id = id,
                       .title = "A \"title\"",
                       .image_url = "",
                       .video_url = "https://example.com/v",
                       .target_url = "https://example.com/\xc3\xa4",
                       .created_at_ms = 1700000000123,
                       .version = 3};
}

/* Ids out of order, one archived, a salt for days 10 and 12. */
static const struct catalogue_snapshot *snapshot_with_three_ads(void)
{
    static const char *const ids[] = {"b", "a-1", "c"};
    struct catalogue_snapshot *snapshot = snapshot_new(3);
    struct error error = {0};
    struct error *err = &error;

    for (size_t i = 0; i < 3; i++) {
        struct ad ad = ad_named(ids[i]);

        ad.is_archived = i == 2;
        assert_ok(snapshot_add_ad(snapshot, &ad, err));
    }
    for (int64_t day = 12; day >= 10; day -= 2) {
        struct day_salt salt = {.day = day};

        memset(salt.salt, (int)day, sizeof(salt.salt));
        assert_ok(snapshot_add_salt(snapshot, &salt, err));
    }
    assert_ok(snapshot_seal(snapshot, true, err));
    return snapshot;
}

static void remove_file(char **path)
{
    (void)unlink(*path);
    free(*path);
    *path = NULL;
}

static char *path_of_a_new_file(void)
{
    char *path = strdup("/tmp/adledger-catalogue-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    (void)close(fd);
    return path;
}

TEST(ads_are_found_by_id_and_listed_in_order)
{
    AUTO(catalogue_drop) const struct catalogue_snapshot *snapshot = snapshot_with_three_ads();

    assert_int_equal(catalogue_count(snapshot), 3);
    assert_string_equal(catalogue_at(snapshot, 0)->id, "a-1");
    assert_string_equal(catalogue_find(snapshot, "b", 1)->title, "A \"title\"");
    assert_true(catalogue_find(snapshot, "c", 1)->is_archived);
    assert_null(catalogue_find(snapshot, "a", 1));
    assert_null(catalogue_find(snapshot, "a-12", 4));
    assert_int_equal(catalogue_index(snapshot, catalogue_find(snapshot, "b", 1)), 1);
    assert_int_equal(catalogue_after(snapshot, ""), 0);
    assert_int_equal(catalogue_after(snapshot, "a-1"), 1);
    assert_int_equal(catalogue_after(snapshot, "bb"), 2);
    assert_int_equal(catalogue_after(snapshot, "c"), 3);
}

TEST(too_many_ads_a_doubled_one_and_a_bad_id_are_refused)
{
    struct catalogue_snapshot *snapshot = snapshot_new(2);
    AUTO(catalogue_drop) const struct catalogue_snapshot *held = snapshot;
    struct ad ad = ad_named("x");
    struct ad wrong = ad_named("x/y");

    assert_ok(snapshot_add_ad(snapshot, &ad, err));
    assert_fails(ERROR_INVALID, snapshot_add_ad(snapshot, &wrong, err));
    assert_ok(snapshot_add_ad(snapshot, &ad, err));
    assert_fails(ERROR_LIMIT, snapshot_add_ad(snapshot, &ad, err));
    assert_fails(ERROR_INVALID, snapshot_seal(snapshot, true, err));
}

TEST(a_day_without_a_salt_derives_one_from_the_last_known)
{
    AUTO(catalogue_drop) const struct catalogue_snapshot *one = snapshot_with_three_ads();
    AUTO(catalogue_drop) const struct catalogue_snapshot *other = snapshot_with_three_ads();
    uint8_t known[VISITOR_SALT_SIZE];
    uint8_t derived[VISITOR_SALT_SIZE];
    uint8_t again[VISITOR_SALT_SIZE];

    catalogue_salt(one, 12, known);
    assert_int_equal(known[0], 12);
    catalogue_salt(one, 13, derived);
    catalogue_salt(other, 13, again);
    assert_memory_equal(derived, again, sizeof(derived));
    assert_memory_not_equal(derived, known, sizeof(derived));
    catalogue_salt(one, 14, again);
    assert_memory_not_equal(derived, again, sizeof(derived));
}

TEST(the_version_changes_with_any_ad)
{
    struct catalogue_snapshot *changed = snapshot_new(3);
    AUTO(catalogue_drop) const struct catalogue_snapshot *held = changed;
    AUTO(catalogue_drop) const struct catalogue_snapshot *same = snapshot_with_three_ads();
    AUTO(catalogue_drop) const struct catalogue_snapshot *snapshot = snapshot_with_three_ads();
    struct ad ad = ad_named("b");

    assert_ok(snapshot_add_ad(changed, &ad, err));
    assert_ok(snapshot_seal(changed, true, err));
    assert_true(catalogue_version(snapshot) == catalogue_version(same));
    assert_true(catalogue_version(snapshot) != catalogue_version(changed));
}

TEST(an_unknown_snapshot_has_no_ad_and_says_so)
{
    struct catalogue_snapshot *unknown = snapshot_new(0);
    AUTO(catalogue_drop) const struct catalogue_snapshot *held = unknown;

    assert_ok(snapshot_seal(unknown, false, err));
    assert_false(catalogue_is_known(unknown));
    assert_null(catalogue_find(unknown, "a", 1));
}

TEST(the_file_gives_back_what_was_saved_and_is_private)
{
    AUTO(catalogue_drop) const struct catalogue_snapshot *saved = snapshot_with_three_ads();
    AUTO(remove_file) char *path = path_of_a_new_file();
    AUTO(catalogue_drop) const struct catalogue_snapshot *loaded = NULL;
    struct stat info;

    assert_ok(catalogue_file_save(path, saved, err));
    loaded = catalogue_file_load(path, 10, err);

    assert_non_null(loaded);
    assert_true(catalogue_is_known(loaded));
    assert_true(snapshot_checksum(loaded) == snapshot_checksum(saved));
    assert_string_equal(catalogue_at(loaded, 1)->target_url, "https://example.com/\xc3\xa4");
    assert_int_equal(catalogue_at(loaded, 0)->created_at_ms, 1700000000123);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

TEST(no_file_is_no_error)
{
    assert_null(catalogue_file_load("/tmp/adledger-there-is-none", 10, err));
    assert_int_equal(err->kind, ERROR_NONE);
}

/* Every cut of the file, and a changed byte in the middle of it. */
TEST(a_damaged_file_is_refused)
{
    AUTO(catalogue_drop) const struct catalogue_snapshot *saved = snapshot_with_three_ads();
    AUTO(remove_file) char *path = path_of_a_new_file();
    char bytes[4096];
    size_t size = 0;
    FILE *file = NULL;

    assert_ok(catalogue_file_save(path, saved, err));
    file = fopen(path, "rb");
    size = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    for (size_t cut = 0; cut < size; cut += 7) {
        file = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, cut, file), cut);
        (void)fclose(file);
        assert_fails(ERROR_INVALID, catalogue_file_load(path, 10, err) != NULL);
    }
    char *title = memmem(bytes, size, "title\\\"", 7);
    assert_non_null(title);
    title[0] = 'T';
    file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    (void)fclose(file);
    assert_fails(ERROR_INVALID, catalogue_file_load(path, 10, err) != NULL);
}

/* Files beside it with such a name and age in seconds; true: the sweep leaves it. */
TEST(what_killed_saves_have_left_is_removed_and_nothing_else)
{
    static const struct {
        const char *end;
        int age_s;
        bool stays;
    } cases[] = {{".12-3456.new", 2 * CATALOGUE_FILE_STALE_S, false},
                 {".13-3456.new", 0, true}, /* another gateway's, perhaps */
                 {".12.new", 2 * CATALOGUE_FILE_STALE_S, true},
                 {".12-3456.new.old", 2 * CATALOGUE_FILE_STALE_S, true},
                 {"", 2 * CATALOGUE_FILE_STALE_S, true}};
    AUTO(remove_file) char *path = path_of_a_new_file();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[300];
        struct timespec times[2] = {{.tv_sec = time(NULL) - cases[i].age_s}};
        int fd;

        times[1] = times[0];
        (void)snprintf(name, sizeof(name), "%s%s", path, cases[i].end);
        fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(futimens(fd, times), 0);
        (void)close(fd);
    }
    catalogue_file_sweep(path);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[300];

        (void)snprintf(name, sizeof(name), "%s%s", path, cases[i].end);
        assert_int_equal(access(name, F_OK) == 0, cases[i].stays);
        if (i + 1 < sizeof(cases) / sizeof(cases[0]))
            (void)unlink(name);
    }
}

TESTS(RUN(ads_are_found_by_id_and_listed_in_order),
      RUN(too_many_ads_a_doubled_one_and_a_bad_id_are_refused),
      RUN(a_day_without_a_salt_derives_one_from_the_last_known),
      RUN(the_version_changes_with_any_ad), RUN(an_unknown_snapshot_has_no_ad_and_says_so),
      RUN(the_file_gives_back_what_was_saved_and_is_private), RUN(no_file_is_no_error),
      RUN(a_damaged_file_is_refused), RUN(what_killed_saves_have_left_is_removed_and_nothing_else))
