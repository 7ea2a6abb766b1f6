-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.fairlead_schema', 0));

-- name: known_schema
SELECT to_regclass('fairlead_schema') IS NOT NULL;

-- name: create_versions
CREATE TABLE IF NOT EXISTS fairlead_schema (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

-- name: current_version
SELECT COALESCE(MAX(version), 0) FROM fairlead_schema;

-- name: record_version
INSERT INTO fairlead_schema (version, name) VALUES (%(version)s, %(name)s);

-- name: begin_session
SELECT set_config('lock_timeout', '10s', false),
       set_config('statement_timeout', '60s', false),
       set_config('idle_in_transaction_session_timeout', '20s', false),
       -- What was appended is on the disk, also where the server is told otherwise for everybody.
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                                        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       -- A machine that vanishes lets its lease go after some seconds.
       set_config('tcp_keepalives_idle', '3', false),
       set_config('tcp_keepalives_interval', '1', false),
       set_config('tcp_keepalives_count', '3', false),
       current_setting('server_encoding');
