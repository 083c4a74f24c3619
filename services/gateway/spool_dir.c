#include "spool_dir.h"

#include "base/auto.h"
#include "metrics.h"
#include "runtime/auto_file.h"
#include "runtime/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TRY_MS = 20, MODE = 0700, NAMES_MAX = 100 };

#define ADOPTED  "~adopted-"
#define RETIRED  "~damaged-"
#define FILENAME "spool.db"

enum lock_result { LOCK_TAKEN, LOCK_HELD, LOCK_GONE, LOCK_FAILED };

bool spool_dir_is_instance(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strspn(name, allowed);

    return size > 0 && size <= SPOOL_INSTANCE_MAX && name[size] == '\0' && name[0] != '.';
}

static bool fail(const char *what, const char *path, struct error *err)
{
    return error_set(err, ERROR_UNAVAILABLE, "spool: cannot %s %s: %s", what, path,
                     strerrordesc_np(errno));
}

static bool join(char out[SPOOL_PATH_MAX], const char *directory, const char *name)
{
    return snprintf(out, SPOOL_PATH_MAX, "%s/%s", directory, name) < SPOOL_PATH_MAX;
}

void spool_dir_file(const struct spool_dir *dir, char out[SPOOL_PATH_MAX])
{
    (void)join(out, dir->path, FILENAME); /* spool_dir_lock has seen to the room */
}

/* Each part that is missing. */
static bool make_path(const char *path, struct error *err)
{
    char part[SPOOL_PATH_MAX];

    for (const char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        (void)snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
        if (mkdir(part, MODE) != 0 && errno != EEXIST)
            return fail("make", part, err);
        if (*at == '\0')
            return true;
    }
}

/* A new directory's name must be on disk before anything is promised in it. */
static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    return is_synced;
}

/* LOCK_GONE: the directory was renamed or removed while we were at it. */
static enum lock_result take_lock(const char *path, int flags, int *out_fd)
{
    char lock[SPOOL_PATH_MAX + 8];
    struct stat by_name;
    struct stat by_fd;
    int fd;
    enum lock_result result;

    (void)snprintf(lock, sizeof(lock), "%s/lock", path);
    fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? LOCK_GONE : LOCK_FAILED;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        result = errno == EWOULDBLOCK ? LOCK_HELD : LOCK_FAILED;
    else if (stat(lock, &by_name) != 0 || fstat(fd, &by_fd) != 0 ||
             by_name.st_ino != by_fd.st_ino || by_name.st_dev != by_fd.st_dev)
        result = LOCK_GONE;
    else
        result = LOCK_TAKEN;
    if (result == LOCK_TAKEN)
        *out_fd = fd;
    else
        (void)close(fd);
    return result;
}

/* One that adopts holds the lock for the moment of its renaming, hence the tries. */
bool spool_dir_lock(const char *base, const char *instance, struct spool_dir *out,
                    struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + SPOOL_DIR_LOCK_MS;
    enum lock_result result;

    *out = (struct spool_dir){.lock_fd = -1};
    if (strlen(base) + SPOOL_INSTANCE_MAX + sizeof("~adopted-1234567890123/" FILENAME "-wal") + 24 >
            SPOOL_PATH_MAX ||
        !join(out->path, base, instance))
        return error_set(err, ERROR_INVALID, "SPOOL_DIR: %s is too long", base);
    for (;;) {
        if (!make_path(out->path, err))
            return false;
        result = take_lock(out->path, O_CREAT, &out->lock_fd);
        if (result == LOCK_TAKEN)
            break;
        if (result == LOCK_FAILED)
            return fail("lock", out->path, err);
        if (clock_now_ms() >= deadline_ms)
            return error_set(err, ERROR_INVALID,
                             "INSTANCE: a living process uses the spool %s: give each gateway an "
                             "INSTANCE of its own, or another SPOOL_DIR",
                             out->path);
        clock_sleep_ms(TRY_MS);
    }
    if (!sync_directory(base)) {
        (void)fail("sync", base, err);
        spool_dir_release(out);
        return false;
    }
    return true;
}

/* Moves the directory to "<name><mark><unix ms>", the lock with it. */
static bool rename_to(struct spool_dir *dir, const char *mark, int64_t at_ms)
{
    char path[SPOOL_PATH_MAX];
    int size = (int)(strrchr(dir->path, '/') - dir->path);
    const char *name = dir->path + size + 1;

    for (int64_t i = 0; i < NAMES_MAX; i++) { /* the same millisecond, by chance */
        if (snprintf(path, sizeof(path), "%.*s/%.*s%s%" PRId64, size, dir->path,
                     (int)strcspn(name, "~"), name, mark, at_ms + i) >= (int)sizeof(path))
            return false;
        if (access(path, F_OK) == 0)
            continue;
        if (rename(dir->path, path) != 0)
            return false;
        memcpy(dir->path, path, sizeof(path));
        return true;
    }
    return false;
}

static bool adopt(const char *base, const char *name, int64_t at_ms, struct spool_dir *out)
{
    *out = (struct spool_dir){.lock_fd = -1};
    if (name[0] == '.' || strstr(name, RETIRED) != NULL || !join(out->path, base, name) ||
        take_lock(out->path, 0, &out->lock_fd) != LOCK_TAKEN)
        return false;
    if (strstr(name, ADOPTED) != NULL || rename_to(out, ADOPTED, at_ms))
        return true;
    spool_dir_release(out);
    return false;
}

static int compare(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

size_t spool_dir_adopt(const char *base, int64_t at_ms, struct spool_dir_look *look,
                       struct spool_dir *out, size_t max)
{
    struct dirent **entries = NULL;
    int entry_count = scandir(base, &entries, NULL, compare);
    int first = 0;
    size_t count = 0;

    while (first < entry_count && strcmp(entries[first]->d_name, look->last) <= 0)
        first++;
    for (int i = 0; i < entry_count && count < max; i++) {
        const char *name = entries[(first + i) % entry_count]->d_name;

        if (!adopt(base, name, at_ms, &out[count]))
            continue;
        /* By the name that it has from now on, under which it may be met again. */
        (void)snprintf(look->last, sizeof(look->last), "%s", strrchr(out[count].path, '/') + 1);
        count++;
    }
    for (int i = 0; i < entry_count; i++)
        free(entries[i]);
    free(entries);
    return count;
}

static void unlink_in(const struct spool_dir *dir, const char *name)
{
    char path[SPOOL_PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    (void)unlink(path); /* what stays makes the rmdir fail */
}

/* The lock goes last: a directory without one is nobody's to adopt. */
bool spool_dir_remove(struct spool_dir *dir)
{
    AUTO(auto_close_directory) DIR *directory = NULL;
    const struct dirent *entry;

    unlink_in(dir, FILENAME);
    unlink_in(dir, FILENAME "-wal");
    unlink_in(dir, FILENAME "-journal");
    directory = opendir(dir->path);
    if (directory == NULL)
        return false;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this call's own. */
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lock") != 0)
            return false;
    }
    unlink_in(dir, "lock");
    if (rmdir(dir->path) != 0)
        return false;
    spool_dir_release(dir);
    return true;
}

bool spool_dir_retire(struct spool_dir *dir, int64_t at_ms)
{
    return rename_to(dir, RETIRED, at_ms);
}

void spool_dir_release(struct spool_dir *dir)
{
    if (dir->lock_fd >= 0)
        (void)close(dir->lock_fd);
    dir->lock_fd = -1;
}

void spool_dir_report_disk(const char *base)
{
    struct statvfs disk = {0};

    if (statvfs(base, &disk) != 0)
        return;
    gateway_set(GATEWAY_spool_disk_free_bytes, (double)disk.f_bavail * (double)disk.f_frsize);
    gateway_set(GATEWAY_spool_disk_bytes, (double)disk.f_blocks * (double)disk.f_frsize);
}
