-- What dashboards may read: numbers, the catalogue and how far the readers are, but no address and no payload.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_dashboard') THEN
        BEGIN
            CREATE ROLE adledger_dashboard NOLOGIN;
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
            RAISE NOTICE 'role adledger_dashboard was not made: %', SQLERRM;
        END;
    END IF;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_dashboard') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO adledger_dashboard', current_schema());
        GRANT SELECT ON ads, ad_quarter, ad_total, ad_day_visitors, positions, batches TO adledger_dashboard;
        GRANT SELECT (event_id, type, reason, flags, ad_id, event_at, received_at, visitor, playback_ms) ON events TO adledger_dashboard;
        GRANT SELECT (id, partition, seq, index, code, ad_id, received_at, dead_at) ON dead_letters TO adledger_dashboard;
    END IF;
END $$;
