//! The number of requests per minute.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Timestamp;

const MINUTE: u64 = 60_000;

/// The requests of the last minute, by organization.
#[derive(Debug, Default)]
pub struct RateLimits(BTreeMap<String, VecDeque<Timestamp>>);

impl RateLimits {
    /// Counts a request.
    ///
    /// # Errors
    /// With the seconds until there is room, when the last minute had `limit` requests already.
    pub fn count(&mut self, organization: &str, limit: u32, now: Timestamp) -> Result<(), u64> {
        let seen = self.0.entry(organization.to_owned()).or_default();
        while seen.front().is_some_and(|first| *first + MINUTE <= now) {
            seen.pop_front();
        }
        match seen.front() {
            Some(first) if seen.len() >= limit as usize => Err(((*first + MINUTE) - now).div_ceil(1000)),
            _ => {
                seen.push_back(now);
                Ok(())
            }
        }
    }
}
