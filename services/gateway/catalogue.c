/*
 * The catalogue's thread, from PostgreSQL to the loops:
 *
 *   follow   connect, LISTEN, refresh, wait for a notification or for the refresh to be due
 *   refresh  read the ads and the salts into a snapshot
 *   publish  make it the newest one, and keep it on disk
 *
 * A loop sees the new snapshot at its next catalogue_take.
 */
#include "catalogue.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "catalogue_file.h"
#include "catalogue_snapshot.h"
#include "clients/pg.h"
#include "metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CATALOGUE_SLICE_MS = 200,
    CONNECT_MS = 2000,
    QUERY_MS = 5000,
    RETRY_BASE_MS = 200,
    RETRY_CAP_MS = 5000,
    /* A burst of changes is read together: at least this long, and four times what a read takes. */
    REFRESH_GAP_MS = 50,
    REFRESH_GAP_FACTOR = 4,
};

static const char *const ads_sql =
    "SELECT id, title, image_url, video_url, target_url,"
    " (extract(epoch FROM created_at) * 1000)::bigint, version, archived_at IS NOT NULL"
    " FROM ads LIMIT $1::text::bigint";
static const char *const salts_sql = "SELECT day - date '1970-01-01', encode(salt, 'hex')"
                                     " FROM visitor_salts ORDER BY day DESC LIMIT $1::text::bigint";

struct catalogue {
    struct catalogue_options options;
    pthread_t thread;
    bool is_started;
    atomic_bool is_stopping;
    atomic_bool is_following;
    bool is_kept;                    /* the file has the newest snapshot; the thread's own */
    bool is_failure_told;            /* that it has not; likewise */
    uint8_t seed[VISITOR_SALT_SIZE]; /* of the days of this process while no salt is known */

    /* The hand-over: written by the catalogue's thread, under the lock; a loop first compares the
     * pointer without it. */
    pthread_mutex_t lock;
    _Atomic(const struct catalogue_snapshot *) newest;
};

static void *follow(void *ctx);
static bool refresh(struct catalogue *self, struct pg *pg, struct error *err);
static bool read_ads(struct catalogue *self, struct pg *pg, struct catalogue_snapshot *snapshot,
                     struct error *err);
static bool read_salts(struct pg *pg, struct catalogue_snapshot *snapshot, struct error *err);
static bool publish(struct catalogue *self, struct catalogue_snapshot **snapshot);

/* What the last process knew; else a snapshot that knows nothing. */
static struct catalogue_snapshot *recall(struct catalogue *self, struct error *err)
{
    struct error why = {0};
    AUTO(snapshot_free)
    struct catalogue_snapshot *snapshot =
        catalogue_file_load(self->options.file, self->options.ads_max, &why);

    catalogue_file_sweep(self->options.file);
    if (snapshot != NULL) {
        log_info("catalogue_loaded", "file=%s ads=%zu", self->options.file,
                 catalogue_count(snapshot));
        snapshot_set_seed(snapshot, self->seed);
        return TAKE(snapshot);
    }
    if (why.kind != ERROR_NONE)
        log_warn("catalogue_file_unusable", "why=%s", why.text);
    snapshot = snapshot_new(0);
    if (snapshot == NULL || !snapshot_seal(snapshot, false, err)) {
        error_set(err, ERROR_LIMIT, "catalogue: no memory");
        return NULL;
    }
    snapshot_set_seed(snapshot, self->seed);
    return TAKE(snapshot);
}

struct catalogue *catalogue_open(const struct catalogue_options *options, struct error *err)
{
    AUTO(catalogue_close) struct catalogue *self = calloc(1, sizeof(*self));
    const struct catalogue_snapshot *first = NULL;

    if (self == NULL || sodium_init() < 0 || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(TAKE(self));
        error_set(err, ERROR_LIMIT, "catalogue: no memory");
        return NULL;
    }
    self->options = *options;
    randombytes_buf(self->seed, sizeof(self->seed));
    first = recall(self, err);
    if (first == NULL)
        return NULL;
    atomic_store(&self->newest, first);
    gateway_set(GATEWAY_catalogue_ads, (double)catalogue_count(first));
    if (pthread_create(&self->thread, NULL, follow, self) != 0) {
        error_set(err, ERROR_LIMIT, "catalogue: no thread");
        return NULL;
    }
    self->is_started = true;
    return TAKE(self);
}

void catalogue_close(struct catalogue **catalogue)
{
    struct catalogue *self = *catalogue;
    const struct catalogue_snapshot *newest = NULL;

    if (self == NULL)
        return;
    atomic_store(&self->is_stopping, true);
    if (self->is_started)
        (void)pthread_join(self->thread, NULL);
    newest = atomic_load(&self->newest);
    catalogue_drop(&newest);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *catalogue = NULL;
}

bool catalogue_is_following(const struct catalogue *catalogue)
{
    return atomic_load(&catalogue->is_following);
}

void catalogue_take(struct catalogue *catalogue, const struct catalogue_snapshot **held)
{
    if (atomic_load_explicit(&catalogue->newest, memory_order_acquire) == *held)
        return;
    catalogue_drop(held);
    /* Under the lock, so that the thread cannot drop the last reference in between. */
    (void)pthread_mutex_lock(&catalogue->lock);
    *held = catalogue_hold(atomic_load(&catalogue->newest));
    (void)pthread_mutex_unlock(&catalogue->lock);
}

static bool is_stopping(struct catalogue *self)
{
    return atomic_load(&self->is_stopping);
}

static bool on_wait(void *ctx)
{
    return !is_stopping(ctx);
}

static void pause_ms(struct catalogue *self, int64_t wait_ms)
{
    int64_t until_ms = clock_now_ms() + wait_ms;

    for (int64_t left_ms = wait_ms; left_ms > 0 && !is_stopping(self);
         left_ms = until_ms - clock_now_ms())
        clock_sleep_ms(left_ms < CATALOGUE_SLICE_MS ? left_ms : CATALOGUE_SLICE_MS);
}

/* Until a change is told or the refresh is due; false: the connection is gone. */
static bool await_change(struct catalogue *self, struct pg *pg, struct error *err)
{
    int64_t due_ms = clock_now_ms() + self->options.refresh_ms;
    bool came = false;

    while (!came && !is_stopping(self) && clock_now_ms() < due_ms) {
        if (!pg_wait_notify(pg, CATALOGUE_SLICE_MS, &came, err))
            return false;
    }
    return true;
}

/* One connection's life: every way out of it but a close is a failure. */
static bool follow_connection(struct catalogue *self, struct pg *pg, struct backoff *backoff,
                              struct error *err)
{
    while (!is_stopping(self)) {
        int64_t started_ms = clock_now_ms();

        if (!refresh(self, pg, err))
            return false;
        if (backoff->attempts > 0)
            log_info("catalogue_reachable_again", "attempts=%d", backoff->attempts);
        backoff_reset(backoff);
        pause_ms(self, REFRESH_GAP_MS + REFRESH_GAP_FACTOR * (clock_now_ms() - started_ms));
        if (!await_change(self, pg, err))
            return false;
    }
    return true;
}

static void *follow(void *ctx)
{
    struct catalogue *self = ctx;
    struct pg_options options = {.endpoint = self->options.postgres,
                                 .application = "adledger gateway catalogue",
                                 .session_sql = "LISTEN ads_changed",
                                 .connect_ms = CONNECT_MS,
                                 .query_ms = QUERY_MS,
                                 .on_wait = on_wait,
                                 .ctx = self};
    AUTO(pg_close) struct pg *pg = pg_new(&options);
    struct backoff backoff;
    struct error err = {0};

    backoff_init(&backoff, RETRY_BASE_MS, RETRY_CAP_MS, randombytes_random());
    while (pg != NULL && !is_stopping(self)) {
        if (follow_connection(self, pg, &backoff, &err))
            break;
        atomic_store(&self->is_following, false);
        if (backoff.attempts == 0) /* once an outage */
            log_warn("catalogue_unreachable", "why=%s", err.text);
        pg_disconnect(pg);
        pause_ms(self, backoff_next_ms(&backoff));
    }
    if (pg == NULL)
        log_error("catalogue_thread_failed", "why=%s", "no memory");
    return NULL;
}

/* Tried again with every refresh, and told once an outage of the disk. The newest snapshot is the
 * catalogue's own until it publishes the next. */
static void keep(struct catalogue *self)
{
    struct error why = {0};

    if (self->is_kept)
        return;
    self->is_kept = catalogue_file_save(self->options.file, atomic_load(&self->newest), &why);
    if (!self->is_kept && !self->is_failure_told)
        log_warn("catalogue_not_kept", "why=%s", why.text);
    if (self->is_kept && self->is_failure_told)
        log_info("catalogue_kept_again", "file=%s", self->options.file);
    self->is_failure_told = !self->is_kept;
}

static bool refresh(struct catalogue *self, struct pg *pg, struct error *err)
{
    AUTO(snapshot_free)
    struct catalogue_snapshot *snapshot = snapshot_new(self->options.ads_max);

    if (snapshot == NULL)
        return error_set(err, ERROR_LIMIT, "catalogue: no memory");
    if (!read_ads(self, pg, snapshot, err) || !read_salts(pg, snapshot, err) ||
        !snapshot_seal(snapshot, true, err))
        return false;
    snapshot_set_seed(snapshot, self->seed);
    if (publish(self, &snapshot))
        self->is_kept = false;
    keep(self);
    gateway_set(GATEWAY_catalogue_refreshed_at_seconds, (double)clock_at_ms() / 1000);
    gateway_set(GATEWAY_catalogue_ads, (double)catalogue_count(atomic_load(&self->newest)));
    gateway_count(GATEWAY_catalogue_refreshes_total, 1);
    atomic_store(&self->is_following, true);
    return true;
}

/* Numbers of our own query's columns: they are integers as PostgreSQL prints them. */
static int64_t number_at(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static bool read_ads(struct catalogue *self, struct pg *pg, struct catalogue_snapshot *snapshot,
                     struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char limit[24];
    struct pg_param param = {.value = limit};

    /* One more than may be: its presence is the proof that there are too many. */
    (void)snprintf(limit, sizeof(limit), "%zu", self->options.ads_max + 1);
    if (!pg_query(pg, NULL, ads_sql, &param, 1, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        struct ad ad = {
            .id = PQgetvalue(rows, row, 0),
            .title = PQgetvalue(rows, row, 1),
            .image_url = PQgetvalue(rows, row, 2),
            .video_url = PQgetvalue(rows, row, 3),
            .target_url = PQgetvalue(rows, row, 4),
            .created_at_ms = number_at(rows, row, 5),
            .version = number_at(rows, row, 6),
            .is_archived = PQgetvalue(rows, row, 7)[0] == 't',
        };

        if (!snapshot_add_ad(snapshot, &ad, err))
            return false;
    }
    return true;
}

static bool read_salts(struct pg *pg, struct catalogue_snapshot *snapshot, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char limit[24];
    struct pg_param param = {.value = limit};

    (void)snprintf(limit, sizeof(limit), "%d", SNAPSHOT_SALTS_MAX);
    if (!pg_query(pg, NULL, salts_sql, &param, 1, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        struct day_salt salt = {.day = number_at(rows, row, 0)};
        const char *hex = PQgetvalue(rows, row, 1);
        size_t size = 0;

        if (sodium_hex2bin(salt.salt, sizeof(salt.salt), hex, strlen(hex), NULL, &size, NULL) !=
                0 ||
            size != sizeof(salt.salt))
            return error_set(err, ERROR_INTERNAL, "catalogue: a salt is not of 16 bytes");
        if (!snapshot_add_salt(snapshot, &salt, err))
            return false;
    }
    return true;
}

/* True: it differs from what was there and is the newest now. */
static bool publish(struct catalogue *self, struct catalogue_snapshot **snapshot)
{
    const struct catalogue_snapshot *before = atomic_load(&self->newest);

    if (catalogue_is_known(before) && snapshot_checksum(before) == snapshot_checksum(*snapshot))
        return false;
    (void)pthread_mutex_lock(&self->lock);
    atomic_store_explicit(&self->newest, TAKE(*snapshot), memory_order_release);
    (void)pthread_mutex_unlock(&self->lock);
    catalogue_drop(&before);
    return true;
}
