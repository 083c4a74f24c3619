-- Group roles with just what each service needs; a login is made a member by whoever runs the database.
-- A server that forbids CREATE ROLE keeps working: the roles are then the operator's to make, with these
-- grants. The login of ingest owns the tables, because only an owner may attach and drop their partitions.
DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY['adledger_ingest', 'adledger_gateway'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = made);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', made);
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
            RAISE NOTICE 'role % was not made: %', made, SQLERRM;
        END;
    END LOOP;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_ingest') THEN
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO adledger_ingest', current_schema());
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO adledger_ingest',
                       current_schema());
    END IF;

    -- The gateway reads everything and writes the catalogue.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'adledger_gateway') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO adledger_gateway', current_schema());
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO adledger_gateway', current_schema());
        GRANT INSERT, UPDATE, DELETE ON ads TO adledger_gateway;
    END IF;
END $$;
