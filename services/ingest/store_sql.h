/*
 * store_sql.h — the statements of one transaction, in the order they run
 *
 *   claim    moves the position by compare-and-set and files the batches, in one round trip
 *   ranges   only when a batch carries some: see ranges.c
 *   copy     the events, when none of them is there already: it fails on the first that is
 *   insert   the events otherwise; the primary key takes those that were not there before
 *   sum      adds the folded counts of what was really inserted to the rollups
 *   tell     only when something was not inserted: marks, corrections, dead letters
 *
 * The numbers in the comments are the parameters; arrays come from columns.h in this order.
 */
#pragma once

/* 1 new position, 2 partition, 3 expected position, 4 Unix ms, 5-14 columns_heads. What is stored
 * tells how fresh the rows are, and never backwards: another process may know better. */
static const char sql_claim[] =
    "WITH moved AS ("
    "  UPDATE positions SET seq = $1, moved_at = now(),"
    "         fresh_at = greatest(fresh_at, to_timestamp($4::text::bigint / 1000.0))"
    "  WHERE partition = $2 AND seq = $3 RETURNING seq"
    "), filed AS ("
    "  INSERT INTO batches (sent_at, gateway_id, thread, partition, batch_no, seq, events, stored,"
    "                       dead, settled_below, accepted)"
    "  SELECT sent_at, gateway_id, thread, $2, batch_no, seq, events, stored, dead, settled_below,"
    "         accepted"
    "  FROM unnest($5::timestamptz[], $6::uuid[], $7::int4[], $8::int8[], $9::int8[], $10::int4[],"
    "              $11::int4[], $12::int4[], $13::int8[], $14::int8[])"
    "       AS head (sent_at, gateway_id, thread, batch_no, seq, events, stored, dead,"
    "                settled_below, accepted)"
    "  WHERE EXISTS (SELECT FROM moved)"
    "  ON CONFLICT DO NOTHING RETURNING seq"
    ") SELECT true, seq FROM moved UNION ALL SELECT false, seq FROM filed";

/* columns_copy_events */
static const char sql_copy[] =
    "COPY events (event_id, type, reason, flags, ad_id, event_at, received_at, visitor,"
    "             playback_ms, ip, seq) FROM STDIN BINARY";

/* 1-11 columns_events. The ids come back in the order they went in. */
static const char sql_insert[] =
    "INSERT INTO events (event_id, type, reason, flags, ad_id, event_at, received_at, visitor,"
    "                    playback_ms, ip, seq)"
    " SELECT * FROM unnest($1::uuid[], $2::int2[], $3::int2[], $4::int4[], $5::text[],"
    "                      $6::timestamptz[], $7::timestamptz[], $8::int8[], $9::int4[],"
    "                      $10::inet[], $11::int8[])"
    " ON CONFLICT DO NOTHING RETURNING event_id";

/* 1-6 columns_sums by quarter, 7-12 columns_sums for all time; 7 is not looked at. */
static const char sql_sum[] =
    "WITH quarter AS ("
    "  INSERT INTO ad_quarter (quarter_at, ad_id, type, reason, count, last_seq)"
    "  SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::int2[], $4::int2[], $5::int8[],"
    "                       $6::int8[])"
    "  ON CONFLICT (quarter_at, ad_id, type, reason) DO UPDATE"
    "  SET count = ad_quarter.count + excluded.count,"
    "      last_seq = greatest(ad_quarter.last_seq, excluded.last_seq)"
    ") INSERT INTO ad_total (ad_id, type, reason, count, last_seq)"
    "  SELECT ad_id, type, reason, count, last_seq"
    "  FROM unnest($7::timestamptz[], $8::text[], $9::int2[], $10::int2[], $11::int8[],"
    "              $12::int8[]) AS total (ever, ad_id, type, reason, count, last_seq)"
    "  ON CONFLICT (ad_id, type, reason) DO UPDATE"
    "  SET count = ad_total.count + excluded.count,"
    "      last_seq = greatest(ad_total.last_seq, excluded.last_seq)";

/* 1 partition, 2-4 columns_marks, 5-10 columns_corrections, 11-18 columns_letters. */
static const char sql_tell[] =
    "WITH marked AS ("
    "  INSERT INTO dirty (partition, ad_id, quarter_at, seq)"
    "  SELECT $1::int4, * FROM unnest($2::text[], $3::timestamptz[], $4::int8[])"
    "  ON CONFLICT (partition, ad_id, quarter_at) DO UPDATE"
    "  SET seq = greatest(dirty.seq, excluded.seq)"
    "), corrected AS ("
    "  UPDATE batches SET stored = became.stored, dead = became.dead"
    "  FROM unnest($5::timestamptz[], $6::uuid[], $7::int4[], $8::int8[], $9::int4[], $10::int4[])"
    "       AS became (sent_at, gateway_id, thread, batch_no, stored, dead)"
    "  WHERE batches.sent_at = became.sent_at AND batches.gateway_id = became.gateway_id"
    "    AND batches.thread = became.thread AND batches.partition = $1"
    "    AND batches.batch_no = became.batch_no"
    ") INSERT INTO dead_letters (partition, seq, index, code, detail, event_id, ad_id, payload,"
    "                            received_at)"
    "  SELECT $1::int4, * FROM unnest($11::int8[], $12::int4[], $13::text[], $14::text[],"
    "                                 $15::uuid[], $16::text[], $17::bytea[], $18::timestamptz[])"
    "  ON CONFLICT (partition, seq, index) DO NOTHING";

/* 1 partition, 2 Unix ms: the same when nothing was to be stored. */
static const char sql_set_fresh[] =
    "UPDATE positions SET fresh_at = to_timestamp($2::text::bigint / 1000.0)"
    " WHERE partition = $1 AND (fresh_at IS NULL OR fresh_at < to_timestamp($2::text::bigint / "
    "1000.0))";

static const char sql_read_position[] = "SELECT seq FROM positions WHERE partition = $1";
static const char sql_first_position[] =
    "INSERT INTO positions (partition, seq) VALUES ($1, $2) ON CONFLICT DO NOTHING";
