-- name: last_link
SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1;

-- name: append_entry
INSERT INTO journal (seq, at, actor, fact, previous, digest)
VALUES (?, ?, ?, ?, ?, ?);

-- name: read_entries
SELECT seq, at, actor, fact, previous, digest
FROM journal
WHERE seq > :after
  AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
ORDER BY seq
LIMIT :page;

-- name: read_model
-- By the index of models; with "or the model is not named" SQLite would go through everybody's.
SELECT seq, at, actor, fact, previous, digest
FROM journal
WHERE model = :model
  AND seq > :after
  AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
ORDER BY seq
LIMIT :page;

-- name: longest
SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'journal';
