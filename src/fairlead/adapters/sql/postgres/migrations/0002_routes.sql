-- One row: the route table that is out.
CREATE TABLE fairlead_routes (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    generation BIGINT NOT NULL,
    content TEXT NOT NULL
);
INSERT INTO fairlead_routes (generation, content) VALUES (0, '{}');

-- What each worker said last, on every machine.
CREATE TABLE fairlead_workers (
    place TEXT NOT NULL, -- the machine and the home folder
    worker INTEGER NOT NULL,
    content TEXT NOT NULL,
    said_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (place, worker)
);
