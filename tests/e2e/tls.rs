//! What is spoken of TLS, and what is said where it is not enough: the process that asks by HTTPS, and servers that know one
//! thing each.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ncolony::health::https::{Errand, How};
use ncolony::model::{EnvValue, HttpGet, Scheme, Variable};

use crate::openssl::{ED25519, OPENSSL, Openssl, P256, P384, PATIENCE, RSA, certificate, expired};
use crate::support::{BINARY, can};

const SPOKEN: &str = "what is spoken here is TLS 1.2 and 1.3 with AES-GCM or ChaCha20, keys by X25519, P-256 or P-384, and no certificate of \
                      a client";

fn errand(host: &str, port: u16, limit: Duration) -> Errand {
    let what = HttpGet { scheme: Scheme::Https, host: host.into(), port, path: "/".into(), headers: Vec::new() };
    Errand { how: How::Probe, what, limit }
}

/// The process that asks, as the monitor starts it.
fn asker(errand: &Errand) -> Child {
    let birth = errand.birth();
    let [Variable { name, value: EnvValue::Text(value) }] = &birth.env[..] else { panic!("{:?}", birth.env) };
    let mut asker = Command::new(BINARY);
    asker.args(&birth.argv[1..]).env_clear().env(name, value).stdin(Stdio::null());
    asker.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// What it says: `S`, or `F` and why.
fn said(asker: Child) -> String {
    let output = asker.wait_with_output().expect("our child");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("text")
}

fn asked(port: u16) -> String {
    said(asker(&errand("127.0.0.1", port, PATIENCE)))
}

fn can_serve() -> bool {
    can("Debian's openssl", Path::new(OPENSSL).exists())
}

fn certificates() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, kind) in [("rsa", RSA), ("p256", P256), ("p384", P384), ("ed25519", ED25519)] {
        certificate(dir.path(), name, kind);
    }
    expired(dir.path(), "expired");
    dir
}

#[test]
fn whoever_speaks_tls_1_2_or_1_3_is_understood() {
    if !can_serve() {
        return;
    }
    let dir = certificates();
    // More than a record holds: 24 KiB and more.
    let rsa = fs::read_to_string(dir.path().join("rsa.crt")).expect("a certificate");
    fs::write(dir.path().join("chain"), rsa.repeat(30)).expect("a file");
    let servers: &[(&str, &[&str])] = &[
        ("rsa", &["-tls1_2"]),
        ("p256", &["-tls1_2"]),
        ("p384", &["-tls1_2"]),
        ("ed25519", &["-tls1_2"]),
        ("rsa", &["-tls1_3"]),
        ("p256", &["-tls1_3"]),
        ("p384", &["-tls1_3"]),
        ("ed25519", &["-tls1_3"]),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"]),
        ("p256", &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
        ("p256", &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
        ("rsa", &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"]),
        ("rsa", &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"]),
        ("p256", &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
        ("rsa", &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
        ("rsa", &["-tls1_2", "-groups", "X25519"]),
        ("rsa", &["-tls1_2", "-groups", "P-256"]),
        ("rsa", &["-tls1_2", "-groups", "P-384"]),
        ("rsa", &["-tls1_3", "-groups", "X25519"]),
        ("rsa", &["-tls1_3", "-groups", "P-256"]),
        ("rsa", &["-tls1_3", "-groups", "P-384"]),
        // By hashes and signatures that others have left off.
        ("rsa", &["-tls1_2", "-sigalgs", "RSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"]),
        ("rsa", &["-tls1_2", "-sigalgs", "RSA+SHA512"]),
        ("p256", &["-tls1_2", "-sigalgs", "ECDSA+SHA512"]),
        ("rsa", &["-tls1_2", "-cert_chain", "chain"]),
        ("rsa", &["-tls1_3", "-cert_chain", "chain"]),
        ("expired", &["-tls1_2"]),
        ("expired", &["-tls1_3"]),
        // A certificate is asked for, and none is taken for an answer.
        ("rsa", &["-tls1_2", "-verify", "1"]),
        ("rsa", &["-tls1_3", "-verify", "1"]),
        ("rsa", &["-tls1_3", "-num_tickets", "5"]),
        ("rsa", &["-tls1_3", "-record_padding", "4096"]),
        ("rsa", &["-tls1_2", "-split_send_frag", "512"]),
        ("rsa", &["-alpn", "h2,http/1.1"]),
    ];
    for (name, args) in servers {
        let server = Openssl::new(dir.path(), name, &[&["-www"], *args].concat());
        assert_eq!(asked(server.port), "S", "{name} {args:?}");
        // Another name than the certificate's is none the worse.
        assert_eq!(said(asker(&errand("localhost", server.port, PATIENCE))), "S", "{name} {args:?}");
    }
}

#[test]
fn whoever_speaks_another_tls_is_told_what_is_spoken_here() {
    if !can_serve() {
        return;
    }
    let dir = certificates();
    let none = "HandshakeFailure";
    let servers: &[(&str, &[&str], &str)] = &[
        ("rsa", &["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "ProtocolVersion"),
        ("rsa", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "ProtocolVersion"),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"], none),
        ("rsa", &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], none),
        ("rsa", &["-tls1_2", "-groups", "P-521"], none),
        ("rsa", &["-tls1_3", "-groups", "P-521"], none),
        ("rsa", &["-tls1_2", "-Verify", "1"], none),
    ];
    for (name, args, why) in servers {
        let server = Openssl::new(dir.path(), name, &[&["-www"], *args].concat());
        let told = format!("Fthe server ends the TLS handshake ({why}): {SPOKEN}");
        assert_eq!(asked(server.port), told, "{name} {args:?}");
    }
    // One that is too old to know that there are others goes on with its own.
    let old = does(|stream| {
        let hello = [b"\x16\x03\x01\0\x2a\x02\0\0\x26\x03\x02", &[7; 32][..], b"\0\xc0\x13\0"].concat();
        let _ = stream.write_all(&hello);
    });
    let told = format!("Fthe server has another TLS in mind (ServerDoesNotSupportTls12Or13): {SPOKEN}");
    assert_eq!(asked(old), told);
    // This one says so after our hands were shaken.
    let server = Openssl::new(dir.path(), "rsa", &["-www", "-tls1_3", "-Verify", "1"]);
    let told = asked(server.port);
    assert_eq!(told, "Fthe connection was lost: received fatal alert: CertificateRequired");
}

#[test]
fn new_keys_in_the_middle_are_followed() {
    if !can_serve() {
        return;
    }
    let dir = certificates();
    let mut server = Openssl::new(dir.path(), "rsa", &["-tls1_3", "-msg"]);
    let asker = asker(&errand("127.0.0.1", server.port, PATIENCE));
    server.wait_for("GET ");
    server.types("K\n");
    server.wait_for(">>> ");
    server.types("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(said(asker), "S");
}

#[test]
fn an_end_without_a_farewell_is_an_end_where_the_answer_was_whole() {
    if !can_serve() {
        return;
    }
    let dir = certificates();
    for (answer, told) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall\n", "S"),
        ("HTTP/1.1 200 OK\r\n\r\nall\n", "S"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome\n", "Fthe answer broke off within its body"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            // It tells of each record that it sends.
            let mut server = Openssl::new(dir.path(), "rsa", &["-msg", version]);
            let asker = asker(&errand("127.0.0.1", server.port, PATIENCE));
            server.wait_for("GET ");
            server.types(answer);
            server.wait_for(">>> ");
            // It closes the connection, and says nothing.
            server.types("Q\n");
            assert_eq!(said(asker), told, "{answer:?} {version}");
        }
    }
}

/// Something that does this with whoever connects, and where it is.
fn does(what: impl Fn(&mut TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Else what it has sent would be taken back.
            let _ = stream.read(&mut [0; 4096]);
            what(&mut stream);
        }
    });
    port
}

#[test]
fn what_is_no_tls_is_told_for_what_it_is() {
    let says = |bytes: &'static [u8]| does(move |stream| _ = stream.write_all(bytes));
    let corrupt = "Fwhat answers does not speak TLS: received corrupt message of type";
    for (port, told) in [
        (says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), corrupt),
        (says(b"SSH-2.0-OpenSSH_9.2p1\r\n"), corrupt),
        (says(&[0xff; 64]), corrupt),
        (says(&[0; 20_000]), corrupt),
        // Records that hold nothing of a handshake.
        (says(b"\x16\x03\x03\xff\xff"), corrupt),
        (says(b"\x16\x03\x03\0\x04\x02\0\0\0"), corrupt),
        (says(b"\x17\x03\x03\0\x01x"), "Fwhat answers does not speak TLS as it should: "),
        (says(b"\x15\x03\x03\0\x02\x02\x50"), "Fthe server ends the TLS handshake: InternalError"),
        (says(b""), "Fthe server ends the connection in the TLS handshake"),
        (says(b"\x16\x03\x03\0\x30"), "Fthe server ends the connection in the TLS handshake"),
    ] {
        let said = asked(port);
        assert!(said.starts_with(told), "{said}");
    }
}

#[test]
fn a_handshake_that_stalls_has_its_time() {
    let hours = Duration::from_secs(3600);
    let silent = does(move |_| thread::sleep(hours));
    // The beginning of a record, and never more.
    let slow = does(move |stream| {
        let _ = stream.write_all(b"\x16\x03\x03\0\x30\x02");
        thread::sleep(hours);
    });
    for port in [silent, slow] {
        let limit = Duration::from_millis(500);
        assert_eq!(said(asker(&errand("127.0.0.1", port, limit))), "Fno answer within 0.5 s");
    }
}
