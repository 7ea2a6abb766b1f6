CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- AUTOINCREMENT remembers the longest the chain has been
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    fact TEXT NOT NULL, -- the canonical bytes, as hashed
    previous TEXT NOT NULL UNIQUE, -- a chain does not fork
    digest TEXT NOT NULL UNIQUE,
    -- Read out of the fact, so that they cannot disagree with it.
    model TEXT NOT NULL GENERATED ALWAYS AS (json_extract(fact, '$.model')) VIRTUAL,
    kind TEXT NOT NULL GENERATED ALWAYS AS (json_extract(fact, '$.kind')) VIRTUAL
) STRICT;

CREATE INDEX journal_model ON journal (model, seq);
CREATE INDEX journal_kind ON journal (kind, seq);

CREATE TRIGGER journal_is_not_edited BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TRIGGER journal_is_not_shortened BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
