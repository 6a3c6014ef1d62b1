//! The time of day, in the form the API uses, which tests can move forward.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::runtime::BoxFuture;

/// Another time than the system's, for whoever calls an emulator in its own process.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Milliseconds since 1970.
    pub now: fn() -> u64,
    /// Waits so many milliseconds.
    pub sleep: fn(u64) -> BoxFuture<'static, ()>,
}

thread_local! {
    static TIME: Cell<Option<Time>> = const { Cell::new(None) };
}

/// Lets every emulator on this thread go by `time`.
pub fn set_for_this_thread(time: Time) {
    TIME.set(Some(time));
}

/// Whether the emulators on this thread go by another time than the system's.
pub fn is_set_for_this_thread() -> bool {
    TIME.get().is_some()
}

/// By how many milliseconds the clock is ahead.
static AHEAD: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// Seconds since 1970 with a fraction of milliseconds, as Lightsail's timestamps are.
pub fn now() -> f64 {
    milliseconds() as f64 / 1000.0
}

/// Whether `milliseconds` have passed since `then`.
pub fn has_passed(then: f64, milliseconds: u64) -> bool {
    milliseconds == 0 || (now() - then) * 1000.0 >= milliseconds as f64
}

/// Waits until `milliseconds` have passed on this clock.
pub async fn sleep(milliseconds: u64) {
    if let Some(time) = TIME.get() {
        return (time.sleep)(milliseconds).await;
    }
    let mut ahead = AHEAD.subscribe();
    let end = self::milliseconds() + milliseconds;
    loop {
        ahead.mark_unchanged();
        let left = end.saturating_sub(self::milliseconds());
        if left == 0 {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left)) => {}
            _ = ahead.changed() => {}
        }
    }
}

/// Moves the clock of this process forward.
pub fn advance(milliseconds: u32) {
    AHEAD.send_modify(|ahead| *ahead += u64::from(milliseconds));
}

fn milliseconds() -> u64 {
    if let Some(time) = TIME.get() {
        return (time.now)();
    }
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) + *AHEAD.borrow()
}
