/* A query string: values are decoded once, end where they say, and read the same when sent again.
 */
#include "fuzz.h"

#include "base/text.h"
#include "http/query_string.h"

static const char *const names[] = {"a", "b", "limit", NULL};

/* Every byte of a value as %XX: whatever was read must come back. */
static void send_again(const struct query_string *query)
{
    static struct query_string again;
    struct faults faults = {0};
    struct text text;

    text_init(&text, (size_t)4 * QUERY_VALUES_MAX);
    for (size_t i = 0; names[i] != NULL; i++) {
        if (query->values[i] == NULL)
            continue;
        text_addf(&text, "&%s=", names[i]);
        for (size_t k = 0; k < query->sizes[i]; k++)
            text_addf(&text, "%%%02x", (unsigned char)query->values[i][k]);
    }
    FUZZ_ASSERT(text_ok(&text));
    /* An encoded value is three times as long: only what fits can be sent at all. */
    if (text.size <= QUERY_VALUES_MAX) {
        FUZZ_ASSERT(query_string_parse(&again, names, text_str(&text), text.size, &faults));
        for (size_t i = 0; names[i] != NULL; i++) {
            FUZZ_ASSERT((query->values[i] == NULL) == (again.values[i] == NULL));
            FUZZ_ASSERT(query->values[i] == NULL || strcmp(query->values[i], again.values[i]) == 0);
        }
    }
    text_free(&text);
}

static void check(const struct query_string *query)
{
    struct faults faults = {0};
    int64_t limit = -7;
    bool is_number = query_string_int(query, "limit", 1, 1000, &limit, &faults);

    for (size_t i = 0; names[i] != NULL; i++) {
        const char *value = query_string_find(query, names[i]);

        FUZZ_ASSERT(value == query->values[i]);
        FUZZ_ASSERT(value == NULL || strlen(value) == query->sizes[i]);
    }
    FUZZ_ASSERT(is_number == (faults.count == 0));
    FUZZ_ASSERT(query_string_find(query, "limit") == NULL || !is_number ||
                (limit >= 1 && limit <= 1000));
    FUZZ_ASSERT((is_number && query_string_find(query, "limit") != NULL) || limit == -7);
}

/* Each value that was taken makes one more of its name a mistake. */
static void check_twice(const struct query_string *query, const char *text, size_t size)
{
    static struct query_string again;

    for (size_t i = 0; names[i] != NULL; i++) {
        struct faults faults = {0};
        struct text twice;

        if (query->values[i] == NULL)
            continue;
        text_init(&twice, size + 32);
        text_add(&twice, text, size);
        text_addf(&twice, "&%s=", names[i]);
        FUZZ_ASSERT(text_ok(&twice));
        FUZZ_ASSERT(!query_string_parse(&again, names, text_str(&twice), twice.size, &faults));
        FUZZ_ASSERT(faults.count > 0 && strcmp(faults.rows[0].field, names[i]) == 0);
        text_free(&twice);
    }
}

static void check_decode(const char *text, size_t size)
{
    char *out = malloc(size + 1);
    size_t out_size = 0;

    FUZZ_ASSERT(out != NULL);
    if (query_string_decode(text, size, out, &out_size)) {
        FUZZ_ASSERT(out_size <= size);
        FUZZ_ASSERT(out_size == 0 || memchr(out, '\0', out_size) == NULL);
        FUZZ_ASSERT(size == 0 || out_size > 0);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct query_string query;
    struct faults faults = {0};

    check_decode((const char *)data, size);
    if (query_string_parse(&query, names, (const char *)data, size, &faults)) {
        FUZZ_ASSERT(faults.count == 0);
        check(&query);
        send_again(&query);
        check_twice(&query, (const char *)data, size);
    } else {
        FUZZ_ASSERT(faults.count > 0);
        FUZZ_ASSERT(faults.rows[0].code == FAULT_INVALID_PARAMETER);
        FUZZ_ASSERT(faults.rows[0].field[0] != '\0');
    }
    return 0;
}
