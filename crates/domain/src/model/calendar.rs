//! Local-time arithmetic: when a window opens, and which instant a local time of day is.
//!
//! Two rules settle what daylight saving leaves open. A local time in a gap means the first valid instant after it;
//! one in an overlap means its first occurrence only. So nothing planned for a local time happens twice or never.

use super::schedule::{Schedule, Weekday, Window};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The first instant from `now` on at which `schedule` lets mail begin: `now` itself when it is open.
///
/// Open is what lies in the window and on no blackout date. [`DateTime::<Utc>::MAX_UTC`] when it never opens, which
/// takes a window without days, or one that exists on blackout dates alone.
pub fn next_open(schedule: &Schedule, now: DateTime<Utc>) -> DateTime<Utc> {
    if is_open(schedule, now) {
        return now;
    }
    let tz = schedule.timezone;
    // Every blackout date can close one day of a weekly window; a fortnight more covers any gap of the calendar.
    let horizon = 7 * schedule.blackout_dates.len() + 16;
    let opening = schedule.window.as_ref().map(|window| window.from);
    let yesterday = local_date(tz, now) - Days::new(1);
    for date in yesterday.iter_days().take(horizon) {
        // An opening, or the midnight that ends a blackout date; after an overlap there may be a second midnight.
        let midnight = date.and_time(NaiveTime::MIN);
        let mut candidates = vec![local_instant(tz, midnight)];
        candidates.extend(tz.from_local_datetime(&midnight).latest().map(|at| at.to_utc()));
        candidates.extend(opening.map(|from| local_instant(tz, date.and_time(from))));
        candidates.sort_unstable();
        if let Some(at) = candidates.into_iter().find(|at| *at > now && is_open(schedule, *at)) {
            return at;
        }
    }
    DateTime::<Utc>::MAX_UTC
}

/// The next instant strictly after `after` at which it is `time_of_day` (midnight when absent) on `weekday` (any day
/// when absent) in `tz`. `None` when that is beyond what a date can hold.
pub fn next_local(
    weekday: Option<Weekday>,
    time_of_day: Option<NaiveTime>,
    tz: Tz,
    after: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let time = time_of_day.unwrap_or(NaiveTime::MIN);
    let today = local_date(tz, after);
    today
        .iter_days()
        .take(16)
        .filter(|date| weekday.is_none_or(|day| day_of(*date) == day))
        .map(|date| local_instant(tz, date.and_time(time)))
        .find(|at| *at > after)
}

/// The local day of `tz` that holds `now`: the instants at which it begins and at which the next one does.
pub fn local_day(tz: Tz, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let begins = local_instant(tz, local_date(tz, now).and_time(NaiveTime::MIN));
    (begins, next_local(None, None, tz, now).unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// The instant that `local` means in `tz`: in a gap the first valid one after it, in an overlap the first of the two.
pub fn local_instant(tz: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    tz.from_local_datetime(&local).earliest().map_or_else(|| end_of_gap(tz, local), |at| at.to_utc())
}

/// The first instant whose local time is past `local`, which no clock of `tz` ever shows.
fn end_of_gap(tz: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    // No offset exceeds 16 hours, so the end of the gap is this near to `local` read as UTC.
    let near = TimeDelta::hours(16);
    let (mut before, mut after) = ((local - near).and_utc(), (local + near).and_utc());
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if middle.with_timezone(&tz).naive_local() < local {
            before = middle;
        } else {
            after = middle;
        }
    }
    // Offsets change on whole seconds.
    DateTime::from_timestamp(after.timestamp(), 0).unwrap_or(after)
}

fn is_open(schedule: &Schedule, at: DateTime<Utc>) -> bool {
    !schedule.blackout_dates.contains(&local_date(schedule.timezone, at))
        && schedule.window.as_ref().is_none_or(|window| holds(window, schedule.timezone, at))
}

/// Whether `at` lies in the window that opened on the same local day, or the day before and runs past midnight.
fn holds(window: &Window, tz: Tz, at: DateTime<Utc>) -> bool {
    let today = local_date(tz, at);
    [today - Days::new(1), today].into_iter().filter(|date| window.days.contains(&day_of(*date))).any(|date| {
        let closing = if window.to > window.from { date } else { date + Days::new(1) };
        local_instant(tz, date.and_time(window.from)) <= at && at < local_instant(tz, closing.and_time(window.to))
    })
}

fn local_date(tz: Tz, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&tz).date_naive()
}

fn day_of(date: NaiveDate) -> Weekday {
    match date.weekday() {
        chrono::Weekday::Mon => Weekday::Mon,
        chrono::Weekday::Tue => Weekday::Tue,
        chrono::Weekday::Wed => Weekday::Wed,
        chrono::Weekday::Thu => Weekday::Thu,
        chrono::Weekday::Fri => Weekday::Fri,
        chrono::Weekday::Sat => Weekday::Sat,
        chrono::Weekday::Sun => Weekday::Sun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Asia, Australia, Europe, Pacific};
    use proptest::prelude::*;
    use rstest::rstest;

    const WORKDAYS: [Weekday; 5] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    fn schedule(tz: Tz, window: Option<(&[Weekday], &str, &str)>, blackouts: &[&str]) -> Schedule {
        Schedule {
            start_at: None,
            timezone: tz,
            window: window.map(|(days, from, to)| Window { days: days.to_vec(), from: time(from), to: time(to) }),
            blackout_dates: blackouts.iter().map(|date| date.parse().unwrap()).collect(),
        }
    }

    #[rstest]
    #[case::ordinary(Europe::Berlin, "2026-07-01T10:00", "2026-07-01T08:00:00Z")]
    #[case::gap(Europe::Berlin, "2026-03-29T02:30", "2026-03-29T01:00:00Z")]
    #[case::start_of_gap(Europe::Berlin, "2026-03-29T02:00", "2026-03-29T01:00:00Z")]
    #[case::end_of_gap(Europe::Berlin, "2026-03-29T03:00", "2026-03-29T01:00:00Z")]
    #[case::overlap_is_the_first(Europe::Berlin, "2026-10-25T02:30", "2026-10-25T00:30:00Z")]
    #[case::new_york_gap(America::New_York, "2026-03-08T02:15", "2026-03-08T07:00:00Z")]
    #[case::half_hour_gap(Australia::Lord_Howe, "2026-10-04T02:10", "2026-10-03T15:30:00Z")]
    #[case::half_hour_overlap(Australia::Lord_Howe, "2026-04-05T01:40", "2026-04-04T14:40:00Z")]
    #[case::midnight_in_a_gap(Asia::Beirut, "2026-03-29T00:00", "2026-03-28T22:00:00Z")]
    #[case::a_day_that_never_was(Pacific::Apia, "2011-12-30T12:00", "2011-12-30T10:00:00Z")]
    fn a_local_time_is_one_instant(#[case] tz: Tz, #[case] local: &str, #[case] expected: &str) {
        let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M").unwrap();
        assert_eq!(local_instant(tz, local), utc(expected));
    }

    #[rstest]
    #[case::later_today(None, "09:00", "2026-07-01T05:00:00Z", "2026-07-01T07:00:00Z")]
    #[case::strictly_after(None, "09:00", "2026-07-01T07:00:00Z", "2026-07-02T07:00:00Z")]
    #[case::next_wednesday(Some(Weekday::Wed), "09:00", "2026-07-01T07:00:00Z", "2026-07-08T07:00:00Z")]
    #[case::same_wednesday(Some(Weekday::Wed), "09:00", "2026-07-01T06:59:59Z", "2026-07-01T07:00:00Z")]
    #[case::into_a_gap(None, "02:30", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z")]
    #[case::out_of_a_gap(None, "02:30", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z")]
    #[case::between_the_two_of_an_overlap(None, "02:30", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z")]
    #[case::sunday_in_a_gap(Some(Weekday::Sun), "02:30", "2026-03-27T12:00:00Z", "2026-03-29T01:00:00Z")]
    fn the_next_local_time_comes_once_a_day(
        #[case] weekday: Option<Weekday>,
        #[case] at: &str,
        #[case] after: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(next_local(weekday, Some(time(at)), Europe::Berlin, utc(after)), Some(utc(expected)));
    }

    #[test]
    fn without_a_time_of_day_it_is_midnight() {
        let after = utc("2026-07-01T12:00:00Z");
        assert_eq!(next_local(None, None, Europe::Berlin, after), Some(utc("2026-07-01T22:00:00Z")));
        assert_eq!(next_local(Some(Weekday::Mon), None, chrono_tz::UTC, after), Some(utc("2026-07-06T00:00:00Z")));
    }

    #[rstest]
    #[case::inside("2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z")]
    #[case::before_it_opens("2026-07-01T04:00:00Z", "2026-07-01T07:00:00Z")]
    #[case::the_end_is_closed("2026-07-01T15:00:00Z", "2026-07-02T07:00:00Z")]
    #[case::over_the_weekend("2026-07-03T15:00:00Z", "2026-07-06T07:00:00Z")]
    #[case::winter_time("2026-12-01T07:30:00Z", "2026-12-01T08:00:00Z")]
    fn a_window_moves_mail_to_its_next_opening(#[case] now: &str, #[case] expected: &str) {
        let schedule = schedule(Europe::Berlin, Some((&WORKDAYS, "09:00", "17:00")), &[]);
        assert_eq!(next_open(&schedule, utc(now)), utc(expected));
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_opened() {
        let schedule = schedule(chrono_tz::UTC, Some((&[Weekday::Fri], "22:00", "06:00")), &[]);
        let saturday_morning = utc("2026-07-04T05:59:59Z");
        assert_eq!(next_open(&schedule, saturday_morning), saturday_morning);
        assert_eq!(next_open(&schedule, utc("2026-07-04T06:00:00Z")), utc("2026-07-10T22:00:00Z"));
        assert_eq!(next_open(&schedule, utc("2026-07-03T05:00:00Z")), utc("2026-07-03T22:00:00Z"));
    }

    #[test]
    fn a_blackout_date_closes_its_local_day_and_no_other() {
        let schedule = schedule(America::New_York, None, &["2026-12-25", "2026-12-26"]);
        let eve = utc("2026-12-25T04:59:59Z");
        assert_eq!(next_open(&schedule, eve), eve);
        assert_eq!(next_open(&schedule, utc("2026-12-25T05:00:00Z")), utc("2026-12-27T05:00:00Z"));
    }

    #[test]
    fn a_blackout_date_cuts_a_window_that_runs_into_it() {
        let schedule =
            schedule(chrono_tz::UTC, Some((&[Weekday::Fri, Weekday::Sat], "22:00", "06:00")), &["2026-07-04"]);
        assert_eq!(next_open(&schedule, utc("2026-07-04T02:00:00Z")), utc("2026-07-05T00:00:00Z"));
    }

    #[test]
    fn blacked_out_weeks_are_passed_over() {
        let mondays: Vec<String> = (0..30)
            .map(|week| (NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + Days::new(7 * week)).to_string())
            .collect();
        let mondays: Vec<&str> = mondays.iter().map(String::as_str).collect();
        let schedule = schedule(chrono_tz::UTC, Some((&[Weekday::Mon], "09:00", "10:00")), &mondays);
        assert_eq!(next_open(&schedule, utc("2026-01-01T00:00:00Z")), utc("2026-08-03T09:00:00Z"));
    }

    #[test]
    fn a_window_without_days_never_opens() {
        let schedule = schedule(chrono_tz::UTC, Some((&[], "09:00", "17:00")), &[]);
        assert_eq!(next_open(&schedule, utc("2026-01-01T00:00:00Z")), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn a_local_day_can_have_23_or_25_hours() {
        let hours = |now: &str| {
            let (start, end) = local_day(Europe::Berlin, utc(now));
            (end - start).num_hours()
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(local_day(Europe::Berlin, utc("2026-07-01T21:59:59Z")).1, utc("2026-07-01T22:00:00Z"));
    }

    /// Zones with whole-hour, half-hour and midnight transitions on both halves of the globe.
    const ZONES: [Tz; 8] = [
        chrono_tz::UTC,
        Europe::Berlin,
        America::New_York,
        Australia::Lord_Howe,
        Asia::Beirut,
        America::Havana,
        Pacific::Chatham,
        America::Nuuk,
    ];

    fn zone() -> impl Strategy<Value = Tz> {
        (0..ZONES.len()).prop_map(|index| ZONES[index])
    }

    fn minute() -> impl Strategy<Value = DateTime<Utc>> {
        // 2024 to 2030, as in minutes since 1970.
        (28_401_120_i64..31_556_160).prop_map(|minute| DateTime::from_timestamp(minute * 60, 0).unwrap())
    }

    fn clock_time() -> impl Strategy<Value = NaiveTime> {
        (0_u32..24 * 60).prop_map(|minute| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap())
    }

    proptest! {
        #[test]
        fn the_next_local_time_shows_that_time_or_the_end_of_a_gap(tz in zone(), after in minute(), at in clock_time()) {
            let next = next_local(None, Some(at), tz, after).unwrap();
            prop_assert!(next > after);
            prop_assert!(next - after <= TimeDelta::hours(26));
            let shown = next.with_timezone(&tz).naive_local();
            let before = (next - TimeDelta::seconds(1)).with_timezone(&tz).naive_local();
            prop_assert!(shown.time() == at || (before.time() < at || before.date() < shown.date()) && shown - before > TimeDelta::seconds(1));
        }

        #[test]
        fn no_local_day_is_passed_over_and_none_comes_twice(tz in zone(), start in minute(), at in clock_time()) {
            let first = next_local(None, Some(at), tz, start).unwrap();
            let mut last = first;
            for _ in 0..30 {
                let next = next_local(None, Some(at), tz, last).unwrap();
                prop_assert!((TimeDelta::hours(21)..=TimeDelta::hours(27)).contains(&(next - last)));
                last = next;
            }
            prop_assert!((last - first - TimeDelta::days(30)).abs() <= TimeDelta::hours(2));
        }

        #[test]
        fn the_next_opening_is_open_and_nothing_before_it_is(
            tz in zone(), now in minute(), from in clock_time(), to in clock_time(), blackout in 0_u64..3,
        ) {
            let schedule = Schedule {
                start_at: None,
                timezone: tz,
                window: Some(Window { days: WORKDAYS.to_vec(), from, to }),
                blackout_dates: vec![local_date(tz, now) + Days::new(blackout)],
            };
            let opening = next_open(&schedule, now);
            prop_assert!(is_open(&schedule, opening));
            let mut at = now;
            while at < opening {
                prop_assert!(!is_open(&schedule, at), "{at} is open already");
                at += TimeDelta::minutes(7);
            }
        }
    }
}
