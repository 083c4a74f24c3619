-- What is kept beside the stream, and what tells that nothing of it was lost.

-- Third line of keeping: whole batches that neither the stream nor a gateway's spool could take. Gateways
-- publish them when the stream is back, and delete them on its ack.
CREATE TABLE inbox (
    gateway_id uuid NOT NULL,
    thread     integer NOT NULL,
    partition  integer NOT NULL,
    batch_no   bigint NOT NULL,
    try        integer NOT NULL,               -- last part of Nats-Msg-Id; grows with each explicit refusal
    events     integer NOT NULL,               -- 0: not known, as of a dead letter's message that nobody can read
    payload    bytea NOT NULL,                 -- an adledger.v1.EventBatch, byte for byte
    kept_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway_id, thread, partition, batch_no)
);
CREATE INDEX inbox_by_age ON inbox (kept_at);

-- What gateways told of batch numbers that the stream did not take at once (EventBatch.spooled, .abandoned).
-- A number told again makes its row longer, never shorter.
CREATE TABLE batch_ranges (
    gateway_id uuid NOT NULL,
    thread     integer NOT NULL,
    partition  integer NOT NULL,
    fate       smallint NOT NULL,              -- 1 spooled, 2 abandoned
    first_no   bigint NOT NULL,
    last_no    bigint NOT NULL,
    events     bigint NOT NULL,
    told_at    timestamptz NOT NULL,           -- sent_at of the batch that told it first
    PRIMARY KEY (gateway_id, thread, partition, fate, first_no)
);
CREATE INDEX batch_ranges_by_time ON batch_ranges (told_at);

-- A dead letter is told on the stream ADS_DLQ once, and may be sent through the stream again.
ALTER TABLE dead_letters ADD COLUMN published_at timestamptz, ADD COLUMN replayed_at timestamptz;
CREATE INDEX dead_letters_unpublished ON dead_letters (id) WHERE published_at IS NULL;
CREATE INDEX dead_letters_by_event ON dead_letters (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX dead_letters_by_time ON dead_letters (dead_at);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_ingest') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON inbox, batch_ranges TO adledger_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_gateway') THEN
        GRANT SELECT ON inbox, batch_ranges TO adledger_gateway;
        GRANT INSERT, UPDATE, DELETE ON inbox TO adledger_gateway; -- FOR UPDATE asks for it, too
        GRANT UPDATE, DELETE ON dead_letters TO adledger_gateway;
    END IF;
END $$;
