//! `make simulate`: tells stories by their seeds until one is wrong.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use simulation::asl::Definition;
use simulation::golden;
use simulation::jsonata::recorded;
use simulation::story::{Behaviour, Change, Plan};
use simulation::walk::{cores, definition, exhaust, on_threads, shrink, story};
use simulation::world::{CALLS, Weather};

/// Tells stories of releases, each with its faults, and looks whether anything that must hold is broken.
#[derive(Debug, Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many releases to make.
    #[arg(long, default_value_t = 100_000)]
    releases: usize,
    /// How many stories to tell at a time; as many as there are cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Tell the story of the seed and nothing else.
    #[arg(long)]
    tell: bool,
    /// Tell every call, not only what is unusual.
    #[arg(long)]
    calls: bool,
    /// Go on after a story that is wrong, without shortening it.
    #[arg(long)]
    keep_going: bool,
    /// Write every expression that the stories evaluate, for the reference implementation.
    #[arg(long)]
    expressions: bool,
    /// Tell every story of one release in which at most so many things go wrong.
    #[arg(long)]
    exhaust: Option<usize>,
    /// Write the golden run of each outcome.
    #[arg(long)]
    golden: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let definition = definition();
    if options.golden {
        return match golden::refresh(&definition) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    if options.tell {
        CALLS.set(options.calls);
        let told = story(options.seed, None, &definition);
        println!("{}{:#?}", told.story(), told.wrong);
        return ExitCode::SUCCESS;
    }
    if options.expressions {
        let recorded = recorded(|| {
            for seed in options.seed..options.seed + 8 {
                story(seed, None, &definition);
            }
        });
        println!("{}", serde_json::to_string_pretty(&recorded).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    if let Some(depth) = options.exhaust {
        let mut plan = Plan::simple(Change::Adds, Behaviour::Healthy);
        plan.weather = Weather::Usual;
        let seen = exhaust(&plan, depth, u64::MAX, &definition);
        println!("{} stories, wrong: {:#?}", seen.stories, seen.wrong);
        return if seen.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    walk(&options, &definition)
}

/// Tells the stories from a seed on, on every core, until there were enough releases or one is wrong.
fn walk(options: &Options, definition: &Arc<Definition>) -> ExitCode {
    let next = AtomicU64::new(options.seed);
    let releases = AtomicUsize::new(0);
    let broken = Mutex::new(BTreeMap::new());
    let began = Instant::now();
    on_threads(options.threads.unwrap_or_else(cores), || {
        let broken = || broken.lock().unwrap_or_else(PoisonError::into_inner);
        while releases.load(Ordering::Relaxed) < options.releases
            && (options.keep_going || broken().is_empty())
        {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let told = story(seed, None, definition);
            let releases = releases.fetch_add(told.releases(), Ordering::Relaxed) + told.releases();
            if !told.wrong.is_empty() {
                eprintln!("Seed {seed}: {:#?}", told.wrong);
                broken().insert(seed, told.wrong.clone());
            }
            if seed.is_multiple_of(500) {
                println!("{releases} releases, seed {seed}, {:.0} s", began.elapsed().as_secs_f64());
            }
        }
    });
    let (releases, next, seconds) = (releases.into_inner(), next.into_inner(), began.elapsed().as_secs_f64());
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{releases} releases, seeds {} to {}, {} broken, {seconds:.0} s",
        options.seed,
        next - 1,
        broken.len()
    );
    let Some(seed) = broken.keys().next() else { return ExitCode::SUCCESS };
    if !options.keep_going
        && let Some((plan, told)) = shrink(*seed, None, definition)
    {
        eprintln!("Seed {seed}, shortened:\n{:#?}\n{}{:#?}", plan.events, told.story(), told.wrong);
    }
    ExitCode::FAILURE
}
