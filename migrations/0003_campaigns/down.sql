DROP TABLE sequence_versions, campaign_steps, campaigns;
