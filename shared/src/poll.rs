//! How long to wait until the next look at something that takes its time.
//!
//! Time is counted as the sum of the waits, not by the clock: an execution that is redriven days later goes on
//! where it stopped instead of finding every deadline passed.

use serde::{Deserialize, Serialize};

/// The shortest wait between two looks, in seconds.
pub const SHORTEST_WAIT: u64 = 5;
/// The longest wait between two looks, in seconds, until [`LONG`] seconds were waited.
pub const LONGEST_WAIT: u64 = 900;
/// The longest wait between two looks after that, in seconds.
pub const LONGEST_WAIT_OF_ALL: u64 = 3_600;
/// How long the shorter of the two bounds holds, in seconds.
pub const LONG: u64 = 43_200;

/// Seconds until the next look after `waited` seconds: a tenth of the time waited so far, within the bounds.
///
/// What is waited for is then noticed within a tenth of its duration, and the longest waits that the parameters allow,
/// one after another, fit into the history of an execution. The test `state_machine` walks them.
pub fn next_wait(waited: u64) -> u64 {
    let longest = if waited < LONG { LONGEST_WAIT } else { LONGEST_WAIT_OF_ALL };
    (waited / 10).clamp(SHORTEST_WAIT, longest)
}

/// The longest wait between two looks at what a person has to do, in seconds, on the first day.
pub const LONGEST_WAIT_FOR_A_PERSON: u64 = 300;
/// How long that bound holds, in seconds: a person who did not act in a day is looked for as everything else is.
pub const FIRST_DAY: u64 = 86_400;

/// Of `seconds` until the next look after `waited` seconds, as many as are waited for a person.
pub fn for_a_person(seconds: u64, waited: u64) -> u64 {
    if waited < FIRST_DAY { seconds.min(LONGEST_WAIT_FOR_A_PERSON) } else { seconds }
}

/// Whether to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Patience {
    /// Look again after this many seconds.
    Wait(u64),
    /// The deadline has passed.
    Exhausted,
}

/// What to do after `waited` of at most `deadline` seconds. The last look is at the deadline itself.
pub fn patience(waited: u64, deadline: u64) -> Patience {
    match deadline.saturating_sub(waited) {
        0 => Patience::Exhausted,
        left => Patience::Wait(next_wait(waited).min(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn waits_a_tenth_of_the_time_waited_within_the_bounds() {
        for (waited, expected) in [
            (0, 5),
            (50, 5),
            (59, 5),
            (60, 6),
            (600, 60),
            (9_000, 900),
            (43_199, 900),
            (43_200, 3_600),
            (900_000, 3_600),
        ] {
            assert_eq!(next_wait(waited), expected, "after {waited} s");
        }
    }

    #[test]
    fn a_person_is_looked_for_every_five_minutes_on_the_first_day() {
        for (seconds, waited, expected) in
            [(5, 0, 5), (900, 9_000, 300), (3_600, 86_399, 300), (3_600, 86_400, 3_600)]
        {
            assert_eq!(for_a_person(seconds, waited), expected, "after {waited} s");
        }
    }

    #[test]
    fn looks_once_more_at_the_deadline_and_then_gives_up() {
        assert_eq!(patience(0, 3), Patience::Wait(3));
        assert_eq!(patience(98, 100), Patience::Wait(2));
        assert_eq!(patience(100, 100), Patience::Exhausted);
        assert_eq!(patience(101, 100), Patience::Exhausted);
    }

    #[test]
    fn a_five_minute_migration_takes_about_thirty_looks_and_a_fourteen_day_one_stays_under_the_history_limit()
    {
        let looks = |deadline| {
            let (mut waited, mut looks) = (0, 0);
            while let Patience::Wait(seconds) = patience(waited, deadline) {
                waited += seconds;
                looks += 1;
            }
            looks
        };
        assert!((20..=35).contains(&looks(300)), "{}", looks(300));
        // One look is nine history events: Wait 2, Task 5, Choice 2.
        assert!(looks(14 * DAY) * 9 < 15_000, "{}", looks(14 * DAY));
    }
}
