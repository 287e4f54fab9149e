//! TLS as a client that takes whatever certificate it is shown, as the kubelet's probes do: version 1.3, with what each of
//! its servers must know (RFC 8446, 9.1).
//!
//! What others send is taken apart here by a library that may panic at it, and so end its process: it is to be spoken in a
//! process of its own only.

use std::io;
use std::net::IpAddr;

use embedded_io::{ErrorKind, ErrorType};
use embedded_tls::{Aes128GcmSha256, CryptoProvider, CryptoRng, CryptoRngCore, TlsConfig, TlsConnection, TlsContext};
use embedded_tls::{TlsError, alert::AlertDescription};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Why there is no answer, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failed {
    /// The server speaks TLS, and nothing of it that is spoken here: nobody's fault.
    Unable(String),
    /// It does not, or has broken off.
    Broken(String),
}

/// The longest record, and what it may be wrapped in (RFC 8446, 5.2).
const READ: usize = 16 * 1024 + 256 + 128;
/// More than any hello needs; a longer request is several records.
const WRITE: usize = 4096;
/// How much of an answer may wait to be read.
const WAITING: usize = 16 * 1024;

type Connection<'a> = TlsConnection<'a, Wire, Aes128GcmSha256>;

/// Shakes hands, and sends this request. What comes back is to be read from what is returned, as it would be from the
/// connection itself. Must be called from within a `LocalSet`.
///
/// # Errors
/// When there are no hands shaken, or the connection is lost.
pub async fn ask(stream: TcpStream, host: &str, request: Vec<u8>) -> Result<DuplexStream, Failed> {
    let (ours, theirs) = duplex(WAITING);
    let (tell, told) = oneshot::channel();
    tokio::task::spawn_local(converse(Wire(stream), host.to_string(), request, tell, theirs));
    let lost = || Err(Failed::Broken("the TLS connection was lost".to_string()));
    told.await.unwrap_or_else(|_| lost()).map(|()| ours)
}

async fn converse(
    wire: Wire,
    host: String,
    request: Vec<u8>,
    tell: oneshot::Sender<Result<(), Failed>>,
    mut reader: DuplexStream,
) {
    let (mut read, mut write) = (vec![0; READ], vec![0; WRITE]);
    let mut connection = Connection::new(wire, &mut read, &mut write);
    let opened = open(&mut connection, &host, &request).await;
    let is_open = opened.is_ok();
    // Nobody listens any more when its time is over.
    let _ = tell.send(opened.map_err(words));
    if !is_open {
        return;
    }
    // Where it ends without a farewell, the length of the answer says whether that was all.
    while let Ok(mut plain) = connection.read_buffered().await {
        if reader.write_all(plain.pop_all()).await.is_err() {
            return;
        }
    }
}

async fn open(connection: &mut Connection<'_>, host: &str, mut request: &[u8]) -> Result<(), TlsError> {
    let mut config = TlsConfig::new().enable_rsa_signatures();
    // An address is no server's name (RFC 6066, 3).
    if host.parse::<IpAddr>().is_err() {
        config = config.with_server_name(host);
    }
    connection.open(TlsContext::new(&config, Trusting(Random))).await?;
    while !request.is_empty() {
        let written = connection.write(request).await?;
        request = &request[written..];
    }
    connection.flush().await
}

fn words(error: TlsError) -> Failed {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    match error {
        TlsError::HandshakeAborted(_, ProtocolVersion) => {
            Failed::Unable("the server refuses TLS 1.3, and no older version is spoken here".to_string())
        }
        TlsError::HandshakeAborted(_, why @ (HandshakeFailure | InsufficientSecurity)) => {
            let here = "TLS 1.3 with AES-128-GCM and keys by P-256";
            Failed::Unable(format!("the server ends the TLS handshake ({why:?}): what is spoken here is {here}"))
        }
        TlsError::HandshakeAborted(_, why) => Failed::Broken(format!("the server ends the TLS handshake: {why:?}")),
        TlsError::Io(_) | TlsError::ConnectionClosed => {
            Failed::Broken("the server ends the connection in the TLS handshake".to_string())
        }
        other => Failed::Broken(format!("what answers does not speak TLS as it should: {other:?}")),
    }
}

/// The connection, as the library wants it.
struct Wire(TcpStream);

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl embedded_io_async::Read for Wire {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(into).await.map_err(kind)
    }
}

impl embedded_io_async::Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).await.map_err(kind)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await.map_err(kind)
    }
}

fn kind(error: io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionReset => ErrorKind::ConnectionReset,
        _ => ErrorKind::Other,
    }
}

/// Verifies nothing, and has no certificate of its own.
struct Trusting(Random);

impl CryptoProvider for Trusting {
    type CipherSuite = Aes128GcmSha256;
    type Signature = Vec<u8>;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.0
    }
}

/// The kernel's random numbers.
struct Random;

impl CryptoRng for Random {}

impl rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        getrandom::u32().unwrap_or_else(|_| no_chance())
    }

    fn next_u64(&mut self) -> u64 {
        getrandom::u64().unwrap_or_else(|_| no_chance())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap_or_else(|_| no_chance());
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// No kernel that runs containers is without random numbers, and nothing is to be kept secret without them.
fn no_chance() -> ! {
    std::process::abort()
}
