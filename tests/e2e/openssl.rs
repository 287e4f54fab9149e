//! Debian's openssl: certificates, and servers that speak a part of TLS.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::servers;

pub(crate) const OPENSSL: &str = "/usr/bin/openssl";

/// Long enough for any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const RSA: &[&str] = &["-newkey", "rsa:2048"];
pub(crate) const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
pub(crate) const P384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"];
pub(crate) const ED25519: &[&str] = &["-newkey", "ed25519"];

/// `NAME.key`, and in `NAME.crt` a certificate for nobody that nobody has signed but itself.
pub(crate) fn certificate(dir: &Path, name: &str, kind: &[&str]) {
    let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
    let request = ["req", "-x509", "-nodes", "-subj", "/CN=nobody", "-days", "1", "-keyout", &key, "-out", &crt];
    run(dir, &[&request, kind].concat());
}

/// One whose day is long past.
pub(crate) fn expired(dir: &Path, name: &str) {
    let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
    run(dir, &[&["req", "-nodes", "-subj", "/CN=nobody", "-keyout", &key, "-out", &csr], P256].concat());
    let settings = "[ca]\ndefault_ca = a\n[a]\ndatabase = index\nserial = serial\npolicy = p\ndefault_md = sha256\n\
                    [p]\ncommonName = supplied\n";
    for (file, text) in [("ca", settings), ("index", ""), ("serial", "01\n")] {
        fs::write(dir.join(file), text).expect("a file");
    }
    let day = ["-startdate", "20000101000000Z", "-enddate", "20000102000000Z"];
    let signed = ["ca", "-config", "ca", "-batch", "-selfsign", "-outdir", ".", "-keyfile", &key, "-in", &csr];
    run(dir, &[&signed[..], &day, &["-out", &crt]].concat());
}

fn run(dir: &Path, args: &[&str]) {
    let output = Command::new(OPENSSL).args(args).current_dir(dir).output().expect("openssl starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `openssl s_server`, which does what no other server does: by its arguments, and by its terminal.
pub(crate) struct Openssl {
    server: Child,
    pub(crate) port: u16,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Openssl {
    /// With `NAME.key` and `NAME.crt` of this directory.
    pub(crate) fn new(dir: &Path, name: &str, args: &[&str]) -> Openssl {
        let port = servers::free().port();
        let mut openssl = Command::new(OPENSSL);
        openssl.args(["s_server", "-accept", &format!("127.0.0.1:{port}")]);
        openssl.args(["-key", &format!("{name}.key"), "-cert", &format!("{name}.crt")]).args(args);
        openssl.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = openssl.spawn().expect("openssl starts");
        let stdin = server.stdin.take().expect("a pipe");
        let stdout = BufReader::new(server.stdout.take().expect("a pipe"));
        let (tell, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let openssl = Openssl { server, port, stdin, lines };
        openssl.wait_for("ACCEPT");
        openssl
    }

    /// Until it prints a line that begins so.
    pub(crate) fn wait_for(&self, begin: &str) {
        let next = || self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("openssl does not print {begin}"));
        while !next().starts_with(begin) {}
    }

    /// Typed into its terminal.
    pub(crate) fn types(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).expect("it listens");
        self.stdin.flush().expect("it listens");
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
