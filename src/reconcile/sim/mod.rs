//! The model test: the core drives a simulated machine through random histories, and after every step the laws must
//! hold. `NCOLONY_HISTORIES` says how many histories, `NCOLONY_SEED` which is the first.
//!
//! ```text
//! NCOLONY_HISTORIES=20000 cargo test --profile model --lib reconcile
//! ```

mod chance;
mod endings;
mod found;
mod history;
mod hooks;
mod kernel;
mod laws;
mod ledger;
mod machine;
mod order;
mod orders;
mod random;
mod rolling;
mod scales;
mod specs;
mod timetable;

use std::env;

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

#[test]
fn the_laws_hold_in_every_history() {
    let first = number("NCOLONY_SEED", 1);
    for seed in first..first + number("NCOLONY_HISTORIES", 500) {
        if let Err(law) = chance::live(seed, Walls::Matter, chance::STEPS, None) {
            fail(seed, &law);
        }
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
