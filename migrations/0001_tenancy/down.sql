-- The roles stay: they belong to the whole cluster, and another database may use them.
DROP FUNCTION muster_now();
DROP TABLE virtual_clock, api_keys, workspaces, tenants;
DROP PROCEDURE muster_protect(regclass);
DROP FUNCTION muster_tenant();
