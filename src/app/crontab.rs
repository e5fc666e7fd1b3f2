//! Times from five cron fields, as crontab(5) means them: minute hour day-of-month month day-of-week.
//!
//! The crate `cron` reads and steps through the fields. What it means otherwise than crontab(5) is done here: weekdays
//! count from 0 (Sunday, also 7), a day *or* a weekday is enough when both are given, and clocks that are put forward
//! or back.

use base::{Error, Result, Timestamp};
use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone, Utc};
use std::collections::BTreeSet;
use std::str::FromStr as _;

const FORM: &str = "Give five fields: minute hour day month weekday, like “30 3 * * mon-fri”.";
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// No zone puts its clock by more than this.
const LARGEST_STEP: Duration = Duration::hours(3);

/// The first time after `after` at which the fields fire, in the host's zone.
///
/// A time that the clock leaps over fires when the leap ends; one that comes twice fires the first time. Both only
/// where the hour is given: every quarter of an hour stays every quarter of an hour.
///
/// # Errors
/// `Invalid` on `cron` when the fields can't be read or never fire.
pub fn next_time(fields: &str, after: Timestamp) -> Result<Timestamp> {
    next_in(&chrono::Local, fields, after)
}

fn next_in<Z: TimeZone>(zone: &Z, fields: &str, after: Timestamp) -> Result<Timestamp> {
    let schedule = Crontab::parse(fields)?;
    schedule.next(zone, after).ok_or_else(|| Error::field("cron", "This never happens. Check day and month."))
}

struct Crontab {
    /// One, or one for the day and one for the weekday.
    either: Vec<cron::Schedule>,
    every_hour: bool,
}

impl Crontab {
    fn parse(fields: &str) -> Result<Self> {
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            return Err(Error::field("cron", FORM));
        };
        let weekdays = weekdays(weekday)?;
        let schedule = |day: &str, weekday: &str| {
            cron::Schedule::from_str(&format!("0 {minute} {hour} {day} {month} {weekday}"))
                .map_err(|_| Error::field("cron", FORM))
        };
        let either = if day.starts_with('*') || weekday.starts_with('*') {
            vec![schedule(day, &weekdays)?]
        } else {
            vec![schedule(day, "*")?, schedule("*", &weekdays)?]
        };
        Ok(Self { either, every_hour: hour.starts_with('*') })
    }

    fn next<Z: TimeZone>(&self, zone: &Z, after: Timestamp) -> Option<Timestamp> {
        self.either.iter().filter_map(|schedule| self.next_of(schedule, zone, after)).min()
    }

    /// Steps through the times that a clock on the wall shows, and asks when it shows them.
    fn next_of<Z: TimeZone>(&self, schedule: &cron::Schedule, zone: &Z, after: Timestamp) -> Option<Timestamp> {
        let start = zone.timestamp_millis_opt(after.0).single()?.naive_local();
        let mut found: Option<(Timestamp, NaiveDateTime)> = None;
        for wall in schedule.after(&(start - LARGEST_STEP).and_utc()).map(|t: DateTime<Utc>| t.naive_utc()) {
            if found.is_some_and(|(_, at)| wall > at + LARGEST_STEP) {
                break;
            }
            for moment in self.moments(zone, wall) {
                let moment = Timestamp(moment.timestamp_millis());
                if moment > after && found.is_none_or(|(best, _)| moment < best) {
                    found = Some((moment, wall));
                }
            }
        }
        found.map(|(moment, _)| moment)
    }

    fn moments<Z: TimeZone>(&self, zone: &Z, wall: NaiveDateTime) -> Vec<DateTime<Z>> {
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(moment) => vec![moment],
            LocalResult::Ambiguous(first, second) if self.every_hour => vec![first, second],
            LocalResult::Ambiguous(first, _) => vec![first],
            LocalResult::None if self.every_hour => Vec::new(),
            LocalResult::None => after_the_leap(zone, wall).into_iter().collect(),
        }
    }
}

/// The first minute that the clock shows again.
fn after_the_leap<Z: TimeZone>(zone: &Z, wall: NaiveDateTime) -> Option<DateTime<Z>> {
    let minutes = (1..=LARGEST_STEP.num_minutes()).map(|n| wall + Duration::minutes(n));
    minutes.into_iter().find_map(|wall| zone.from_local_datetime(&wall).earliest())
}

/// The weekday field as names in a list: `5-7` is `fri,sat,sun`.
fn weekdays(field: &str) -> Result<String> {
    let bad = || Error::field("cron", "Weekdays are 0 to 7 or sun to sat, with ranges like 1-5 or fri-sun, and lists.");
    let mut days = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let step = step.map_or(Ok(1), |s| s.parse::<usize>().ok().filter(|n| (1..=7).contains(n)).ok_or_else(bad))?;
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((first, last)) => (weekday(first).ok_or_else(bad)?, weekday(last).ok_or_else(bad)?),
            None => {
                let day = weekday(range).ok_or_else(bad)?;
                (day, day)
            }
        };
        // `fri-sun` goes on into the next week, where Sunday is day 7.
        let last = if last < first { last + 7 } else { last };
        days.extend((first..=last).step_by(step).map(|day| day % 7));
    }
    if days.len() == WEEKDAYS.len() {
        return Ok("*".to_owned());
    }
    let names: Vec<&str> = days.into_iter().filter_map(|day| WEEKDAYS.get(day).copied()).collect();
    Ok(names.join(","))
}

fn weekday(text: &str) -> Option<usize> {
    match text.parse() {
        Ok(number) => Some(number).filter(|n| *n <= 7),
        Err(_) => WEEKDAYS.iter().position(|name| text.eq_ignore_ascii_case(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{FixedOffset, NaiveDate};

    /// As in Berlin: one hour forward on 29 March 2026 at 2:00, back on 25 October at 3:00.
    #[derive(Clone, Copy)]
    struct Summer;

    fn at(month: u32, day: u32, hour: u32, minute: u32) -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2026, month, day).unwrap().and_hms_opt(hour, minute, 0).unwrap()
    }

    fn hours(n: i32) -> FixedOffset {
        FixedOffset::east_opt(n * 3600).unwrap()
    }

    impl TimeZone for Summer {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> LocalResult<FixedOffset> {
            LocalResult::None
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<FixedOffset> {
            if (at(3, 29, 2, 0)..at(3, 29, 3, 0)).contains(local) {
                LocalResult::None
            } else if (at(10, 25, 2, 0)..at(10, 25, 3, 0)).contains(local) {
                LocalResult::Ambiguous(hours(2), hours(1))
            } else {
                LocalResult::Single(self.offset_from_utc_datetime(&(*local - Duration::minutes(90))))
            }
        }

        fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
            hours(1)
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            hours(if (at(3, 29, 1, 0)..at(10, 25, 1, 0)).contains(utc) { 2 } else { 1 })
        }
    }

    fn utc(time: NaiveDateTime) -> Timestamp {
        Timestamp(time.and_utc().timestamp_millis())
    }

    /// The next `n` times after a moment in UTC, in UTC.
    fn times(fields: &str, after: NaiveDateTime, n: usize) -> Vec<NaiveDateTime> {
        let mut out = Vec::new();
        let mut from = utc(after);
        for _ in 0..n {
            from = next_in(&Summer, fields, from).unwrap();
            out.push(from.to_utc().naive_utc());
        }
        out
    }

    #[test]
    fn weekdays_are_sets_and_seven_is_sunday() {
        for (field, names) in [
            ("0", "sun"),
            ("7", "sun"),
            ("0-7", "*"),
            ("*", "*"),
            ("6-7", "sun,sat"),
            ("5-7", "sun,fri,sat"),
            ("1-5", "mon,tue,wed,thu,fri"),
            ("fri-mon", "sun,mon,fri,sat"),
            ("MON,3", "mon,wed"),
            ("1-5/2", "mon,wed,fri"),
            ("*/2", "sun,tue,thu,sat"),
        ] {
            assert_eq!(weekdays(field).unwrap(), names, "{field}");
        }
        for bad in ["8", "", "1-", "-1", "mo", "1/0", "1-8", "1,,2", "*-3"] {
            assert!(weekdays(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn it_fires_on_every_day_of_a_full_week() {
        let days = times("0 4 * * 0-7", at(6, 1, 12, 0), 7);
        assert_eq!(days, (2..=8).map(|day| at(6, day, 2, 0)).collect::<Vec<_>>());
    }

    #[test]
    fn a_day_or_a_weekday_is_enough() {
        // 13 June 2026 is a Saturday.
        assert_eq!(times("0 12 13 * fri", at(6, 6, 0, 0), 3), [at(6, 12, 10, 0), at(6, 13, 10, 0), at(6, 19, 10, 0)]);
        assert_eq!(times("0 12 13 * *", at(6, 6, 0, 0), 2), [at(6, 13, 10, 0), at(7, 13, 10, 0)]);
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_fires_when_the_leap_ends() {
        let days = times("30 2 * * *", at(3, 28, 0, 0), 3);
        assert_eq!(days, [at(3, 28, 1, 30), at(3, 29, 1, 0), at(3, 30, 0, 30)]);
    }

    #[test]
    fn a_time_that_comes_twice_fires_once() {
        let days = times("30 2 * * *", at(10, 24, 0, 0), 3);
        assert_eq!(days, [at(10, 24, 0, 30), at(10, 25, 0, 30), at(10, 26, 1, 30)]);
    }

    #[test]
    fn every_half_hour_stays_every_half_hour() {
        let spring = times("*/30 * * * *", at(3, 29, 0, 0), 4);
        assert_eq!(spring, [at(3, 29, 0, 30), at(3, 29, 1, 0), at(3, 29, 1, 30), at(3, 29, 2, 0)]);
        let autumn = times("*/30 * * * *", at(10, 24, 23, 45), 5);
        assert_eq!(
            autumn,
            [at(10, 25, 0, 0), at(10, 25, 0, 30), at(10, 25, 1, 0), at(10, 25, 1, 30), at(10, 25, 2, 0)]
        );
    }

    #[test]
    fn what_can_not_be_read_or_never_fires_is_refused() {
        for bad in ["", "* * * *", "61 * * * *", "0 0 31 2 *", "0 3 * * 8", "0 0 0 3 * *"] {
            assert!(next_time(bad, Timestamp::ZERO).is_err(), "{bad}");
        }
        let start = Timestamp::from_secs(1_700_000_000);
        assert!(next_time("*/15 * * * *", start).is_ok_and(|next| next > start && next.as_secs() % 900 == 0));
    }
}
