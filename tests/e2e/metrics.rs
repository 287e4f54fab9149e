//! What `/metrics` says of a colony through all that can happen to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::{Colony, Setup, can, lives, send, series, sh, sleeper, succeeds};

/// An exposition, taken apart.
pub(crate) struct Scrape {
    text: String,
    /// The type of each family.
    kinds: BTreeMap<String, String>,
    /// Every series as it stands there, and its value.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) fn of(colony: &Colony) -> Scrape {
        let (code, text) = colony.get("/metrics");
        assert_eq!(code, 200, "{text}");
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let kinds = kinds.map(|(name, kind)| (name.to_string(), kind.to_string())).collect();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
            (series.to_string(), value.parse().unwrap_or_else(|_| panic!("no number: {line:?}")))
        });
        let samples: Vec<(String, f64)> = samples.collect();
        let (lines, samples) = (samples.len(), samples.into_iter().collect::<BTreeMap<_, _>>());
        assert_eq!(samples.len(), lines, "a series stands there twice:\n{text}");
        Scrape { text, kinds, samples }
    }

    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// Series that count: those of counters, and of histograms all.
    fn counters(&self) -> impl Iterator<Item = (&String, f64)> {
        let counts = |series: &str| {
            let name = series.split('{').next().unwrap_or(series);
            let of = |name: &str| self.kinds.get(name).map(String::as_str);
            let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part));
            of(name) == Some("counter") || parts.into_iter().any(|name| of(name) == Some("histogram"))
        };
        self.samples.iter().filter(move |(series, _)| counts(series)).map(|(series, value)| (series, *value))
    }

    /// The families that there are, each with the names of its labels; of a histogram without what makes it one.
    fn families(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut families = BTreeMap::new();
        for series in self.samples.keys() {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let whole = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            let name = whole.filter(|whole| self.kinds.contains_key(*whole)).unwrap_or(name);
            // No value in these tests has a quote in it.
            let keys = labels.split('"').step_by(2).filter_map(|key| key.trim_start_matches(',').strip_suffix('='));
            let keys = keys.filter(|key| *key != "le").map(str::to_string);
            families.entry(name.to_string()).or_insert_with(BTreeSet::new).extend(keys);
        }
        families
    }

    /// Whether a process has a series.
    fn mentions(&self, process: &str) -> bool {
        let labels = ["process", "schedule"].map(|label| format!("{label}=\"{process}\""));
        self.samples.keys().any(|series| labels.iter().any(|label| series.contains(label)))
    }
}

/// Scrapes again and again, and holds each scrape against the one before.
struct Witness<'a> {
    colony: &'a Colony,
    last: Scrape,
    /// Processes that have been removed: their series may go.
    removed: BTreeSet<&'static str>,
    scrapes: usize,
}

impl<'a> Witness<'a> {
    fn of(colony: &'a Colony) -> Witness<'a> {
        Witness { colony, last: Scrape::of(colony), removed: BTreeSet::new(), scrapes: 1 }
    }

    fn look(&mut self) {
        let next = Scrape::of(self.colony);
        for (series, before) in self.last.counters() {
            match next.value(series) {
                Some(now) => assert!(now >= before, "{series} went from {before} to {now}\n{}", self.colony.log()),
                None => {
                    let may_go = self.removed.iter().any(|name| series.contains(&format!("=\"{name}\"")));
                    assert!(may_go, "{series} has gone\n{}", self.colony.log());
                }
            }
        }
        self.last = next;
        self.scrapes += 1;
    }

    fn wait(&mut self, series: &str, good: impl Fn(f64) -> bool) {
        self.colony.wait(&format!("{series} to be as expected"), || {
            self.look();
            self.last.value(series).filter(|value| good(*value))
        });
    }

    /// Waits until a process has no series.
    fn wait_gone(&mut self, process: &'static str) {
        self.removed.insert(process);
        self.colony.wait(&format!("no series to be of {process}"), || {
            self.look();
            (!self.last.mentions(process)).then_some(())
        });
    }
}

/// It and its children use some processor time.
const BUSY: &str = "while :; do i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done; sh -c 'exit 0'; sleep 0.05; done";
const LIMITED: &str = r#"{"args": ["sleep", "1000"], "resources": {"limits": {"memory": "1Gi"}}}"#;

const MISSING: &str = r#"{"args": ["/no"]}"#;
const PROBED: &str = r#"{"args": ["sleep", "1000"], "readinessProbe": {"exec": {"command": ["true"]}}}"#;

/// A colony with one of everything.
fn various() -> Setup {
    let setup = Setup::new().flags(&["--minrestartdelay", "0.05", "--maxrestartdelay", "0.2"]);
    let beat = setup.path("beat").display().to_string();
    let script = format!("while :; do touch {beat}; sleep 0.1; done");
    let beating = serde_json::json!({
        "args": ["sh", "-c", script], "env_inherit": ["PATH"],
        "ncolony.beatcheck": {"period": 30, "grace": 1, "status": beat},
    });
    let job = r#"{"args": ["sh", "-c", "echo done"], "schedule": {"every": 0.5}, "env_inherit": ["PATH"]}"#;
    let once = r#"{"args": ["true"], "restartPolicy": "OnFailure"}"#;
    let crash = "i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done; exit 3";
    let files = [("beating", beating.to_string()), ("crash", sh(crash)), ("steady", sh(BUSY))];
    let files = files.iter().map(|(name, text)| (*name, text.as_str()));
    let others = [("job", job), ("once", once), ("limited", LIMITED), ("probed", PROBED), ("missing", MISSING)];
    let files = files.chain(others);
    files.fold(setup, |setup, (name, text)| setup.file(name, text))
}

#[test]
fn counters_never_go_back_and_what_is_removed_leaves_no_series() {
    let colony = various().start();
    let mut witness = Witness::of(&colony);
    witness.wait(&series("restarts_total", "crash"), |restarts| restarts >= 2.0);
    witness.wait(&series("start_failures_total", "missing"), |failures| failures >= 2.0);
    witness.wait(r#"ncolony_schedule_runs_total{schedule="job"}"#, |runs| runs >= 2.0);
    witness.wait(&series("starts_total", "steady"), |starts| starts == 1.0);

    // An edit that ends the run, one that does not, a request, a signal from elsewhere.
    let edited = sh(&format!("{BUSY} # edited"));
    let ungated = edited.replace('{', "{\"readinessGate\": false, ");
    colony.write("steady", &edited);
    witness.wait(&series("starts_total", "steady"), |starts| starts == 2.0);
    colony.write("steady", &ungated);
    witness.wait(&series("observed_generation", "steady"), |generation| generation == 3.0);
    colony.message("one", r#"{"type": "RESTART", "name": "steady"}"#);
    witness.wait(&series("starts_total", "steady"), |starts| starts == 3.0);
    // The log may be behind.
    let third = colony.wait("its third run", || colony.pid_of("steady").filter(|pid| lives(*pid)));
    send(third, Signal::SIGKILL);
    witness.wait(&series("starts_total", "steady"), |starts| starts == 4.0);
    witness.wait(r#"ncolony_process_exits_total{process="steady",reason="signal"}"#, |exits| exits == 1.0);
    witness.wait(r#"ncolony_process_exits_total{process="steady",reason="requested"}"#, |exits| exits == 2.0);

    // A file that is bad for a while.
    colony.write("steady", "{");
    witness.wait("ncolony_config_file_errors", |errors| errors == 1.0);
    colony.write("steady", &edited);
    witness.wait("ncolony_config_file_errors", |errors| errors == 0.0);
    witness.wait(&series("starts_total", "steady"), |starts| starts == 4.0);

    // Another name is another process.
    fs::rename(colony.path("config/steady"), colony.path("config/renamed")).expect("it is there");
    witness.wait(&series("up", "renamed"), |up| up == 1.0);
    witness.wait_gone("steady");
    colony.write("steady", &sleeper());
    witness.wait(&series("starts_total", "steady"), |starts| starts == 1.0);
    for process in ["crash", "job", "beating", "limited", "probed", "missing"] {
        colony.remove(process);
        witness.wait_gone(process);
    }
    assert!(witness.scrapes > 20, "{}", witness.scrapes);
}

/// Name and labels of each metric that the README explains.
fn explained() -> BTreeMap<String, BTreeSet<String>> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let rows = readme.lines().skip_while(|line| *line != "| metric | labels | meaning |").skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| line.split('|').collect::<Vec<_>>());
    let explained = rows.flat_map(|cells| {
        let labels: BTreeSet<String> =
            cells[2].split(',').map(|label| label.trim().to_string()).filter(|label| !label.is_empty()).collect();
        cells[1].split('`').skip(1).step_by(2).map(move |name| (name.to_string(), labels.clone())).collect::<Vec<_>>()
    });
    explained.collect()
}

#[test]
fn every_family_has_the_labels_that_the_readme_says_and_promtool_finds_nothing_to_say() {
    let colony = various().start();
    colony.message("bad", "{");
    colony.wait_metric(&series("restarts_total", "crash"), |restarts| restarts >= 2.0);
    colony.wait_metric(r#"ncolony_schedule_last_success_timestamp_seconds{schedule="job"}"#, |at| at > 1e9);
    colony.wait_metric(&series("heartbeat_timestamp_seconds", "beating"), |at| at > 1e9);
    colony.wait_metric(&series("start_failures_total", "missing"), |failures| failures >= 1.0);
    colony.wait_metric(r#"ncolony_process_probe_healthy{process="probed",probe_type="Readiness"}"#, |well| well == 1.0);
    colony.write("refused", "{");
    colony.wait_metric("ncolony_config_file_errors", |errors| errors == 1.0);
    colony.wait_metric(&series("open_fds", "limited"), |fds| fds == 3.0);
    let scrape = Scrape::of(&colony);
    let mut families = scrape.families();
    // Where this test runs there may be no cgroups to be had; `e2e::limits` has them.
    families.insert("ncolony_process_working_set_bytes".into(), BTreeSet::from(["process".into()]));
    assert_eq!(families, explained());

    if can("promtool, of Debian's package prometheus", succeeds("promtool", &["--version"])) {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut promtool = promtool.spawn().expect("it is there");
        promtool.stdin.take().expect("a pipe").write_all(scrape.text.as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}
