-- Attested energy. All but `seen_records` and the findings that are not anchored is derived from the chain.

-- The index of an earlier version passed over the ledger's events: it is read from the chain again. Mail stays.
DELETE FROM events;
DELETE FROM blocks;
DELETE FROM agreements;
DELETE FROM workers;
DELETE FROM clients;

ALTER TABLE events ADD COLUMN meter TEXT NOT NULL DEFAULT '';
CREATE INDEX events_of_meter ON events (meter, block, log_index);

-- Derived: the fold of a meter's events. Tenths of a degree, so that neighbours are found.
CREATE TABLE meters (
    worker TEXT PRIMARY KEY,
    latitude BIGINT NOT NULL,
    registered_block BIGINT NOT NULL,
    registered_log BIGINT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX meters_newest ON meters (registered_block, registered_log);
CREATE INDEX meters_by_latitude ON meters (latitude, worker);

-- Derived: records of days (`counted` 1) and gaps (0). `site` is place and size of the meter then, as text to be compared; `link` is
-- what the next record is chained to, empty where unknown.
CREATE TABLE energy_days (
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    worker TEXT NOT NULL,
    day BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    counted BIGINT NOT NULL,
    known BIGINT NOT NULL,
    production_wh BIGINT NOT NULL,
    nameplate_watts BIGINT NOT NULL,
    clear_wh BIGINT NOT NULL,
    site TEXT NOT NULL,
    link TEXT NOT NULL,
    view TEXT NOT NULL,
    PRIMARY KEY (block, log_index)
);
CREATE INDEX energy_days_of_worker ON energy_days (worker, day);

-- What plausibility found. `anchored` 1: follows from the chain up to `block`, and goes with it. 0: two signed records that
-- contradict each other, which no reorganisation takes back. `spot` orders the findings of a block.
CREATE TABLE findings (
    id TEXT PRIMARY KEY,
    block BIGINT NOT NULL,
    spot BIGINT NOT NULL,
    anchored BIGINT NOT NULL,
    worker TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    first_day BIGINT NOT NULL,
    last_day BIGINT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX findings_newest ON findings (block, spot);
CREATE INDEX findings_of_worker ON findings (worker, block, spot);
CREATE INDEX findings_by_rule ON findings (rule, block, spot);

-- Records that were handed in and contradict nothing yet. Not derived.
CREATE TABLE seen_records (
    digest TEXT PRIMARY KEY,
    worker TEXT NOT NULL,
    day BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX seen_records_of_worker ON seen_records (worker, day);

-- Derived: certificates issued, passed on, retired. Empty text stands for nobody.
CREATE TABLE certificate_moves (
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    worker TEXT NOT NULL,
    sender TEXT NOT NULL,
    receiver TEXT NOT NULL,
    agreement TEXT NOT NULL,
    watt_hours BIGINT NOT NULL,
    view TEXT NOT NULL,
    PRIMARY KEY (block, log_index, position)
);
CREATE INDEX certificate_moves_of_worker ON certificate_moves (worker, kind);
CREATE INDEX certificate_moves_of_agreement ON certificate_moves (agreement);
