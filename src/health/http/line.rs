use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Target;
use crate::health::dial::DialError;
use crate::health::inbox::Inbox;
use crate::model::Scheme;
use crate::tls;

/// A connection to a server, through TLS or not.
pub(in crate::health) type Line = Box<dyn Stream + Send>;

/// What is written to and read from.
pub(in crate::health) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Whether this process may speak TLS, which takes a millisecond or two of its thread for a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// It is there for that.
    Here,
    /// It has a loop to turn.
    Elsewhere,
}

/// The way leads over HTTPS, which is for [`crate::health::https`] to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OverHttps;

impl Tls {
    /// Whether this process may speak so.
    ///
    /// # Errors
    /// It must not.
    pub(in crate::health) fn allows(self, scheme: Scheme) -> Result<(), OverHttps> {
        match (self, scheme) {
            (Tls::Here, _) | (Tls::Elsewhere, Scheme::Http) => Ok(()),
            (Tls::Elsewhere, Scheme::Https) => Err(OverHttps),
        }
    }
}

/// Sends a request to a target by a connection to it, and gives what the answer is read from.
///
/// # Errors
/// When the connection is lost, or is not one of TLS where it should be, or of none that is spoken here.
pub(in crate::health) async fn send(
    stream: TcpStream,
    target: &Target,
    request: Vec<u8>,
) -> Result<Inbox<Line>, DialError> {
    let line: Line = match target.scheme {
        Scheme::Http => Box::new(stream),
        // Whatever is wrong with its TLS, it is the server that does not answer, as in the kubelet.
        Scheme::Https => Box::new(tls::shake_hands(stream, &target.host).await.map_err(DialError::Refused)?),
    };
    let mut inbox = Inbox::new(line);
    inbox.send(&request).await.map_err(DialError::Refused)?;
    Ok(inbox)
}
