//! Whatever could go one way or another is asked of here, by the name of the place and how often it was asked before.
//!
//! What a seed decides at one place depends on nothing that happens elsewhere. So a story can be told again with some
//! of its turns taken back, which is how it is shortened.

use std::collections::{BTreeMap, BTreeSet};

/// A place and how often it was asked before, such as `r2 get-deploy-request planetscale GET/3`.
pub type Key = String;

/// Who decides.
#[derive(Debug, Clone)]
pub enum Decider {
    /// A seed, except at the keys that are taken back to what is usual.
    Seed { seed: u64, muted: BTreeSet<Key> },
    /// What is usual, except at these keys.
    Script(BTreeMap<Key, usize>),
}

/// One place where the story could have gone another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub key: Key,
    pub options: usize,
    pub taken: usize,
}

/// The decisions of one story.
#[derive(Debug)]
pub struct Choices {
    decider: Decider,
    asked: BTreeMap<String, u32>,
    /// Every decision with more than one way, in order.
    pub turns: Vec<Turn>,
}

impl Choices {
    pub fn new(decider: Decider) -> Self {
        Self { decider, asked: BTreeMap::new(), turns: Vec::new() }
    }

    /// One of `weights`, by weight; the first is what is usual.
    pub fn choose(&mut self, place: &str, weights: &[u32]) -> usize {
        let key = self.key(place);
        let taken = match &self.decider {
            Decider::Seed { muted, .. } if muted.contains(&key) => 0,
            Decider::Seed { seed, .. } => {
                let mut left = hash(*seed, &key) % u64::from(weights.iter().sum::<u32>().max(1));
                weights
                    .iter()
                    .position(|weight| match left.checked_sub(u64::from(*weight)) {
                        Some(rest) => {
                            left = rest;
                            false
                        }
                        None => true,
                    })
                    .unwrap_or_default()
            }
            Decider::Script(script) => script.get(&key).copied().unwrap_or_default().min(weights.len() - 1),
        };
        let options = weights.iter().rposition(|weight| *weight > 0).map_or(1, |last| last + 1);
        if options > 1 {
            self.turns.push(Turn { key, options, taken });
        }
        taken
    }

    /// A number from `low` to `high`. It is no turn of the story: a script always has the lowest.
    pub fn number(&mut self, place: &str, low: u64, high: u64) -> u64 {
        let key = self.key(place);
        match &self.decider {
            Decider::Seed { seed, .. } => low + hash(*seed, &key) % (high - low + 1),
            Decider::Script(_) => low,
        }
    }

    /// The turns at which the story left what is usual.
    pub fn unusual(&self) -> Vec<Turn> {
        self.turns.iter().filter(|turn| turn.taken != 0).cloned().collect()
    }

    fn key(&mut self, place: &str) -> Key {
        let count = self.asked.entry(place.to_owned()).or_default();
        *count += 1;
        format!("{place}/{count}")
    }
}

/// FNV-1a, and the finalizer of `SplitMix64`.
fn hash(seed: u64, key: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_taken_back_changes_no_other() {
        let tell = |muted: BTreeSet<Key>| {
            let mut choices = Choices::new(Decider::Seed { seed: 7, muted });
            (0..100).map(|_| choices.choose("a", &[3, 1, 1])).collect::<Vec<_>>()
        };
        let whole = tell(BTreeSet::new());
        let first = whole.iter().position(|taken| *taken != 0).expect("a turn in a hundred");
        let mut expected = whole.clone();
        expected[first] = 0;
        assert_eq!(tell([format!("a/{}", first + 1)].into()), expected);
    }
}
