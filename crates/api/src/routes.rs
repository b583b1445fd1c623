//! The whole URL table.

use crate::endpoints::{
    campaigns, contacts, deliveries, enrollments, hooks, keys, lifecycle, reports, segments, steps, suppressions,
    tracking, unsubscribing,
};
use crate::{allow, auth, docs, health, metrics};
use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{OpenApiFactory, scope};

/// Every address there is. Only `.service(handler)` reaches the OpenAPI document.
///
/// Each collection has a scope of its own, so that a request is not held against the patterns of all the others. In it,
/// addresses without variable parts stand before those with them: the first match wins. What a collection does not know goes to
/// the default of all.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(
            scope("/api")
                .wrap(from_fn(auth::authenticate))
                .service(keys())
                .service(hooks())
                .service(contacts())
                .service(segments())
                .service(suppressions())
                .service(campaigns())
                .service(deliveries())
                .default_service(web::to(allow::no_route)),
        )
        // Without a key
        .service(tracking::record_open::record_open)
        .service(tracking::record_click::record_click)
        .service(tracking::record_trap::record_trap)
        .service(unsubscribing::show_unsubscribe::show_unsubscribe)
        .service(unsubscribing::unsubscribe::unsubscribe)
        .service(hooks::receive_feedback::receive_feedback)
        .service(health::read_health)
        .service(health::read_readiness)
        .service(metrics::read_metrics)
        .service(docs::read_openapi)
        .service(docs::read_docs)
        .default_service(web::to(allow::no_route));
}

fn keys() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/keys")
        .service(keys::create_key::create_key)
        .service(keys::list_keys::list_keys)
        .service(keys::find_key::find_key)
        .service(keys::revoke_key::revoke_key)
}

fn hooks() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/hooks")
        .service(hooks::create_hook::create_hook)
        .service(hooks::list_hooks::list_hooks)
        .service(hooks::find_hook::find_hook)
        .service(hooks::revoke_hook::revoke_hook)
}

fn contacts() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/contacts")
        .service(contacts::import_contacts::import_contacts)
        .service(contacts::create_contact::create_contact)
        .service(contacts::list_contacts::list_contacts)
        .service(contacts::get_contact::get_contact)
        .service(contacts::change_contact::change_contact)
        .service(contacts::erase_contact::erase_contact)
        .service(contacts::export_contact::export_contact)
}

fn segments() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/segments")
        .service(segments::preview_segment::preview_segment)
        .service(segments::create_segment::create_segment)
        .service(segments::list_segments::list_segments)
        .service(segments::get_segment::get_segment)
        .service(segments::change_segment::change_segment)
        .service(segments::delete_segment::delete_segment)
        .service(segments::list_segment_contacts::list_segment_contacts)
        .service(segments::add_segment_contacts::add_segment_contacts)
        .service(segments::remove_segment_contacts::remove_segment_contacts)
}

fn suppressions() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/suppressions")
        .service(suppressions::import_suppressions::import_suppressions)
        .service(suppressions::export_suppressions::export_suppressions)
        .service(suppressions::suppress_address::suppress_address)
        .service(suppressions::list_suppressions::list_suppressions)
        .service(suppressions::lift_suppression::lift_suppression_by_email)
        .service(suppressions::get_suppression::get_suppression)
        .service(suppressions::lift_suppression::lift_suppression)
}

fn campaigns() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/campaigns")
        .service(campaigns::create_campaign::create_campaign)
        .service(campaigns::list_campaigns::list_campaigns)
        .service(campaigns::get_campaign::get_campaign)
        .service(campaigns::change_campaign::change_campaign)
        .service(campaigns::delete_campaign::delete_campaign)
        .service(campaigns::schedule_campaign::schedule_campaign)
        .service(campaigns::unschedule_campaign::unschedule_campaign)
        .service(campaigns::clone_campaign::clone_campaign)
        .service(campaigns::preview_step::preview_step)
        .service(campaigns::send_test::send_test)
        .service(steps::get_steps::get_steps)
        .service(steps::replace_steps::replace_steps)
        .service(steps::add_step::add_step)
        .service(steps::get_step::get_step)
        .service(steps::change_step::change_step)
        .service(steps::remove_step::remove_step)
        .service(lifecycle::launch_campaign::launch_campaign)
        .service(lifecycle::pause_campaign::pause_campaign)
        .service(lifecycle::resume_campaign::resume_campaign)
        .service(lifecycle::complete_campaign::complete_campaign)
        .service(deliveries::retry_deliveries::retry_deliveries)
        .service(enrollments::list_enrollments::list_enrollments)
        .service(enrollments::enroll_contacts::enroll_contacts)
        .service(enrollments::get_enrollment::get_enrollment)
        .service(enrollments::exit_enrollment::exit_enrollment)
        .service(reports::get_analytics::get_analytics)
        .service(reports::get_balance::get_balance)
}

fn deliveries() -> impl HttpServiceFactory + OpenApiFactory {
    scope("/deliveries")
        .service(deliveries::list_deliveries::list_deliveries)
        .service(deliveries::resolve_delivery::resolve_delivery)
}
