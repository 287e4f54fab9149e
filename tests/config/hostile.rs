//! What is no process file, and texts made to hurt. Each must be judged in little time.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use ncolony::config;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::DEFAULTS;
use super::directory::{Rig, names};

/// Fifty milliseconds are promised for a release build; this one checks every arithmetic and shares its machine.
const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 50 });

/// What this thread has spent: other tests and other people's work do not count.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("a number");
    let of = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).expect("a span"));
    of(usage.user_time()) + of(usage.system_time())
}

// C07, C08
#[test]
fn what_is_no_regular_file_is_never_opened() {
    let mut rig = Rig::new();
    rig.write("good", "args: [a]");
    nix::unistd::mkfifo(&rig.dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _socket = UnixListener::bind(rig.dir.join("socket")).expect("a socket");
    symlink("/dev/zero", rig.dir.join("zero")).expect("a link");
    symlink("fifo", rig.dir.join("link")).expect("a link");
    let began = Instant::now();
    let scan = rig.scan();
    assert!(began.elapsed() < LIMIT);
    assert_eq!(names(&scan), ["good"]);
    let errors: Vec<&str> = scan.errors.iter().map(|error| error.summary.as_str()).collect();
    assert_eq!(
        errors,
        [
            "fifo: is a FIFO, not a regular file",
            "link: is a FIFO, not a regular file",
            "socket: is a socket, not a regular file",
            "zero: is a device, not a regular file",
        ]
    );
}

// C07
#[test]
fn no_more_is_read_than_a_process_file_may_hold() {
    let mut rig = Rig::new();
    let sparse = fs::File::create(rig.dir.join("sparse")).expect("a file");
    sparse.set_len(1 << 30).expect("a size");
    // Says that it is empty, and goes on and on.
    symlink("/proc/kallsyms", rig.dir.join("endless")).expect("a link");
    rig.write("just", format!("# {}\nargs: [a]", "x".repeat(config::MAX_FILE - 12)));
    let began = Instant::now();
    let scan = rig.scan();
    assert!(began.elapsed() < 3 * LIMIT);
    assert_eq!(names(&scan), ["just"]);
    assert!(scan.errors.iter().any(|error| error.summary == "sparse: larger than 262144 bytes"), "{:?}", scan.errors);
    assert_eq!(scan.errors.len(), 2, "{:?}", scan.errors);
}

// C16
#[test]
fn texts_made_to_hurt_are_judged_in_little_time() {
    let bomb: String =
        (1..10).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let wide = "x".repeat(200_000);
    let texts: Vec<(&str, String)> = vec![
        ("alias bomb", format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{bomb}args: [a]")),
        ("text bomb", format!("a: &a \"{wide}\"\nb: [{}]\nargs: [a]", "*a, ".repeat(9000))),
        ("anchored nests", format!("{}x", "&a [".repeat(30))),
        ("deep map", "{a: ".repeat(50_000)),
        ("deep yaml map", format!("x: {}", "{a: ".repeat(50_000))),
        ("deep block map", (0..600).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("deep list", format!("x: {}", "[".repeat(200_000))),
        ("deep json", format!("{{\"x\": {}", "[".repeat(200_000))),
        ("indentless lists", format!("x:\n{}", "- ".repeat(100_000))),
        ("complex keys", "? ".repeat(100_000)),
        ("many values", format!("{{\"args\": [\"a\"], \"x\": [{}1]}}", "1,".repeat(100_000))),
        ("many keys", (0..30_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("many keys that are nearly ours", (0..9_000).map(|n| format!("argz{n}: 1\n")).collect()),
        ("many keys twice", format!("args: [a]\n{}", "kk: 1\n".repeat(4_900))),
        (
            "many mistakes on a line of secrets",
            format!(
                "{{\"env\": {{{}}}, \"backoff\": {{{}\"z\": 1}}}}",
                (0..3500).map(|n| format!("\"E{n}\": \"secret {n}\",")).collect::<String>() + "\"Z\": \"\"",
                (0..900).map(|n| format!("\"k{n}\": 1,")).collect::<String>()
            ),
        ),
        ("many documents", "---\na\n".repeat(40_000)),
        ("many comments", "# x\n".repeat(60_000)),
        ("many anchors", (0..15_000).map(|n| format!("- &a{n} x\n")).collect()),
        ("many quotes", format!("x: {}", "''".repeat(120_000))),
        ("one long key", format!("{wide}: 1")),
        ("one long number", format!("{{\"uid\": {}}}", "9".repeat(200_000))),
        ("one long escape", format!("{{\"x\": \"{}\"}}", "\\u0041".repeat(40_000))),
        ("many spaces", format!("x:{}", " ".repeat(250_000))),
        ("many line ends", "\n".repeat(250_000)),
        ("many colons", ": ".repeat(120_000)),
        ("many commas", format!("[{}", ",".repeat(250_000))),
        ("a folded text", format!("x: >\n{}", " a\n\n".repeat(60_000))),
        ("many tabs", "\t".repeat(250_000)),
        (
            "many references",
            format!("command: [a]\nargs: [{}]\nenv: {{A: \"{}\"}}", "$(A)$(A), ".repeat(3000), "x".repeat(60_000)),
        ),
        (
            "references to references",
            format!(
                "command: [a]\nenv:\n  A: xxxxxxxx\n{}",
                (0..200)
                    .map(|n| {
                        let before = if n == 0 { "A".to_string() } else { format!("B{}", n - 1) };
                        format!("  B{n}: \"{}\"\n", format!("$({before})").repeat(50))
                    })
                    .collect::<String>()
            ),
        ),
    ];
    for (what, text) in texts {
        let text = text.get(..config::MAX_FILE).unwrap_or(&text);
        let began = cpu_time();
        let verdict = config::parse("web", text.as_bytes(), &DEFAULTS);
        let spent = cpu_time() - began;
        println!("{what}: {spent:?}");
        assert!(verdict.is_err(), "{what} is taken");
        assert!(spent < LIMIT, "{what}: {spent:?}");
    }
}

// C01, C16
#[test]
fn mutilated_files_are_judged_without_a_panic() {
    let seeds = [
        include_str!("../fixtures/bad/types.json").to_string(),
        include_str!("../fixtures/bad/types.yaml").to_string(),
        include_str!("../fixtures/bad/misspelt.yaml").to_string(),
        "a: &a [\"x\\u00e9\", 'é', |\n  x\n]\r\nargs: *a\nenv: {? A : b}\n# ü\n".to_string(),
    ];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("small")
    };
    for _ in 0..4000 {
        let mut bytes = seeds[random(seeds.len())].clone().into_bytes();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = b"{}[]\",:&*!|>'%@`#- \n\t\\\xc3\xa9\x00\xff"[random(26)],
                2 => bytes.insert(at, b"{}[]\",:&*!|>'%@`#- \n"[random(20)]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        let shown: String = match config::parse("web", &bytes, &DEFAULTS) {
            Ok(manifest) => manifest.warnings.iter().map(|diagnostic| diagnostic.to_string()).collect(),
            Err(found) => found.iter().map(|diagnostic| diagnostic.to_string()).collect(),
        };
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}

// C07
#[test]
fn a_file_that_is_written_while_it_is_read_ends() {
    let mut rig = Rig::new();
    let path = rig.dir.join("grows");
    let mut file = fs::File::create(&path).expect("a file");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        while !seen.load(std::sync::atomic::Ordering::Relaxed)
            && file.metadata().is_ok_and(|found| found.len() < 1 << 26)
        {
            file.write_all(&[b'#'; 65536]).expect("room");
        }
    });
    let scan = (0..100).map(|_| rig.scan()).find(|scan| !scan.errors.is_empty()).expect("an error");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().expect("the writer");
    assert_eq!(names(&scan), [""; 0]);
}
