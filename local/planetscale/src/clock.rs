//! The time of day, which tests can move forward.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// A point in time: milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Reads ISO 8601.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_millis()))
    }
}

impl Add<u64> for Timestamp {
    type Output = Self;

    /// This many milliseconds later.
    fn add(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(milliseconds))
    }
}

impl Sub for Timestamp {
    type Output = u64;

    /// The milliseconds from the other time to this one.
    fn sub(self, earlier: Self) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    /// ISO 8601 with as many digits after the second as it takes, as seen live.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        let text = time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        serializer.serialize_str(&format!("{text}Z"))
    }
}

/// The clock of the emulator.
pub struct Clock {
    time: fn() -> i64,
    ahead: AtomicI64,
}

impl Default for Clock {
    /// The system's clock.
    fn default() -> Self {
        Self::new(|| Utc::now().timestamp_millis())
    }
}

impl Clock {
    /// The clock that `time` tells, in milliseconds since 1970.
    pub fn new(time: fn() -> i64) -> Self {
        Self { time, ahead: AtomicI64::default() }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        Timestamp((self.time)() + self.ahead.load(Ordering::Relaxed))
    }

    /// Moves the clock forward.
    pub fn advance(&self, milliseconds: u32) {
        self.ahead.fetch_add(i64::from(milliseconds), Ordering::Relaxed);
    }
}
