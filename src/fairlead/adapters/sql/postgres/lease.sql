-- name: try_lock
SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '.fairlead_lease', 0));

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended(current_schema() || '.fairlead_lease', 0));

-- name: begin_term
UPDATE fairlead_lease SET term = term + 1, holder = %(holder)s, taken_at = clock_timestamp() RETURNING term;

-- name: current_term
SELECT term FROM fairlead_lease;

-- name: leader
SELECT term, holder FROM fairlead_lease;

-- name: hold_term
SELECT 1 FROM fairlead_lease WHERE term = %(term)s FOR SHARE;
