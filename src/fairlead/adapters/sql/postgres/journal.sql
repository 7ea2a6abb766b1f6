-- name: lock_head
SELECT longest, digest FROM fairlead_journal_head FOR UPDATE;

-- name: has_digest
SELECT EXISTS (SELECT 1 FROM fairlead_journal WHERE digest = %(digest)s);

-- name: append_entry
INSERT INTO fairlead_journal (seq, at, actor, fact, previous, digest, model, kind)
VALUES (%(seq)s, %(at)s, %(actor)s, %(fact)s, %(previous)s, %(digest)s, %(model)s, %(kind)s);

-- name: move_head
UPDATE fairlead_journal_head SET longest = %(seq)s, digest = %(digest)s;

-- name: read_entries
SELECT seq, at, actor, fact, previous, digest
FROM fairlead_journal
WHERE seq > %(after)s
  AND (%(model)s::text IS NULL OR model = %(model)s)
  AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s))
ORDER BY seq
LIMIT %(page)s;

-- name: read_labels
SELECT model, kind FROM fairlead_journal WHERE seq > %(after)s ORDER BY seq LIMIT %(page)s;

-- name: longest
SELECT longest FROM fairlead_journal_head;
