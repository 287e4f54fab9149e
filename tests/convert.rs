//! `ncolony convert`, by its binary: what it makes of each format, what it says of bad input, and of configurations as
//! Debian's packages have them. `NCOLONY_BLESS=1` writes the golden files anew.

mod needs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ncolony::config::{self, Defaults, Directory, Trust};
use ncolony::model::{Exit, Moment, ProcessSpec, Restart};
use tempfile::tempdir;

use needs::can;

/// What a conversion came to.
struct Made {
    status: i32,
    stdout: String,
    stderr: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert")
}

/// Runs the program in the fixtures' directory, which is called ROOT in what it says.
fn convert(words: &[&str]) -> Made {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    let output = command.arg("convert").args(words).current_dir(fixtures()).output().expect("the binary starts");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.replace(&fixtures().display().to_string(), "/ROOT")
    };
    let status = output.status.code().expect("an exit code");
    Made { status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Compares with a golden file, or writes it.
fn golden(file: &str, found: &str) {
    let path = fixtures().join(file);
    if std::env::var_os("NCOLONY_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, found).expect("a place for the fixture");
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{file}");
}

/// Every document of a stream is a good process file.
fn all_are_good(stream: &str) -> usize {
    let documents: Vec<&str> = stream.split("---\n").filter(|document| !document.is_empty()).collect();
    for document in &documents {
        let file = document.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a name");
        if let Err(found) = config::parse(file, document.as_bytes(), &Defaults::STANDARD) {
            panic!("{document}\n{}", found.iter().map(|one| one.summary()).collect::<Vec<_>>().join("\n"));
        }
    }
    documents.len()
}

/// Converts files of these names and texts, in a directory of their own.
fn made_of(files: &[(&str, &str)]) -> Made {
    let dir = tempdir().expect("a directory");
    let write = |(name, text): &(&str, &str)| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_string()
    };
    let paths: Vec<String> = files.iter().map(write).collect();
    convert(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What the monitor makes of the one process of a conversion.
fn spec(made: &Made) -> ProcessSpec {
    assert!(made.status < 2, "{}", made.stderr);
    assert_eq!(all_are_good(&made.stdout), 1, "{}", made.stdout);
    let document = made.stdout.trim_start_matches("---\n");
    config::parse("a", document.as_bytes(), &Defaults::STANDARD).expect("it was parsed already").spec
}

/// Those of some exit codes, 128 + n for signal n, that another run follows, in a schedule before its next time.
fn followed(spec: &ProcessSpec) -> Vec<u8> {
    let is_followed = |code: &u8| {
        let by_policy = match spec.restart {
            Restart::Always => *code != 0 || spec.schedule.is_none(),
            Restart::OnFailure => *code != 0,
            Restart::Never => false,
        };
        by_policy || spec.restart_rules.iter().any(|rule| rule.matches(Exit::Code(*code)))
    };
    [0, 1, 3, 9, 134, 139, 143].into_iter().filter(is_followed).collect()
}

/// The number of processes of a directory, which has nothing wrong with it.
fn good_files(dir: &Path) -> usize {
    let scan = Directory::new(dir, Defaults::STANDARD, Trust::default()).scan(Moment::ZERO);
    assert!(scan.errors.is_empty() && scan.dir_error.is_none(), "{:?}", scan.errors);
    scan.files
}

#[test]
fn each_format_becomes_process_files_and_notes() {
    let rows: &[(&str, &[&str])] = &[
        ("supervisord", &["supervisord/supervisord.conf"]),
        ("procfile", &["procfile/Procfile"]),
        ("compose", &["compose/compose.yaml"]),
        (
            "systemd",
            &[
                "systemd/web.service",
                "systemd/db.service",
                "systemd/report.service",
                "systemd/report.timer",
                "systemd/x@one.service",
            ],
        ),
        ("s6", &["s6"]),
        ("runit", &["runit/web"]),
    ];
    for (name, words) in rows {
        let made = convert(words);
        assert!(made.status < 2, "{name}: {}", made.stderr);
        golden(&format!("{name}.expected.yaml"), &made.stdout);
        golden(&format!("{name}.expected.notes"), &made.stderr);
        assert!(all_are_good(&made.stdout) > 0, "{name}");
        // All together, as the monitor would have them.
        let dir = tempdir().expect("a directory");
        let out = dir.path().join("new/files");
        let made = convert(&[words, &["--output", out.to_str().expect("UTF-8")][..]].concat());
        assert_eq!(made.stdout, "", "{name}");
        assert!(good_files(&out) > 0, "{name}");
    }
}

#[test]
fn the_exit_status_says_whether_something_was_lost() {
    let dir = tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_string()
    };
    let good = write("good.service", "[Service]\nExecStart=/bin/x\n");
    let made = convert(&[&good]);
    assert_eq!((made.status, made.stderr.as_str()), (0, ""));
    let lost = write("lost.conf", "[program:a]\ncommand=x\npriority=1\n");
    let made = convert(&[&lost]);
    assert_eq!(made.status, 1);
    let told = "lost.conf:3: [program:a] priority: no counterpart: there is no order by numbers";
    assert!(made.stderr.contains(told), "{}", made.stderr);
    assert!(made.stdout.contains("# - priority: there is no order by numbers"), "{}", made.stdout);
    let remark = write("remark.conf", "[program:a]\ncommand=x\nautostart=false\n");
    assert_eq!(convert(&[&remark]).status, 0, "a note is no loss");
    assert_eq!(convert(&[]).status, 2, "usage");
    assert_eq!(convert(&["--from", "upstart", &good]).status, 2, "usage");
}

#[test]
fn bad_input_is_told_with_its_place_and_nothing_is_written() {
    let mut paths: Vec<String> = fs::read_dir(fixtures().join("bad"))
        .expect("the fixtures")
        .map(|entry| format!("bad/{}", entry.expect("an entry").file_name().to_str().expect("UTF-8")))
        .collect();
    paths.extend(["bad/missing.conf".to_string(), "/dev/zero".to_string()]);
    paths.sort();
    let mut told = String::new();
    for path in &paths {
        let dir = tempdir().expect("a directory");
        let out = dir.path().join("out");
        let mut words = vec!["--output", out.to_str().expect("UTF-8"), path.as_str()];
        if path.ends_with(".conf") {
            words.extend(["--from", "supervisord"]);
        }
        let made = convert(&words);
        assert_eq!((made.status, made.stdout.as_str()), (2, ""), "{path}: {}", made.stderr);
        assert!(!out.exists(), "{path}");
        told.push_str(&made.stderr);
    }
    golden("bad.expected", &told);
    let made = convert(&["--from", "s6", "procfile/Procfile"]);
    assert_eq!(made.status, 2);
    assert!(made.stderr.contains("is a file; a service of s6"), "{}", made.stderr);
    let made = convert(&["--from", "supervisord", "runit/web"]);
    assert!(made.status == 2 && made.stderr.contains("is a directory; give the files"), "{}", made.stderr);
}

#[test]
fn a_compose_file_is_known_by_its_name_or_by_its_services_and_what_lies_beside_it_is_named() {
    let dir = tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("a file");
        dir.path().join(name).to_str().expect("UTF-8").to_string()
    };
    let text = "services:\n  web:\n    command: [x, $A]\n";
    for name in ["compose.yml", "docker-compose.yaml", "compose.prod.yaml", "stack.yaml"] {
        let made = convert(&[&write(name, text)]);
        assert_eq!((made.status, made.stderr.contains("ENTRYPOINT")), (0, true), "{name}: {}", made.stderr);
        assert!(made.stdout.contains("\ncommand: [x, \"$(A)\"]\n"), "{name}: {}", made.stdout);
    }
    let made = convert(&[&write("Procfile.web", "services: run\n")]);
    assert!(made.stdout.contains("# services.yaml"), "a process of a Procfile: {}{}", made.stdout, made.stderr);
    write("compose.override.yml", text);
    write(".env", "A=1\n");
    let made = convert(&[&write("compose.yml", text)]);
    assert_eq!(made.status, 1, "{}", made.stderr);
    for told in ["compose.yml: compose.override.yml: no counterpart: ", "compose.yml: .env: no counterpart: "] {
        assert!(made.stderr.contains(told), "{told}: {}", made.stderr);
    }
    // Nothing in it is taken from there.
    let made = convert(&[&write("other.compose.yml", &text.replace('$', ""))]);
    assert_eq!(made.status, 0, "{}", made.stderr);
}

#[test]
fn what_a_compose_file_includes_is_converted_too_and_what_is_not_followed_is_named() {
    let dir = tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_string()
    };
    let service =
        |name: &str, more: &str| format!("services:\n  {name}:\n    command: [x]\n    entrypoint: [y]\n{more}");
    write("db/compose.yaml", &format!("include: [deeper/log.yaml]\n{}", service("db", "    env_file: db.env\n")));
    write("db/deeper/log.yaml", &service("log", ""));
    let web = write(
        "compose.yaml",
        &format!("include:\n  - path: db/compose.yaml\n{}", service("web", "    depends_on: [db]\n")),
    );
    let made = convert(&[&web]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    for told in ["# web.yaml", "# db.yaml", "# log.yaml", &format!("{}/db/db.env", dir.path().display())] {
        assert!(made.stdout.contains(told), "{told}: {}", made.stdout);
    }
    // A file of nothing but other files.
    let made = convert(&["--from", "compose", &write("all.yaml", "include: [compose.yaml]\n")]);
    assert!(made.status == 0 && made.stdout.contains("# log.yaml"), "{}", made.stderr);
    let rows = [
        ("[itself.yaml]", 2, "includes itself"),
        ("[nowhere.yaml]", 2, "nowhere.yaml: cannot be read"),
        ("[db/compose.yaml, db/deeper/log.yaml]", 2, "log"),
        ("[{path: [a.yaml, b.yaml]}]", 1, "compose merges these files"),
        ("[{path: db/compose.yaml, project_directory: .}]", 1, "with a directory or variables of its own"),
        ("[\"https://example.org/compose.git\"]", 1, "this is not followed"),
        ("[{env_file: x}]", 1, "with a directory or variables of its own"),
        ("[{}]", 2, "expected a path"),
    ];
    for (include, status, told) in rows {
        let file = write("itself.yaml", &format!("include: {include}\n{}", service("web", "")));
        let made = convert(&["--from", "compose", &file]);
        assert!(made.status == status && made.stderr.contains(told), "{include}: {} {}", made.status, made.stderr);
    }
}

#[test]
fn a_huge_compose_file_is_told_and_a_large_one_converted() {
    let dir = tempdir().expect("a directory");
    let services = |count: usize| {
        let one = |n: usize| format!("  s{n}:\n    command: x\n");
        let path = dir.path().join(format!("{count}.compose.yaml"));
        fs::write(&path, format!("services:\n{}", (0..count).map(one).collect::<String>())).expect("a file");
        path.to_str().expect("UTF-8").to_string()
    };
    let made = convert(&[&services(2000)]);
    assert_eq!((made.status, all_are_good(&made.stdout)), (0, 2000));
    let made = convert(&[&services(20_000)]);
    assert_eq!((made.status, made.stdout.as_str()), (2, ""));
    assert!(made.stderr.contains("more than 10000 values and keys in one file"), "{}", made.stderr);
}

#[test]
fn what_is_there_is_written_over_only_by_force_and_never_twice() {
    let dir = tempdir().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let words = ["--output", out, "procfile/Procfile"];
    assert_eq!(convert(&words).status, 0);
    assert_eq!(good_files(dir.path()), 3);
    fs::write(dir.path().join("web.yaml"), "args: [mine]\n").expect("a file");
    fs::remove_file(dir.path().join("clock.yaml")).expect("it is there");
    let made = convert(&words);
    assert_eq!(made.status, 2);
    assert!(made.stderr.contains("web.yaml is there already, nothing was written; --force"), "{}", made.stderr);
    assert!(!dir.path().join("clock.yaml").exists());
    assert_eq!(convert(&[&words[..], &["--force"]].concat()).status, 0);
    assert!(fs::read_to_string(dir.path().join("web.yaml")).expect("a file").contains("puma"));
    fs::write(dir.path().join("web.json"), "{\"args\": [\"mine\"]}").expect("a file");
    let made = convert(&[&words[..], &["--force"]].concat());
    assert!(made.status == 2 && made.stderr.contains("web.json describes web already"), "{}", made.stderr);
}

/// Where the files of some of Debian's packages lie: in `NCOLONY_DEBIAN`, or where `.ci/run` unpacks them.
fn debian() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache =
        || Some(var("XDG_CACHE_HOME").or(var("HOME").map(|home| home.join(".cache")))?.join("ncolony-tests/debian"));
    let dir = var("NCOLONY_DEBIAN").or_else(cache).filter(|dir| dir.join("etc/sv").is_dir());
    can("files of Debian's packages, in NCOLONY_DEBIAN (see .ci/run)", dir.is_some()).then_some(dir?)
}

#[test]
fn services_of_debians_packages_are_converted() {
    let Some(debian) = debian() else { return };
    let mut count = 0;
    let lists = ["etc/sv", "usr/share/runit/sv"].map(|dir| debian.join(dir));
    for dir in lists.iter().flat_map(|dir| fs::read_dir(dir).expect("a package's files")) {
        let path = dir.expect("an entry").path();
        if !path.join("run").is_file() {
            continue;
        }
        let made = convert(&[path.to_str().expect("UTF-8")]);
        assert!(made.status < 2, "{}", made.stderr);
        assert_eq!(all_are_good(&made.stdout), 1, "{}", path.display());
        // What lies there is converted or named.
        for (file, told) in [("finish", "/finish: no counterpart"), ("log/run", "/log/run: no counterpart")] {
            assert_eq!(path.join(file).exists(), made.stderr.contains(told), "{}: {}", path.display(), made.stderr);
        }
        assert_eq!(path.join("down").exists(), made.stdout.contains("suspend: true"), "{}", path.display());
        count += 1;
    }
    assert!(count > 20, "{count} services");
    // supervisor's own: the configuration as it is shipped has no program yet, the example has one of each kind.
    let made = convert(&[debian.join("etc/supervisor/supervisord.conf").to_str().expect("UTF-8")]);
    assert_eq!(made.status, 2);
    assert!(made.stderr.contains("there is no [program:NAME] in it"), "{}", made.stderr);
}

/// The keys and values of a unit; what is empty sets nothing.
fn settings(unit: &str) -> Vec<(&str, &str)> {
    let (mut found, mut goes_on) = (Vec::new(), false);
    for line in unit.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if !goes_on && let Some((key, value)) = line.split_once('=').filter(|(_, value)| !value.trim().is_empty()) {
            found.push((key.trim(), value.trim()));
        }
        goes_on = line.ends_with('\\');
    }
    found
}

/// Of what stands in a process file that keeps this setting, one text is there. `None`: no process file does.
fn keeps<'a>(key: &str, value: &'a str) -> Option<Vec<&'a str>> {
    let program = value.split_whitespace().next().unwrap_or_default().trim_start_matches(['-', '@', ':', '+', '!']);
    let name = value.trim_matches(['"', '\'']).split('=').next().unwrap_or_default();
    Some(match key {
        "ExecStart" | "ExecStartPre" | "ExecStartPost" => vec![program],
        "ExecStop" => vec![program, "stopSignal: "],
        // What these ask for is that nothing more is done than to start it.
        "Type" if matches!(value, "simple" | "exec" | "idle" | "oneshot") => vec!["restartPolicy: ", "schedule: "],
        "Type" if value.starts_with("notify") => vec!["notify: {}"],
        // Never is a schedule's default.
        "Restart" if value == "no" => vec!["restartPolicy: Never", "schedule: "],
        "Restart" if value == "always" => vec!["restartPolicy: Always", "operator: NotIn"],
        "Restart" if value == "on-failure" => vec!["restartPolicy: OnFailure", "operator: NotIn"],
        "Restart" => vec!["operator: In"],
        "Environment" => vec![name],
        "EnvironmentFile" => vec!["envFrom:"],
        "WorkingDirectory" => vec!["workingDir: "],
        "User" => vec!["runAsUser: "],
        "Group" => vec!["runAsGroup: "],
        "SupplementaryGroups" => vec!["supplementalGroups:"],
        "AmbientCapabilities" | "CapabilityBoundingSet" => vec!["capabilities:"],
        "NoNewPrivileges" if value == "no" || value == "false" => vec!["restartPolicy: ", "schedule: "],
        "NoNewPrivileges" => vec!["allowPrivilegeEscalation: false"],
        "UMask" => vec!["umask: "],
        "Nice" => vec!["nice: "],
        "OOMScoreAdjust" => vec!["oomScoreAdj: "],
        "LimitNOFILE" => vec!["nofile: "],
        "LimitMEMLOCK" => vec!["memlock: "],
        "LimitCORE" => vec!["core: "],
        "LimitNPROC" => vec!["nproc: "],
        "KillMode" => vec!["killMode: "],
        "KillSignal" => vec!["stopSignal: "],
        "TimeoutStopSec" | "TimeoutSec" => vec!["terminationGracePeriodSeconds: "],
        // As it is here.
        "StartLimitIntervalSec" if value == "0" => vec!["restartPolicy: ", "schedule: "],
        "TimeoutStartSec" if matches!(value, "infinity" | "0") => vec!["restartPolicy: ", "schedule: "],
        "TimeoutStartSec" => vec!["startupProbe:", "activeDeadlineSeconds: "],
        "RestartSec" => vec!["backoff:"],
        "WatchdogSec" => vec!["livenessProbe:"],
        "MemoryMax" | "CPUQuota" => vec!["resources:"],
        "PassEnvironment" => vec!["envInherit: "],
        "RestartPreventExitStatus" | "RestartForceExitStatus" => vec!["restartPolicyRules:"],
        "After" | "Requires" | "Wants" => vec!["dependsOn:"],
        _ => return None,
    })
}

#[test]
fn units_of_debians_packages_are_converted_with_every_setting_kept_or_named() {
    let dir = Path::new("/usr/lib/systemd/system");
    if !can(
        "units of Debian's nginx and redis-server",
        ["nginx", "redis-server"].iter().all(|name| dir.join(format!("{name}.service")).exists()),
    ) {
        return;
    }
    let (mut count, mut seen) = (0, BTreeSet::new());
    for entry in fs::read_dir(dir).expect("units").flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.extension().is_none_or(|end| end != "service") || !text.contains("\nExecStart=") {
            continue;
        }
        // With the timer that starts it, where there is one.
        let both = [path.clone(), path.with_extension("timer")];
        let words: Vec<&str> =
            both.iter().filter(|path| path.exists()).map(|path| path.to_str().expect("UTF-8")).collect();
        let made = convert(&words);
        assert!(made.status < 2, "{}", made.stderr);
        assert_eq!(all_are_good(&made.stdout), 1, "{}", path.display());
        let file: String =
            made.stdout.lines().filter(|line| !line.starts_with('#')).map(|line| line.to_string() + "\n").collect();
        for (key, value) in settings(&text) {
            let is_named = made.stderr.contains(&format!("] {key}: "));
            let is_kept = keeps(key, value).is_some_and(|texts| texts.iter().any(|text| file.contains(text)));
            assert!(is_named || is_kept, "{}: {key}={value}: {}{}", path.display(), made.stdout, made.stderr);
            seen.insert(key.to_string());
        }
        count += 1;
    }
    assert!(count > 10 && seen.len() > 30, "{count} units, {seen:?}");
    let made = convert(&["/usr/lib/systemd/system/redis-server.service"]);
    for line in ["restartPolicy: Always", "rlimits: {nofile: 65535}", "umask: \"007\"", "  runAsUser: redis"] {
        assert!(made.stdout.contains(line), "{line}: {}", made.stdout);
    }
    let made = convert(&["/usr/lib/systemd/system/nginx.service"]);
    assert!(
        made.stderr.contains("[nginx.service] Type: no counterpart: a program that goes into the background"),
        "{}",
        made.stderr
    );
}

const TIMER: (&str, &str) = ("a.timer", "[Timer]\nOnCalendar=daily\n");

#[test]
fn a_run_is_followed_after_the_ends_that_restart_names_with_a_timer_and_without() {
    // The settings, and the exit codes that systemd starts it again after: 134 is SIGABRT, 139 SIGSEGV, 143 SIGTERM.
    let rows: &[(&str, &[u8])] = &[
        ("", &[]),
        ("Restart=no", &[]),
        ("Restart=no\nRestartForceExitStatus=3", &[3]),
        ("Restart=no\nRestartForceExitStatus=3 9\nRestartPreventExitStatus=9", &[3]),
        ("Restart=on-failure\nSuccessExitStatus=3", &[1, 9, 134, 139]),
        ("Restart=on-failure\nRestartPreventExitStatus=9", &[1, 3, 134, 139]),
        ("Restart=on-failure\nSuccessExitStatus=3\nRestartForceExitStatus=0 3", &[0, 1, 3, 9, 134, 139]),
        // An end by SIGTERM is a failure here.
        ("Restart=on-failure", &[1, 3, 9, 134, 139, 143]),
        ("Restart=on-failure\nRestartForceExitStatus=0", &[0, 1, 3, 9, 134, 139, 143]),
        ("Restart=on-success", &[0, 143]),
        ("Restart=on-success\nSuccessExitStatus=3\nRestartPreventExitStatus=SIGTERM", &[0, 3]),
        ("Restart=on-abnormal", &[134, 139]),
        ("Restart=on-abnormal\nRestartPreventExitStatus=SIGSEGV", &[134]),
        ("Restart=on-abort\nSuccessExitStatus=SIGABRT", &[139]),
        ("Restart=on-watchdog", &[]),
        ("Restart=on-watchdog\nRestartForceExitStatus=9", &[9]),
        ("Restart=always", &[0, 1, 3, 9, 134, 139, 143]),
        ("Restart=always\nRestartPreventExitStatus=9", &[0, 1, 3, 134, 139, 143]),
    ];
    for (settings, expected) in rows {
        let service = format!("[Service]\nExecStart=/bin/a\n{settings}\n");
        let service = ("a.service", service.as_str());
        for files in [&[service][..], &[service, TIMER][..]] {
            let made = made_of(files);
            let spec = spec(&made);
            assert_eq!(spec.schedule.is_some(), files.len() == 2, "{settings}: {}", made.stdout);
            assert_eq!(followed(&spec), *expected, "{settings}: {}{}", made.stdout, made.stderr);
        }
    }
    let oneshot = "[Service]\nType=oneshot\nExecStart=/bin/a\nRestart=on-failure\nSuccessExitStatus=3\n";
    let made = made_of(&[("a.service", oneshot), TIMER]);
    assert_eq!(followed(&spec(&made)), [1, 9, 134, 139], "{}", made.stdout);
    // Where it changes nothing, that is said.
    let made = made_of(&[("a.service", "[Service]\nExecStart=/bin/a\nRestartPreventExitStatus=9\n"), TIMER]);
    assert!(made.stderr.contains("] RestartPreventExitStatus: note: "), "{}", made.stderr);
    let made = made_of(&[("a.service", "[Service]\nExecStart=/bin/a\nRestart=on-watchdog\n")]);
    assert!(made.stderr.contains("] Restart: note: there is no WatchdogSec"), "{}", made.stderr);
}

#[test]
fn what_a_probe_ends_and_rules_may_leave_ended_is_named() {
    const NAMED: &str = "] Restart: no counterpart: a run that a failed startup or liveness probe ends";
    let rows = [
        ("Type=notify\nRestart=on-failure\nSuccessExitStatus=3", true),
        ("WatchdogSec=9\nRestart=on-failure\nSuccessExitStatus=3", true),
        ("Type=notify\nTimeoutStartSec=5\nRestart=on-failure\nRestartPreventExitStatus=9", true),
        ("Type=notify\nRestart=on-abnormal", true),
        ("WatchdogSec=9\nRestart=on-watchdog\nRestartPreventExitStatus=9", true),
        // No such probe, or it is followed, or systemd does not follow it either.
        ("Restart=on-abnormal", false),
        ("Restart=on-failure\nSuccessExitStatus=3", false),
        ("Type=notify\nTimeoutStartSec=infinity\nRestart=on-failure\nSuccessExitStatus=3", false),
        ("Type=notify\nRestart=on-failure", false),
        ("Type=notify\nRestart=always\nRestartPreventExitStatus=9", false),
        ("Type=notify\nRestart=on-success", false),
        ("WatchdogSec=9\nRestart=on-abort", false),
        ("WatchdogSec=9\nRestart=no\nRestartForceExitStatus=9", false),
    ];
    for (settings, is_named) in rows {
        let made = made_of(&[("a.service", &format!("[Service]\nExecStart=/bin/a\n{settings}\n"))]);
        assert_eq!(all_are_good(&made.stdout), 1, "{settings}: {}", made.stderr);
        assert_eq!(made.stderr.matches(NAMED).count(), usize::from(is_named), "{settings}: {}", made.stderr);
    }
}

#[test]
fn a_service_that_only_its_watchdog_restarts_is_restarted_by_it_and_what_else_does_is_named() {
    let made = made_of(&[("a.service", "[Service]\nExecStart=/bin/a\nWatchdogSec=9\nRestart=on-watchdog\n")]);
    assert_eq!(spec(&made).restart, Restart::OnFailure, "{}", made.stdout);
    let told = "] Restart: no counterpart: here it is restarted after every failure";
    assert!(made.stderr.contains(told), "{}", made.stderr);
}

#[test]
fn what_a_oneshot_does_after_its_start_is_done_after_it_has_succeeded() {
    let text = "[Service]\nType=oneshot\nExecStart=/bin/a 'x y'\nExecStartPost=/bin/b\nExecStartPost=-/bin/c\n";
    let made = made_of(&[("a.service", text)]);
    assert!(spec(&made).post_start.is_none(), "{}", made.stdout);
    assert!(made.stdout.contains("set -e; /bin/a 'x y'; /bin/b; exec /bin/c"), "{}", made.stdout);
    for told in ["] ExecStartPost: note: a shell does it after ExecStart", "] ExecStartPost: no counterpart: a failure"]
    {
        assert!(made.stderr.contains(told), "{told}: {}", made.stderr);
    }
    // Others are up when it is done: what has no end of its own, and what says itself that it is ready.
    for (kind, is_named) in [("simple", false), ("notify", true)] {
        let text = format!("[Service]\nType={kind}\nExecStart=/bin/a\nExecStartPost=/bin/b\n");
        let made = made_of(&[("a.service", &text)]);
        assert!(spec(&made).post_start.is_some(), "{}", made.stdout);
        let told = "] ExecStartPost: no counterpart: systemd waits with it until the service is ready";
        assert_eq!(made.stderr.contains(told), is_named, "{kind}: {}", made.stderr);
    }
}

#[test]
fn a_name_that_is_handed_down_and_that_nobody_sets_is_empty_and_that_is_named() {
    let made = made_of(&[("a.service", "[Service]\nExecStart=/bin/a\nPassEnvironment=P\n")]);
    assert!(made.stderr.contains("a.service:3: [a.service] PassEnvironment: note: "), "{}", made.stderr);
    let of = |environment: &str, more: &str| {
        let text =
            format!("services:\n  a:\n    command: [x]\n    entrypoint: [y]\n    environment: {environment}\n{more}");
        made_of(&[("compose.yaml", &text)])
    };
    for environment in ["[FOO]", "{FOO: }"] {
        let made = of(environment, "    env_file: a.env\n");
        assert!(made.stdout.contains("envInherit: [\"*\", FOO]"), "{}", made.stdout);
        assert!(made.stderr.contains(" services.a environment.FOO: note: "), "{}", made.stderr);
        assert_eq!(made.status, 0);
        // What all is inherited by leaves it out.
        let made = of(environment, "");
        assert_eq!((made.status, made.stderr.as_str()), (0, ""));
        assert!(made.stdout.contains("envInherit: [\"*\"]"), "{}", made.stdout);
    }
}

/// Settings of a service, with a timer and without: the longest run in seconds, and what is told of it. `named` is told where
/// something is.
fn limits_a_run(named: &str, rows: &[(&str, Option<u64>, &str)]) {
    for (settings, longest, told) in rows.iter().copied() {
        let service = format!("[Service]\nExecStart=/bin/a\n{settings}\n");
        for files in [&[("a.service", service.as_str())][..], &[("a.service", service.as_str()), TIMER][..]] {
            let made = made_of(files);
            let found = spec(&made).active_deadline.map(|longest| longest.as_secs());
            assert_eq!(found, longest, "{settings}: {}", made.stdout);
            assert!(made.stderr.contains(told), "{settings}: {}", made.stderr);
            assert_eq!(made.stderr.contains(named), !told.is_empty(), "{settings}: {}", made.stderr);
        }
    }
}

#[test]
fn a_longest_run_and_a_longest_wait_are_kept_where_they_mean_the_same() {
    let rows = [
        ("RuntimeMaxSec=1min", Some(60), ""),
        ("RuntimeMaxSec=90\nRestart=on-success", Some(90), ""),
        ("RuntimeMaxSec=90\nRestart=on-abort", Some(90), ""),
        ("RuntimeMaxSec=infinity", None, ""),
        ("RuntimeMaxSec=90\nRestart=on-failure", None, "] RuntimeMaxSec: no counterpart: "),
        ("RuntimeMaxSec=90\nRestart=always", None, "] RuntimeMaxSec: no counterpart: "),
        ("Type=oneshot\nRuntimeMaxSec=90", None, "] RuntimeMaxSec: note: "),
        ("Type=oneshot\nRuntimeMaxSec=90\nTimeoutStartSec=30", Some(30), "] RuntimeMaxSec: note: "),
    ];
    limits_a_run("] RuntimeMaxSec", &rows);
    let rows = [("RestartMaxDelaySec=1min", 1, 60), ("RestartSec=2\nRestartSteps=5\nRestartMaxDelaySec=50", 2, 50)];
    for (settings, first, longest) in rows {
        let made = made_of(&[("a.service", &format!("[Service]\nExecStart=/bin/a\nRestart=always\n{settings}\n"))]);
        let backoff = spec(&made).backoff;
        assert_eq!((backoff.initial.as_secs(), backoff.max.as_secs()), (first, longest), "{settings}");
        assert_eq!(made.status, 0, "{settings}: {}", made.stderr);
    }
}

/// Converts the compose file of a service `a`, with these lines for more of it.
fn made_of_service(more: &str) -> Made {
    let text = format!("services:\n  a:\n    command: [x]\n    entrypoint: [y]\n{more}");
    made_of(&[("compose.yaml", &text)])
}

#[test]
fn a_dependency_that_compose_can_do_without_and_that_is_waited_for_here_is_named() {
    const NAMED: &str = "services.a depends_on: no counterpart: b is waited for whatever comes of it";
    for (required, count) in [("false", 1), ("true", 0)] {
        let depends = format!("    depends_on: {{b: {{condition: service_started, required: {required}}}}}\n");
        let made = made_of_service(&format!("{depends}  b:\n    command: [x]\n    entrypoint: [y]\n"));
        assert!(made.stdout.contains("dependsOn:"), "{}", made.stdout);
        assert_eq!((made.status, made.stderr.matches(NAMED).count()), (count, count as usize), "{}", made.stderr);
    }
}

#[test]
fn an_order_of_systemd_that_becomes_a_dependency_is_named() {
    const NAMED: &str = "no counterpart: b is waited for whatever comes of it";
    let rows = [
        (&["After=b.service"][..], Some("After")),
        (&["Wants=b.service", "After=b.service"], Some("Wants")),
        (&["Before=c.service", "After=b.service"], Some("After")),
        // Without it, systemd starts it neither.
        (&["Requires=b.service"], None),
        (&["After=b.service", "Requires=b.service"], None),
        (&["After=b.service", "BindsTo=b.service"], None),
    ];
    for (lines, named) in rows {
        let unit = format!("[Unit]\n{}\n[Service]\nRestart=always\nExecStart=/bin/a\n", lines.join("\n"));
        let other = "[Service]\nRestart=always\nExecStart=/bin/b\n";
        let made = made_of(&[("a.service", &unit), ("b.service", other)]);
        assert!(made.stdout.contains("dependsOn: [b]") || made.stdout.contains("- b\n"), "{lines:?}: {}", made.stdout);
        assert_eq!(made.stderr.matches(NAMED).count(), usize::from(named.is_some()), "{lines:?}: {}", made.stderr);
        assert!(
            named.is_none_or(|key| made.stderr.contains(&format!("] {key}: {NAMED}"))),
            "{lines:?}: {}",
            made.stderr
        );
    }
    // The unit that says it is not the one that waits.
    let first = "[Unit]\nBefore=b.service\n[Service]\nRestart=always\nExecStart=/bin/a\n";
    let made = made_of(&[("a.service", first), ("b.service", "[Service]\nRestart=always\nExecStart=/bin/b\n")]);
    assert!(made.stderr.contains("] Before: no counterpart: a is waited for"), "{}", made.stderr);
}

#[test]
fn of_what_a_service_and_its_deploy_say_differently_the_one_that_is_not_taken_is_named() {
    let limit = |memory: &str| format!("resources: {{limits: {{{memory}}}}}");
    let rows = [
        ("mem_limit: 1g", limit("memory: 64M"), "memory: \"64Mi\"", Some("deploy.resources.limits.memory")),
        ("mem_limit: 1g", limit("cpus: 2"), "memory: \"1Gi\"", None),
        ("mem_limit: 1g", limit("memory: 1g"), "memory: \"1Gi\"", None),
        ("cpus: 2", limit("cpus: 0.5"), "cpu: \"500m\"", Some("deploy.resources.limits.cpus")),
        ("scale: 4", "replicas: 2".to_string(), "\nreplicas: 2\n", Some("deploy.replicas")),
        ("scale: 4", "replicas: 4".to_string(), "\nreplicas: 4\n", None),
        ("scale: 4", "replicas: ".to_string(), "\nreplicas: 4\n", None),
        // What stands for nothing written counts, too.
        ("scale: 0", "replicas: 2".to_string(), "\nreplicas: 2\n", Some("deploy.replicas")),
        ("scale: 4", "replicas: 0".to_string(), "\nsuspend: true\n", Some("deploy.replicas")),
    ];
    for (beside, deploy, kept, winner) in rows {
        let made = made_of_service(&format!("    {beside}\n    deploy: {{{deploy}}}\n"));
        assert!(made.stdout.contains(kept), "{beside}, {deploy}: {}{}", made.stdout, made.stderr);
        let is_both = made.stdout.contains("\nreplicas: ") && made.stdout.contains("\nsuspend: ");
        assert!(!is_both, "{beside}, {deploy}: {}", made.stdout);
        let key = beside.split(':').next().expect("a key");
        let told = winner.map(|winner| format!("compose.yaml:5: services.a {key}: no counterpart: {winner} counts"));
        assert_eq!(made.status, i32::from(told.is_some()), "{beside}, {deploy}: {}", made.stderr);
        assert!(told.is_none_or(|told| made.stderr.contains(&told)), "{beside}, {deploy}: {}", made.stderr);
    }
}

#[test]
fn an_environment_that_sets_nothing_is_told_with_its_place() {
    let rows = [
        ("5", "environment: expected a map, or a list of NAME=VALUE"),
        ("true", "environment: expected a map, or a list of NAME=VALUE"),
        ("A=b", "environment: expected a map, or a list of NAME=VALUE"),
        ("[5]", "environment: expected NAME=VALUE, or a NAME"),
        ("[A=b, true]", "environment: expected NAME=VALUE, or a NAME"),
        ("[\"\"]", "environment: expected NAME=VALUE, or a NAME"),
        ("[\"=b\"]", "environment: expected NAME=VALUE, or a NAME"),
        ("[{A: b}]", "environment: expected NAME=VALUE, or a NAME"),
    ];
    for (environment, told) in rows {
        let made = made_of_service(&format!("    environment: {environment}\n"));
        assert_eq!((made.status, made.stdout.as_str()), (2, ""), "{environment}: {}", made.stderr);
        assert!(made.stderr.contains(&format!("compose.yaml:5: services.a {told}")), "{}", made.stderr);
    }
    for environment in ["", "{}", "[]", "[A=5, B=true]", "{A: 5, B: true}"] {
        let made = made_of_service(&format!("    environment: {environment}\n"));
        assert_eq!((made.status, made.stderr.as_str()), (0, ""), "{environment}");
    }
}

#[test]
fn a_program_of_one_process_with_another_name_keeps_its_own_and_that_is_named() {
    let rows = [
        ("other", Some("supervisord.conf:3: [program:x] process_name: note: it is called x")),
        ("%(ENV_NAME)s", Some("supervisord.conf:3: [program:x] process_name: note: it is called x")),
        ("x", None),
        ("%(program_name)s", None),
    ];
    for (name, told) in rows {
        let text = format!("[program:x]\ncommand=y\nprocess_name={name}\n");
        let made = made_of(&[("supervisord.conf", &text)]);
        assert!(made.status == 0 && made.stdout.contains("# x.yaml\n"), "{name}: {}{}", made.stdout, made.stderr);
        assert_eq!(made.stderr.contains("process_name"), told.is_some(), "{name}: {}", made.stderr);
        assert!(told.is_none_or(|told| made.stderr.contains(told)), "{name}: {}", made.stderr);
    }
}

#[test]
fn a_supervisord_in_the_background_is_named() {
    for (value, status) in [("false", 1), ("true", 0)] {
        let text = format!("[supervisord]\nnodaemon={value}\n[program:x]\ncommand=y\n");
        let made = made_of(&[("supervisord.conf", &text)]);
        assert_eq!(made.status, status, "{}", made.stderr);
        let told = "supervisord.conf:2: [supervisord] nodaemon: no counterpart: ";
        assert_eq!(made.stderr.contains(told), status == 1, "{}", made.stderr);
    }
}

#[test]
fn the_number_of_a_programs_processes_is_written_out() {
    let of = |settings: &str| {
        made_of(&[(
            "supervisord.conf",
            &format!("[program:a]\ncommand=x --of %(numprocs)s %(numprocs)02d\n{settings}\n"),
        )])
    };
    for (settings, expected) in
        [("", "[x, --of, \"1\", \"01\"]"), ("numprocs=4\nprocess_name=a%(process_num)s", "[x, --of, \"4\", \"04\"]")]
    {
        let made = of(settings);
        assert!(made.status < 2 && made.stdout.contains(expected), "{}{}", made.stdout, made.stderr);
    }
    let made = of("numprocs=2\nnumprocs_start=5\nprocess_name=a%(process_num)s");
    assert_eq!(made.stdout.matches("[x, --of, \"2\", \"02\"]").count(), 2, "{}{}", made.stdout, made.stderr);
}

#[test]
fn supervisord_knows_no_setting_that_is_not_known_here() {
    let Some(debian) = debian() else { return };
    let sample = debian.join("usr/share/doc/supervisor/examples/sample.conf");
    // Every setting is in it, most of them behind a semicolon.
    let uncommented = |line: &str| {
        let bare = line.strip_prefix(';').unwrap_or(line);
        let is_setting = bare.starts_with('[') || bare.split('=').next().is_some_and(|key| !key.contains([' ', ';']));
        if is_setting && !bare.is_empty() { bare.to_string() } else { line.to_string() }
    };
    let text: String =
        fs::read_to_string(sample).expect("the example").lines().map(|line| uncommented(line) + "\n").collect();
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("supervisord.conf");
    fs::write(&path, text.replace("=999", "=1").replace("programs=progname1,progname2", "programs=theprogramname"))
        .expect("a file");
    let made = convert(&[path.to_str().expect("UTF-8")]);
    assert_eq!(made.status, 1, "{}", made.stderr);
    assert!(!made.stderr.contains("misspelt"), "{}", made.stderr);
    assert_eq!(all_are_good(&made.stdout), 1);
    for key in ["priority", "startretries", "stdout_logfile", "serverurl", "umask"] {
        let is_named = made.stderr.contains(&format!(" {key}: ")) || made.stdout.contains(&format!("{key}: "));
        assert!(is_named, "{key}: {}{}", made.stdout, made.stderr);
    }
}

/// Converts a service `a` with these settings, and a drop-in with those.
fn made_of_unit(settings: &str, drop_in: &str) -> Made {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("a.service");
    fs::write(&path, format!("[Service]\nExecStart=/bin/a\n{settings}\n")).expect("a file");
    fs::create_dir(dir.path().join("a.service.d")).expect("a directory");
    fs::write(dir.path().join("a.service.d/b.conf"), format!("[Service]\n{drop_in}\n")).expect("a file");
    convert(&[path.to_str().expect("UTF-8")])
}

/// The same without its comments.
fn keys_of_unit(settings: &str, drop_in: &str) -> String {
    let made = made_of_unit(settings, drop_in);
    assert!(made.status < 2 && all_are_good(&made.stdout) == 1, "{settings}: {}{}", made.stdout, made.stderr);
    made.stdout.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_a_later_assignment_of_a_unit_takes_back_is_not_in_force() {
    let rows = [
        ("WatchdogSec=2", "WatchdogSec=0"),
        ("MemoryMax=1G", "MemoryMax=infinity"),
        ("RestartSec=7", "RestartSec=0"),
        ("KillMode=process", "KillMode=control-group"),
        ("KillMode=mixed", "KillMode="),
        ("TimeoutStopSec=5", "TimeoutStopSec=infinity"),
        ("TimeoutStopSec=5", "TimeoutSec=0"),
        ("Type=notify\nTimeoutStartSec=5", "TimeoutSec=7"),
        ("SendSIGKILL=no", "SendSIGKILL=yes"),
        ("StandardInput=tty", "StandardInput=null"),
        ("WorkingDirectory=/a", "WorkingDirectory=~"),
        ("LimitNOFILE=5", "LimitNOFILE=infinity"),
        ("User=a\nUser=b", "User=c"),
        ("RuntimeMaxSec=5", "RuntimeMaxSec=infinity"),
        ("SupplementaryGroups=a b", "SupplementaryGroups=\nSupplementaryGroups=c"),
    ];
    for (first, last) in rows {
        let drop_in = made_of_unit(first, last);
        let kept: String =
            first.lines().filter(|line| line.starts_with("Type=")).map(|line| format!("{line}\n")).collect();
        assert_eq!(keys_of_unit(first, last), keys_of_unit(&kept, last), "{first}, {last}");
        assert_eq!(keys_of_unit(&format!("{first}\n{last}"), ""), keys_of_unit(&kept, last), "{first}, {last}");
        let alone = made_of_unit(&kept, last);
        assert_eq!(drop_in.stderr.lines().count(), alone.stderr.lines().count(), "{first}, {last}: {}", drop_in.stderr);
    }
    // What it waits for is only ever added to.
    let text = "[Unit]\nRequires=b.service\nRequires=\n[Service]\nExecStart=/bin/a\n";
    let made = made_of(&[("a.service", text), ("b.service", "[Service]\nExecStart=/bin/b\n")]);
    assert!(made.stdout.contains("dependsOn: [b]"), "{}{}", made.stdout, made.stderr);
}

#[test]
fn lists_of_a_unit_add_up() {
    let rows = [
        ("SupplementaryGroups=adm", "SupplementaryGroups=video 7", "supplementalGroups: [adm, video, 7]"),
        ("CapabilityBoundingSet=CAP_CHOWN", "CapabilityBoundingSet=CAP_KILL", "{drop: [ALL], add: [CHOWN, KILL]}"),
        (
            "CapabilityBoundingSet=~CAP_SYS_ADMIN",
            "CapabilityBoundingSet=~CAP_CHOWN",
            "capabilities: {drop: [CHOWN, SYS_ADMIN]}",
        ),
        ("CapabilityBoundingSet=CAP_CHOWN CAP_KILL", "CapabilityBoundingSet=~CAP_KILL", "{drop: [ALL], add: [CHOWN]}"),
        ("CapabilityBoundingSet=~CAP_CHOWN CAP_KILL", "CapabilityBoundingSet=CAP_KILL", "{drop: [CHOWN]}"),
        ("CapabilityBoundingSet=CAP_CHOWN", "CapabilityBoundingSet=", "{drop: [ALL]}"),
        ("CapabilityBoundingSet=\nCapabilityBoundingSet=CAP_KILL", "", "{drop: [ALL], add: [KILL]}"),
        ("User=a\nAmbientCapabilities=CAP_CHOWN", "AmbientCapabilities=CAP_KILL", "{add: [CHOWN, KILL]}"),
        (
            "User=a\nCapabilityBoundingSet=CAP_CHOWN CAP_KILL",
            "AmbientCapabilities=CAP_KILL",
            "{drop: [ALL], add: [KILL]}",
        ),
    ];
    for (first, last, expected) in rows {
        let found = keys_of_unit(first, last);
        assert!(found.contains(&format!("{expected}\n")), "{first}, {last}: {found}");
    }
    for nothing in [
        "CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=~",
        "AmbientCapabilities=CAP_CHOWN\nAmbientCapabilities=",
    ] {
        assert!(!keys_of_unit(nothing, "").contains("capabilities"), "{nothing}");
    }
}

#[test]
fn a_procfile_is_known_by_its_name_alone() {
    let dir = tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("a file");
        dir.path().join(name).to_str().expect("UTF-8").to_string()
    };
    for (name, text) in [
        ("web.yaml", "command: run\n"),
        ("pod.yml", "apiVersion: v1\nkind: Pod\n"),
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("processes", "web: run\n"),
        ("mail", "Subject: hello\n\nto: all\n"),
    ] {
        let made = convert(&[&write(name, text)]);
        assert_eq!((made.status, made.stdout.as_str()), (2, ""), "{name}: {}", made.stderr);
        assert!(made.stderr.contains("cannot tell its format"), "{name}: {}", made.stderr);
    }
    for name in ["Procfile", "Procfile.dev", "dev.procfile"] {
        let made = convert(&[&write(name, "web: run\n")]);
        assert_eq!((made.status, made.stdout.contains("# web.yaml")), (0, true), "{name}: {}", made.stderr);
    }
    let made = convert(&["--from", "procfile", &write("processes", "web: run\n")]);
    assert!(made.status == 0 && made.stdout.contains("# web.yaml"), "{}", made.stderr);
}

#[test]
fn the_longest_start_of_a_oneshot_is_its_longest_run_and_of_others_it_is_named() {
    let rows = [
        ("Type=oneshot\nTimeoutStartSec=30", Some(30), ""),
        ("Type=oneshot\nTimeoutSec=30", Some(30), ""),
        ("Type=oneshot\nTimeoutStartSec=infinity", None, ""),
        ("Type=oneshot\nTimeoutStartSec=30\nTimeoutStartSec=0", None, ""),
        (
            "Type=oneshot\nTimeoutStartSec=30\nExecStart=/bin/b",
            Some(30),
            "TimeoutStartSec: note: it is for each command",
        ),
        ("Type=oneshot\nTimeoutStartSec=30\nRestart=on-failure", None, "TimeoutStartSec: no counterpart: "),
        ("TimeoutStartSec=30", None, "TimeoutStartSec: note: a start has no time limit"),
        ("TimeoutStartSec=30\nExecStartPre=/bin/b", None, "TimeoutStartSec: no counterpart: a start has no time limit"),
        ("Type=forking\nTimeoutStartSec=30", None, "TimeoutStartSec: no counterpart: a start has no time limit"),
        ("Type=exec\nTimeoutStartSec=0", None, ""),
    ];
    limits_a_run("] TimeoutStartSec", &rows);
}

#[test]
fn what_foreman_gives_each_process_and_is_not_given_here_is_named() {
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("Procfile");
    fs::write(&file, "web: run -p $PORT\nworker: work\n").expect("a file");
    let told = || convert(&[file.to_str().expect("UTF-8")]);
    let made = told();
    assert_eq!((made.status, made.stdout.matches("env: {PORT:").count()), (0, 1), "{}", made.stderr);
    assert!(made.stderr.contains("Procfile:2: worker PORT: note: foreman would set it to 5100"), "{}", made.stderr);
    fs::write(dir.path().join(".env"), "A=1\n").expect("a file");
    let made = told();
    assert_eq!(made.status, 1);
    assert!(made.stderr.contains("Procfile: .env: no counterpart: "), "{}", made.stderr);
}

#[test]
fn a_restart_that_another_of_its_deploy_takes_the_place_of_is_named() {
    const NAMED: &str = "compose.yaml:5: services.a restart: no counterpart: deploy.restart_policy counts";
    for (restart, condition, policy, is_named) in [
        ("always", "none", Restart::Never, true),
        ("\"no\"", "any", Restart::Always, true),
        ("unless-stopped", "any", Restart::Always, false),
        ("on-failure", "on-failure", Restart::OnFailure, false),
    ] {
        let deploy = format!("    restart: {restart}\n    deploy: {{restart_policy: {{condition: {condition}}}}}\n");
        let made = made_of_service(&deploy);
        assert_eq!((spec(&made).restart, made.status), (policy, i32::from(is_named)), "{restart}: {}", made.stderr);
        assert_eq!(made.stderr.contains(NAMED), is_named, "{restart}: {}", made.stderr);
    }
}

#[test]
fn what_supervisord_does_unless_told_otherwise_is_written_out_or_named() {
    const FOR_EVER: &str = "here it is tried for ever";
    const ONCE: &str = "here the first time is the last";
    let rows = [
        ("", 1, 0, "conf:1: [program:a] startretries: note: supervisord gives up after 3", FOR_EVER),
        ("startretries=9\n", 1, 1, "conf:3: [program:a] startretries: no counterpart: ", FOR_EVER),
        ("autorestart=false\n", 1, 0, "conf:1: [program:a] startretries: note: ", ONCE),
        ("autorestart=false\nstartretries=0\n", 1, 0, "", ""),
        ("startsecs=5\n", 5, 0, "startretries", FOR_EVER),
        ("startsecs=0\n", 10, 1, "conf:3: [program:a] startsecs: no counterpart", FOR_EVER),
        ("killasgroup=false\n", 1, 1, "conf:3: [program:a] killasgroup: no counterpart", "nothing of a run is left"),
        ("killasgroup=true\n", 1, 0, "", ""),
    ];
    for (settings, threshold, status, told, why) in rows {
        let made = made_of(&[("supervisord.conf", &format!("[program:a]\ncommand=x\n{settings}"))]);
        assert_eq!((spec(&made).backoff.threshold.as_secs(), made.status), (threshold, status), "{settings}");
        assert!(made.stderr.contains(told) && made.stderr.contains(why), "{settings}: {}", made.stderr);
        assert_eq!(made.stderr.contains("killasgroup"), settings == "killasgroup=false\n", "{}", made.stderr);
    }
}

#[test]
fn that_a_run_makes_up_for_what_a_timer_missed_is_named_whatever_it_says() {
    let service = ("a.service", "[Service]\nExecStart=/bin/a\n");
    for (timer, is_named) in [
        ("OnCalendar=daily", true),
        ("OnCalendar=daily\nPersistent=false", true),
        ("OnCalendar=daily\nPersistent=true", true),
        // Nothing is made up for.
        ("OnUnitActiveSec=5", false),
    ] {
        let made = made_of(&[service, ("a.timer", &format!("[Timer]\n{timer}\n"))]);
        let count = made.stderr.matches("] Persistent: note: one run makes up").count();
        assert_eq!(count, usize::from(is_named), "{timer}: {}", made.stderr);
    }
}

#[test]
fn a_value_that_systemd_takes_is_kept_or_named_and_refuses_nothing_else() {
    let rows = [
        ("LimitRTTIME=5s", Some("rlimits: {rttime: 5000000}")),
        ("LimitRTTIME=700", Some("rlimits: {rttime: 700}")),
        ("LimitCPU=1min", Some("rlimits: {cpu: 60}")),
        ("LimitNICE=+5", Some("rlimits: {nice: 15}")),
        ("LimitNICE=-5:-10", Some("  nice: {soft: 25, hard: 30}")),
        ("LimitNICE=7", Some("rlimits: {nice: 7}")),
        ("LimitMEMLOCK=1.5G", Some("rlimits: {memlock: 1610612736}")),
        ("LimitMEMLOCK=64K:infinity", Some("  memlock: {soft: 65536, hard: unlimited}")),
        ("LimitAS=1P", Some("rlimits: {as: 1125899906842624}")),
        ("CPUQuota=12.5%", Some("cpu: \"125m\"")),
        ("CPUQuota=150%", Some("cpu: \"1500m\"")),
        ("MemoryMax=1P", Some("memory: \"1Pi\"")),
        // What the monitor has no such value for.
        ("LimitAS=16E", None),
        ("LimitFOO=5", None),
        ("MemoryMax=16K", None),
        ("TimeoutStopSec=200y", None),
        ("RestartSec=1us", None),
        ("RuntimeMaxSec=1us", None),
    ];
    for (setting, kept) in rows {
        let made = made_of_unit(setting, "UMask=027");
        assert_eq!((made.status, all_are_good(&made.stdout)), (i32::from(kept.is_none()), 1), "{}", made.stderr);
        assert!(made.stdout.contains("umask: \"027\""), "{setting}: {}", made.stdout);
        assert!(kept.is_none_or(|kept| made.stdout.contains(kept)), "{setting}: {}", made.stdout);
        assert_eq!(made.stderr.contains("no counterpart"), kept.is_none(), "{setting}: {}", made.stderr);
    }
    for calendar in ["*-02-30", "Mond", "Fri..Mon"] {
        let timer = format!("[Timer]\nOnCalendar={calendar}\n");
        let made = made_of(&[("a.service", "[Service]\nExecStart=/bin/a\n"), ("a.timer", &timer)]);
        assert!(made.status == 1 && made.stdout.contains("suspend: true"), "{calendar}: {}", made.stderr);
        assert!(made.stderr.contains("] OnCalendar: no counterpart: "), "{calendar}: {}", made.stderr);
    }
}

#[test]
fn what_is_said_of_a_setting_is_true_of_its_value() {
    let rows = [
        ("MemoryMax=50%", "a share of the machine's memory"),
        ("MemoryMax=0", "no amount of memory to run in"),
        ("LimitNOFILE=many", "neither a number nor infinity nor SOFT:HARD"),
        ("[X-Fleet]\nConflicts=b.service\nRestart=always\nUser=%h", "] X-Fleet Restart: note: systemd passes over it"),
    ];
    for (setting, told) in rows {
        let made = made_of_unit(setting, "");
        assert_eq!(made.status, i32::from(!told.contains("note")), "{setting}: {}", made.stderr);
        assert!(made.stderr.contains(told), "{setting}: {}", made.stderr);
        assert!(made.stdout.contains("restartPolicy: Never"), "{setting}: {}", made.stdout);
    }
    let made = made_of(&[("a.service", "[Service]\nExecStart=\n")]);
    assert!(made.status == 2 && made.stderr.contains("a.service: there is no ExecStart in it"), "{}", made.stderr);
    let made = made_of(&[("supervisord.conf", "[program:a]\ncommand=x\ndirectory=~/x\n")]);
    assert!(made.stderr.contains("directory: no counterpart: workingDir is an absolute path; write the home"));
    let made = made_of_service("    init: false\n");
    assert!(made.stderr.contains("init: note: the monitor collects what is orphaned, whatever"), "{}", made.stderr);
}

#[test]
fn what_is_in_the_way_of_reading_and_of_writing_is_told_as_it_is() {
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file");
    let made = convert(&["--output", file.to_str().expect("UTF-8"), "procfile/Procfile"]);
    assert_eq!(made.status, 2);
    assert!(made.stderr.ends_with("/file is no directory, nothing was written\n"), "{}", made.stderr);
    // A name in what is no directory is found no more than one in a directory that may not be read.
    let made = convert(&[file.join("Procfile").to_str().expect("UTF-8")]);
    assert!(made.status == 2 && made.stderr.contains("/file/Procfile: cannot be read: "), "{}", made.stderr);
}

#[test]
fn drop_ins_of_a_template_of_a_prefix_and_of_all_services_are_taken_in_the_order_of_their_names() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("a-b@c.service");
    fs::write(&path, "[Service]\nExecStart=/bin/a\nNice=1\n").expect("a file");
    for (file, text) in [
        ("a-b@c.service.d/1.conf", "UMask=021\n"),
        ("a-b@.service.d/1.conf", "Nice=19\nUMask=077\n"),
        ("a-b@.service.d/2.conf", "UMask=022\nUser=b\n"),
        ("a-.service.d/0.conf", "User=a\nOOMScoreAdjust=5\n"),
        ("service.d/3.conf", "Group=g\n"),
        ("service.d/4.conf", "Group=h\n"),
        ("a-b@c.service.d/4.conf", ""),
    ] {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(&path, if text.is_empty() { String::new() } else { format!("[Service]\n{text}") }).expect("a file");
    }
    let made = convert(&[path.to_str().expect("UTF-8")]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    for line in ["nice: 1", "umask: \"022\"", "  runAsUser: b", "  runAsGroup: g", "oomScoreAdj: 5"] {
        assert!(made.stdout.contains(&format!("{line}\n")), "{line}: {}{}", made.stdout, made.stderr);
    }
}

#[test]
fn that_systemd_gives_up_is_named_where_it_does() {
    const NAMED: &str = "] StartLimitBurst: note: systemd gives up after 5 starts within 10 s";
    for (settings, is_named, status) in [
        ("", false, 0),
        ("Restart=no", false, 0),
        ("Restart=always", true, 0),
        ("Restart=on-failure\nRestartSec=1", true, 0),
        // So many do not fit.
        ("Restart=always\nRestartSec=2", false, 0),
        ("Restart=always\nStartLimitBurst=7", false, 1),
        ("Restart=always\nStartLimitBurst=7\nStartLimitIntervalSec=0", false, 0),
    ] {
        let made = made_of_unit(settings, "");
        assert_eq!((made.stderr.contains(NAMED), made.status), (is_named, status), "{settings}: {}", made.stderr);
    }
}
