-- name: publish
UPDATE fairlead_routes SET generation = %(generation)s, content = %(content)s WHERE generation < %(generation)s;

-- name: tell
SELECT pg_notify('fairlead_routes', %(generation)s::text);

-- name: listen
LISTEN fairlead_routes;

-- name: current
SELECT content FROM fairlead_routes;

-- name: newer
SELECT content FROM fairlead_routes WHERE generation <> %(generation)s;

-- name: report
INSERT INTO fairlead_workers (place, worker, content) VALUES (%(place)s, %(worker)s, %(content)s)
ON CONFLICT (place, worker) DO UPDATE SET content = excluded.content, said_at = excluded.said_at;

-- name: workers
SELECT content FROM fairlead_workers WHERE said_at > clock_timestamp() - interval '1 day' ORDER BY worker, place;

-- name: unsay
DELETE FROM fairlead_workers WHERE place = %(place)s AND worker = %(worker)s;

-- name: forget
DELETE FROM fairlead_workers WHERE said_at < clock_timestamp() - interval '1 day';

-- name: workers_here
SELECT content FROM fairlead_workers
WHERE place = %(place)s AND said_at > clock_timestamp() - interval '1 day' ORDER BY worker;
