#include "runtime/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0640 };

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
}

bool log_file_open(struct log_file *file, const char *path, int64_t max_bytes, int keep,
                   struct error *err)
{
    struct log_file made = {STDERR_FILENO, NULL, max_bytes, keep};

    if (path != NULL && path[0] != '\0') {
        made.fd = open_path(path);
        if (made.fd < 0)
            return error_set(err, ERROR_INVALID, "log: %s: %s", path, strerrordesc_np(errno));
        made.path = strdup(path);
        if (made.path == NULL) {
            (void)close(made.fd);
            return error_set(err, ERROR_LIMIT, "log: no memory");
        }
    }
    *file = made;
    return true;
}

void log_file_close(struct log_file *file)
{
    if (file->path != NULL && file->fd >= 0)
        (void)close(file->fd); /* every line was written by itself: nothing is buffered */
    free(file->path);
    *file = (struct log_file){.fd = STDERR_FILENO};
}

static void reopen(struct log_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = open_path(file->path); /* a failure is seen by the write, which loses the line */
}

void log_file_reopen(struct log_file *file)
{
    if (file->path != NULL)
        reopen(file);
}

/* The size of the file at our path; reopens it when it is no longer the one we hold. */
static int64_t follow(struct log_file *file)
{
    struct stat at_path = {0};
    struct stat held = {0};
    bool is_there = stat(file->path, &at_path) == 0;

    if (file->fd >= 0 && is_there && fstat(file->fd, &held) == 0 && held.st_ino == at_path.st_ino &&
        held.st_dev == at_path.st_dev)
        return held.st_size;
    reopen(file);
    return file->fd >= 0 && fstat(file->fd, &held) == 0 ? held.st_size : 0;
}

/* path.4 -> path.5, ... path -> path.1: the oldest is overwritten. */
static void rotate(struct log_file *file)
{
    char from[PATH_MAX];
    char to[PATH_MAX];

    for (int i = file->keep; i >= 1; i--) {
        (void)snprintf(to, sizeof(to), "%s.%d", file->path, i);
        if (i == 1)
            (void)snprintf(from, sizeof(from), "%s", file->path);
        else
            (void)snprintf(from, sizeof(from), "%s.%d", file->path, i - 1);
        /* Most are missing at first; if one cannot be moved the log grows on, which loses less. */
        (void)rename(from, to);
    }
    if (file->keep == 0)
        (void)unlink(file->path);
    reopen(file);
}

static bool write_all(int fd, const char *bytes, size_t size_bytes)
{
    while (size_bytes > 0) {
        ssize_t written = write(fd, bytes, size_bytes);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        size_bytes -= (size_t)written;
    }
    return true;
}

bool log_file_write(struct log_file *file, const char *bytes, size_t size_bytes)
{
    int64_t size = file->path == NULL ? 0 : follow(file);

    if (file->path != NULL && size > 0 && size + (int64_t)size_bytes > file->max_bytes)
        rotate(file);
    return write_all(file->fd, bytes, size_bytes);
}
