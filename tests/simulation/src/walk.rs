//! Walks: many stories by seed, one story shortened, and all stories of a small world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::asl::Definition;
use crate::choices::{Decider, Key};
use crate::defects::Defect;
use crate::story::{Plan, Told, tell};

/// The definition that is installed.
///
/// # Panics
/// When it cannot be read.
pub fn definition() -> Arc<Definition> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../statemachine/release.asl.yaml");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Arc::new(Definition::parse(&text))
}

/// The story of `seed`.
pub fn story(seed: u64, defect: Option<Defect>, definition: &Arc<Definition>) -> Told {
    tell(&Plan::of_seed(seed), Decider::Seed { seed, muted: BTreeSet::new() }, defect, definition)
}

/// The stack of a thread that tells stories. The evaluator of expressions takes a new stack for each when less than
/// this is left, which takes longer than most expressions.
const STACK: usize = 64 << 20;

/// Does `work` on so many threads at a time.
///
/// # Panics
/// As `work` does, and when there can be no thread.
pub fn on_threads(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        let start = || std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &work);
        let started: Vec<_> = (0..threads.max(1)).map(|_| start().expect("a thread")).collect();
        for thread in started {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// As many threads as there are cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A story that is wrong, as short as it gets: without every event and every fault that it is wrong without too.
pub fn shrink(seed: u64, defect: Option<Defect>, definition: &Arc<Definition>) -> Option<(Plan, Told)> {
    let mut plan = Plan::of_seed(seed);
    let mut muted = BTreeSet::new();
    let mut best = tell(&plan, Decider::Seed { seed, muted: muted.clone() }, defect, definition);
    let kind = |told: &Told| told.wrong.first().map(|wrong| words(wrong));
    let wanted = kind(&best)?;
    let mut index = 0;
    while index < plan.events.len() {
        let mut shorter = plan.clone();
        shorter.events.remove(index);
        let told = tell(&shorter, Decider::Seed { seed, muted: muted.clone() }, defect, definition);
        if kind(&told).as_ref() == Some(&wanted) {
            (plan, best) = (shorter, told);
        } else {
            index += 1;
        }
    }
    let mut size = best.world.choices().unusual().len().div_ceil(2).max(1);
    while size > 0 {
        let keys: Vec<Key> = best.world.choices().unusual().into_iter().map(|turn| turn.key).collect();
        for chunk in keys.chunks(size) {
            let mut more = muted.clone();
            more.extend(chunk.iter().cloned());
            let told = tell(&plan, Decider::Seed { seed, muted: more.clone() }, defect, definition);
            if kind(&told).as_ref() == Some(&wanted) {
                (muted, best) = (more, told);
            }
        }
        size /= 2;
    }
    Some((plan, best))
}

/// A sentence without what differs from story to story.
fn words(sentence: &str) -> String {
    sentence.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// What an exhaustive walk saw.
#[derive(Debug, Default)]
pub struct Exhausted {
    pub stories: u64,
    pub wrong: Vec<(BTreeMap<Key, usize>, Vec<String>)>,
}

/// Every story of `plan` in which at most `depth` things go another way than is usual, up to `most` stories.
pub fn exhaust(plan: &Plan, depth: usize, most: u64, definition: &Arc<Definition>) -> Exhausted {
    let mut seen = Exhausted::default();
    let mut stack = vec![BTreeMap::new()];
    while let Some(script) = stack.pop() {
        if seen.stories >= most {
            break;
        }
        let told = tell(plan, Decider::Script(script.clone()), None, definition);
        seen.stories += 1;
        if !told.wrong.is_empty() {
            seen.wrong.push((script.clone(), told.wrong.clone()));
        }
        if script.len() == depth {
            continue;
        }
        let choices = told.world.choices();
        // Only what comes after the last one, so that no story is told twice.
        let after = choices.turns.iter().rposition(|turn| turn.taken != 0).map_or(0, |last| last + 1);
        for turn in &choices.turns[after..] {
            for option in 1..turn.options {
                let mut next: BTreeMap<Key, usize> = script.clone();
                next.insert(turn.key.clone(), option);
                stack.push(next);
            }
        }
    }
    seen
}
