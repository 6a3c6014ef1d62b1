//! The time of day, in the form the API uses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 with a fraction of milliseconds, as Lightsail's timestamps are.
pub fn now() -> f64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Whether `milliseconds` have passed since `then`.
pub fn has_passed(then: f64, milliseconds: u64) -> bool {
    milliseconds == 0 || (now() - then) * 1000.0 >= milliseconds as f64
}

/// Waits for `milliseconds`.
pub async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
