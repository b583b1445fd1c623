-- Deliveries that somebody or something decided on after they had ended: begun again, or settled when in doubt.

-- Queued again by hand: goes out even when the campaign is completed, and to contacts whom the failure itself took out.
ALTER TABLE outbox ADD COLUMN by_hand boolean NOT NULL DEFAULT false;

-- A completed campaign of which deliveries were begun again and are not all ended yet.
ALTER TABLE campaigns ADD COLUMN retrying boolean NOT NULL DEFAULT false CHECK (NOT retrying OR status = 'completed');
DROP INDEX campaigns_at_work;
CREATE INDEX campaigns_at_work ON campaigns (status, tenant_no, campaign_no)
    WHERE status IN ('scheduled', 'active', 'paused') OR retrying;
GRANT SELECT (retrying) ON campaigns TO muster_scheduler;

-- Whatever did not simply arrive is looked for by its state; most messages did, and are in no index but their key's.
DROP INDEX messages_in_doubt;
CREATE INDEX messages_not_sent ON messages (tenant_no, campaign_no, state, contact_no, step, pass) WHERE state <> 's';

-- Who or what decided, and how it stood before. Only ever added to.
CREATE TABLE delivery_decisions (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    contact_no  bigint NOT NULL,
    step        smallint NOT NULL,
    pass        int NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL,              -- business time
    decision    "char" NOT NULL CHECK (decision IN ('a', 's', 'f', 'x')),     -- again, sent, failed, dropped
    evidence    "char" NOT NULL CHECK (evidence IN ('h', 'l', 'b', 'e')),     -- by hand, late answer, bounce, provider's event
    decided_by  uuid,                              -- the user, or the key, with evidence h
    state       "char" NOT NULL CHECK (state IN ('f', 'd')),                  -- before: failed or in doubt
    detail      text,                              -- before: the server's reply or the reason, without addresses
    PRIMARY KEY (tenant_no, campaign_no, contact_no, step, pass, seq),
    CHECK ((evidence = 'h') = (decided_by IS NOT NULL))
);
CALL muster_protect('delivery_decisions');
REVOKE UPDATE, DELETE ON delivery_decisions FROM muster_app;
