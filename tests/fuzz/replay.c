/* Calls the target with every file of the corpus: the plain test that the fuzz targets are, too. */
#include "fuzz.h"

#include "base/auto.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

enum { INPUT_MAX = 1024 * 1024 };

static void close_file(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file);
    *file = NULL;
}

static void close_folder(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
    *folder = NULL;
}

static bool replay_file(const char *path)
{
    AUTO(close_file) FILE *file = fopen(path, "rb");
    AUTO(auto_free) uint8_t *bytes = malloc(INPUT_MAX);

    if (file == NULL || bytes == NULL) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    size_t size = fread(bytes, 1, INPUT_MAX, file);
    if (ferror(file) != 0 || size == INPUT_MAX) {
        (void)fprintf(stderr, "%s: cannot be read, or is over %d bytes\n", path, INPUT_MAX);
        return false;
    }
    /* A block of its very size, so that a sanitizer sees a read past its end. */
    AUTO(auto_free) uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        return false;
    memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    return true;
}

static bool replay_folder(const char *path, int *replayed)
{
    AUTO(close_folder) DIR *folder = opendir(path);

    if (folder == NULL) {
        (void)fprintf(stderr, "%s: cannot be opened\n", path);
        return false;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this program has one thread */
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char file[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (!replay_file(file))
            return false;
        ++*replayed;
    }
    return true;
}

int main(int argc, char **argv)
{
    int replayed = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (!replay_folder(argv[1], &replayed))
        return EXIT_FAILURE;
    (void)printf("%d inputs replayed\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
