/**
 * The schema, as the steps that lead to it. A step that has been released is never edited: a change is a new
 * step. `PRAGMA user_version` counts the steps that a store has taken.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE runs (
    id               TEXT PRIMARY KEY,
    trace_id         TEXT NOT NULL,
    span_id          TEXT NOT NULL,
    project          TEXT NOT NULL,
    task             TEXT NOT NULL,
    attempt          INTEGER NOT NULL,
    manifest_digest  TEXT NOT NULL,
    manifest_version INTEGER NOT NULL,
    lock_sha256      TEXT NOT NULL,
    inputs_sha256    TEXT NOT NULL,
    actor            TEXT NOT NULL,
    state            TEXT NOT NULL,
    seq              INTEGER NOT NULL DEFAULT 0,
    outcome          TEXT,
    exit_code        INTEGER,
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    supervisor_host  TEXT NOT NULL,
    supervisor_pid   INTEGER NOT NULL,
    supervisor_start TEXT NOT NULL,
    channel          TEXT,
    session_key      BLOB,
    cancel_policy    TEXT NOT NULL
  ) STRICT;
  CREATE INDEX runs_unfinished ON runs (id) WHERE outcome IS NULL;

  CREATE TABLE events (
    run_id         TEXT NOT NULL REFERENCES runs (id),
    seq            INTEGER NOT NULL,
    id             TEXT NOT NULL UNIQUE,
    type           TEXT NOT NULL,
    payload        TEXT NOT NULL,
    source         TEXT NOT NULL,
    trace_id       TEXT NOT NULL,
    span_id        TEXT NOT NULL,
    parent_span_id TEXT NOT NULL,
    at             INTEGER NOT NULL,
    mac            TEXT NOT NULL,
    status         TEXT NOT NULL,
    from_state     TEXT NOT NULL,
    to_state       TEXT NOT NULL,
    reason         TEXT,
    PRIMARY KEY (run_id, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE receipts (
    id          TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL REFERENCES runs (id),
    attempt     INTEGER NOT NULL,
    project     TEXT NOT NULL,
    task        TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    protected   TEXT NOT NULL,
    iv          TEXT NOT NULL,
    ciphertext  BLOB NOT NULL,
    tag         TEXT NOT NULL,
    UNIQUE (run_id, attempt)
  ) STRICT;

  -- The wrapped content keys stand apart from the ciphertext, so that rotation rewrites small rows alone.
  CREATE TABLE receipt_recipients (
    receipt_id    TEXT NOT NULL REFERENCES receipts (id) ON DELETE CASCADE,
    kid           TEXT NOT NULL,
    header        TEXT NOT NULL,
    encrypted_key TEXT NOT NULL,
    PRIMARY KEY (receipt_id, kid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX receipt_recipients_kid ON receipt_recipients (kid);

  CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    type   TEXT NOT NULL,
    run_id TEXT,
    actor  TEXT NOT NULL,
    data   TEXT NOT NULL,
    prev   TEXT NOT NULL,
    hash   TEXT NOT NULL
  ) STRICT;

  -- One row for each counted use of a limited action; rows older than the window are dropped.
  CREATE TABLE limit_uses (
    bucket TEXT NOT NULL,
    at     INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX limit_uses_bucket ON limit_uses (bucket, at);

  -- Rollbacks that go on or wait; a row is a place, and the first few may run.
  CREATE TABLE rollbacks (
    place            INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id           TEXT NOT NULL UNIQUE REFERENCES runs (id),
    supervisor_host  TEXT NOT NULL,
    supervisor_pid   INTEGER NOT NULL,
    supervisor_start TEXT NOT NULL,
    queued_at        INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE cancel_tokens (
    token_sha256 TEXT PRIMARY KEY,
    run_id       TEXT NOT NULL REFERENCES runs (id),
    requester    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER
  ) STRICT, WITHOUT ROWID;
  `,
  'ALTER TABLE runs ADD COLUMN parent_span_id TEXT',
  `
  -- Starts, in the order of their commits. A place is never used twice, so whoever has one knows who was before.
  CREATE TABLE starts (
    place   INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    task    TEXT NOT NULL,
    run_id  TEXT NOT NULL REFERENCES runs (id),
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (run_id, attempt)
  ) STRICT;
  CREATE INDEX starts_task ON starts (project, task, at);
  CREATE INDEX starts_at ON starts (at);

  CREATE TABLE submissions (
    place  INTEGER PRIMARY KEY REFERENCES starts (place) ON DELETE CASCADE,
    kid    TEXT NOT NULL,
    sealed BLOB NOT NULL
  ) STRICT;
  `,
  `
  -- What receipts are looked for by; each index ends with the id, by which they are listed.
  ALTER TABLE receipts ADD COLUMN actor_uid INTEGER;
  ALTER TABLE receipts ADD COLUMN actor_name TEXT;
  UPDATE receipts SET (actor_uid, actor_name) =
    (SELECT json_extract(actor, '$.uid'), json_extract(actor, '$.name') FROM runs WHERE runs.id = receipts.run_id);
  CREATE INDEX receipts_task ON receipts (task, id);
  CREATE INDEX receipts_outcome ON receipts (outcome, id);
  CREATE INDEX receipts_actor_uid ON receipts (actor_uid, id);
  CREATE INDEX receipts_actor_name ON receipts (actor_name, id);
  -- The records that name receipts, by which a receipt is found in the log.
  CREATE INDEX audit_ends ON audit (run_id) WHERE type IN ('run.attempt', 'run.finished', 'receipt.import');
  `,
  `
  -- The rotation that is under way; one row, or none.
  CREATE TABLE rotation (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    kind       TEXT NOT NULL,
    kid        TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    left_out   TEXT NOT NULL
  ) STRICT;

  -- Keys that no receipt of this store may be sealed to any more.
  CREATE TABLE removed_keys (
    kid TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What is left of receipts that were pruned, in the order of the audit records that say so.
  CREATE TABLE pruned_receipts (
    audit_seq INTEGER NOT NULL,
    id        TEXT NOT NULL UNIQUE,
    run_id    TEXT NOT NULL REFERENCES runs (id),
    attempt   INTEGER NOT NULL,
    sha256    TEXT NOT NULL,
    PRIMARY KEY (audit_seq, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pruned_receipts_run ON pruned_receipts (run_id);
  `,
];
