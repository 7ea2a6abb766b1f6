-- One row: which controller leads. The lock says who may; the term lets the database refuse the one before.
CREATE TABLE fairlead_lease (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    term BIGINT NOT NULL,
    holder TEXT NOT NULL,
    taken_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO fairlead_lease (term, holder) VALUES (0, '');
