-- What is claimed or being sent has a lease and what is pending has none (a CHECK says so): the indexes go by that, and no
-- longer by the state. So a begin, which turns the state and leaves the lease, changes nothing that is indexed and writes no
-- index (a heap-only tuple); and whoever looks a row up by its key and wants it claimed cannot be led by the planner through
-- everything that is claimed.
DROP INDEX outbox_due;
DROP INDEX outbox_again;
DROP INDEX outbox_leased;
CREATE INDEX outbox_due ON outbox (tenant_no, campaign_no, due_at) WHERE lease_until IS NULL AND retry_at IS NULL;
CREATE INDEX outbox_again ON outbox (tenant_no, campaign_no, retry_at) WHERE lease_until IS NULL AND retry_at IS NOT NULL;
CREATE INDEX outbox_leased ON outbox (tenant_no, campaign_no, lease_until) WHERE lease_until IS NOT NULL;
