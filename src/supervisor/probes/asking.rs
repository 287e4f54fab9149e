use tokio::task::AbortHandle;

use super::{Heard, Key, Probes};
use crate::health::{Outcome, any_answer, grpc, http_get, tcp_socket};
use crate::model::{Probe, ProbeHandler};

impl Probes {
    /// Asks over the network. Must be called from within the runtime.
    pub(super) fn ask(&self, key: Key, number: u64, probe: &Probe) -> AbortHandle {
        let (handler, limit) = (probe.handler.clone(), probe.timeout);
        let (tell, wakes, resolver) = (self.heard.0.clone(), self.wakes.clone(), self.resolver.clone());
        let asking = async move {
            let outcome = match &handler {
                ProbeHandler::HttpGet(what) => http_get(&resolver, what, limit).await,
                ProbeHandler::AnyAnswer(what) => any_answer(&resolver, what, limit).await,
                ProbeHandler::TcpSocket { host, port } => tcp_socket(&resolver, host, *port, limit).await,
                ProbeHandler::Grpc { port, service } => grpc(&resolver, *port, service, limit).await,
                ProbeHandler::Exec(_) | ProbeHandler::Heartbeat(_) | ProbeHandler::Notify => {
                    Outcome::Unknown("it is not asked over the network".to_string())
                }
            };
            // Nobody listens any more when the loop has ended.
            let _ = tell.send(Heard { key, number, outcome: Some(outcome) });
            wakes.notify.notify_one();
        };
        tokio::task::spawn_local(asking).abort_handle()
    }
}
