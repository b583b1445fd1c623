-- What others report of mails, and what has come of it.

-- Where they report it to. Address and secret are made from these numbers and the installation's secret, not stored.
CREATE TABLE hooks (
    tenant_no    int NOT NULL,
    hook_no      int GENERATED ALWAYS AS IDENTITY,
    workspace_no int NOT NULL,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_no, hook_no),
    UNIQUE (tenant_no, id),
    FOREIGN KEY (tenant_no, workspace_no) REFERENCES workspaces
);
CALL muster_protect('hooks');

-- What has been reported, so that the same again counts for nothing.
CREATE TABLE hook_receipts (
    tenant_no   int NOT NULL,
    hook_no     int NOT NULL,
    receipt     bytea NOT NULL,                          -- hash over the id of the message and the place in it
    content     bytea NOT NULL,                          -- hash over the message
    received_at timestamptz NOT NULL DEFAULT now(),      -- real time
    PRIMARY KEY (tenant_no, hook_no, receipt)
);
CREATE INDEX hook_receipts_by_age ON hook_receipts (tenant_no, received_at);
CALL muster_protect('hook_receipts');

-- Mails that came back for a reason that may pass. Enough of them, and the address is given up.
CREATE TABLE soft_bounces (
    tenant_no   int NOT NULL,
    contact_no  bigint NOT NULL,
    campaign_no int NOT NULL,
    step        smallint NOT NULL,
    pass        int NOT NULL,
    bounced_at  timestamptz NOT NULL,                    -- business time
    PRIMARY KEY (tenant_no, contact_no, campaign_no, step, pass)
);
CALL muster_protect('soft_bounces');

-- Since when a contact has another address than before: what came back from the old one says nothing of the new one.
ALTER TABLE contacts ADD COLUMN email_changed_at timestamptz;
CREATE FUNCTION muster_note_email_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE contacts SET email_changed_at = muster_now() WHERE tenant_no = NEW.tenant_no AND contact_no = NEW.contact_no;
    RETURN NULL;
END $$;
-- By a trigger, so that no way of changing an address forgets it. Afterwards: a trigger before an update that names a key
-- column locks the row as if the key changed, and would wait for deliveries when it does not.
CREATE TRIGGER contacts_note_email_change AFTER UPDATE OF email_key ON contacts
    FOR EACH ROW WHEN (OLD.email_key IS DISTINCT FROM NEW.email_key) EXECUTE FUNCTION muster_note_email_change();

-- Whether a campaign is to be looked after, for who may not read its settings.
ALTER TABLE campaigns ADD COLUMN guarded boolean NOT NULL GENERATED ALWAYS AS ((settings -> 'guardRails') IS NOT NULL) STORED;
GRANT SELECT (guarded) ON campaigns TO muster_scheduler;
