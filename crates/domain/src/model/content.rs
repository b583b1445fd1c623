//! What may be written about a campaign: its names and senders, its schedule, its settings.
//!
//! Creating and changing go through the same checks: a change is laid over what is there, then everything is judged.

use super::address::EmailAddress;
use super::campaign::CampaignContent;
use super::field::Field;
use super::guard_rails::GuardRails;
use super::problem::FieldProblems;
use super::schedule::{OnInDoubt, Schedule, SendStrategy, Settings, Window};
use super::text::{check_line, check_prose};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// A campaign's name and its sender's have no more characters than this.
pub const MAX_NAME: usize = 200;
/// A description has no more characters than this.
pub const MAX_DESCRIPTION: usize = 2_000;
/// A postal address has no more characters than this.
pub const MAX_POSTAL_ADDRESS: usize = 500;
/// A schedule has no more blackout dates than this.
pub const MAX_BLACKOUT_DATES: usize = 1_000;
/// A start may lie this far in the past: clocks differ, and requests take their time.
pub const START_GRACE: TimeDelta = TimeDelta::minutes(1);

/// What a request says about a campaign's content.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContentInput {
    /// `name`.
    pub name: Field<String>,
    /// `description`.
    pub description: Field<String>,
    /// `fromEmail`.
    pub from_email: Field<String>,
    /// `fromName`.
    pub from_name: Field<String>,
    /// `replyToEmail`.
    pub reply_to_email: Field<String>,
    /// `schedule`; null takes every limit and the start away.
    pub schedule: Field<ScheduleInput>,
    /// `settings`; null means the defaults.
    pub settings: Field<SettingsInput>,
}

/// What a request says about a schedule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScheduleInput {
    /// `startAt`.
    pub start_at: Field<DateTime<Utc>>,
    /// `timezone`, a name of the IANA database.
    pub timezone: Field<String>,
    /// `sendStrategy`.
    pub send_strategy: Field<SendStrategy>,
    /// `window`.
    pub window: Field<Window>,
    /// `blackoutDates`.
    pub blackout_dates: Field<Vec<NaiveDate>>,
}

/// What a request says about settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingsInput {
    /// `trackOpens`.
    pub track_opens: Field<bool>,
    /// `trackClicks`.
    pub track_clicks: Field<bool>,
    /// `unsubscribeEnabled`.
    pub unsubscribe_enabled: Field<bool>,
    /// `postalAddress`.
    pub postal_address: Field<String>,
    /// `dailyLimit`.
    pub daily_limit: Field<i64>,
    /// `hourlyLimit`.
    pub hourly_limit: Field<i64>,
    /// `stopOnReply`.
    pub stop_on_reply: Field<bool>,
    /// `onInDoubt`.
    pub on_in_doubt: Field<OnInDoubt>,
    /// `guardRails`; null takes them away.
    pub guard_rails: Field<GuardRails>,
}

/// The content after `input` is laid over `current`, or over nothing when a campaign is made; or every bad field.
///
/// `now` is business time: a start that is set must not lie before it (see [`START_GRACE`]).
pub fn write_content(
    current: Option<&CampaignContent>,
    input: ContentInput,
    now: DateTime<Utc>,
) -> Result<CampaignContent, FieldProblems> {
    let mut problems = FieldProblems::default();
    let name = required(&mut problems, "/name", input.name, current.map(|c| &c.name));
    let from_name = required(&mut problems, "/fromName", input.from_name, current.map(|c| &c.from_name));
    for (pointer, text) in [("/name", &name), ("/fromName", &from_name)] {
        if let Some(text) = text {
            check_line(&mut problems, pointer, text, MAX_NAME);
        }
    }
    let description = input.description.over(current.and_then(|c| c.description.clone()));
    check_prose(&mut problems, "/description", description.as_deref().unwrap_or_default(), MAX_DESCRIPTION);
    let from_email = sender(&mut problems, "/fromEmail", input.from_email, current.map(|c| &c.from_email));
    if from_email.is_none() && !problems.0.iter().any(|p| p.pointer == "/fromEmail") {
        problems.add("/fromEmail", "required", "an e-mail address is needed");
    }
    let reply_to_email =
        sender(&mut problems, "/replyToEmail", input.reply_to_email, current.and_then(|c| c.reply_to_email.as_ref()));
    let schedule = write_schedule(current.map(|c| &c.schedule), input.schedule, now);
    let schedule = problems.keep("/schedule", schedule);
    let settings = problems.keep("/settings", write_settings(current.map(|c| &c.settings), input.settings));
    match (name, from_name, from_email, schedule, settings) {
        (Some(name), Some(from_name), Some(from_email), Some(schedule), Some(settings)) => {
            problems.into_result()?;
            Ok(CampaignContent { name, description, from_email, from_name, reply_to_email, schedule, settings })
        }
        _ => Err(problems),
    }
}

fn required(
    problems: &mut FieldProblems,
    pointer: &str,
    field: Field<String>,
    current: Option<&String>,
) -> Option<String> {
    let text = field.over(current.cloned());
    if text.is_none() {
        problems.add(pointer, "required", "a text is needed");
    }
    text
}

fn sender(
    problems: &mut FieldProblems,
    pointer: &str,
    field: Field<String>,
    current: Option<&EmailAddress>,
) -> Option<EmailAddress> {
    match field {
        Field::Absent => current.cloned(),
        Field::Null => None,
        Field::Value(text) => problems.keep(pointer, EmailAddress::parse(&text)),
    }
}

fn write_schedule(
    current: Option<&Schedule>,
    input: Field<ScheduleInput>,
    now: DateTime<Utc>,
) -> Result<Schedule, FieldProblems> {
    let mut schedule = current.cloned().unwrap_or_default();
    let input = match input {
        Field::Absent => return Ok(schedule),
        Field::Null => return Ok(Schedule::default()),
        Field::Value(input) => input,
    };
    let mut problems = FieldProblems::default();
    if let Field::Value(start_at) = input.start_at
        && schedule.start_at != Some(start_at)
    {
        check_start(&mut problems, "/startAt", start_at, now);
    }
    schedule.start_at = input.start_at.over(schedule.start_at);
    match input.timezone {
        Field::Absent => {}
        Field::Null => schedule.timezone = chrono_tz::UTC,
        Field::Value(name) => match name.parse() {
            Ok(zone) => schedule.timezone = zone,
            Err(_) => problems.add(
                "/timezone",
                "unknown_timezone",
                "a name of the IANA time zone database, such as Europe/Berlin",
            ),
        },
    }
    schedule.window = input.window.over(schedule.window);
    if schedule.window.as_ref().is_some_and(|window| window.days.is_empty()) {
        problems.add("/window/days", "required", "a window opens on at least one day");
    }
    if let Some(window) = &mut schedule.window {
        window.days.sort_unstable();
        window.days.dedup();
    }
    schedule.blackout_dates = input.blackout_dates.over(Some(schedule.blackout_dates)).unwrap_or_default();
    schedule.blackout_dates.sort_unstable();
    schedule.blackout_dates.dedup();
    if schedule.blackout_dates.len() > MAX_BLACKOUT_DATES {
        problems.add("/blackoutDates", "too_many", format!("at most {MAX_BLACKOUT_DATES} dates"));
    }
    if input.send_strategy == Field::Value(SendStrategy::Scheduled) && schedule.start_at.is_none() {
        problems.add("/sendStrategy", "start_required", "\"scheduled\" needs a startAt");
    }
    problems.into_result()?;
    Ok(schedule)
}

/// Notes a start that lies in the past.
pub fn check_start(problems: &mut FieldProblems, pointer: &str, start_at: DateTime<Utc>, now: DateTime<Utc>) {
    if start_at < now - START_GRACE {
        problems.add(pointer, "in_the_past", "the start lies in the past; launch the campaign to begin now");
    }
}

fn write_settings(current: Option<&Settings>, input: Field<SettingsInput>) -> Result<Settings, FieldProblems> {
    let current = current.cloned().unwrap_or_default();
    let standard = Settings::default();
    let input = match input {
        Field::Absent => return Ok(current),
        Field::Null => return Ok(standard),
        Field::Value(input) => input,
    };
    let mut problems = FieldProblems::default();
    let postal_address = match input.postal_address {
        Field::Absent => current.postal_address.clone(),
        Field::Null => None,
        Field::Value(text) => problems.keep("/postalAddress", check_postal_address(&text).map(|()| text)),
    };
    let mut limit = |pointer: &str, field: Field<i64>, current: Option<i32>| match field {
        Field::Absent => current,
        Field::Null => None,
        Field::Value(limit) => {
            let kept = i32::try_from(limit).ok().filter(|limit| *limit >= 1);
            if kept.is_none() {
                problems.add(
                    pointer,
                    "out_of_range",
                    format!("a whole number from 1 to {}; null for no limit", i32::MAX),
                );
            }
            kept
        }
    };
    let flag = |field: Field<bool>, current: bool, standard: bool| field.over(Some(current)).unwrap_or(standard);
    let settings = Settings {
        track_opens: flag(input.track_opens, current.track_opens, standard.track_opens),
        track_clicks: flag(input.track_clicks, current.track_clicks, standard.track_clicks),
        daily_limit: limit("/dailyLimit", input.daily_limit, current.daily_limit),
        hourly_limit: limit("/hourlyLimit", input.hourly_limit, current.hourly_limit),
        unsubscribe_enabled: flag(input.unsubscribe_enabled, current.unsubscribe_enabled, standard.unsubscribe_enabled),
        postal_address,
        stop_on_reply: input.stop_on_reply.over(Some(current.stop_on_reply)).unwrap_or(standard.stop_on_reply),
        on_in_doubt: input.on_in_doubt.over(Some(current.on_in_doubt)).unwrap_or(standard.on_in_doubt),
        guard_rails: input.guard_rails.over(current.guard_rails),
    };
    if let Some(rails) = &settings.guard_rails {
        check_guard_rails(&mut problems, rails);
    }
    problems.into_result()?;
    Ok(settings)
}

/// Notes what is wrong with a postal address: one or several lines of text.
pub fn check_postal_address(text: &str) -> Result<(), FieldProblems> {
    let mut problems = FieldProblems::default();
    if text.trim().is_empty() {
        problems.add("", "required", "a postal address is needed; null for none");
    }
    check_prose(&mut problems, "", text, MAX_POSTAL_ADDRESS);
    problems.into_result()
}

fn check_guard_rails(problems: &mut FieldProblems, rails: &GuardRails) {
    for (pointer, rate) in [
        ("/guardRails/maxBounceRate", rails.max_bounce_rate),
        ("/guardRails/maxComplaintRate", rails.max_complaint_rate),
    ] {
        if rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            problems.add(pointer, "out_of_range", "a share from 0 to 1");
        }
    }
    if rails.max_bounce_rate.is_none() && rails.max_complaint_rate.is_none() {
        problems.add("/guardRails/maxBounceRate", "required", "name a maxBounceRate, a maxComplaintRate, or both");
    }
    if rails.min_sample < 1 {
        problems.add("/guardRails/minSample", "out_of_range", format!("a whole number from 1 to {}", i32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schedule::Weekday;
    use chrono::NaiveTime;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn whole() -> ContentInput {
        ContentInput {
            name: Field::Value("Spring".into()),
            from_email: Field::Value("ada@example.test".into()),
            from_name: Field::Value("Ada".into()),
            ..ContentInput::default()
        }
    }

    fn codes(problems: &FieldProblems) -> Vec<(&str, &str)> {
        problems.0.iter().map(|p| (p.pointer.as_str(), p.code.as_str())).collect()
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let input = ContentInput {
            name: Field::Value(" ".into()),
            description: Field::Value("x".repeat(2001)),
            from_email: Field::Value("not an address".into()),
            from_name: Field::Value("Ada\r\nBcc: everyone".into()),
            reply_to_email: Field::Value(String::new()),
            schedule: Field::Value(ScheduleInput {
                start_at: Field::Value(now() - TimeDelta::hours(1)),
                timezone: Field::Value("Mars/Olympus".into()),
                window: Field::Value(Window { days: vec![], from: NaiveTime::MIN, to: NaiveTime::MIN }),
                ..ScheduleInput::default()
            }),
            settings: Field::Value(SettingsInput {
                daily_limit: Field::Value(0),
                hourly_limit: Field::Value(1 << 40),
                postal_address: Field::Value(" \n".into()),
                ..SettingsInput::default()
            }),
        };
        let problems = write_content(None, input, now()).unwrap_err();
        assert_eq!(
            codes(&problems),
            [
                ("/name", "required"),
                ("/fromName", "invalid_characters"),
                ("/description", "too_long"),
                ("/fromEmail", "invalid_email"),
                ("/replyToEmail", "required"),
                ("/schedule/startAt", "in_the_past"),
                ("/schedule/timezone", "unknown_timezone"),
                ("/schedule/window/days", "required"),
                ("/settings/postalAddress", "required"),
                ("/settings/dailyLimit", "out_of_range"),
                ("/settings/hourlyLimit", "out_of_range"),
            ]
        );
    }

    #[test]
    fn what_is_missing_is_named_too() {
        let problems = write_content(None, ContentInput::default(), now()).unwrap_err();
        assert_eq!(codes(&problems), [("/name", "required"), ("/fromName", "required"), ("/fromEmail", "required")]);
    }

    #[test]
    fn an_absent_field_stays_and_null_clears_it() {
        let window =
            Window { days: vec![Weekday::Fri, Weekday::Mon, Weekday::Fri], from: NaiveTime::MIN, to: NaiveTime::MIN };
        let input = ContentInput {
            description: Field::Value("about".into()),
            schedule: Field::Value(ScheduleInput {
                timezone: Field::Value("Europe/Berlin".into()),
                window: Field::Value(window),
                ..ScheduleInput::default()
            }),
            settings: Field::Value(SettingsInput {
                daily_limit: Field::Value(5),
                postal_address: Field::Value("Ex\n1 Main Street".into()),
                ..SettingsInput::default()
            }),
            ..whole()
        };
        let content = write_content(None, input, now()).unwrap();
        assert_eq!(content.schedule.window.as_ref().unwrap().days, [Weekday::Mon, Weekday::Fri]);

        let change = ContentInput {
            description: Field::Null,
            schedule: Field::Value(ScheduleInput { window: Field::Null, ..ScheduleInput::default() }),
            settings: Field::Value(SettingsInput { hourly_limit: Field::Value(2), ..SettingsInput::default() }),
            ..ContentInput::default()
        };
        let changed = write_content(Some(&content), change, now()).unwrap();
        assert_eq!(changed.description, None);
        assert_eq!(changed.name, "Spring");
        assert_eq!(changed.schedule, Schedule { window: None, ..content.schedule.clone() });
        assert_eq!((changed.settings.daily_limit, changed.settings.hourly_limit), (Some(5), Some(2)));
        assert_eq!(changed.settings.postal_address.as_deref(), Some("Ex\n1 Main Street"));

        let cleared = ContentInput { schedule: Field::Null, settings: Field::Null, ..ContentInput::default() };
        let cleared = write_content(Some(&content), cleared, now()).unwrap();
        assert_eq!((cleared.schedule, cleared.settings), (Schedule::default(), Settings::default()));
    }

    #[test]
    fn what_every_campaign_needs_cannot_be_cleared() {
        let content = write_content(None, whole(), now()).unwrap();
        let change = ContentInput { name: Field::Null, from_email: Field::Null, ..ContentInput::default() };
        let problems = write_content(Some(&content), change, now()).unwrap_err();
        assert_eq!(codes(&problems), [("/name", "required"), ("/fromEmail", "required")]);
    }

    #[test]
    fn a_start_that_has_passed_meanwhile_does_not_stop_other_changes() {
        let input = ContentInput {
            schedule: Field::Value(ScheduleInput { start_at: Field::Value(now()), ..ScheduleInput::default() }),
            ..whole()
        };
        let content = write_content(None, input, now()).unwrap();
        let change = ContentInput {
            schedule: Field::Value(ScheduleInput { timezone: Field::Value("UTC".into()), ..ScheduleInput::default() }),
            ..ContentInput::default()
        };
        assert!(write_content(Some(&content), change, now() + TimeDelta::days(1)).is_ok());
    }

    #[test]
    fn a_scheduled_strategy_needs_a_start() {
        let input = ContentInput {
            schedule: Field::Value(ScheduleInput {
                send_strategy: SendStrategy::Scheduled.into(),
                ..ScheduleInput::default()
            }),
            ..whole()
        };
        let problems = write_content(None, input, now()).unwrap_err();
        assert_eq!(codes(&problems), [("/schedule/sendStrategy", "start_required")]);
    }
}
