//! The status page in a real browser, in peace and in trouble.

use std::process::{Command, Stdio};
use std::{fs, path::Path};

use crate::support::{Colony, Setup, can, sh, sleeper, succeeds};

const BROWSER: &str = "chromium-headless-shell";

/// What a browser makes of the page: its text with the tags, after the page's script has run, and what it complained of.
fn browse(colony: &Colony, picture: &Path) -> (String, String) {
    let url = format!("http://{}/", colony.address());
    let browser = |what: &str| {
        let flags = ["--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=1280,900"];
        let profile = format!("--user-data-dir={}", picture.with_extension("profile").display());
        // In virtual time, so that the script has polled and shown what it got.
        let polled = "--virtual-time-budget=5000";
        let output =
            Command::new(BROWSER).args(flags).args([&profile, polled, what, &url]).stdin(Stdio::null()).output();
        let output = output.expect("the browser runs");
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    browser(&format!("--screenshot={}", picture.display()));
    let (dom, log) = browser("--dump-dom");
    let complaints = log.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
    (dom, complaints)
}

/// The width and the height that a PNG says it has.
fn size(picture: &Path) -> (u32, u32) {
    let bytes = fs::read(picture).expect("the browser wrote it");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 4096, "{} bytes", bytes.len());
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

fn can_browse() -> bool {
    can(&format!("{BROWSER} (Debian's package of that name)"), succeeds(BROWSER, &["--version"]))
}

#[test]
fn a_browser_shows_peace_in_peace() {
    if !can_browse() {
        return;
    }
    let setup = Setup::new().file("web", &sleeper()).file("once", r#"{"args": ["true"], "restartPolicy": "Never"}"#);
    let colony = setup.start();
    colony.wait("the colony to be ready", || (colony.get("/healthz").0 == 200).then_some(()));
    let picture = colony.path("peace.png");
    let (dom, complaints) = browse(&colony, &picture);
    assert_eq!(size(&picture), (1280, 900));
    assert_eq!(complaints, "", "the policy lets the page's own script run");
    for text in [">Ready<", "2 processes: 1 running, 1 completed", ">web<", ">once<", "data-ready=\"true\""] {
        assert!(dom.contains(text), "{text}: {dom}");
    }
}

#[test]
fn a_browser_shows_who_is_in_trouble_since_when_and_why() {
    if !can_browse() {
        return;
    }
    let setup = Setup::new()
        .file("web", &sleeper())
        .file("crash", &sh("exit 7"))
        .file("missing", r#"{"args": ["/nowhere/at/all"]}"#)
        .file("refused", r#"{"arsg": ["<i>x</i>"]}"#)
        .file("<b>evil", &sh("exit 9"));
    let colony = setup.start();
    colony.wait_finding("crash", "CrashLoopBackOff");
    colony.wait_finding("<b>evil", "CrashLoopBackOff");
    colony.wait_finding("missing", "StartError");
    let picture = colony.path("trouble.png");
    let shown = [
        ">Not ready<",
        "CrashLoopBackOff: back-off",
        "exit code 7",
        "StartError",
        "program \"/nowhere/at/all\" not found",
        "the key \"args\" is missing",
        "ago<",
        "&lt;b&gt;evil",
        "<b>BackOff</b><span>back-off restarting: exit code 7</span>",
        "<b>FailedValidation</b><span>refused:1:1: the key",
        ">Warning</td>",
    ];
    // One that crashes is up for a moment now and then.
    let dom = colony.wait("the browser to show all the trouble", || {
        let (dom, complaints) = browse(&colony, &picture);
        assert_eq!((size(&picture), complaints.as_str()), ((1280, 900), ""));
        shown.iter().all(|text| dom.contains(text)).then_some(dom)
    });
    assert!(!dom.contains("<b>evil"), "{dom}");
    let polls = colony.metric(r#"ncolony_http_requests_total{code="200",path="/colony.json"}"#);
    assert!(polls >= Some(1.0), "what the script has shown was looked at: {polls:?}");
}
