-- Planned once for each session. In the language sql it is planned again by every statement that asks, because a function
-- that reads a table is not inlined; and every claim, begin and record asks. Whoever asks for each row asks
-- (SELECT muster_now()), which is answered once for each statement.
CREATE OR REPLACE FUNCTION muster_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN coalesce((SELECT date_trunc('milliseconds', virtual_now) FROM virtual_clock), date_trunc('milliseconds', now()));
END $$;
