//! The calendar around every change of the clocks of every zone from 2024 to 2030, as Python's zoneinfo has it.
//!
//! `oracle.txt` is written by `oracle.py`, which finds its answers by trying and knows nothing of the code under test. It is of
//! one version of the zones' data, and so is `chrono-tz`: when the two part, the first test says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{IANA_TZDB_VERSION, TZ_VARIANTS, Tz};
use muster_domain::model::advance::{Landing, advance};
use muster_domain::model::calendar::{local_day, local_instant, next_local, next_open};
use muster_domain::model::contact::ContactFacts;
use muster_domain::model::enrollment::{DueEnrollment, Standing};
use muster_domain::model::ids::{ContactNo, Pass, SequenceVersion, StepId, StepNo};
use muster_domain::model::schedule::{Schedule, Weekday, Window};
use muster_domain::model::sequence::{Explicit, Sequence, Step, StepKind, Target, Wait, WaitUnit};
use std::collections::BTreeMap;
use std::str::SplitWhitespace;

const ORACLE: &str = include_str!("oracle.txt");

/// Zones whose clocks do the same in these years.
#[derive(Default)]
struct Group<'a> {
    names: Vec<&'a str>,
    /// Seconds east of Greenwich as 2024 begins.
    east: i64,
    changes: Vec<Change>,
}

/// One change of the clocks.
struct Change {
    at: i64,
    before: i64,
    after: i64,
    /// Instants, less `at`.
    answers: Vec<i64>,
}

fn groups() -> BTreeMap<usize, Group<'static>> {
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    let number = |words: &mut SplitWhitespace| words.next().unwrap().parse::<i64>().unwrap();
    for line in ORACLE.lines() {
        let mut words = line.split_whitespace();
        let kind = words.next();
        if !matches!(kind, Some("zones" | "at")) {
            continue;
        }
        let group = groups.entry(usize::try_from(number(&mut words)).unwrap()).or_default();
        if kind == Some("zones") {
            group.east = number(&mut words);
            group.names = words.collect();
        } else {
            let [at, before, after] = [(); 3].map(|()| number(&mut words));
            let answers = words.map(|word| word.parse().unwrap()).collect();
            group.changes.push(Change { at, before, after, answers });
        }
    }
    groups
}

fn instant(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(at, 0).unwrap()
}

fn weekday(date: NaiveDate) -> Weekday {
    Weekday::ALL[usize::try_from(date.weekday().num_days_from_monday()).unwrap()]
}

fn open(
    tz: Tz,
    window: Option<(&[Weekday], NaiveTime, NaiveTime)>,
    blackouts: &[NaiveDate],
    now: i64,
) -> DateTime<Utc> {
    let schedule = Schedule {
        start_at: None,
        timezone: tz,
        window: window.map(|(days, from, to)| Window { days: days.to_vec(), from, to }),
        blackout_dates: blackouts.to_vec(),
    };
    next_open(&schedule, instant(now))
}

/// The questions of `oracle.py`, in its order.
fn answers(tz: Tz, change: &Change) -> Vec<DateTime<Utc>> {
    let Change { at, before, after, .. } = *change;
    let wall = |east: i64| instant(at + east).naive_utc();
    let (low, high): (NaiveDateTime, NaiveDateTime) = (wall(before.min(after)), wall(before.max(after)));
    let half = (high - low).num_seconds() / 2;
    let middle = low + TimeDelta::seconds(half / 60 * 60);
    let (quarter, hour, size) = (TimeDelta::minutes(15), TimeDelta::hours(1), (after - before).abs());
    let walls = [low - quarter, low, middle, high - quarter, high, high + quarter];
    let mut told: Vec<DateTime<Utc>> = walls.into_iter().map(|wall| local_instant(tz, wall)).collect();

    let (time, day) = (middle.time(), weekday(middle.date()));
    let next = |weekday, after| next_local(weekday, Some(time), tz, after).unwrap();
    told.extend([-86_400, -1, 0, size / 2, 7_200].map(|shift| next(None, instant(at + shift))));
    let first = next(Some(day), instant(at - 3 * 86_400));
    told.extend([first, next(Some(day), first)]);

    for shift in [-1, 0, 3 * 3_600] {
        let (begins, ends) = local_day(tz, instant(at + shift));
        told.extend([begins, ends]);
    }

    let (every, date) = (Weekday::ALL.as_slice(), middle.date());
    let two_hours = Some((every, time, (middle + hour * 2).time()));
    told.push(open(tz, two_hours, &[], at - 3 * 3_600));
    told.push(open(tz, two_hours, &[], at + size / 2));
    told.push(open(tz, Some((&[day], time, (middle + hour).time())), &[], at - 2 * 86_400));
    let night = Some((every, NaiveTime::from_hms_opt(22, 0, 0).unwrap(), time));
    told.push(open(tz, night, &[], at - 1));
    told.push(open(tz, night, &[], at));
    told.push(open(tz, None, &[date], local_instant(tz, date.and_time(NaiveTime::MIN)).timestamp()));
    told.push(open(tz, two_hours, &[date], at - 3_600));
    told
}

#[test]
fn the_oracle_is_of_the_version_of_the_zones_that_we_have() {
    let version = ORACLE.lines().find_map(|line| line.strip_prefix("tzdata "));
    assert_eq!(version, Some(IANA_TZDB_VERSION), "write oracle.txt again with that version of tzdata");
}

#[test]
fn both_know_the_same_zones() {
    let groups = groups();
    let theirs: Vec<&str> = groups.values().flat_map(|group| group.names.iter().copied()).collect();
    let ours: Vec<&str> = TZ_VARIANTS.iter().map(|tz| tz.name()).collect();
    // What a zone is called before one is chosen.
    let missing: Vec<_> = theirs.iter().filter(|name| !ours.contains(name) && **name != "Factory").collect();
    let extra: Vec<_> = ours.iter().filter(|name| !theirs.contains(name)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "we lack {missing:?}, they lack {extra:?}");
    assert!(theirs.len() > 590, "{}", theirs.len());
}

/// Each zone with each change of its clocks.
fn for_each_change(mut look: impl FnMut(&str, Tz, &Change)) {
    let mut looked = 0;
    for group in groups().values() {
        for name in &group.names {
            let Ok(tz) = name.parse::<Tz>() else { continue };
            group.changes.iter().for_each(|change| look(name, tz, change));
            looked += group.changes.len();
        }
    }
    assert!(looked > 2_000, "{looked} changes");
}

#[test]
fn clocks_change_when_they_say() {
    let east =
        |tz: Tz, at: i64| i64::from(tz.offset_from_utc_datetime(&instant(at).naive_utc()).fix().local_minus_utc());
    let mut wrong = Vec::new();
    for_each_change(|name, tz, change| {
        let ours = (east(tz, change.at - 1), east(tz, change.at));
        if ours != (change.before, change.after) {
            wrong.push(format!("{name} at {}: {ours:?}", instant(change.at)));
        }
    });
    // And nowhere else: between two changes every hour is as after the first.
    let end = NaiveDate::from_ymd_opt(2031, 1, 1).unwrap().and_time(NaiveTime::MIN).and_utc().timestamp();
    let start = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap().and_time(NaiveTime::MIN).and_utc().timestamp();
    for group in groups().values() {
        let Some(tz) = group.names.iter().find_map(|name| name.parse::<Tz>().ok()) else { continue };
        let mut changes = group.changes.iter().peekable();
        let mut expected = group.east;
        for at in (start..end).step_by(3_600) {
            while let Some(change) = changes.next_if(|change| change.at <= at) {
                expected = change.after;
            }
            if east(tz, at) != expected {
                wrong.push(format!("{tz} at {}: {}", instant(at), east(tz, at)));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong, first {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}

#[test]
fn around_every_change_of_the_clocks_the_calendar_says_what_zoneinfo_says() {
    let mut wrong = Vec::new();
    for_each_change(|name, tz, change| {
        let ours: Vec<i64> = answers(tz, change).iter().map(|told| told.timestamp() - change.at).collect();
        assert_eq!(ours.len(), change.answers.len());
        for (question, (ours, theirs)) in ours.iter().zip(&change.answers).enumerate() {
            if ours != theirs {
                wrong.push(format!("{name} at {}, question {question}: {ours}, not {theirs}", instant(change.at)));
            }
        }
    });
    assert!(wrong.is_empty(), "{} wrong, first {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn a_wait_of_a_day_is_24_hours_across_every_change_of_the_clocks() {
    let wait = StepKind::Wait { wait: Wait::For { value: 1, unit: WaitUnit::Days }, next: Target::End };
    let id = StepId(uuid::Uuid::nil());
    let step = Step { no: StepNo(1), id, order: 1, name: "wait".to_owned(), kind: wait, explicit: Explicit::default() };
    let sequence = Sequence { steps: vec![step] };
    for_each_change(|name, tz, change| {
        let now = instant(change.at - 12 * 3_600);
        let due = DueEnrollment {
            contact: ContactNo(1),
            version: SequenceVersion(1),
            step: StepNo(1),
            pass: Pass(0),
            standing: Standing::Ready,
            due_at: now,
        };
        let moved = advance(&due, &sequence, ContactFacts::default(), tz, now).unwrap();
        assert_eq!(moved.landing, Landing::Wait { step: StepNo(1), until: now + TimeDelta::hours(24) }, "{name}");
    });
}

/// Days of limits meet: each ends where the next begins, whatever the clocks do.
#[test]
fn local_days_follow_each_other_without_gap_or_overlap() {
    for_each_change(|name, tz, change| {
        let (begins, ends) = local_day(tz, instant(change.at));
        let (next, _) = local_day(tz, ends);
        let (before, until) = local_day(tz, begins - TimeDelta::seconds(1));
        assert_eq!((next, until), (ends, begins), "{name} at {}", instant(change.at));
        assert!(before < begins && ends - begins < TimeDelta::hours(27), "{name}");
        let dates = [before, begins, ends].map(|at| at.with_timezone(&tz).date_naive());
        assert_eq!(dates, [dates[1] - Days::new(1), dates[1], dates[1] + Days::new(1)], "{name}");
    });
}
