CREATE OR REPLACE FUNCTION muster_now() RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT coalesce((SELECT date_trunc('milliseconds', virtual_now) FROM virtual_clock), date_trunc('milliseconds', now())) $$;
