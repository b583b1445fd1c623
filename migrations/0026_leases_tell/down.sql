DROP INDEX outbox_due;
DROP INDEX outbox_again;
DROP INDEX outbox_leased;
CREATE INDEX outbox_due ON outbox (tenant_no, campaign_no, due_at) WHERE state = 'p' AND retry_at IS NULL;
CREATE INDEX outbox_again ON outbox (tenant_no, campaign_no, retry_at) WHERE state = 'p' AND retry_at IS NOT NULL;
CREATE INDEX outbox_leased ON outbox (tenant_no, campaign_no, lease_until) WHERE state <> 'p';
