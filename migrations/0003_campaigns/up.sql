-- Campaigns, their steps and their immutable sequences.

CREATE TABLE campaigns (
    tenant_no        int NOT NULL,
    campaign_no      int GENERATED ALWAYS AS IDENTITY,
    workspace_no     int NOT NULL,
    id               uuid NOT NULL,
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description      text,
    campaign_type    text NOT NULL CHECK (campaign_type IN ('broadcast', 'drip', 'triggered', 'ab_test')),
    status           text NOT NULL CHECK (status IN ('draft', 'scheduled', 'active', 'paused', 'completed')),
    segment_no       int NOT NULL,
    from_email       text NOT NULL,
    from_name        text NOT NULL,
    reply_to_email   text,
    schedule         jsonb NOT NULL,
    settings         jsonb NOT NULL,
    version          int NOT NULL DEFAULT 1 CHECK (version > 0),
    created_by       uuid NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    scheduled_at     timestamptz,                        -- when it is to start
    launched_at      timestamptz,
    paused_at        timestamptz,
    completed_at     timestamptz,
    sequence_version int NOT NULL DEFAULT 0,             -- 0: no steps yet
    next_step_no     smallint NOT NULL DEFAULT 1,        -- step numbers are never reused
    enrollment_state text NOT NULL DEFAULT 'none' CHECK (enrollment_state IN ('none', 'running', 'done')),
    enroll_cursor    bigint NOT NULL DEFAULT 0,          -- contacts up to this number have been judged
    launch_mark      bigint NOT NULL DEFAULT 0,          -- contacts made after it stay out
    enroll_total     bigint NOT NULL DEFAULT 0,          -- audience as counted when the launch began
    held_until       timestamptz,                        -- no delivery begins before: window, blackout date or limit
    last_problem     text,                               -- why a scheduled start was refused
    PRIMARY KEY (tenant_no, campaign_no),
    UNIQUE (tenant_no, id),
    FOREIGN KEY (tenant_no, workspace_no) REFERENCES workspaces,
    FOREIGN KEY (tenant_no, segment_no) REFERENCES segments,
    -- What the lifecycle says, said again where nobody can get past it.
    CHECK ((status = 'scheduled') = (scheduled_at IS NOT NULL AND launched_at IS NULL)),
    CHECK ((status IN ('draft', 'scheduled')) = (launched_at IS NULL)),
    CHECK ((status = 'paused') = (paused_at IS NOT NULL)),
    CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CHECK ((launched_at IS NULL) = (enrollment_state = 'none'))
);
CREATE INDEX campaigns_by_creation ON campaigns (tenant_no, workspace_no, created_at, campaign_no);
CREATE INDEX campaigns_by_segment ON campaigns (tenant_no, segment_no);
CREATE INDEX campaigns_at_work ON campaigns (status, tenant_no, campaign_no) WHERE status IN ('scheduled', 'active', 'paused');
CALL muster_protect('campaigns');
GRANT SELECT (tenant_no, campaign_no, workspace_no, campaign_type, status, scheduled_at, launched_at, held_until, sequence_version, enrollment_state)
    ON campaigns TO muster_scheduler;

-- Every step a campaign ever had; a removed one keeps its number and its figures.
CREATE TABLE campaign_steps (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    step        smallint NOT NULL,
    id          uuid NOT NULL,
    step_order  smallint NOT NULL,
    name        text NOT NULL,
    step_type   text NOT NULL CHECK (step_type IN ('email', 'wait', 'condition', 'action')),
    removed     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_no, campaign_no, step),
    UNIQUE (tenant_no, id),
    FOREIGN KEY (tenant_no, campaign_no) REFERENCES campaigns ON DELETE CASCADE
);
CALL muster_protect('campaign_steps');

-- The sequence as it was at one moment; enrollments point at the version they entered under.
CREATE TABLE sequence_versions (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    version     int NOT NULL,
    steps       jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, campaign_no, version),
    FOREIGN KEY (tenant_no, campaign_no) REFERENCES campaigns ON DELETE CASCADE
);
CALL muster_protect('sequence_versions');
REVOKE UPDATE ON sequence_versions FROM muster_app;
