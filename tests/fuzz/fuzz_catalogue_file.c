/* The catalogue on disk: what is loaded is in order, is found, and is the same when kept again. */
#include "fuzz.h"

#include "catalogue_file.h"
#include "catalogue_snapshot.h"
#include "event/event.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADS_MAX = 20, PATH_SIZE = 64 };

static void check_snapshot(const struct catalogue_snapshot *snapshot)
{
    uint8_t salt[VISITOR_SALT_SIZE];

    FUZZ_ASSERT(catalogue_is_known(snapshot));
    FUZZ_ASSERT(catalogue_count(snapshot) <= ADS_MAX);
    FUZZ_ASSERT(snapshot_salt_count(snapshot) <= SNAPSHOT_SALTS_MAX);
    for (size_t i = 0; i < catalogue_count(snapshot); i++) {
        const struct ad *ad = catalogue_at(snapshot, i);

        FUZZ_ASSERT(event_ad_id_is_valid(ad->id, strlen(ad->id)));
        FUZZ_ASSERT(catalogue_find(snapshot, ad->id, strlen(ad->id)) == ad);
        FUZZ_ASSERT(catalogue_index(snapshot, ad) == i);
        FUZZ_ASSERT(catalogue_after(snapshot, ad->id) == i + 1);
    }
    for (size_t i = 0; i < snapshot_salt_count(snapshot); i++) {
        const struct day_salt *row = snapshot_salt_at(snapshot, i);

        catalogue_salt(snapshot, row->day, salt);
        FUZZ_ASSERT(memcmp(salt, row->salt, sizeof(salt)) == 0);
    }
}

static void keep_again(const struct catalogue_snapshot *snapshot)
{
    char folder[] = "/dev/shm/adledger-fuzz-XXXXXX";
    char path[PATH_SIZE];
    struct error err = {.kind = ERROR_NONE};
    struct catalogue_snapshot *again;

    FUZZ_ASSERT(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/catalogue.json", folder);
    FUZZ_ASSERT(catalogue_file_save(path, snapshot, &err));
    again = catalogue_file_load(path, ADS_MAX, &err);
    FUZZ_ASSERT(again != NULL);
    FUZZ_ASSERT(snapshot_checksum(again) == snapshot_checksum(snapshot));
    FUZZ_ASSERT(catalogue_version(again) == catalogue_version(snapshot));
    snapshot_free(&again);
    FUZZ_ASSERT(unlink(path) == 0 && rmdir(folder) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one file in memory for all inputs */
    char path[PATH_SIZE];
    struct error err = {.kind = ERROR_NONE};
    struct catalogue_snapshot *snapshot;

    if (fd < 0)
        fd = memfd_create("catalogue", MFD_CLOEXEC);
    FUZZ_ASSERT(fd >= 0 && ftruncate(fd, 0) == 0);
    FUZZ_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    snapshot = catalogue_file_load(path, ADS_MAX, &err);
    if (snapshot == NULL) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
        return 0;
    }
    check_snapshot(snapshot);
    keep_again(snapshot);
    snapshot_free(&snapshot);
    return 0;
}
