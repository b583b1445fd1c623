//! The tables as the migrations make them; a test compares this file with a migrated database.
//!
//! `just schema` writes it again.

#![expect(missing_docs, reason = "the migrations describe the columns")]

diesel::table! {
    api_keys (tenant_no, id) {
        tenant_no -> Int4,
        workspace_no -> Int4,
        id -> Uuid,
        prefix -> Text,
        secret_hash -> Bytea,
        name -> Text,
        scopes -> Array<Text>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    campaign_counters (tenant_no, campaign_no) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        audience -> Int8,
        open -> Int8,
        completed -> Int8,
        exited -> Int8,
    }
}

diesel::table! {
    campaign_steps (tenant_no, campaign_no, step) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        step -> Int2,
        id -> Uuid,
        step_order -> Int2,
        name -> Text,
        step_type -> Text,
        removed -> Bool,
    }
}

diesel::table! {
    campaigns (tenant_no, campaign_no) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        workspace_no -> Int4,
        id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        campaign_type -> Text,
        status -> Text,
        segment_no -> Int4,
        from_email -> Text,
        from_name -> Text,
        reply_to_email -> Nullable<Text>,
        schedule -> Jsonb,
        settings -> Jsonb,
        version -> Int4,
        created_by -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        scheduled_at -> Nullable<Timestamptz>,
        launched_at -> Nullable<Timestamptz>,
        paused_at -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        sequence_version -> Int4,
        next_step_no -> Int2,
        enrollment_state -> Text,
        enroll_cursor -> Int8,
        launch_mark -> Int8,
        enroll_total -> Int8,
        held_until -> Nullable<Timestamptz>,
        last_problem -> Nullable<Text>,
        guarded -> Bool,
        retrying -> Bool,
    }
}

diesel::table! {
    contact_fields (tenant_no, contact_no, name) {
        tenant_no -> Int4,
        contact_no -> Int8,
        name -> Text,
        kind -> CChar,
        value -> Text,
        value_key -> Text,
        number -> Nullable<Float8>,
        number_key -> Nullable<Float8>,
    }
}

diesel::table! {
    contact_tags (tenant_no, contact_no, tag) {
        tenant_no -> Int4,
        contact_no -> Int8,
        tag -> Text,
    }
}

diesel::table! {
    contacts (tenant_no, contact_no) {
        tenant_no -> Int4,
        contact_no -> Int8,
        workspace_no -> Int4,
        id -> Uuid,
        email -> Nullable<Text>,
        email_key -> Nullable<Text>,
        first_name -> Nullable<Text>,
        last_name -> Nullable<Text>,
        company -> Nullable<Text>,
        job_title -> Nullable<Text>,
        city -> Nullable<Text>,
        state -> Nullable<Text>,
        country -> Nullable<Text>,
        timezone -> Nullable<Text>,
        lead_score -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        erased_at -> Nullable<Timestamptz>,
        email_changed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    delivery_decisions (tenant_no, campaign_no, contact_no, step, pass, seq) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        step -> Int2,
        pass -> Int4,
        seq -> Int8,
        at -> Timestamptz,
        decision -> CChar,
        evidence -> CChar,
        decided_by -> Nullable<Uuid>,
        state -> CChar,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    engagements (tenant_no, campaign_no, contact_no, step, pass, kind, link) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        step -> Int2,
        pass -> Int4,
        kind -> CChar,
        link -> Int8,
        total -> Int8,
        human_total -> Int8,
        first_at -> Nullable<Timestamptz>,
        first_human_at -> Nullable<Timestamptz>,
        last_human_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    enrollment_history (tenant_no, seq) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        at -> Timestamptz,
        seq -> Int8,
        version -> Int4,
        path -> Array<Int2>,
    }
}

diesel::table! {
    enrollments (tenant_no, campaign_no, contact_no) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        due_at -> Nullable<Timestamptz>,
        last_email_sent_at -> Nullable<Timestamptz>,
        enrolled_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        version -> Int4,
        pass -> Int4,
        step -> Int2,
        status -> CChar,
        exit_reason -> Nullable<CChar>,
    }
}

diesel::table! {
    erased_addresses (tenant_no, hash) {
        tenant_no -> Int4,
        hash -> Bytea,
        reason -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    event_horizons (tenant_no) {
        tenant_no -> Int4,
        kept_since -> Timestamptz,
    }
}

diesel::table! {
    events (tenant_no, campaign_no, contact_no, step, pass, kind, id) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        step -> Int2,
        pass -> Int4,
        kind -> CChar,
        id -> Uuid,
        link -> Int8,
        at -> Timestamptz,
        machine -> Nullable<CChar>,
    }
}

diesel::table! {
    hook_receipts (tenant_no, hook_no, receipt) {
        tenant_no -> Int4,
        hook_no -> Int4,
        receipt -> Bytea,
        content -> Bytea,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    hooks (tenant_no, hook_no) {
        tenant_no -> Int4,
        hook_no -> Int4,
        workspace_no -> Int4,
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (tenant_no, workspace_no, key) {
        tenant_no -> Int4,
        workspace_no -> Int4,
        key -> Text,
        fingerprint -> Bytea,
        status -> Int2,
        headers -> Jsonb,
        body -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    link_stats (tenant_no, campaign_no, quarter, step, link) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        step -> Int2,
        link -> Int8,
        quarter -> Timestamptz,
        clicks -> Int8,
        human_clicks -> Int8,
        clicked -> Int8,
        human_clicked -> Int8,
    }
}

diesel::table! {
    links (tenant_no, campaign_no, step, link) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        step -> Int2,
        link -> Int8,
        url -> Text,
    }
}

diesel::table! {
    messages (tenant_no, campaign_no, contact_no, step, pass) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        step -> Int2,
        pass -> Int4,
        state -> CChar,
        attempts -> Int2,
        epoch -> Int4,
        version -> Int4,
        queued_at -> Timestamptz,
        ended_at -> Timestamptz,
        detail -> Nullable<Text>,
        resends -> Int2,
    }
}

diesel::table! {
    outbox (tenant_no, campaign_no, contact_no, step, pass) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        contact_no -> Int8,
        step -> Int2,
        pass -> Int4,
        state -> CChar,
        epoch -> Int4,
        attempts -> Int2,
        due_at -> Timestamptz,
        retry_at -> Nullable<Timestamptz>,
        lease_until -> Nullable<Timestamptz>,
        queued_at -> Timestamptz,
        version -> Int4,
        next_step -> Int2,
        resends -> Int2,
        by_hand -> Bool,
    }
}

diesel::table! {
    segment_members (tenant_no, segment_no, contact_no) {
        tenant_no -> Int4,
        segment_no -> Int4,
        contact_no -> Int8,
    }
}

diesel::table! {
    segments (tenant_no, segment_no) {
        tenant_no -> Int4,
        segment_no -> Int4,
        workspace_no -> Int4,
        id -> Uuid,
        name -> Text,
        kind -> Text,
        rules -> Nullable<Jsonb>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    sending_quota (tenant_no, campaign_no, kind, period) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        kind -> CChar,
        period -> Timestamptz,
        begun -> Int4,
    }
}

diesel::table! {
    sequence_versions (tenant_no, campaign_no, version) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        version -> Int4,
        steps -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    soft_bounces (tenant_no, contact_no, campaign_no, step, pass) {
        tenant_no -> Int4,
        contact_no -> Int8,
        campaign_no -> Int4,
        step -> Int2,
        pass -> Int4,
        bounced_at -> Timestamptz,
    }
}

diesel::table! {
    stats (tenant_no, campaign_no, quarter, step) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        step -> Int2,
        quarter -> Timestamptz,
        sent -> Int8,
        bounced -> Int8,
        unsubscribed -> Int8,
        returned -> Int8,
        confirmed -> Int8,
        opens -> Int8,
        human_opens -> Int8,
        opened -> Int8,
        human_opened -> Int8,
        clicks -> Int8,
        human_clicks -> Int8,
        clicked -> Int8,
        human_clicked -> Int8,
        replied -> Int8,
        complained -> Int8,
        undelivered -> Int8,
    }
}

diesel::table! {
    step_counters (tenant_no, campaign_no, step) {
        tenant_no -> Int4,
        campaign_no -> Int4,
        step -> Int2,
        entered -> Int8,
        pending -> Int8,
        passed -> Int8,
        sent -> Int8,
        failed -> Int8,
        suppressed -> Int8,
        skipped -> Int8,
        in_doubt -> Int8,
        cancelled -> Int8,
    }
}

diesel::table! {
    suppression_keys (tenant_no) {
        tenant_no -> Int4,
        inner_key -> Bytea,
        outer_key -> Bytea,
    }
}

diesel::table! {
    suppressions (tenant_no, entry) {
        tenant_no -> Int4,
        entry -> Text,
        reason -> Text,
        source -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    tenants (tenant_no) {
        tenant_no -> Int4,
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    virtual_clock (one) {
        one -> Bool,
        factor -> Float8,
        virtual_now -> Timestamptz,
        ticked_at -> Timestamptz,
    }
}

diesel::table! {
    workspaces (tenant_no, workspace_no) {
        tenant_no -> Int4,
        workspace_no -> Int4,
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    campaign_counters,
    campaign_steps,
    campaigns,
    contact_fields,
    contact_tags,
    contacts,
    delivery_decisions,
    engagements,
    enrollment_history,
    enrollments,
    erased_addresses,
    event_horizons,
    events,
    hook_receipts,
    hooks,
    idempotency_keys,
    link_stats,
    links,
    messages,
    outbox,
    segment_members,
    segments,
    sending_quota,
    sequence_versions,
    soft_bounces,
    stats,
    step_counters,
    suppression_keys,
    suppressions,
    tenants,
    virtual_clock,
    workspaces,
);
