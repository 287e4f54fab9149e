//! The model test: the core drives a simulated machine through random histories, and after every step the laws must
//! hold. `NCOLONY_HISTORIES` says how many histories, `NCOLONY_SEED` which is the first.
//!
//! ```text
//! NCOLONY_HISTORIES=20000 cargo test --profile model --lib reconcile
//! ```

mod chance;
mod endings;
mod found;
mod health;
mod history;
mod hooks;
mod kernel;
mod laws;
mod ledger;
mod machine;
mod order;
mod orders;
mod probes;
mod random;
mod rolling;
mod scales;
mod specs;
mod timetable;

use std::env;
use std::num::NonZero;
use std::ops::Range;
use std::thread;

use chance::Walls;

pub(super) use specs::plain;

/// Shown of a history that broke a law: its last so many events.
const TOLD: usize = 60;

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: expected a number")),
        Err(_) => default,
    }
}

/// Panics with the law that this seed breaks, with the history that leads there, and with how to repeat it.
fn fail(seed: u64, law: &str) -> ! {
    let mut told = Vec::new();
    let again = chance::live(seed, Walls::Matter, chance::STEPS, Some(&mut told));
    let last = told[told.len().saturating_sub(TOLD)..].join("\n");
    panic!(
        "{law}\nrepeated: {}\n{last}\nrepeat: NCOLONY_HISTORIES=1 NCOLONY_SEED={seed} cargo test --lib reconcile::sim",
        again.err().unwrap_or_else(|| "no law was broken: the history is not deterministic".into())
    );
}

/// The first history that breaks a law, and the law. Every processor has its share of them.
fn broken(seeds: Range<u64>) -> Option<(u64, String)> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let live = |seed| Some((seed, chance::live(seed, Walls::Matter, chance::STEPS, None).err()?));
    thread::scope(|scope| {
        let share = |worker| {
            let mut seeds = seeds.clone().skip(worker).step_by(workers);
            scope.spawn(move || seeds.find_map(live))
        };
        let shares: Vec<_> = (0..workers).map(share).collect();
        shares.into_iter().filter_map(|share| share.join().expect("a history ends")).min()
    })
}

#[test]
fn the_laws_hold_in_every_history() {
    let first = number("NCOLONY_SEED", 1);
    if let Some((seed, law)) = broken(first..first + number("NCOLONY_HISTORIES", 500)) {
        fail(seed, &law);
    }
}

#[test]
fn neither_the_wall_clock_nor_repetition_changes_what_is_done() {
    let first = number("NCOLONY_SEED", 1);
    for seed in first..first + number("NCOLONY_HISTORIES", 500).div_ceil(20) {
        let [one, same, other] =
            [0, 0, 77].map(|wall| chance::live(seed, Walls::AreNothing(wall), chance::STEPS, None));
        assert_eq!(one, same, "seed {seed}: the same history, told twice");
        assert_eq!(one, other, "seed {seed}: with another wall clock");
    }
}
