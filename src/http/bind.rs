use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use crate::cli::Listen;

/// Opens what [`serve`](super::serve) listens on, non-blocking; nothing for [`Listen::Off`]. Port 0 is any free port:
/// ask a listener which.
///
/// # Errors
/// The kernel's, such as that the port is taken.
pub fn bind(at: Listen) -> io::Result<Vec<TcpListener>> {
    // `TcpListener::bind` sets SO_REUSEADDR, so that a monitor's old connections do not keep the next one out.
    let listeners = match at {
        Listen::Off => Vec::new(),
        Listen::At(address) => vec![TcpListener::bind(address)?],
        Listen::All(port) => all(port)?,
    };
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok(listeners)
}

/// IPv6 and IPv4 where there are both, else IPv4.
fn all(port: u16) -> io::Result<Vec<TcpListener>> {
    let six = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(listener) => listener,
        // These would befall IPv4 too.
        Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => return Err(error),
        Err(_) => return Ok(vec![TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?]),
    };
    // Most systems have one socket for both, and this one's port is then in use; net.ipv6.bindv6only wants two.
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, six.local_addr()?.port())) {
        Ok(four) => Ok(vec![six, four]),
        Err(_) => Ok(vec![six]),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::bind;
    use crate::cli::Listen;

    // W12
    #[test]
    fn all_addresses_means_ipv4_too() {
        let listeners = bind(Listen::All(0)).expect("a free port");
        let port = listeners[0].local_addr().expect("its address").port();
        assert_ne!(port, 0);
        TcpStream::connect(("127.0.0.1", port)).expect("IPv4 reaches it");
        if listeners[0].local_addr().expect("its address").is_ipv6() {
            TcpStream::connect(("::1", port)).expect("so does IPv6");
        }
    }

    // W04
    #[test]
    fn a_taken_port_is_an_error_and_off_is_no_socket() {
        let listeners = bind(Listen::At("127.0.0.1:0".parse().expect("an address"))).expect("a free port");
        let port = listeners[0].local_addr().expect("its address").port();
        let error = bind(Listen::All(port)).expect_err("it is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(bind(Listen::Off).expect("nothing to do").is_empty());
    }
}
