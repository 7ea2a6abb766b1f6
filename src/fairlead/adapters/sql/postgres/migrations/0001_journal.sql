CREATE TABLE fairlead_journal (
    seq BIGINT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL,
    fact TEXT NOT NULL, -- the canonical bytes, as hashed: JSONB would change them
    previous TEXT NOT NULL UNIQUE, -- a chain does not fork
    digest TEXT NOT NULL UNIQUE,
    -- Copied out of the fact by the writer: PostgreSQL cannot read every JSON text (no \u0000). `verify` compares them.
    model TEXT NOT NULL,
    kind TEXT NOT NULL
);

CREATE INDEX fairlead_journal_model ON fairlead_journal (model, seq);
CREATE INDEX fairlead_journal_kind ON fairlead_journal (kind, seq);

-- One row: the chain's last link, and how long it has ever been. Whoever appends locks it first.
CREATE TABLE fairlead_journal_head (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    longest BIGINT NOT NULL,
    digest TEXT NOT NULL
);
INSERT INTO fairlead_journal_head (longest, digest) VALUES (0, repeat('0', 64));

CREATE FUNCTION fairlead_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only';
END
$$;

CREATE TRIGGER fairlead_journal_is_not_edited BEFORE UPDATE OR DELETE ON fairlead_journal
    FOR EACH ROW EXECUTE FUNCTION fairlead_refuse();
CREATE TRIGGER fairlead_journal_is_not_emptied BEFORE TRUNCATE ON fairlead_journal
    FOR EACH STATEMENT EXECUTE FUNCTION fairlead_refuse();
CREATE TRIGGER fairlead_journal_head_stays BEFORE DELETE ON fairlead_journal_head
    FOR EACH ROW EXECUTE FUNCTION fairlead_refuse();
