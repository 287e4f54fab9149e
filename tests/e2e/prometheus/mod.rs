//! What an operator looks at, together with what it looks at: the dashboard's expressions, answered by a real Prometheus
//! that scrapes a real colony in trouble, each second.

mod alerts;
#[path = "../../dashboard/board.rs"]
mod board;
mod exposition;
mod monitor;
mod panels;
#[path = "../../dashboard/promql.rs"]
mod promql;
mod server;
mod trouble;

use std::thread;
use std::time::Duration;

use board::{Board, label_values};
use exposition::Exposition;
use panels::{Choices, Open};
use server::Prometheus;

use crate::support::{Colony, wait_until};

// The check that rots first.
#[test]
fn every_metric_label_and_value_that_the_dashboard_names_exists() {
    let (colony, _unread) = trouble::start();
    let board = Board::shipped();
    let mut exposition = Exposition::default();
    let mut unknown = Vec::new();
    let known = wait_until("all", || {
        exposition.add(&colony.get("/metrics").1);
        unknown = unknown_of(&board, &exposition);
        // Where there are no cgroups nothing has a working set; `e2e::limits` has one.
        let is_kept = colony.log().contains("limits are kept by cgroups below ");
        unknown.retain(|trouble| is_kept || !trouble.contains("no metric ncolony_process_working_set_bytes"));
        unknown.is_empty().then_some(())
    });
    assert!(known.is_some(), "{}", unknown.join("\n"));
}

/// What a dashboard names and there is not.
fn unknown_of(board: &Board, exposition: &Exposition) -> Vec<String> {
    let queries = board.targets().into_iter().chain(board.annotations()).map(|query| (query.place, query.expr));
    let variables = board.asking().map(|v| (v["name"].to_string(), label_values(v).expect("label_values(…)").0));
    let all = queries.chain(variables).flat_map(|(place, expr)| {
        let read = promql::read(expr).unwrap_or_else(|error| panic!("{place}: {error}"));
        exposition.unknown(&read).into_iter().map(move |trouble| format!("{place}: {trouble}: {expr}"))
    });
    all.collect()
}

#[test]
fn every_expression_of_the_dashboard_is_answered_by_a_real_prometheus() {
    if !server::is_there() {
        return;
    }
    let (colony, unread) = trouble::start();
    let prometheus = Prometheus::start(&[colony.address()], &alerts::quick());
    let board = Board::shipped();
    trouble::edit(&colony);
    wait_answers(&board, &prometheus, &colony, || Choices::all(&board));
    no_other_counts(&board, &prometheus);
    wait_answers(&board, &prometheus, &colony, || Choices::each(&board, &prometheus));
    trouble::mend(&colony, unread);
    colony.wait("all to be well", || (colony.get("/healthz").0 == 200).then_some(()));
}

/// That nothing else that Prometheus scrapes is in a panel.
fn no_other_counts(board: &Board, prometheus: &Prometheus) {
    let dead = format!(r#"up{{job="{}"}} == 0"#, server::OTHERS);
    assert_eq!(prometheus.now(&dead).len(), 1, "nothing else is there to be counted");
    let choices = Choices::all(board);
    for query in board.targets() {
        let series = prometheus.lately(&choices.fill(query.expr));
        assert!(series.iter().all(|one| one.label("job") != server::OTHERS), "{}: {series:?}", query.place);
    }
    assert_eq!(down(board, prometheus), Some(0.0));
}

/// What the panel of monitors that are down shows.
fn down(board: &Board, prometheus: &Prometheus) -> Option<f64> {
    let queries = board.targets();
    let query = queries.iter().find(|query| query.place.contains("\"Monitors down\"")).expect("a panel");
    prometheus.now(&Choices::all(board).fill(query.expr)).first().map(|one| one.value)
}

/// Waits until every expression has its answer.
fn wait_answers(board: &Board, prometheus: &Prometheus, colony: &Colony, choices: impl Fn() -> Choices) {
    let (mut open, mut unanswered) = (Open::of(board), Vec::new());
    let mut messages = 0;
    let answered = wait_until("all answers", || {
        thread::sleep(Duration::from_millis(300));
        // One that is carried out, and one that is not.
        messages += 1;
        colony.message(&format!("good-{messages}"), r#"{"type": "START", "name": "well"}"#);
        colony.message(&format!("bad-{messages}"), "{");
        unanswered = open.look(prometheus, &choices());
        unanswered.is_empty().then_some(())
    });
    assert!(answered.is_some(), "{}", unanswered.join("\n"));
}
