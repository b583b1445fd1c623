DROP TRIGGER virtual_clock_set ON virtual_clock;
DROP FUNCTION muster_clock_set;
DROP PROCEDURE muster_choose_clock;
CREATE OR REPLACE FUNCTION muster_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN coalesce((SELECT date_trunc('milliseconds', virtual_now) FROM virtual_clock), date_trunc('milliseconds', now()));
END $$;
