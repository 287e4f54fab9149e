//! The Grafana dashboard in `dashboards/`, as far as it can be judged without a Grafana: by rules that read it, and by
//! promtool. `e2e::prometheus` has its expressions answered.

mod alerts;
mod bites;
mod board;
mod lint;
#[path = "../needs/mod.rs"]
mod needs;
mod promql;
mod promtool;

use board::Board;

#[test]
fn the_dashboard_keeps_every_rule() {
    let board = Board::shipped();
    let found: Vec<String> = lint::RULES
        .iter()
        .flat_map(|rule| (rule.find)(&board).into_iter().map(|trouble| format!("{}: {trouble}", rule.name)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    // What is empty keeps every rule.
    assert!(board.panels().len() > 30 && board.targets().len() > 40 && !board.annotations().is_empty());
}
