REVOKE UPDATE (detail) ON delivery_decisions FROM muster_app;
