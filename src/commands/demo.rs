//! `ncolony demo`: a small colony at work, with trouble in it, in a directory of its own.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use super::run;
use crate::cli::{Cli, Command, DemoArgs, Listen};

/// Runs the demo until ctrl-C; nothing is left of it then.
pub fn run(args: &DemoArgs) -> ExitCode {
    let dir = std::env::temp_dir().join(format!("ncolony-demo-{}", std::process::id()));
    let status = match furnish(&dir) {
        Ok(()) => watch(&dir, args.listen),
        Err(error) => {
            eprintln!("ncolony: cannot furnish {}: {error}", dir.display());
            ExitCode::FAILURE
        }
    };
    // What cannot be removed lies in the directory for temporary files.
    let _ = fs::remove_dir_all(&dir);
    status
}

fn watch(dir: &Path, listen: Listen) -> ExitCode {
    let flags = [
        ("--config", dir.join("processes")),
        ("--messages", dir.join("messages")),
        ("--listen", PathBuf::from(listen.to_string())),
        ("--frequency", PathBuf::from("1")),
    ];
    let words = flags.iter().flat_map(|(flag, value)| [(*flag).into(), value.clone().into_os_string()]);
    let line = ["ncolony".into(), "run".into()].into_iter().chain(words);
    match Cli::try_parse_from(line).map(|cli| cli.command) {
        Ok(Command::Run(args)) => {
            print!("{}", guide(dir, listen));
            run::run(&args)
        }
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn furnish(dir: &Path) -> io::Result<()> {
    // Nobody else may write what will be run.
    let mut private = DirBuilder::new();
    private.mode(0o700);
    for path in [dir.to_path_buf(), dir.join("processes"), dir.join("messages")] {
        private.create(path)?;
    }
    for (name, text) in PROCESSES {
        fs::write(dir.join("processes").join(name), text.replace("DIR", &dir.display().to_string()))?;
    }
    Ok(())
}

fn guide(dir: &Path, listen: Listen) -> String {
    let page = match listen {
        Listen::Off => "no status page (--listen off)".to_string(),
        Listen::All(port) => format!("http://127.0.0.1:{port}/ , /healthz?verbose and /metrics"),
        Listen::At(address) => format!("http://{address}/ , /healthz?verbose and /metrics"),
    };
    format!(
        "A small colony is at work:
  web, worker   run, and say so now and then
  heart         beats for ten seconds, then hangs: it is restarted when it has missed its beat
  crashy        fails after a second: it is restarted after 1 s, 2 s, 4 s, ...
  backup        runs every ten seconds
Look at it     {page}
Change it      edit, add or remove a file in {dir}/processes
Ask it         ncolony ctl --config {dir}/processes --messages {dir}/messages restart web
End it         ctrl-C; nothing is left
",
        dir = dir.display()
    )
}

/// File names and texts; DIR stands for the demo's directory.
const PROCESSES: [(&str, &str); 5] = [
    (
        "web.yaml",
        r#"args: [/bin/sh, -c, "while :; do echo 'serving'; sleep 5; done"]
group: [front]
"#,
    ),
    (
        "worker.yaml",
        r#"command: [/bin/sh]
args: [-c, "echo \"$GREETING, working\"; while :; do sleep 7; echo 'one more job done'; done"]
env: {GREETING: hello}
"#,
    ),
    (
        "heart.yaml",
        r#"args: [/bin/sh, -c, "for beat in 1 2 3 4 5 6 7 8 9 10; do touch DIR/heart.beat; sleep 1; done; echo 'now I hang'; sleep 1000"]
ncolony.beatcheck: {period: 3, grace: 2, status: DIR/heart.beat}
"#,
    ),
    (
        "crashy.yaml",
        r#"args: [/bin/sh, -c, "sleep 1; echo 'something is wrong' >&2; exit 1"]
readinessGate: false
"#,
    ),
    (
        "backup.json",
        r#"{"args": ["/bin/sh", "-c", "echo 'saving'; sleep 2; echo 'saved'"], "schedule": {"every": 10}}
"#,
    ),
];
