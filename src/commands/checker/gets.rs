//! HTTP checks: any answer in time is a good one, and so many bad ones in a row are too many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::{Checker, Subject};
use crate::config::Check;
use crate::health::https::{Errand, How, PROGRAM, VARIABLE};
use crate::health::{Outcome, OverHttps, Resolver, Tls, any_answer, https};
use crate::model::{HttpGet, Name, Probe, ProbeHandler};
use crate::process::errand;

/// Asks the servers of a colony.
pub(super) struct Httpcheck {
    cards: BTreeMap<Name, Card>,
    heard: (UnboundedSender<Heard>, UnboundedReceiver<Heard>),
    wakes: Arc<Notify>,
    resolver: Resolver,
    /// The number of the last question.
    last: u64,
}

struct Heard {
    name: Name,
    question: u64,
    outcome: Outcome,
}

/// One server.
struct Card {
    version: u64,
    probe: Probe,
    /// When it is asked next.
    due_at: Instant,
    /// Bad answers in a row.
    bad: u32,
    asking: Option<Asking>,
}

/// A question under way, which is dropped with this.
struct Asking {
    question: u64,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Httpcheck {
    pub(super) fn new(wakes: Arc<Notify>) -> Httpcheck {
        let resolver = Resolver::default();
        Httpcheck { cards: BTreeMap::new(), heard: unbounded_channel(), wakes, resolver, last: 0 }
    }

    /// Must be called from within the runtime.
    fn ask(&self, name: Name, question: u64, probe: &Probe) -> Option<Asking> {
        let ProbeHandler::AnyAnswer(what) = probe.handler.clone() else { return None };
        let (limit, resolver) = (probe.timeout, self.resolver.clone());
        let (tell, wakes) = (self.heard.0.clone(), Arc::clone(&self.wakes));
        let asking = async move {
            let outcome = any_answer(&resolver, &what, limit, Tls::Elsewhere).await;
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(OverHttps) => by_https(what, limit).await,
            };
            // Nobody listens any more when the loop has ended.
            let _ = tell.send(Heard { name, question, outcome });
            wakes.notify_one();
        };
        Some(Asking { question, task: tokio::task::spawn_local(asking).abort_handle() })
    }
}

impl Checker for Httpcheck {
    fn know(&mut self, all: Vec<Subject>, now: Instant) {
        let mut before = std::mem::take(&mut self.cards);
        for Subject { name, version, check } in all {
            let Check::Http(probe) = check else { continue };
            let known = before.remove(&name).filter(|card| card.version == version);
            self.cards.insert(name, known.unwrap_or_else(|| Card::new(version, probe, now)));
        }
    }

    fn turn(&mut self, now: Instant) -> Vec<(Name, String)> {
        let mut bad = Vec::new();
        while let Ok(Heard { name, question, outcome }) = self.heard.1.try_recv() {
            let Some(card) = self.cards.get_mut(&name) else { continue };
            if card.asking.as_ref().is_some_and(|asking| asking.question == question) {
                card.asking = None;
                bad.extend(card.hear(outcome).map(|why| (name, why)));
            }
        }
        let due = self.cards.iter().filter(|(_, card)| card.is_due(now)).map(|(name, _)| name.clone());
        for name in due.collect::<Vec<_>>() {
            let Some(probe) = self.cards.get(&name).map(|card| card.probe.clone()) else { continue };
            self.last += 1;
            let asking = self.ask(name.clone(), self.last, &probe);
            if let Some(card) = self.cards.get_mut(&name) {
                (card.asking, card.due_at) = (asking, now + probe.period);
            }
        }
        bad
    }

    fn restarted(&mut self, name: &Name, now: Instant) {
        if let Some(card) = self.cards.get_mut(name) {
            card.begin(now);
        }
    }

    fn due_at(&self) -> Option<Instant> {
        // One that is being asked is heard of first.
        self.cards.values().filter(|card| card.asking.is_none()).map(|card| card.due_at).min()
    }
}

/// Asks by a process of its own, on a thread that waits for it.
async fn by_https(what: HttpGet, limit: Duration) -> Outcome {
    let told = Errand { how: How::Check, what, limit }.to_text();
    let asked = tokio::task::spawn_blocking(move || errand::ask(PROGRAM, (VARIABLE, &told))).await;
    match asked {
        Ok(Ok((exit, words))) => https::outcome(exit, &words),
        Ok(Err(error)) => Outcome::Unknown(format!("cannot start the process that asks by HTTPS: {error}")),
        Err(_) => Outcome::Unknown("the process that asks by HTTPS was not waited for".to_string()),
    }
}

impl Card {
    fn new(version: u64, probe: Probe, now: Instant) -> Card {
        let mut card = Card { version, probe, due_at: now, bad: 0, asking: None };
        card.begin(now);
        card
    }

    /// A run begins, which has its grace.
    fn begin(&mut self, now: Instant) {
        (self.bad, self.asking) = (0, None);
        self.due_at = now + self.probe.initial_delay.min(FOR_EVER);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.asking.is_none() && self.due_at <= now
    }

    /// An answer, or none. Says why the process is to be restarted, if it is.
    fn hear(&mut self, outcome: Outcome) -> Option<String> {
        match outcome {
            Outcome::Success | Outcome::Warning(_) => self.bad = 0,
            // The question could not be asked.
            Outcome::Unknown(_) => {}
            Outcome::Failure(why) => {
                self.bad = self.bad.saturating_add(1);
                let times = if self.bad == 1 { "once" } else { "times in a row" };
                let count = if self.bad == 1 { String::new() } else { format!("{} ", self.bad) };
                return (self.bad >= self.probe.failure_threshold)
                    .then(|| format!("it has not answered, {count}{times}: {why}"));
            }
        }
        None
    }
}

/// A hundred years.
const FOR_EVER: Duration = Duration::from_secs(3_153_600_000);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Card, Outcome};
    use crate::model::{HttpGet, Probe, ProbeHandler, ProbeKind, Scheme};

    fn card(max_bad: u32, now: Instant) -> Card {
        let what =
            HttpGet { scheme: Scheme::Http, host: "web".into(), port: 80, path: "/".into(), headers: Vec::new() };
        let probe = Probe {
            kind: ProbeKind::HttpCheck,
            handler: ProbeHandler::AnyAnswer(what),
            initial_delay: Duration::from_secs(30),
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            success_threshold: 1,
            failure_threshold: max_bad + 1,
            grace: None,
        };
        Card::new(1, probe, now)
    }

    #[test]
    fn more_than_so_many_bad_answers_in_a_row_are_too_many() {
        let (good, bad) = (|| Outcome::Success, || Outcome::Failure("no answer within 5 s".into()));
        let unknown = || Outcome::Unknown("no descriptors".into());
        let mut card = card(2, Instant::now());
        let answers = [bad(), bad(), good(), bad(), unknown(), bad(), bad(), bad()];
        let verdicts = answers.map(|answer| card.hear(answer).is_some());
        assert_eq!(verdicts, [false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_run_is_asked_after_its_grace_and_counted_anew() {
        let start = Instant::now();
        let mut card = card(0, start);
        assert!(!card.is_due(start + Duration::from_secs(29)) && card.is_due(start + Duration::from_secs(30)));
        let why = card.hear(Outcome::Failure("no answer within 5 s".into()));
        assert_eq!(why.as_deref(), Some("it has not answered, once: no answer within 5 s"));
        card.begin(start + Duration::from_secs(40));
        assert!(!card.is_due(start + Duration::from_secs(69)) && card.is_due(start + Duration::from_secs(70)));
        assert_eq!(card.bad, 0);
    }
}
