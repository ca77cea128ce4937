CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE codes (
    code INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, meaning TEXT NOT NULL
) STRICT;
CREATE TABLE severities (severity INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE rules (hash TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, covered INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_note INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    rules TEXT NOT NULL,
    version TEXT NOT NULL,
    root TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TABLE marks (batch INTEGER PRIMARY KEY, marks BLOB NOT NULL) STRICT;
CREATE TABLE kinds (
    kind INTEGER PRIMARY KEY, type TEXT NOT NULL, code INTEGER NOT NULL, UNIQUE (type, code)
) STRICT;
CREATE TABLE events (
    row INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    event_ns INTEGER NOT NULL,
    intended_ns INTEGER NOT NULL,
    stream_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    bot TEXT NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    correlation TEXT NOT NULL,
    trace TEXT NOT NULL,
    headers TEXT NOT NULL,
    payload ANY NOT NULL,
    kind INTEGER NOT NULL
) STRICT;
CREATE INDEX events_key ON events (row >> 14, id);
CREATE INDEX events_stream ON events (stream_seq);
CREATE INDEX events_kind ON events (kind, event_ns);
CREATE INDEX events_bot ON events (row >> 14, bot, event_ns);
CREATE INDEX events_time ON events (event_ns);
CREATE INDEX events_severe ON events (event_ns) WHERE severity >= 30;
CREATE INDEX events_correlation ON events (correlation) WHERE correlation != '';
CREATE INDEX events_trace ON events (trace) WHERE trace != '';
CREATE TABLE notes (
    note INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    recorded_ns INTEGER NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT NOT NULL,
    body BLOB NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    checkpoint INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    statement TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;
CREATE TABLE tombstones (
    tombstone INTEGER PRIMARY KEY, statement TEXT NOT NULL, signature BLOB NOT NULL
) STRICT;
CREATE VIEW audit AS
SELECT e.row, e.id, e.source, e.type, e.subject, e.bot, e.code, c.name, c.category,
    s.name AS severity, e.stream, e.stream_seq, e.deliveries,
    strftime('%Y-%m-%dT%H:%M:%S', e.event_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', e.event_ns % 1000000000) AS event_time,
    strftime('%Y-%m-%dT%H:%M:%S', b.committed_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', b.committed_ns % 1000000000) AS committed_time,
    e.correlation, e.trace, e.payload, e.headers, b.batch, b.rules, b.version
FROM events e JOIN batches b USING (batch)
LEFT JOIN codes c USING (code) LEFT JOIN severities s ON s.severity = e.severity;
