-- Who is where, what is to be sent, what was sent, and the books.
--
-- No foreign keys here: three of them make enrolling 2.6 times slower. A sweep in the tests covers what they would.

-- status: e enrolled (before its first step), r ready to enter step, w waiting in step, d delivering step,
--         c completed, x exited. due_at is null when nothing but a delivery's outcome can move it on, and at the end.
CREATE TABLE enrollments (
    tenant_no          int NOT NULL,
    campaign_no        int NOT NULL,
    contact_no         bigint NOT NULL,
    due_at             timestamptz,
    last_email_sent_at timestamptz,
    enrolled_at        timestamptz NOT NULL,
    ended_at           timestamptz,
    version            int NOT NULL,
    pass               int NOT NULL DEFAULT 0,     -- e-mails queued so far
    step               smallint NOT NULL,
    status             "char" NOT NULL CHECK (status IN ('e', 'r', 'w', 'd', 'c', 'x')),
    exit_reason        "char",                     -- u s b c r g m e p, see ExitReason
    PRIMARY KEY (tenant_no, campaign_no, contact_no),
    CHECK ((status IN ('c', 'x')) = (ended_at IS NOT NULL)),
    CHECK ((status = 'x') = (exit_reason IS NOT NULL)),
    CHECK ((status IN ('e', 'r', 'w')) = (due_at IS NOT NULL))
) WITH (fillfactor = 85);
CREATE INDEX enrollments_due ON enrollments (tenant_no, campaign_no, due_at) WHERE due_at IS NOT NULL;
CALL muster_protect('enrollments');
GRANT SELECT (tenant_no, campaign_no, due_at) ON enrollments TO muster_scheduler;

-- What became of an enrollment on its way, one row for each advance: pairs of step and what happened there.
CREATE TABLE enrollment_history (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    contact_no  bigint NOT NULL,
    at          timestamptz NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    version     int NOT NULL,
    path        smallint[] NOT NULL
);
CREATE INDEX enrollment_history_by_contact ON enrollment_history (tenant_no, campaign_no, contact_no, seq);
CALL muster_protect('enrollment_history');
REVOKE UPDATE ON enrollment_history FROM muster_app;

-- Mail to be sent. state: p pending, c claimed, s sending.
CREATE TABLE outbox (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    contact_no  bigint NOT NULL,
    step        smallint NOT NULL,
    pass        int NOT NULL,
    state       "char" NOT NULL DEFAULT 'p' CHECK (state IN ('p', 'c', 's')),
    epoch       int NOT NULL DEFAULT 0,            -- grows with every claim
    attempts    smallint NOT NULL DEFAULT 0,       -- begun so far
    due_at      timestamptz NOT NULL,              -- business time; for a retry see retry_at
    retry_at    timestamptz,                       -- real time: not before, after a transient refusal
    lease_until timestamptz,                       -- real time, the database's own clock
    queued_at   timestamptz NOT NULL,
    version     int NOT NULL,
    next_step   smallint NOT NULL,                 -- where the outcome moves the enrollment; 0: the end
    resends     smallint NOT NULL DEFAULT 0,       -- of these attempts, how many after an outcome in doubt
    PRIMARY KEY (tenant_no, campaign_no, contact_no, step, pass),
    CHECK ((state = 'p') = (lease_until IS NULL))
) WITH (fillfactor = 70);
-- First attempts wait for business time, later ones for real time: two indexes, so that neither is read past the other.
CREATE INDEX outbox_due ON outbox (tenant_no, campaign_no, due_at) WHERE state = 'p' AND retry_at IS NULL;
CREATE INDEX outbox_again ON outbox (tenant_no, campaign_no, retry_at) WHERE state = 'p' AND retry_at IS NOT NULL;
CREATE INDEX outbox_leased ON outbox (tenant_no, campaign_no, lease_until) WHERE state <> 'p';
CALL muster_protect('outbox');
GRANT SELECT (tenant_no, campaign_no, state, due_at, retry_at, lease_until) ON outbox TO muster_scheduler;

-- How every delivery ended. state: s sent, f failed, u suppressed, k skipped, d in doubt, x cancelled.
CREATE TABLE messages (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    contact_no  bigint NOT NULL,
    step        smallint NOT NULL,
    pass        int NOT NULL,
    state       "char" NOT NULL CHECK (state IN ('s', 'f', 'u', 'k', 'd', 'x')),
    attempts    smallint NOT NULL,
    epoch       int NOT NULL,
    version     int NOT NULL,
    queued_at   timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    detail      text,                              -- the server's reply or the reason, without addresses
    PRIMARY KEY (tenant_no, campaign_no, contact_no, step, pass)
);
CREATE INDEX messages_in_doubt ON messages (tenant_no, campaign_no) WHERE state = 'd';
CALL muster_protect('messages');

CREATE TABLE campaign_counters (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    audience    bigint NOT NULL DEFAULT 0,
    open        bigint NOT NULL DEFAULT 0,
    completed   bigint NOT NULL DEFAULT 0,
    exited      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, campaign_no)
);
CALL muster_protect('campaign_counters');
GRANT SELECT (tenant_no, campaign_no, open) ON campaign_counters TO muster_scheduler;

CREATE TABLE step_counters (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    step        smallint NOT NULL,
    entered     bigint NOT NULL DEFAULT 0,
    pending     bigint NOT NULL DEFAULT 0,
    passed      bigint NOT NULL DEFAULT 0,
    sent        bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    suppressed  bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    in_doubt    bigint NOT NULL DEFAULT 0,
    cancelled   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, campaign_no, step)
);
CALL muster_protect('step_counters');

-- Figures by UTC quarter-hour, from which the days of any time zone are read.
CREATE TABLE stats (
    tenant_no    int NOT NULL,
    campaign_no  int NOT NULL,
    step         smallint NOT NULL,
    quarter      timestamptz NOT NULL,
    sent         bigint NOT NULL DEFAULT 0,
    bounced      bigint NOT NULL DEFAULT 0,
    unsubscribed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, campaign_no, quarter, step)
);
CALL muster_protect('stats');

-- Sending limits: how many deliveries began in a local day (d) or an hour (h).
CREATE TABLE sending_quota (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    kind        "char" NOT NULL CHECK (kind IN ('d', 'h')),
    period      timestamptz NOT NULL,
    begun       int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, campaign_no, kind, period)
);
CALL muster_protect('sending_quota');
