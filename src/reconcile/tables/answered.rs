//! Which requests a start has answered already.

use super::*;

fn observed(facts: Facts) -> Observed {
    let mut observed = Observed::default();
    for (at, fact) in facts {
        observed.observe(fact, stamp(at));
    }
    observed
}

#[test]
fn a_request_is_answered_by_a_start_that_came_after_it_was_seen_and_by_nothing_else() {
    let later = |facts| then(facts, 30.0, Fact::Started(web(), first(), Arc::new(service())));
    let stop = |facts| then(facts, 31.0, Fact::StopAsked(web()));
    let inherited = vec![(30.0, Fact::Inherited(web(), first(), Arc::new(service())))];
    // The case, what has happened, and when the request was seen: before that, it is answered.
    let rows: &[(&str, Facts, Option<f64>)] = &[
        ("nothing is known", vec![], None),
        ("up", later(vec![]), Some(30.0)),
        ("up again", later(ended(service(), 20.0, 1)), Some(30.0)),
        ("down", ended(service(), 20.0, 1), Some(0.0)),
        ("stopping", stopping(Why::Requested), Some(0.0)),
        ("leaving", leaving_told(), Some(0.0)),
        ("the start failed", failed(1, 2), Some(0.0)),
        ("stopped by a message since", stop(later(vec![])), None),
        ("an earlier monitor's", inherited, None),
    ];
    for (case, facts, answered) in rows {
        let observed = observed(facts.clone());
        for ask in [Ask::Named, Ask::Broad] {
            let is_answered = |at: f64| observed.has_answered(&Fact::Asked(web(), ask), stamp(at).at);
            assert_eq!(is_answered(0.0), answered.is_some(), "{case}");
            if let Some(at) = *answered {
                assert!(is_answered(at) && !is_answered(at + 0.001), "{case}");
            }
        }
        for fact in [Fact::Asked(web(), Ask::Trigger), Fact::StopAsked(web()), Fact::StartAsked(web())] {
            assert!(!observed.has_answered(&fact, stamp(0.0).at), "{case}: {fact:?}");
        }
    }
}
