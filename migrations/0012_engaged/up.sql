-- What a contact did in any campaign.
CREATE INDEX engagements_by_contact ON engagements (tenant_no, contact_no, kind, link) INCLUDE (last_human_at)
    WHERE last_human_at IS NOT NULL;
