-- Where business time is the clock's, which is everywhere but in a time lapse, nothing is read for it: an expression that
-- reads no table is put in the place of the call when a statement is planned, and a call costs nothing more. While there is
-- a virtual clock, the function reads it. Whoever replaces a function has every plan made anew that holds it.
-- A restored dump may have the function of a virtual clock and no clock: then the time is the clock's all the same.
CREATE PROCEDURE muster_choose_clock() LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF EXISTS (SELECT FROM virtual_clock) THEN
        CREATE OR REPLACE FUNCTION muster_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE
        AS $body$
        BEGIN
            RETURN coalesce((SELECT date_trunc('milliseconds', virtual_now) FROM virtual_clock), date_trunc('milliseconds', now()));
        END
        $body$;
    ELSE
        CREATE OR REPLACE FUNCTION muster_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
        RETURN date_trunc('milliseconds', now());
    END IF;
END $$;

-- By a trigger, so that a clock can neither be set nor be taken away without it.
CREATE FUNCTION muster_clock_set() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    CALL muster_choose_clock();
    RETURN NULL;
END $$;
CREATE TRIGGER virtual_clock_set AFTER INSERT OR DELETE OR TRUNCATE ON virtual_clock
    FOR EACH STATEMENT EXECUTE FUNCTION muster_clock_set();
CALL muster_choose_clock();
