//! TLS as a client that takes whatever certificate it is shown, as the kubelet's probes do. rustls speaks it, versions 1.2
//! and 1.3; the cryptography is RustCrypto's, since that is small.

mod groups;
mod provider;
mod records;
mod sha;
mod trusting;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;

/// What is spoken, in words.
const SPOKEN: &str =
    "TLS 1.2 and 1.3 with AES-GCM or ChaCha20, keys by X25519, P-256 or P-384, and no certificate of a client";

/// Shakes hands with this host. What it sends may end without TLS's farewell, which is [`io::ErrorKind::UnexpectedEof`]: the
/// length of an answer says whether that was all.
///
/// # Errors
/// When there are no hands shaken: why, in words.
pub async fn shake_hands(stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, String> {
    let config = config().map_err(|error| words(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name(host), stream).await.map_err(|error| in_handshake(&error))
}

/// No resumption: of a probe nothing is kept. No word of HTTP's versions (ALPN): without it every server speaks 1.1.
fn config() -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::provider()));
    let builder = builder.with_safe_default_protocol_versions()?.dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(trusting::Trusting)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What the server is told that it is called. Nothing, where that is an address (RFC 6066, 3) or could be no name.
fn name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_string()).unwrap_or(ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into()))
}

/// Why there were no hands shaken.
fn in_handshake(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => words(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server ends the connection in the TLS handshake".to_string()
        }
        None => format!("the connection was lost in the TLS handshake: {error}"),
    }
}

fn words(error: &Error) -> String {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    match error {
        Error::AlertReceived(why @ (ProtocolVersion | HandshakeFailure | InsufficientSecurity)) => {
            format!("the server ends the TLS handshake ({why:?}): what is spoken here is {SPOKEN}")
        }
        Error::AlertReceived(why) => format!("the server ends the TLS handshake: {why:?}"),
        Error::PeerIncompatible(why) => {
            format!("the server has another TLS in mind ({why:?}): what is spoken here is {SPOKEN}")
        }
        Error::InvalidMessage(_) => format!("what answers does not speak TLS: {error}"),
        other => format!("what answers does not speak TLS as it should: {other}"),
    }
}
