-- What recipients and their mail servers did after a mail was sent, once row by row and once added up.
--
-- Nothing here is personal by itself: neither network addresses nor names of programs are kept, only what was judged from them.

-- kind: o opened, c clicked, r replied, f refused while sending, b bounced afterwards, p complained, d delivered (told by
--       a provider), u unsubscribed.
-- machine: why it was no person; null for a person. h HEAD, a known fetcher, s too soon after sending, l every link at
--       once, t the hidden link, r an automatic reply.
CREATE TABLE events (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    contact_no  bigint NOT NULL,
    step        smallint NOT NULL,
    pass        int NOT NULL,
    kind        "char" NOT NULL CHECK (kind IN ('o', 'c', 'r', 'f', 'b', 'p', 'd', 'u')),
    id          uuid NOT NULL,                     -- chosen by whoever tells of it: the same again is the same event
    link        bigint NOT NULL DEFAULT 0,         -- which link was clicked; 0 for everything else
    at          timestamptz NOT NULL,              -- business time
    machine     "char" CHECK (machine IN ('h', 'a', 's', 'l', 't', 'r')),
    PRIMARY KEY (tenant_no, campaign_no, contact_no, step, pass, kind, id),
    CHECK ((link <> 0) <= (kind = 'c'))
);
CALL muster_protect('events');

-- What one mail has seen of one kind: link 0 adds up the whole mail, and is what writers lock first.
CREATE TABLE engagements (
    tenant_no      int NOT NULL,
    campaign_no    int NOT NULL,
    contact_no     bigint NOT NULL,
    step           smallint NOT NULL,
    pass           int NOT NULL,
    kind           "char" NOT NULL,
    link           bigint NOT NULL DEFAULT 0,
    total          bigint NOT NULL DEFAULT 0,
    human_total    bigint NOT NULL DEFAULT 0,
    first_at       timestamptz,
    first_human_at timestamptz,
    last_human_at  timestamptz,
    PRIMARY KEY (tenant_no, campaign_no, contact_no, step, pass, kind, link)
) WITH (fillfactor = 85);
-- Who opened or clicked since when, for segments.
CREATE INDEX engagements_by_kind ON engagements (tenant_no, campaign_no, kind, link, last_human_at) INCLUDE (contact_no, step)
    WHERE last_human_at IS NOT NULL;
CALL muster_protect('engagements');

-- Links as authors wrote them; link is made from the address alone, so it is the same in every version of the sequence.
CREATE TABLE links (
    tenant_no   int NOT NULL,
    campaign_no int NOT NULL,
    step        smallint NOT NULL,
    link        bigint NOT NULL CHECK (link <> 0),
    url         text NOT NULL,
    PRIMARY KEY (tenant_no, campaign_no, step, link),
    FOREIGN KEY (tenant_no, campaign_no) REFERENCES campaigns ON DELETE CASCADE
);
CALL muster_protect('links');
REVOKE UPDATE ON links FROM muster_app;

-- opens, clicks: every one. opened, clicked: mails at their first. The rest: mails, each once, on the day of the first.
ALTER TABLE stats
    ADD COLUMN returned      bigint NOT NULL DEFAULT 0,    -- accepted, and sent back later
    ADD COLUMN confirmed     bigint NOT NULL DEFAULT 0,    -- a provider says that it arrived
    ADD COLUMN opens         bigint NOT NULL DEFAULT 0,
    ADD COLUMN human_opens   bigint NOT NULL DEFAULT 0,
    ADD COLUMN opened        bigint NOT NULL DEFAULT 0,
    ADD COLUMN human_opened  bigint NOT NULL DEFAULT 0,
    ADD COLUMN clicks        bigint NOT NULL DEFAULT 0,
    ADD COLUMN human_clicks  bigint NOT NULL DEFAULT 0,
    ADD COLUMN clicked       bigint NOT NULL DEFAULT 0,
    ADD COLUMN human_clicked bigint NOT NULL DEFAULT 0,
    ADD COLUMN replied       bigint NOT NULL DEFAULT 0,
    ADD COLUMN complained    bigint NOT NULL DEFAULT 0;

-- The same for each link.
CREATE TABLE link_stats (
    tenant_no     int NOT NULL,
    campaign_no   int NOT NULL,
    step          smallint NOT NULL,
    link          bigint NOT NULL,
    quarter       timestamptz NOT NULL,
    clicks        bigint NOT NULL DEFAULT 0,
    human_clicks  bigint NOT NULL DEFAULT 0,
    clicked       bigint NOT NULL DEFAULT 0,
    human_clicked bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, campaign_no, quarter, step, link)
);
CALL muster_protect('link_stats');
