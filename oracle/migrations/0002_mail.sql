-- Clients that said something of themselves, and mail.

ALTER TABLE events ADD COLUMN client TEXT NOT NULL DEFAULT '';
CREATE INDEX events_of_client ON events (client, block, log_index);

-- Derived: the fold of a client's events.
CREATE TABLE clients (
    address TEXT PRIMARY KEY,
    view TEXT NOT NULL
);

-- Sealed messages between parties of agreements. Not derived: nobody can give them again but their senders. `party` is on whose
-- account the sender posts (a device's worker, a key agent's client). `bytes` is what the row counts against quotas. Times are
-- Unix milliseconds by the oracle's clock but for `sent_at_ms`, which is by the sender's.
CREATE TABLE mail (
    id BIGINT PRIMARY KEY,
    agreement TEXT NOT NULL,
    recipient TEXT NOT NULL,
    topic TEXT NOT NULL,
    sender TEXT NOT NULL,
    party TEXT NOT NULL,
    sent_at_ms BIGINT NOT NULL,
    stored_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    body TEXT NOT NULL,
    signature TEXT NOT NULL
);
CREATE UNIQUE INDEX mail_one_each ON mail (agreement, recipient, topic, sender);
CREATE INDEX mail_of_recipient ON mail (recipient, id);
CREATE INDEX mail_in_box ON mail (agreement, recipient, topic, id);
CREATE INDEX mail_of_party ON mail (agreement, party);
CREATE INDEX mail_expiring ON mail (expires_at_ms);

-- Keys that the key agent posted or set out to post, for its daily cap.
CREATE TABLE key_posts (
    agreement TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    client TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (agreement, attempt)
);
CREATE INDEX key_posts_of_client ON key_posts (client, at_ms);
