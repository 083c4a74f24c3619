-- What receipts and the audit read.

-- The stream's message that brought an event names its batch, and with Redis's position it tells whether the
-- event is counted. NULL: stored before this column was there.
ALTER TABLE events ADD COLUMN seq bigint;

-- When the batch was stored. Rows from before this column do not know.
ALTER TABLE batches ADD COLUMN stored_at timestamptz;
ALTER TABLE batches ALTER COLUMN stored_at SET DEFAULT now();
CREATE INDEX batches_by_lane ON batches (gateway_id, thread, partition, batch_no);
CREATE INDEX batches_by_seq ON batches (partition, seq);

-- Everything that was published until then is stored; what a reader of this database may say about its age.
ALTER TABLE positions ADD COLUMN fresh_at timestamptz;
