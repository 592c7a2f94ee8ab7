-- One dialect for SQLite and PostgreSQL: BIGINT and TEXT only, nothing is NULL, hex in lower case, JSON as text.

-- What this database is about; a database of another deployment is refused.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The youngest blocks (so that a reorganisation is found) and the first one (so that another chain is).
CREATE TABLE blocks (
    number BIGINT PRIMARY KEY,
    hash TEXT NOT NULL,
    parent TEXT NOT NULL,
    time BIGINT NOT NULL
);

-- Every event of the dispatcher and of agreements that it made. Empty text where an event concerns none.
CREATE TABLE events (
    block BIGINT NOT NULL,
    log_index BIGINT NOT NULL,
    block_hash TEXT NOT NULL,
    time BIGINT NOT NULL,
    tx TEXT NOT NULL,
    address TEXT NOT NULL,
    agreement TEXT NOT NULL,
    worker TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (block, log_index)
);
CREATE INDEX events_of_agreement ON events (agreement, block, log_index);
CREATE INDEX events_of_worker ON events (worker, block, log_index);

-- Derived: the fold of an agreement's events. `view` is the truth, the other columns are there to be searched.
CREATE TABLE agreements (
    address TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    worker TEXT NOT NULL,
    status BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    bought_block BIGINT NOT NULL,
    bought_log BIGINT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX agreements_newest ON agreements (bought_block, bought_log);
CREATE INDEX agreements_of_client ON agreements (client, bought_block, bought_log);
CREATE INDEX agreements_of_worker ON agreements (worker, bought_block, bought_log);
CREATE INDEX agreements_by_status ON agreements (status, bought_block, bought_log);
CREATE INDEX agreements_due ON agreements (status, deadline);

-- Derived: the fold of a worker's events.
CREATE TABLE workers (
    address TEXT PRIMARY KEY,
    registered_block BIGINT NOT NULL,
    registered_log BIGINT NOT NULL,
    view TEXT NOT NULL
);
CREATE INDEX workers_newest ON workers (registered_block, registered_log);
