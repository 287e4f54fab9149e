//! By HTTPS: a process of its own asks, so that no handshake keeps the loop from its work.

use std::time::Duration;

use super::{Asker, Attempt, Doing, Key};
use crate::health::https::{Errand, How};
use crate::model::{HttpGet, Moment, Name, Probe, ProbeHandler, Scheme};
use crate::supervisor::host::Host;

/// It knows its limit itself and says what it waited for; one that is still there so long after it is ended.
const LATE: Duration = Duration::from_millis(500);

/// What is to be asked for by HTTPS, if that is how a probe asks.
pub(super) fn errand(probe: &Probe) -> Option<Errand> {
    let (how, what) = match &probe.handler {
        ProbeHandler::HttpGet(what) => (How::Probe, what),
        ProbeHandler::AnyAnswer(what) => (How::Check, what),
        ProbeHandler::Exec(_)
        | ProbeHandler::TcpSocket { .. }
        | ProbeHandler::Grpc { .. }
        | ProbeHandler::Heartbeat(_)
        | ProbeHandler::Notify => return None,
    };
    match what.scheme {
        Scheme::Http => None,
        Scheme::Https => Some(Errand { how, what: what.clone(), limit: probe.timeout }),
    }
}

impl Host {
    /// Starts the process that asks.
    pub(super) fn begin_errand(
        &mut self,
        name: &Name,
        key: Key,
        errand: &Errand,
        now: Moment,
    ) -> Result<Doing, String> {
        let until = now + errand.limit.saturating_add(LATE);
        self.begin_asker(key, until, Asker::Https, |children, ends| {
            children.start_errand(key.0, name, &errand.birth(), ends)
        })
    }

    /// A probe that was redirected to HTTPS is asked anew, in what is left of its time.
    pub(super) fn go_on_by_https(&mut self, key: Key, attempt: Attempt, what: HttpGet, now: Moment) {
        let limit = attempt.limit.saturating_sub(now.since(attempt.began));
        let errand = Errand { how: How::Probe, what, limit };
        let begun = self.begin_errand(&attempt.name, key, &errand, now);
        let doing = self.doing(key, attempt.number, begun);
        self.probes.under_way.insert(key, Attempt { doing, ..attempt });
    }
}
