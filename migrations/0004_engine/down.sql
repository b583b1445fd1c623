DROP TABLE sending_quota, stats, step_counters, campaign_counters, messages, outbox, enrollment_history, enrollments;
