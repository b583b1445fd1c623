//! The fields of a campaign as requests bring them.
//!
//! Each is judged when it is read, by the domain's own rules, so that all that is wrong with a request is told at once;
//! what needs the database or the clock is judged by the use case.

use super::campaign::TIME_OF_DAY;
use crate::extract::{Change, Fields, Item};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::content::{
    ContentInput, MAX_BLACKOUT_DATES, MAX_DESCRIPTION, MAX_NAME, ScheduleInput, SettingsInput, check_postal_address,
};
use muster_domain::model::field::Field;
use muster_domain::model::guard_rails::{GuardRails, USUAL_SAMPLE};
use muster_domain::model::problem::FieldProblems;
use muster_domain::model::schedule::{OnInDoubt, SendStrategy, Weekday, Window};
use muster_domain::model::text::{check_line, check_prose};
use serde_json::Value;
use utoipa::ToSchema;

/// No text of a request is longer than its whole body.
const ANY: u64 = u64::MAX;

/// When a campaign may send. What is absent stays as it is, or has no limit.
#[derive(ToSchema)]
#[schema(as = ScheduleFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `read_schedule` reads")]
pub(crate) struct ScheduleRequest {
    /// When to start by itself; not in the past.
    start_at: Option<DateTime<Utc>>,
    /// A name of the IANA time zone database; UTC unless given.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// `immediate`, or `scheduled`, which needs a `startAt`.
    #[schema(example = "immediate")]
    send_strategy: Option<String>,
    /// Hours in which mail may begin.
    window: Option<WindowRequest>,
    /// Local dates on which no mail begins.
    #[schema(max_items = 1000)]
    blackout_dates: Option<Vec<NaiveDate>>,
}

/// Local hours on local days; `to` at or before `from` runs past midnight.
#[derive(ToSchema)]
#[schema(as = WindowFields)]
#[expect(dead_code, reason = "documents what `read_window` reads")]
pub(crate) struct WindowRequest {
    #[schema(schema_with = crate::openapi::weekdays)]
    days: Vec<String>,
    #[schema(schema_with = crate::openapi::time_of_day)]
    from: String,
    #[schema(schema_with = crate::openapi::time_of_day)]
    to: String,
}

/// How a campaign behaves. What is absent stays as it is, null restores the default.
#[derive(ToSchema)]
#[schema(as = SettingsFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `read_settings` reads")]
pub(crate) struct SettingsRequest {
    /// Mails carry an image that tells when they are opened; false unless given.
    track_opens: Option<bool>,
    /// Links lead by way of Muster, so that clicks are counted; false unless given. A link with the attribute
    /// `data-muster-no-track` is left alone.
    track_clicks: Option<bool>,
    /// Mails carry one-click unsubscribe headers (RFC 8058), and a link in their footer unless their text has one; true
    /// unless given.
    unsubscribe_enabled: Option<bool>,
    /// Who sends and where they can be reached by post, in one or several lines. Stands in the footer of every mail; most
    /// laws ask for it, and an installation may require it at launch.
    #[schema(min_length = 1, max_length = 500, example = "Example Ltd\n1 Main Street\nLondon")]
    postal_address: Option<String>,
    /// No more deliveries than this begin in a local day.
    #[schema(minimum = 1)]
    daily_limit: Option<i32>,
    /// No more deliveries than this begin in an hour of UTC.
    #[schema(minimum = 1)]
    hourly_limit: Option<i32>,
    /// A contact that answers a mail of the campaign leaves it; false unless given.
    stop_on_reply: Option<bool>,
    /// What becomes of a delivery whose outcome is not known: `hold` or `resend`.
    #[schema(example = "hold")]
    on_in_doubt: Option<String>,
    /// When the campaign pauses itself; null for never.
    guard_rails: Option<GuardRailsRequest>,
}

/// Limits past which the campaign pauses itself, with `lastProblem` saying why; one of the rates at least. Given anew as a
/// whole.
#[derive(ToSchema)]
#[schema(as = GuardRailsFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `read_guard_rails` reads")]
pub(crate) struct GuardRailsRequest {
    /// So many of the mails tried may bounce, at once or later.
    #[schema(minimum = 0, maximum = 1, example = 0.05)]
    max_bounce_rate: Option<f64>,
    /// So many of the mails delivered may be called spam.
    #[schema(minimum = 0, maximum = 1, example = 0.001)]
    max_complaint_rate: Option<f64>,
    /// Before so many mails were tried nothing is judged; 100 unless given.
    #[schema(minimum = 1)]
    min_sample: Option<i32>,
}

/// Reads everything that both creating and changing take.
pub(super) fn read_content(fields: &mut Fields<'_>) -> Option<ContentInput> {
    let name = change(fields, "name", |value| value.parsed(ANY, |text| line(text, MAX_NAME)));
    let description = change(fields, "description", |value| value.parsed(ANY, prose));
    let from_email = change(fields, "fromEmail", address);
    let from_name = change(fields, "fromName", |value| value.parsed(ANY, |text| line(text, MAX_NAME)));
    let reply_to_email = change(fields, "replyToEmail", address);
    let schedule = change(fields, "schedule", |value| value.object(read_schedule));
    let settings = change(fields, "settings", |value| value.object(read_settings));
    Some(ContentInput {
        name: name?,
        description: description?,
        from_email: from_email?,
        from_name: from_name?,
        reply_to_email: reply_to_email?,
        schedule: schedule?,
        settings: settings?,
    })
}

/// A field that may be absent, null or a value; `None` when a problem was noted.
pub(crate) fn change<'a, T>(
    fields: &mut Fields<'a>,
    name: &str,
    read: impl FnOnce(Item<'a>) -> Option<T>,
) -> Option<Field<T>> {
    fields.change(name, read).map(|change| match change {
        Change::Keep => Field::Absent,
        Change::Clear => Field::Null,
        Change::Set(value) => Field::Value(value),
    })
}

/// A field that is documented and does not work yet: it can only be null or `default`, which changes nothing.
pub(crate) fn not_supported(fields: &mut Fields<'_>, name: &str, default: &Value) -> Option<()> {
    let given = fields.optional(name, |item| Some(item.raw()))?;
    if given.is_some_and(|value| value != *default) {
        fields.refuse(name, "not_supported", "is not supported yet");
        return None;
    }
    Some(())
}

fn line(text: &str, most: usize) -> Result<String, FieldProblems> {
    let mut problems = FieldProblems::default();
    check_line(&mut problems, "", text, most);
    problems.into_result().map(|()| text.to_owned())
}

fn prose(text: &str) -> Result<String, FieldProblems> {
    let mut problems = FieldProblems::default();
    check_prose(&mut problems, "", text, MAX_DESCRIPTION);
    problems.into_result().map(|()| text.to_owned())
}

fn address(value: Item<'_>) -> Option<String> {
    value.parsed(ANY, |text| EmailAddress::parse(text).map(String::from))
}

fn read_schedule(fields: &mut Fields<'_>) -> Option<ScheduleInput> {
    let start_at = change(fields, "startAt", Item::instant);
    let end_at = not_supported(fields, "endAt", &Value::Null);
    let timezone = change(fields, "timezone", |value| value.parsed(ANY, zone));
    let send_strategy = change(fields, "sendStrategy", read_strategy);
    let window = change(fields, "window", |value| value.object(read_window));
    let dates = 0..=MAX_BLACKOUT_DATES;
    let blackout_dates = change(fields, "blackoutDates", |value| value.list(dates, day));
    end_at?;
    Some(ScheduleInput {
        start_at: start_at?,
        timezone: timezone?,
        send_strategy: send_strategy?,
        window: window?,
        blackout_dates: blackout_dates?,
    })
}

fn day(value: Item<'_>) -> Option<NaiveDate> {
    value.date()
}

fn zone(name: &str) -> Result<String, FieldProblems> {
    if name.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(name.to_owned());
    }
    let detail = "a name of the IANA time zone database, such as Europe/Berlin";
    Err(FieldProblems::one("", "unknown_timezone", detail))
}

fn read_strategy(value: Item<'_>) -> Option<SendStrategy> {
    value.parsed(ANY, |name| match SendStrategy::parse(name) {
        Some(strategy) => Ok(strategy),
        None if name == "recipient_local" => Err(FieldProblems::one("", "not_supported", "is not supported yet")),
        None => Err(FieldProblems::one("", "unknown_value", "must be one of: immediate, scheduled")),
    })
}

fn read_window(fields: &mut Fields<'_>) -> Option<Window> {
    let names = Weekday::ALL.map(Weekday::as_str);
    let days = fields.required("days", |value| value.list(1..=7, |day| day.one_of(&names, Weekday::parse)));
    let from = fields.required("from", time_of_day);
    let to = fields.required("to", time_of_day);
    Some(Window { days: days?, from: from?, to: to? })
}

/// A local time such as `09:00`.
pub(crate) fn time_of_day(value: Item<'_>) -> Option<NaiveTime> {
    value.parsed(ANY, |text| {
        let time = Some(text).filter(|text| text.len() == 5);
        time.and_then(|text| NaiveTime::parse_from_str(text, TIME_OF_DAY).ok())
            .ok_or_else(|| FieldProblems::one("", "invalid_time", "must be a local time from 00:00 to 23:59"))
    })
}

fn read_settings(fields: &mut Fields<'_>) -> Option<SettingsInput> {
    let track_opens = change(fields, "trackOpens", Item::boolean);
    let track_clicks = change(fields, "trackClicks", Item::boolean);
    let unsubscribe_enabled = change(fields, "unsubscribeEnabled", Item::boolean);
    let postal = |text: &str| check_postal_address(text).map(|()| text.trim().to_owned());
    let postal_address = change(fields, "postalAddress", |value| value.parsed(ANY, postal));
    let most = i64::from(i32::MAX);
    let daily_limit = change(fields, "dailyLimit", |value| value.integer(1..=most));
    let hourly_limit = change(fields, "hourlyLimit", |value| value.integer(1..=most));
    let stop_on_reply = change(fields, "stopOnReply", Item::boolean);
    let on_in_doubt = change(fields, "onInDoubt", |value| value.one_of(&["hold", "resend"], OnInDoubt::parse));
    let guard_rails = change(fields, "guardRails", |value| value.object(read_guard_rails));
    Some(SettingsInput {
        track_opens: track_opens?,
        track_clicks: track_clicks?,
        unsubscribe_enabled: unsubscribe_enabled?,
        postal_address: postal_address?,
        daily_limit: daily_limit?,
        hourly_limit: hourly_limit?,
        stop_on_reply: stop_on_reply?,
        on_in_doubt: on_in_doubt?,
        guard_rails: guard_rails?,
    })
}

fn read_guard_rails(fields: &mut Fields<'_>) -> Option<GuardRails> {
    let max_bounce_rate = fields.optional("maxBounceRate", |value| value.number(0.0..=1.0));
    let max_complaint_rate = fields.optional("maxComplaintRate", |value| value.number(0.0..=1.0));
    let sample = |value: Item<'_>| i32::try_from(value.integer(1..=i64::from(i32::MAX))?).ok();
    let min_sample = fields.or("minSample", USUAL_SAMPLE, sample);
    if (max_bounce_rate, max_complaint_rate) == (Some(None), Some(None)) {
        fields.refuse("maxBounceRate", "required", "name this, a maxComplaintRate, or both");
        return None;
    }
    Some(GuardRails {
        max_bounce_rate: max_bounce_rate?,
        max_complaint_rate: max_complaint_rate?,
        min_sample: min_sample?,
    })
}
