-- name: create_versions
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

-- name: current_version
SELECT COALESCE(MAX(version), 0) FROM schema_version;

-- name: record_version
INSERT INTO schema_version (version, name) VALUES (:version, :name);
