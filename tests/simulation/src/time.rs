//! Virtual time: it stands still while anything can be done, and then jumps to what is next.
//!
//! Everything runs on one thread, in a runtime that has no timers of its own. When the runtime has nothing to do it is
//! about to sleep, and says so: then the next timer of this module is due.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep as SdkSleep};
use aws_smithy_async::time::TimeSource;
use chrono::{DateTime, Utc};

/// When every world begins: a Monday, in milliseconds since 1970.
pub const START: u64 = 1_767_603_600_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(START) };
    static TIMERS: RefCell<BTreeMap<(u64, u64), Waker>> = const { RefCell::new(BTreeMap::new()) };
    static SEQUENCE: Cell<u64> = const { Cell::new(0) };
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    NOW.get()
}

/// The time of day.
pub fn date() -> DateTime<Utc> {
    date_of(now())
}

/// The time of day that `milliseconds` since 1970 is.
///
/// # Panics
/// For a time that no world reaches.
pub fn date_of(milliseconds: u64) -> DateTime<Utc> {
    i64::try_from(milliseconds).ok().and_then(DateTime::from_timestamp_millis).expect("a time of this age")
}

/// Waits.
pub fn sleep(milliseconds: u64) -> Sleep {
    Sleep { due: now() + milliseconds, key: None }
}

/// Runs `work` from the start of time to its end.
///
/// # Panics
/// When everything waits for something that no timer brings.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    NOW.set(START);
    SEQUENCE.set(0);
    TIMERS.with_borrow_mut(BTreeMap::clear);
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(go_on).build();
    let result = runtime.expect("a runtime without drivers").block_on(work);
    TIMERS.with_borrow_mut(BTreeMap::clear);
    result
}

fn go_on() {
    let next = TIMERS.with_borrow_mut(|timers| timers.pop_first());
    if let Some(((due, _), waker)) = next {
        NOW.set(due.max(now()));
        waker.wake();
    }
}

/// A wait. Of two that end at once, the one that began first ends first.
pub struct Sleep {
    due: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.due <= now() && self.key.is_some() {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            SEQUENCE.set(SEQUENCE.get() + 1);
            (self.due, SEQUENCE.get())
        });
        self.key = Some(key);
        TIMERS.with_borrow_mut(|timers| timers.insert(key, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // The waker may own what owns this.
            let _forgotten = TIMERS.with_borrow_mut(|timers| timers.remove(&key));
        }
    }
}

/// The time for the AWS SDKs.
#[derive(Debug, Clone, Copy)]
pub struct VirtualTime;

impl AsyncSleep for VirtualTime {
    fn sleep(&self, duration: Duration) -> SdkSleep {
        SdkSleep::new(sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_passes_at_once_and_in_order() {
        let told = run(async {
            let late = tokio::spawn(async {
                sleep(31_536_000_000).await;
                now()
            });
            let early = tokio::spawn(async {
                sleep(5).await;
                now()
            });
            (early.await.expect("it ends"), late.await.expect("it ends"))
        });
        assert_eq!(told, (START + 5, START + 31_536_000_000));
    }
}
