-- Single events may be kept for a limited time; what they added up to stays.

-- Since when each tenant's events are complete; without a row, since ever. What is older cannot be counted again.
CREATE TABLE event_horizons (
    tenant_no  int PRIMARY KEY REFERENCES tenants,
    kept_since timestamptz NOT NULL                -- business time, the beginning of a quarter-hour
);
CALL muster_protect('event_horizons');

-- Rows come roughly in the order of their time: that finds old ones, and costs writers next to nothing.
CREATE INDEX events_by_time ON events USING brin (at);
