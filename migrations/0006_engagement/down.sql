DROP TABLE link_stats, links, engagements, events;
ALTER TABLE stats
    DROP COLUMN returned, DROP COLUMN confirmed,
    DROP COLUMN opens, DROP COLUMN human_opens, DROP COLUMN opened, DROP COLUMN human_opened,
    DROP COLUMN clicks, DROP COLUMN human_clicks, DROP COLUMN clicked, DROP COLUMN human_clicked,
    DROP COLUMN replied, DROP COLUMN complained;
