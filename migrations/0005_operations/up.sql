-- The first answer to a request that may be repeated, stored in the transaction of its effect.

CREATE TABLE idempotency_keys (
    tenant_no    int NOT NULL,
    workspace_no int NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,                   -- hash over method, path and body
    status       smallint NOT NULL,
    headers      jsonb NOT NULL,
    body         bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),   -- real time: keys are kept for a day of it
    PRIMARY KEY (tenant_no, workspace_no, key),
    FOREIGN KEY (tenant_no, workspace_no) REFERENCES workspaces
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (tenant_no, created_at);
CALL muster_protect('idempotency_keys');

-- Readiness compares what was applied with what the program brings. (Absent where the files were run by hand.)
DO $$
BEGIN
    IF to_regclass('__diesel_schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON __diesel_schema_migrations TO muster_scheduler;
    END IF;
END $$;
