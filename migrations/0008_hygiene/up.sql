-- Suppression by domain, and of people who were erased.

-- An address, which has an @, or a domain, which has none; both in lower case.
ALTER TABLE suppressions RENAME COLUMN email_key TO entry;

-- What turns an address into the hash that is kept of it once its person is erased. Two independent keys, each one
-- block of SHA-256, nested as HMAC nests them. One pair for each tenant, made with it and never changed: under another
-- pair nobody who was erased would be recognised.
CREATE FUNCTION muster_random_block() RETURNS bytea LANGUAGE sql VOLATILE
RETURN sha512(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

CREATE TABLE suppression_keys (
    tenant_no int PRIMARY KEY REFERENCES tenants,
    inner_key bytea NOT NULL DEFAULT muster_random_block() CHECK (octet_length(inner_key) = 64),
    outer_key bytea NOT NULL DEFAULT muster_random_block() CHECK (octet_length(outer_key) = 64)
);
-- The owner, too, sees no tenant while row-level security is forced.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
INSERT INTO suppression_keys (tenant_no) SELECT tenant_no FROM tenants;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CALL muster_protect('suppression_keys');
REVOKE UPDATE, DELETE ON suppression_keys FROM muster_app;

-- By a trigger, so that there is no tenant without keys, whoever makes it.
CREATE FUNCTION muster_make_suppression_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO suppression_keys (tenant_no) VALUES (NEW.tenant_no);
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_have_suppression_keys AFTER INSERT ON tenants
    FOR EACH ROW EXECUTE FUNCTION muster_make_suppression_keys();

-- STABLE as convert_to is, so that it is inlined.
CREATE FUNCTION muster_pseudonym(email_key text, inner_key bytea, outer_key bytea) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE RETURN sha256(outer_key || sha256(inner_key || convert_to(email_key, 'UTF8')));

-- People who were erased and are not mailed if they come again.
CREATE TABLE erased_addresses (
    tenant_no  int NOT NULL,
    hash       bytea NOT NULL CHECK (octet_length(hash) = 32),     -- muster_pseudonym of the address in lower case
    reason     text NOT NULL CHECK (reason IN ('unsubscribed', 'bounced', 'complained', 'manual', 'erased')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, hash),
    FOREIGN KEY (tenant_no) REFERENCES tenants
);
CALL muster_protect('erased_addresses');
