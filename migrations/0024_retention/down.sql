DROP INDEX events_by_time;
DROP TABLE event_horizons;
