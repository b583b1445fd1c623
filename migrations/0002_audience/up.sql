-- People, what is known of them, and who may not be written to.
--
-- Tags and custom fields are rows of text: under row-level security an index is used only for leakproof operators,
-- which text equality is and jsonb containment is not.
--
-- Custom fields: writers fill name, kind, value and number; value_key and number_key are generated from them and are
-- what rules compare.

-- Case folding that is the same in every database and in the program: one letter for one letter, both lower-case sigmas one.
DO $$
BEGIN
    CREATE COLLATION muster_text (provider = builtin, locale = 'C.UTF-8');      -- PostgreSQL 17 and later
EXCEPTION WHEN OTHERS THEN
    BEGIN
        CREATE COLLATION muster_text (provider = libc, locale = 'C.UTF-8');
    EXCEPTION WHEN OTHERS THEN
        CREATE COLLATION muster_text (provider = icu, locale = 'und');
    END;
END $$;
CREATE FUNCTION muster_fold(written text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(translate(written, U&'\0130\03A3\03C2', U&'i\03C3\03C3') COLLATE muster_text);

-- A plain decimal as a number; null for anything else, and never an error.
CREATE FUNCTION muster_number(written text) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN written ~ '^-?[0-9]{1,15}(\.[0-9]{1,15})?$' THEN written::double precision END;

CREATE TABLE contacts (
    tenant_no    int NOT NULL,
    contact_no   bigint GENERATED ALWAYS AS IDENTITY,
    workspace_no int NOT NULL,
    id           uuid NOT NULL,
    email        text,                       -- null once erased
    email_key    text,                       -- lower case, what makes an address the same
    first_name   text,
    last_name    text,
    company      text,
    job_title    text,
    city         text,
    state        text,
    country      text,
    timezone     text,
    lead_score   int NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    erased_at    timestamptz,
    PRIMARY KEY (tenant_no, contact_no),
    UNIQUE (tenant_no, id),
    UNIQUE (tenant_no, email_key, workspace_no),    -- in this order: a tenant's suppressions look without a workspace
    CHECK ((email IS NULL) = (email_key IS NULL)),
    CHECK ((erased_at IS NOT NULL) = (email IS NULL))
);
CREATE INDEX contacts_by_workspace ON contacts (tenant_no, workspace_no, contact_no);
CALL muster_protect('contacts');

CREATE TABLE contact_tags (
    tenant_no  int NOT NULL,
    contact_no bigint NOT NULL,
    tag        text NOT NULL,
    PRIMARY KEY (tenant_no, contact_no, tag)
);
CREATE INDEX contact_tags_by_tag ON contact_tags (tenant_no, tag, contact_no);
CALL muster_protect('contact_tags');

CREATE TABLE contact_fields (
    tenant_no  int NOT NULL,
    contact_no bigint NOT NULL,
    name       text NOT NULL,
    kind       "char" NOT NULL CHECK (kind IN ('t', 'n', 'b')),   -- text, number, boolean
    value      text NOT NULL,
    value_key  text NOT NULL GENERATED ALWAYS AS (left(muster_fold(value), 200)) STORED,    -- short enough for an index
    number     double precision,                                                            -- the same, where kind is n
    number_key double precision GENERATED ALWAYS AS (coalesce(number, muster_number(value))) STORED,
    PRIMARY KEY (tenant_no, contact_no, name)
);
CREATE INDEX contact_fields_by_value ON contact_fields (tenant_no, name, value_key, contact_no);
CREATE INDEX contact_fields_by_number ON contact_fields (tenant_no, name, number_key, contact_no) WHERE number_key IS NOT NULL;
CALL muster_protect('contact_fields');

CREATE TABLE segments (
    tenant_no    int NOT NULL,
    segment_no   int GENERATED ALWAYS AS IDENTITY,
    workspace_no int NOT NULL,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind         text NOT NULL CHECK (kind IN ('static', 'dynamic')),
    rules        jsonb,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, segment_no),
    UNIQUE (tenant_no, id),
    FOREIGN KEY (tenant_no, workspace_no) REFERENCES workspaces,
    CHECK ((kind = 'dynamic') = (rules IS NOT NULL))
);
CALL muster_protect('segments');

CREATE TABLE segment_members (
    tenant_no  int NOT NULL,
    segment_no int NOT NULL,
    contact_no bigint NOT NULL,
    PRIMARY KEY (tenant_no, segment_no, contact_no)
);
CALL muster_protect('segment_members');

-- Addresses that are never mailed in this tenant.
CREATE TABLE suppressions (
    tenant_no  int NOT NULL,
    email_key  text NOT NULL,
    reason     text NOT NULL CHECK (reason IN ('unsubscribed', 'bounced', 'complained', 'manual', 'erased')),
    source     text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, email_key),
    FOREIGN KEY (tenant_no) REFERENCES tenants
);
CALL muster_protect('suppressions');
