//! What an operator looks at, together with what it looks at: the dashboard's expressions and the rules' alerts, answered
//! by a real Prometheus that scrapes a real colony in trouble, each second.

#[path = "../../dashboard/board.rs"]
mod board;
mod exposition;
mod panels;
#[path = "../../dashboard/promql.rs"]
mod promql;
mod server;
mod trouble;

use board::{Board, label_values};
use exposition::Exposition;
use panels::Choices;
use server::Prometheus;

use crate::support::{Colony, wait_until};

/// Whether there is a sample of everything that takes its time.
fn has_all_troubles(colony: &Colony) -> bool {
    let exits = |process, reason| format!("ncolony_process_exits_total{{process=\"{process}\",reason=\"{reason}\"}}");
    let some = ["hanging", "hog"].into_iter().zip(["heartbeat", "oom"]);
    some.into_iter().all(|(process, reason)| colony.metric(&exits(process, reason)).is_some_and(|exits| exits > 0.0))
        && colony.metric("ncolony_schedule_last_success_timestamp_seconds").is_some()
}

// The check that rots first.
#[test]
fn every_metric_label_and_value_that_the_dashboard_names_exists() {
    let (colony, _unread) = trouble::start();
    colony.wait("every trouble", || has_all_troubles(&colony).then_some(()));
    let exposition = Exposition::read(&colony.get("/metrics").1);
    let board = Board::shipped();
    let queries = board.targets().into_iter().chain(board.annotations()).map(|query| (query.place, query.expr));
    let variables = board.asking().map(|v| (v["name"].to_string(), label_values(v).expect("label_values(…)").0));
    let mut found = Vec::new();
    for (place, expr) in queries.chain(variables) {
        let read = promql::read(expr).unwrap_or_else(|error| panic!("{place}: {error}"));
        found.extend(exposition.unknown(&read).into_iter().map(|trouble| format!("{place}: {trouble}: {expr}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_expression_of_the_dashboard_is_answered_and_every_alert_fires_and_resolves() {
    if !server::is_there() {
        return;
    }
    let (colony, unread) = trouble::start();
    let prometheus = Prometheus::start(&[colony.address()], &serde_json::json!({"groups": []}));
    let board = Board::shipped();
    wait_answers(&board, &prometheus, || Choices::all(&board));
    wait_answers(&board, &prometheus, || Choices::each(&board, &prometheus));
    trouble::mend(&colony, unread);
}

/// Waits until every expression has its answer.
fn wait_answers(board: &Board, prometheus: &Prometheus, choices: impl Fn() -> Choices) {
    let mut unanswered = Vec::new();
    let answered = wait_until("all answers", || {
        unanswered = panels::unanswered(board, prometheus, &choices());
        unanswered.is_empty().then_some(())
    });
    assert!(answered.is_some(), "{}", unanswered.join("\n"));
}
