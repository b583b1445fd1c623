-- What a contact was sent in any campaign.
CREATE INDEX messages_by_contact ON messages (tenant_no, contact_no, ended_at) WHERE state = 's';
