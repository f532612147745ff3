//! Local times of day. The zone's rules are looked up once; no line reads a file or the environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{Timestamp, tz::Offset};

use crate::telemetry::Nanos;

/// Tells the time of day where this process runs.
pub(super) struct Zone(TimeZone);

impl Zone {
    /// Looks the system's zone up: `TZ`, else `/etc/localtime`. UTC where neither can be used, as in images
    /// without tzdata, or where `TZ` names a pipe or a device, of which the reading might have no end.
    pub(super) fn of_the_system() -> Self {
        if std::env::var_os("TZ").is_some_and(|name| is_no_file(&name)) {
            return Zone(TimeZone::UTC);
        }
        Zone(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// Shows a time of day to the millisecond with its zone, as ISO 8601 has it and as short as it allows:
    /// `18:42:02.120+01`, `...+05:30`, `...Z`. A dash for 0, which is no time in OTLP.
    pub(super) fn time(&self, at: Nanos) -> String {
        if at == 0 {
            return "-".to_owned();
        }
        let offset = self.offset(at).seconds();
        let local = i128::from(at) + i128::from(offset) * 1_000_000_000;
        let millis = local.div_euclid(1_000_000);
        let [ms, s, m, h] = [(1, 1000), (1000, 60), (60_000, 60), (3_600_000, 24)]
            .map(|(unit, per)| millis.div_euclid(unit).rem_euclid(per));
        format!("{h:02}:{m:02}:{s:02}.{ms:03}{}", suffix(offset))
    }

    fn offset(&self, at: Nanos) -> Offset {
        // Every u64 is a time that can be had: the last is in 2554.
        Timestamp::from_nanosecond(at.into()).map_or(Offset::UTC, |at| self.0.to_offset(at))
    }
}

/// Says whether `TZ`, with or without the colon of POSIX, is the path of something that is no plain file.
fn is_no_file(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let path = Path::new(OsStr::from_bytes(name.strip_prefix(b":").unwrap_or(name)));
    path.metadata().is_ok_and(|named| !named.is_file())
}

/// Writes an offset in seconds. Those of our time are whole minutes.
fn suffix(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    match (offset.unsigned_abs() / 3600, offset.unsigned_abs() / 60 % 60) {
        (0, 0) => "Z".to_owned(),
        (hours, 0) => format!("{sign}{hours:02}"),
        (hours, minutes) => format!("{sign}{hours:02}:{minutes:02}"),
    }
}

#[cfg(test)]
impl Zone {
    /// A zone by the rule that `TZ` may have (POSIX.1).
    pub(super) fn posix(rule: &str) -> Self {
        Zone(TimeZone::posix(rule).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20T18:42:02.123456789Z
    const WINTER: Nanos = 1_795_200_122_123_456_789;
    const SUMMER: Nanos = WINTER - 140 * 86_400 * 1_000_000_000;

    #[test]
    fn times_are_local_and_say_their_zone() {
        for (rule, winter, summer) in [
            ("UTC0", "18:42:02.123Z", "18:42:02.123Z"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "19:42:02.123+01", "20:42:02.123+02"),
            ("EST5EDT,M3.2.0,M11.1.0", "13:42:02.123-05", "14:42:02.123-04"),
            ("IST-5:30", "00:12:02.123+05:30", "00:12:02.123+05:30"),
            ("<-0230>2:30", "16:12:02.123-02:30", "16:12:02.123-02:30"),
        ] {
            let zone = Zone::posix(rule);
            assert_eq!([zone.time(WINTER), zone.time(SUMMER)], [winter, summer], "{rule}");
        }
    }

    #[test]
    fn every_number_is_a_time_but_for_none() {
        let zone = Zone::posix("EST5");
        assert_eq!(zone.time(0), "-");
        assert_eq!(zone.time(1), "19:00:00.000-05");
        assert_eq!(zone.time(Nanos::MAX), "18:34:33.709-05");
    }

    #[test]
    fn what_is_no_file_is_not_read_for_a_zone() {
        let is_no_file = |name: &str| super::is_no_file(OsStr::new(name));
        assert!(is_no_file("/dev/zero") && is_no_file(":/dev/zero") && is_no_file("/dev"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_no_file(&file.path().display().to_string()));
        assert!(!is_no_file("Europe/Berlin") && !is_no_file("CET-1CEST") && !is_no_file(":"));
    }

    #[test]
    fn the_systems_zone_is_one_or_utc() {
        assert!(Zone::of_the_system().time(WINTER).contains(":02.123"));
    }
}
