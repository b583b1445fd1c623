-- Mails that were sent and came back, counted when they were sent; `returned` counts them when they came back. A day's deliveries are
-- sent - undelivered, so that a mail which comes back another day takes nothing from a day on which it was not sent.
ALTER TABLE stats ADD COLUMN undelivered bigint NOT NULL DEFAULT 0;

UPDATE stats s SET undelivered = b.n
FROM (SELECT m.tenant_no, m.campaign_no, m.step, date_bin('15 minutes', m.ended_at, 'epoch') AS quarter, count(*) AS n
      FROM engagements e JOIN messages m USING (tenant_no, campaign_no, contact_no, step, pass)
      WHERE e.kind = 'b' AND e.link = 0 AND e.first_human_at IS NOT NULL AND m.state = 's'
      GROUP BY 1, 2, 3, 4) b
WHERE s.tenant_no = b.tenant_no AND s.campaign_no = b.campaign_no AND s.step = b.step AND s.quarter = b.quarter;
