/*
 * target.h — adledger's own database, as the importer sees it
 *
 * Why:    the importer writes ads into the catalogue and asks what is there already; events go the
 *         one way that all events go, through the stream.
 * Errors: those of clients/pg.h. ERROR_INVALID: it is not adledger's database, or PARTITIONS is
 *         not what it was set up with.
 */
#pragma once

#include "base/error.h"
#include "event/visitor.h"
#include "fields.h"

#include <stdint.h>

enum { TARGET_PARTITIONS_MAX = 64, TARGET_ROWS_MAX = 1000, TARGET_KEY_SIZE = 32 };

struct endpoint;
struct target;

/* partitions 0: take what the database says. */
struct target *target_open(struct endpoint *postgres, uint32_t partitions, struct error *err);
void target_close(struct target **target);
uint32_t target_partitions(const struct target *target);

typedef bool (*target_ad_fn)(void *ctx, const char *ad_id, struct error *err);
MUST_CHECK bool target_read_ads(struct target *target, target_ad_fn each, void *ctx,
                                struct error *err);

/* One ad; created_at is RFC 3339 or NULL. */
struct target_ad {
    const char *values[AD_FIELD_COUNT];
};
/* At most TARGET_ROWS_MAX ads; those that are there stay as they are. */
MUST_CHECK bool target_enter_ads(struct target *target, const struct target_ad *ads, size_t count,
                                 int64_t *out_entered, struct error *err);

/* out_known[i]: ids[i] is stored already. At most TARGET_ROWS_MAX. */
MUST_CHECK bool target_find_events(struct target *target, const uint8_t (*ids)[EVENT_ID_SIZE],
                                   size_t count, bool *out_known, struct error *err);

/* How far ingest has read each partition. */
MUST_CHECK bool target_read_positions(struct target *target, uint64_t out[TARGET_PARTITIONS_MAX],
                                      struct error *err);

/* What ingest made of the batches of one gateway_id sent since then. */
struct target_ledger {
    int64_t batches, stored, duplicates, dead;
};
MUST_CHECK bool target_read_ledger(struct target *target, const uint8_t gateway_id[16],
                                   int64_t since_at_ms, struct target_ledger *out,
                                   struct error *err);

/* The salts of the days that live traffic may still carry. */
typedef void (*target_salt_fn)(void *ctx, int64_t day, const uint8_t salt[VISITOR_SALT_SIZE]);
MUST_CHECK bool target_read_salts(struct target *target, target_salt_fn each, void *ctx,
                                  struct error *err);

/* The key of imported days' salts, made by the first run and forgotten on request. */
MUST_CHECK bool target_get_key(struct target *target, uint8_t out[TARGET_KEY_SIZE],
                               struct error *err);
MUST_CHECK bool target_forget_key(struct target *target, bool *out_was_there, struct error *err);
