#include "clients/pg.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * PostgreSQL's binary array: int32 dimensions, has_null, element type; int32 length, lower bound;
 * then each element as int32 size (-1: NULL) and its bytes. All big-endian.
 */
enum { HEADER_SIZE = 20, FIRST_CAPACITY = 1024 };
/*
 * PostgreSQL's binary COPY: a header; each row as int16 fields and the fields in the form of array
 * elements; int16 -1 as the end. The header (signature, no flags, no extension) takes the end of
 * the room that an array's has.
 */
enum { COPY_HEADER_SIZE = 19 };
static const char copy_header[COPY_HEADER_SIZE] = "PGCOPY\n\377\r\n";
enum { PG_INET_V4 = 2, PG_INET_V6 = 3 }; /* PGSQL_AF_INET, PGSQL_AF_INET6 */

/* Microseconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01. */
#define PG_EPOCH_US INT64_C(946684800000000)

static void put_big_endian(char *at, uint64_t value, size_t size_bytes)
{
    for (size_t i = size_bytes; i > 0; i--) {
        at[i - 1] = (char)(unsigned char)(value & 0xff);
        value >>= 8;
    }
}

void pg_array_init(struct pg_array *array, Oid element)
{
    *array = (struct pg_array){.element = element};
}

void pg_array_reset(struct pg_array *array)
{
    array->size = 0;
    array->count = 0;
    array->has_null = false;
    array->failed = false;
}

void pg_array_free(struct pg_array *array)
{
    free(array->bytes);
    *array = (struct pg_array){.element = array->element};
}

/* Room for more bytes at the end; NULL: no memory, or more than one parameter may hold. */
static char *grow(struct pg_array *array, size_t more)
{
    size_t start = array->size == 0 ? HEADER_SIZE : array->size;
    size_t capacity = array->capacity == 0 ? FIRST_CAPACITY : array->capacity;
    char *bytes;

    if (array->failed || more > INT_MAX - start) {
        array->failed = true;
        return NULL;
    }
    while (capacity < start + more)
        capacity *= 2;
    if (capacity != array->capacity) {
        bytes = realloc(array->bytes, capacity);
        if (bytes == NULL) {
            array->failed = true;
            return NULL;
        }
        array->bytes = bytes;
        array->capacity = capacity;
    }
    array->size = start + more;
    return array->bytes + start;
}

/* An element's size field; what comes back is the place of its bytes. */
static char *add(struct pg_array *array, size_t size_bytes)
{
    char *at = grow(array, sizeof(int32_t) + size_bytes);

    if (at == NULL)
        return NULL;
    put_big_endian(at, size_bytes, sizeof(int32_t));
    array->count++;
    return at + sizeof(int32_t);
}

static void add_integer(struct pg_array *array, int64_t value, size_t size_bytes)
{
    char *at = add(array, size_bytes);

    if (at != NULL)
        put_big_endian(at, (uint64_t)value, size_bytes);
}

void pg_array_add_null(struct pg_array *array)
{
    char *at = grow(array, sizeof(int32_t));

    if (at == NULL)
        return;
    put_big_endian(at, UINT32_MAX, sizeof(int32_t));
    array->count++;
    array->has_null = true;
}

void pg_array_add_int16(struct pg_array *array, int16_t value)
{
    add_integer(array, value, sizeof(value));
}

void pg_array_add_int32(struct pg_array *array, int32_t value)
{
    add_integer(array, value, sizeof(value));
}

void pg_array_add_int64(struct pg_array *array, int64_t value)
{
    add_integer(array, value, sizeof(value));
}

void pg_array_add_bytes(struct pg_array *array, const void *bytes, size_t size_bytes)
{
    char *at;

    if (size_bytes > INT_MAX) {
        array->failed = true;
        return;
    }
    at = add(array, size_bytes);
    if (at != NULL && size_bytes > 0)
        memcpy(at, bytes, size_bytes);
}

void pg_array_add_time_ms(struct pg_array *array, int64_t at_ms)
{
    add_integer(array, at_ms * 1000 - PG_EPOCH_US, sizeof(int64_t));
}

void pg_array_add_ip(struct pg_array *array, const uint8_t *bytes, size_t size_bytes)
{
    char *at;

    assert(size_bytes == 0 || size_bytes == 4 || size_bytes == 16);
    if (size_bytes == 0) {
        pg_array_add_null(array);
        return;
    }
    at = add(array, 4 + size_bytes);
    if (at == NULL)
        return;
    at[0] = size_bytes == 4 ? PG_INET_V4 : PG_INET_V6;
    at[1] = (char)(unsigned char)(size_bytes * 8); /* a whole address: all bits count */
    at[2] = 0;                                     /* not a cidr */
    at[3] = (char)(unsigned char)size_bytes;
    memcpy(at + 4, bytes, size_bytes);
}

bool pg_array_param(struct pg_array *array, struct pg_param *out, struct error *err)
{
    if (array->size == 0)
        (void)grow(array, 0);
    if (array->failed)
        return error_set(err, ERROR_LIMIT, "pg: no memory for an array of %d", array->count);
    /* An empty array has no dimension. */
    put_big_endian(array->bytes, array->count > 0 ? 1 : 0, 4);
    put_big_endian(array->bytes + 4, array->has_null ? 1 : 0, 4);
    put_big_endian(array->bytes + 8, array->element, 4);
    put_big_endian(array->bytes + 12, (uint64_t)array->count, 4);
    put_big_endian(array->bytes + 16, 1, 4);
    out->value = array->bytes;
    out->size_bytes = (int)(array->count > 0 ? array->size : 12);
    out->is_binary = true;
    out->type = 0;
    return true;
}

static void add_int16_bare(struct pg_array *array, uint16_t value)
{
    char *at = grow(array, sizeof(value));

    if (at != NULL)
        put_big_endian(at, value, sizeof(value));
}

void pg_array_add_row(struct pg_array *array, int16_t field_count)
{
    add_int16_bare(array, (uint16_t)field_count);
}

bool pg_array_copy(struct pg_array *array, const char **out_bytes, size_t *out_size_bytes,
                   struct error *err)
{
    char *start = NULL;

    add_int16_bare(array, UINT16_MAX);
    if (array->failed)
        return error_set(err, ERROR_LIMIT, "pg: no memory for rows with %d fields", array->count);
    start = array->bytes + HEADER_SIZE - COPY_HEADER_SIZE;
    memcpy(start, copy_header, COPY_HEADER_SIZE);
    *out_bytes = start;
    *out_size_bytes = array->size - (HEADER_SIZE - COPY_HEADER_SIZE);
    return true;
}
