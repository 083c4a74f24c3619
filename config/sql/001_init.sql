-- The tables of adledger. Applied once, in a transaction, by `ingest --migrate` and at ingest's start.

-- Ads: the catalogue. Archived ads keep their history and are no longer served.
CREATE TABLE ads (
    id          text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    title       text NOT NULL DEFAULT '',
    image_url   text NOT NULL DEFAULT '',
    video_url   text NOT NULL DEFAULT '',
    target_url  text NOT NULL DEFAULT '',
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz
);

-- Gateways LISTEN on ads_changed and read the catalogue again.
CREATE FUNCTION ads_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY ads_changed;
    RETURN NULL;
END $$;
CREATE TRIGGER ads_changed AFTER INSERT OR UPDATE OR DELETE ON ads
    FOR EACH STATEMENT EXECUTE FUNCTION ads_notify();

-- Events: one row an event. The id carries its time, so the primary key is both the exactly-once
-- guard and an append-only index; a partition a day is made ahead by ingest.
CREATE TABLE events (
    event_id    uuid NOT NULL PRIMARY KEY,
    type        smallint NOT NULL,             -- adledger.v1.EventType
    reason      smallint NOT NULL,             -- adledger.v1.InvalidReason, 0: valid
    flags       integer NOT NULL,              -- adledger.v1.EventFlag
    ad_id       text NOT NULL,
    event_at    timestamptz NOT NULL,          -- the client's time
    received_at timestamptz NOT NULL,          -- the gateway's time
    visitor     bigint,                        -- keyed hash, NULL: unknown or erased
    playback_ms integer,
    ip          inet                           -- as IP_STORAGE allows, NULL: not stored or erased
) PARTITION BY RANGE (event_id);
CREATE INDEX events_received_at ON events USING brin (received_at);

-- Batches: one row a batch of a gateway; a batch seen before is a no-op. A partition a day by sent_at.
CREATE TABLE batches (
    sent_at       timestamptz NOT NULL,
    gateway_id    uuid NOT NULL,
    thread        integer NOT NULL,
    partition     integer NOT NULL,
    batch_no      bigint NOT NULL,
    seq           bigint NOT NULL,             -- of the stream
    events        integer NOT NULL,            -- in the batch as sent
    stored        integer NOT NULL,            -- rows that it really added
    dead          integer NOT NULL,            -- set aside in dead_letters; the rest were duplicates
    settled_below bigint NOT NULL,
    accepted      bigint NOT NULL,
    PRIMARY KEY (sent_at, gateway_id, thread, partition, batch_no)
) PARTITION BY RANGE (sent_at);

-- Positions: how far each partition of the stream is in this database. Moved by compare-and-set in
-- the transaction that adds the rows.
CREATE TABLE positions (
    partition integer PRIMARY KEY,
    seq       bigint NOT NULL,
    moved_at  timestamptz NOT NULL DEFAULT now()
);

-- Rollups per quarter hour of received_at, and for all time; kept for ever.
CREATE TABLE ad_quarter (
    quarter_at timestamptz NOT NULL,
    ad_id      text NOT NULL,
    type       smallint NOT NULL,
    reason     smallint NOT NULL,
    count      bigint NOT NULL,
    last_seq   bigint NOT NULL,
    PRIMARY KEY (quarter_at, ad_id, type, reason)
);
CREATE INDEX ad_quarter_by_ad ON ad_quarter (ad_id, quarter_at);
CREATE TABLE ad_total (
    ad_id    text NOT NULL,
    type     smallint NOT NULL,
    reason   smallint NOT NULL,
    count    bigint NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (ad_id, type, reason)
);

-- Distinct visitors of each closed day, exact, written before the day's events are dropped.
CREATE TABLE ad_day_visitors (
    day      date NOT NULL,
    ad_id    text NOT NULL,
    visitors bigint NOT NULL,
    PRIMARY KEY (ad_id, day)
);

-- What ingest did not insert (a duplicate, a dead letter): analytics repairs these quarters from
-- ad_quarter and deletes the mark. The ad '' at time 0 stands for the partition: messages went from the
-- stream unread, and all its counters are loaded anew.
CREATE TABLE dirty (
    partition  integer NOT NULL,
    ad_id      text NOT NULL,
    quarter_at timestamptz NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (partition, ad_id, quarter_at)
);

-- Events and messages that cannot be stored, with their original bytes.
CREATE TABLE dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition   integer NOT NULL,
    seq         bigint NOT NULL,
    index       integer NOT NULL,              -- of the event in its batch, -1: the whole message
    code        text NOT NULL,                 -- undecodable, invalid_event, out_of_range, unknown_ad, or a SQLSTATE
    detail      text NOT NULL DEFAULT '',
    event_id    uuid,
    ad_id       text,
    payload     bytea NOT NULL,                -- the event's or the message's bytes
    received_at timestamptz,
    dead_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (partition, seq, index)
);

-- The day's salt for visitor hashes; made ahead by ingest, deleted when no event of the day can arrive any more.
CREATE TABLE visitor_salts (
    day  date PRIMARY KEY,
    salt bytea NOT NULL CHECK (length(salt) = 16)
);

-- What every service must agree on: name 'partitions'.
CREATE TABLE deployment (
    name  text PRIMARY KEY,
    value text NOT NULL
);

INSERT INTO ads (id, title, image_url, video_url, target_url) VALUES
    ('ad-001', 'Sample ad 1', 'https://example.com/ads/1.jpg', 'https://example.com/ads/1.mp4', 'https://example.com/landing/1'),
    ('ad-002', 'Sample ad 2', 'https://example.com/ads/2.jpg', 'https://example.com/ads/2.mp4', 'https://example.com/landing/2'),
    ('ad-003', 'Sample ad 3', 'https://example.com/ads/3.jpg', 'https://example.com/ads/3.mp4', 'https://example.com/landing/3'),
    ('1', 'Sample ad with a numeric id', 'https://example.com/ads/4.jpg', 'https://example.com/ads/4.mp4', 'https://example.com/landing/4'),
    ('11111111-1111-1111-1111-111111111111', 'Sample ad with a UUID', 'https://example.com/ads/5.jpg', 'https://example.com/ads/5.mp4', 'https://example.com/landing/5');
