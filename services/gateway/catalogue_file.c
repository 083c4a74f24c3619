#include "catalogue_file.h"

#include "base/auto.h"
#include "catalogue_snapshot.h"
#include "runtime/auto_file.h"
#include "runtime/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1, PATH_MAX_BYTES = 512, CHECKSUM_SIZE = 17 };

static void close_json(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static void format_checksum(const struct catalogue_snapshot *snapshot, char out[CHECKSUM_SIZE])
{
    (void)snprintf(out, CHECKSUM_SIZE, "%016" PRIx64, snapshot_checksum(snapshot));
}

static bool read_ads(json_t *rows, struct catalogue_snapshot *snapshot, struct error *err)
{
    size_t index = 0;
    json_t *row = NULL;

    json_array_foreach(rows, index, row)
    {
        struct ad ad = {0};
        int archived = 0;
        json_int_t created_at_ms = 0;
        json_int_t version = 0;

        if (json_unpack(row, "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "id", &ad.id, "title",
                        &ad.title, "image_url", &ad.image_url, "video_url", &ad.video_url,
                        "target_url", &ad.target_url, "created_at_ms", &created_at_ms, "version",
                        &version, "archived", &archived) != 0)
            return error_set(err, ERROR_INVALID, "ad %zu is not readable", index);
        ad.created_at_ms = created_at_ms;
        ad.version = version;
        ad.is_archived = archived != 0;
        if (!snapshot_add_ad(snapshot, &ad, err))
            return false;
    }
    return true;
}

static bool read_salts(json_t *rows, struct catalogue_snapshot *snapshot, struct error *err)
{
    size_t index = 0;
    json_t *row = NULL;

    json_array_foreach(rows, index, row)
    {
        struct day_salt salt;
        json_int_t day = 0;
        const char *hex = NULL;
        size_t hex_size = 0;
        size_t size = 0;

        if (json_unpack(row, "{s:I, s:s%}", "day", &day, "salt", &hex, &hex_size) != 0 ||
            sodium_hex2bin(salt.salt, sizeof(salt.salt), hex, hex_size, NULL, &size, NULL) != 0 ||
            size != sizeof(salt.salt))
            return error_set(err, ERROR_INVALID, "salt %zu is not readable", index);
        salt.day = day;
        if (!snapshot_add_salt(snapshot, &salt, err))
            return false;
    }
    return true;
}

static bool read_all(json_t *root, struct catalogue_snapshot *snapshot, struct error *err)
{
    int format = 0;
    const char *checksum = NULL;
    json_t *ads = NULL;
    json_t *salts = NULL;
    char actual[CHECKSUM_SIZE];

    if (json_unpack(root, "{s:i, s:s, s:o, s:o}", "format", &format, "checksum", &checksum, "ads",
                    &ads, "salts", &salts) != 0 ||
        format != FORMAT || !json_is_array(ads) || !json_is_array(salts))
        return error_set(err, ERROR_INVALID, "not a catalogue of format %d", FORMAT);
    if (!read_ads(ads, snapshot, err) || !read_salts(salts, snapshot, err) ||
        !snapshot_seal(snapshot, true, err))
        return false;
    format_checksum(snapshot, actual);
    if (strcmp(actual, checksum) != 0)
        return error_set(err, ERROR_INVALID, "the checksum does not match");
    return true;
}

struct catalogue_snapshot *catalogue_file_load(const char *path, size_t ads_max, struct error *err)
{
    AUTO(auto_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO(close_json) json_t *root = NULL;
    AUTO(snapshot_free) struct catalogue_snapshot *snapshot = NULL;
    json_error_t why;
    struct stat info;

    err->kind = ERROR_NONE;
    if (fd < 0 && errno == ENOENT)
        return NULL;
    if (fd < 0 || fstat(fd, &info) != 0) {
        error_set(err, ERROR_UNAVAILABLE, "catalogue_file: cannot read %s: %s", path,
                  strerrordesc_np(errno));
        return NULL;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > CATALOGUE_FILE_MAX) {
        error_set(err, ERROR_INVALID, "catalogue_file: %s is no file or too large", path);
        return NULL;
    }
    root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
    snapshot = snapshot_new(ads_max);
    if (root == NULL || snapshot == NULL) {
        error_set(err, root == NULL ? ERROR_INVALID : ERROR_LIMIT, "catalogue_file: %s: %s", path,
                  root == NULL ? why.text : "no memory");
        return NULL;
    }
    if (!read_all(root, snapshot, err)) {
        error_wrap(err, path);
        return NULL;
    }
    return TAKE(snapshot);
}

/* NULL when any part could not be made. */
static json_t *write_all(const struct catalogue_snapshot *snapshot)
{
    char checksum[CHECKSUM_SIZE];
    AUTO(close_json) json_t *ads = json_array();
    AUTO(close_json) json_t *salts = json_array();
    bool ok = true;

    format_checksum(snapshot, checksum);
    for (size_t i = 0; i < catalogue_count(snapshot) && ok; i++) {
        const struct ad *ad = catalogue_at(snapshot, i);

        ok = json_array_append_new(
                 ads, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "id", ad->id, "title",
                                ad->title, "image_url", ad->image_url, "video_url", ad->video_url,
                                "target_url", ad->target_url, "created_at_ms",
                                (json_int_t)ad->created_at_ms, "version", (json_int_t)ad->version,
                                "archived", (int)ad->is_archived)) == 0;
    }
    for (size_t i = 0; i < snapshot_salt_count(snapshot) && ok; i++) {
        const struct day_salt *salt = snapshot_salt_at(snapshot, i);
        char hex[VISITOR_SALT_SIZE * 2 + 1];

        sodium_bin2hex(hex, sizeof(hex), salt->salt, sizeof(salt->salt));
        ok = json_array_append_new(
                 salts, json_pack("{s:I, s:s}", "day", (json_int_t)salt->day, "salt", hex)) == 0;
    }
    if (!ok)
        return NULL;
    return json_pack("{s:i, s:s, s:O, s:O}", "format", FORMAT, "checksum", checksum, "ads", ads,
                     "salts", salts);
}

/* With its slash, so that a file in / works too. */
static void directory_of(const char *path, char out[PATH_MAX_BYTES])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        (void)snprintf(out, PATH_MAX_BYTES, "./");
    else
        (void)snprintf(out, PATH_MAX_BYTES, "%.*s", (int)(slash - path + 1), path);
}

/* "<name>.<pid>-<us>.new", as catalogue_file_save makes it. */
static bool is_beside(const char *entry, const char *name)
{
    size_t size = strlen(name);
    int end = 0;

    return strncmp(entry, name, size) == 0 &&
           sscanf(entry + size, ".%*[0-9]-%*[0-9].new%n", &end) == 0 && end > 0 &&
           entry[size + (size_t)end] == '\0';
}

void catalogue_file_sweep(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char directory[PATH_MAX_BYTES];
    AUTO(auto_close_directory) DIR *entries = NULL;
    const struct dirent *entry;
    struct stat info;

    directory_of(path, directory);
    entries = opendir(directory);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this call's own. */
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (is_beside(entry->d_name, name) &&
            fstatat(dirfd(entries), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            info.st_mtime < clock_at_ms() / 1000 - CATALOGUE_FILE_STALE_S)
            (void)unlinkat(dirfd(entries), entry->d_name, 0); /* else the next start tries again */
    }
}

/* The rename itself must be on disk too. */
static bool sync_directory(const char *path)
{
    char directory[PATH_MAX_BYTES];
    AUTO(auto_close_fd) int fd = -1;

    directory_of(path, directory);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

bool catalogue_file_save(const char *path, const struct catalogue_snapshot *snapshot,
                         struct error *err)
{
    AUTO(close_json) json_t *root = write_all(snapshot);
    AUTO(auto_close_fd) int fd = -1;
    char beside[PATH_MAX_BYTES];

    if (root == NULL)
        return error_set(err, ERROR_LIMIT, "catalogue_file: no memory, or text that is not UTF-8");
    /* Gateways in containers may share the file, and there each has the same pid. */
    if (snprintf(beside, sizeof(beside), "%s.%ld-%lld.new", path, (long)getpid(),
                 (long long)clock_now_us()) >= (int)sizeof(beside))
        return error_set(err, ERROR_INVALID, "catalogue_file: the path is too long");
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, ERROR_UNAVAILABLE, "catalogue_file: cannot make %s: %s", beside,
                         strerrordesc_np(errno));
    if (json_dumpfd(root, fd, JSON_COMPACT) != 0 || fsync(fd) != 0 || rename(beside, path) != 0 ||
        !sync_directory(path)) {
        (void)error_set(err, ERROR_UNAVAILABLE, "catalogue_file: cannot write %s: %s", path,
                        strerrordesc_np(errno));
        (void)unlink(beside); /* what is left of it is of no use */
        return false;
    }
    return true;
}
