//! The whole head-end on its real store, in a network and a time that follow from a seed.
//!
//! What is real: registry, vault, store (SQLite), fleet, collection, jobs and the resolver of unknown outcomes, and the
//! meters, which are the simulator's. What is not: the lines in between and the time. A seed says what goes wrong with
//! them, when the head-end dies, and when its clock jumps; then everything heals, and everything must be complete.
//!
//! A seed that fails is printed. `DLMS_SIMULATED=4711 cargo test --test simulated` tells its story again, and
//! `DLMS_SIMULATED=1000..9000` tries others.

mod dice;
mod life;
mod meter;
mod network;
mod story;
mod truth;
mod world;

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use story::{Kind, Story};

/// Says which seeds are tried instead of the usual ones: a number, or a range of them.
const VARIABLE: &str = "DLMS_SIMULATED";

fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var(VARIABLE) else { return usual };
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{VARIABLE}={text} is no number"));
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    }
}

/// Tells the story of each number, and fails with all that broke a rule.
fn tell(numbers: Range<u64>, story: impl Fn(u64) -> Story + Sync) {
    let next = AtomicU64::new(numbers.start);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failed = std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return failed;
                }
                failed.extend(told(story(number)).map(|broken| format!("{number}: {broken}")));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let (count, all) = (failed.len(), numbers.end - numbers.start);
    assert!(failed.is_empty(), "{count} of {all} seeds failed; {VARIABLE}=SEED tells one again\n{}", failed.join("\n"));
}

/// What broke a rule in a story, in words.
fn told(mut story: Story) -> Option<String> {
    let world = story.world.clone();
    let told = catch_unwind(AssertUnwindSafe(|| story.tell()));
    let state = world.state();
    if std::env::var(VARIABLE).is_ok_and(|text| !text.contains("..")) {
        state.truth.log.iter().for_each(|line| println!("{line}"));
    }
    let mut broken = state.truth.broken.clone();
    if let Err(panic) = told {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        broken.push(format!("panicked: {}", text.unwrap_or("?")));
    }
    let rest = broken.len().saturating_sub(6);
    broken.truncate(6);
    (!broken.is_empty()).then(|| format!("{} (and {rest} more)", broken.join("; ")))
}

fn tell_seeds(usual: Range<u64>, kind: Kind) {
    tell(seeds(usual), |seed| Story::new(seed, kind));
}

#[test]
fn every_interval_comes_once_whatever_the_lines_do() {
    tell_seeds(0..60, Kind { restarts: false, switches: false, clock: false });
}

#[test]
fn nothing_is_lost_or_repeated_when_the_head_end_dies() {
    tell_seeds(0..60, Kind { restarts: true, switches: false, clock: false });
}

#[test]
fn switches_are_carried_out_once_and_their_outcome_is_known() {
    tell_seeds(0..80, Kind { restarts: true, switches: true, clock: false });
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    tell_seeds(0..60, Kind { restarts: true, switches: true, clock: true });
}

#[test]
fn a_death_at_any_step_loses_and_repeats_nothing() {
    let mut whole = Story::calm(None);
    whole.tell();
    assert!(whole.steps > 60, "{} steps", whole.steps);
    tell(1..whole.steps + 1, |step| Story::calm(Some(step)));
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    let told = |seed| {
        let mut story = Story::new(seed, Kind { restarts: true, switches: true, clock: true });
        story.tell();
        let state = story.world.state();
        (state.truth.log.clone(), state.truth.counters())
    };
    for seed in [1, 2, 3] {
        let (first, second) = (told(seed), told(seed));
        for (number, (first, second)) in first.0.iter().zip(&second.0).enumerate() {
            assert_eq!(first, second, "line {number} of seed {seed}");
        }
        assert_eq!(first, second, "seed {seed}");
    }
}
