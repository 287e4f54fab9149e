//! Connections to what is asked.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Resolver;

/// Why there is no connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum DialError {
    /// The other side's doing, or the network's.
    Refused(String),
    /// Ours: we have no descriptors, no memory or no ports left.
    Unable(String),
}

/// Connects to the first of a host's addresses that answers. Each has its share of what is left of the time, so that one
/// that swallows everything leaves some to the next.
///
/// # Errors
/// What was wrong with the last one.
pub(super) async fn connect(
    resolver: &Resolver,
    host: &str,
    port: u16,
    until: Instant,
) -> Result<TcpStream, DialError> {
    let unresolved = |why| DialError::Refused(format!("cannot resolve {host}: {why}"));
    let addresses = resolver.addresses(host).await.map_err(unresolved)?;
    let mut last = unresolved("it has no address".to_string());
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = Instant::now() + until.saturating_duration_since(Instant::now()) / left;
        let address = SocketAddr::new(*address, port);
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = refused(address, &error),
            Err(_) => last = DialError::Refused(format!("cannot connect to {address}: it does not answer")),
        }
    }
    Err(last)
}

/// `HOST:PORT`, as a URL has it.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn refused(address: SocketAddr, error: &io::Error) -> DialError {
    let text = format!("cannot connect to {address}: {}", reason(error));
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::EADDRNOTAVAIL) => {
            DialError::Unable(text)
        }
        Some(_) | None => DialError::Refused(text),
    }
}

/// In the kernel's words, without a number.
pub(super) fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| Errno::from_raw(errno).desc().to_lowercase())
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Refused(text) | DialError::Unable(text) => f.write_str(text),
        }
    }
}
