DROP TABLE delivery_decisions;
DROP INDEX messages_not_sent;
CREATE INDEX messages_in_doubt ON messages (tenant_no, campaign_no) WHERE state = 'd';
DROP INDEX campaigns_at_work;
ALTER TABLE campaigns DROP COLUMN retrying;
CREATE INDEX campaigns_at_work ON campaigns (status, tenant_no, campaign_no) WHERE status IN ('scheduled', 'active', 'paused');
ALTER TABLE outbox DROP COLUMN by_hand;
