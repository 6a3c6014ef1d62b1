//! `make simulate`: tells stories by their seeds until one is wrong.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::golden;
use simulation::jsonata::recorded;
use simulation::story::{Behaviour, Change, Plan};
use simulation::walk::{definition, exhaust, shrink, story};
use simulation::world::Weather;

/// Tells stories of releases, each with its faults, and looks whether anything that must hold is broken.
#[derive(Debug, Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many releases to make.
    #[arg(long, default_value_t = 100_000)]
    releases: usize,
    /// Tell the story of the seed and nothing else.
    #[arg(long)]
    tell: bool,
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
    let (mut seed, mut releases, began) = (options.seed, 0, Instant::now());
    while releases < options.releases {
        let told = story(seed, None, &definition);
        releases += told.releases();
        if !told.wrong.is_empty() {
            eprintln!("Seed {seed}: {:#?}", told.wrong);
            if options.keep_going {
                seed += 1;
                continue;
            }
            eprintln!("Shortened:");
            if let Some((plan, told)) = shrink(seed, None, &definition) {
                eprintln!("{:#?}\n{}{:#?}", plan.events, told.story(), told.wrong);
            }
            return ExitCode::FAILURE;
        }
        if seed.is_multiple_of(20) {
            println!("{releases} releases, seed {seed}, {:.0} s", began.elapsed().as_secs_f64());
        }
        seed += 1;
    }
    println!("{releases} releases, seeds {} to {}, nothing broken", options.seed, seed - 1);
    ExitCode::SUCCESS
}
