use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Outcome;
use crate::health::Resolver;
use crate::health::dial::{DialError, authority, connect};

/// `tcpSocket`: whether there is somebody who takes a connection.
pub async fn tcp_socket(resolver: &Resolver, host: &str, port: u16, limit: Duration) -> Outcome {
    let until = Instant::now() + limit;
    match timeout_at(until, connect(resolver, host, port, until)).await {
        Ok(Ok(_connection)) => Outcome::Success,
        Ok(Err(DialError::Refused(why))) => Outcome::Failure(why),
        Ok(Err(DialError::Unable(why))) => Outcome::Unknown(why),
        Err(_) => {
            Outcome::Failure(format!("cannot connect to {} within {} s", authority(host, port), limit.as_secs_f64()))
        }
    }
}
