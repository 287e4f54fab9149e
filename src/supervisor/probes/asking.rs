use tokio::task::AbortHandle;

use super::{Finding, Heard, Key, Probes};
use crate::health::{Outcome, OverHttps, Tls, any_answer, grpc, http_get, tcp_socket};
use crate::model::{HttpGet, Probe, ProbeHandler};

impl Probes {
    /// Asks over the network. Must be called from within the runtime.
    pub(super) fn ask(&self, key: Key, number: u64, probe: &Probe) -> AbortHandle {
        let (handler, limit) = (probe.handler.clone(), probe.timeout);
        let (tell, wakes, resolver) = (self.heard.0.clone(), self.wakes.clone(), self.resolver.clone());
        let asking = async move {
            let or_by_https = |what: &HttpGet, known: Result<Outcome, OverHttps>| {
                known.map_or_else(|OverHttps| Finding::OverHttps(what.clone()), Finding::Outcome)
            };
            let finding = match &handler {
                ProbeHandler::HttpGet(what) => {
                    or_by_https(what, http_get(&resolver, what, limit, Tls::Elsewhere).await)
                }
                ProbeHandler::AnyAnswer(what) => {
                    or_by_https(what, any_answer(&resolver, what, limit, Tls::Elsewhere).await)
                }
                ProbeHandler::TcpSocket { host, port } => {
                    Finding::Outcome(tcp_socket(&resolver, host, *port, limit).await)
                }
                ProbeHandler::Grpc { port, service } => Finding::Outcome(grpc(&resolver, *port, service, limit).await),
                ProbeHandler::Exec(_) | ProbeHandler::Heartbeat(_) | ProbeHandler::Notify => {
                    Finding::Outcome(Outcome::Unknown("it is not asked over the network".to_string()))
                }
            };
            // Nobody listens any more when the loop has ended.
            let _ = tell.send(Heard { key, number, finding });
            wakes.notify.notify_one();
        };
        tokio::task::spawn_local(asking).abort_handle()
    }
}
