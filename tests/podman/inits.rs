//! `ncolony reaper` as a container's entrypoint, and as what `--init` puts there, beside Debian's tini, dumb-init and
//! catatonit in the same place.

use std::path::Path;

use crate::container::{Container, Setup};
use crate::support::can;

/// An init, and the options of `podman run` that make it the entrypoint.
struct Init {
    name: &'static str,
    options: Vec<String>,
    /// What stands between it and the program.
    words: &'static [&'static str],
}

/// What a program of Debian's needs that is linked dynamically.
const LIBRARIES: [&str; 2] = ["/lib/x86_64-linux-gnu", "/lib64"];

/// Ours by its own name and by those that it goes by, and each that is there.
fn inits() -> Vec<Init> {
    let binary = std::env::var("NCOLONY_STATIC").unwrap_or_default();
    let mut inits = vec![Init { name: "ncolony reaper", options: Vec::new(), words: &["reaper", "--"] }];
    for (name, real) in [("tini", "tini-static"), ("dumb-init", "dumb-init"), ("catatonit", "catatonit")] {
        inits.push(as_entrypoint(name, &binary, name));
        let real = format!("/usr/bin/{real}");
        if can(&format!("{real} (Debian's package {name})"), Path::new(&real).exists()) {
            inits.push(as_entrypoint(name, &real, "init"));
        }
    }
    // podman starts it under a name of its own, with "--" behind it.
    let options = vec!["--init".into(), format!("--init-path={binary}"), "--entrypoint=[]".into()];
    inits.push(Init { name: "--init", options, words: &[] });
    inits
}

fn as_entrypoint(name: &'static str, file: &str, called: &str) -> Init {
    let libraries = LIBRARIES.iter().filter(|path| Path::new(path).exists());
    let mut options: Vec<String> = libraries.map(|path| format!("--volume={path}:{path}:ro")).collect();
    options.push(format!("--volume={file}:/inits/{called}:ro"));
    options.push(format!("--entrypoint=/inits/{called}"));
    Init { name, options, words: &["--"] }
}

/// A shell's script under each of them.
fn under_each(script: &str, mut look: impl FnMut(&str, &Container)) {
    if Setup::restricted().is_none() {
        return;
    }
    for init in inits() {
        let options: Vec<&str> = init.options.iter().map(String::as_str).collect();
        let words = [init.words, &["sh", "-c", script]].concat();
        let setup = Setup::restricted().expect("as before").options(&options).words(&words);
        let container = setup.start();
        look(&format!("{} {:?}", init.name, init.options.last()), &container);
    }
}

// The end tells how it ended: by the program's own status.
#[test]
fn under_every_init_the_container_ends_with_the_programs_status() {
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)] {
        under_each(script, |name, container| {
            assert_eq!(container.exit_status(), code, "{name} {script}: {}", container.log());
        });
    }
}

// Stop means stopped: what is said to the container is said to the program.
#[test]
fn under_every_init_podman_stop_and_podman_kill_reach_the_program() {
    let script = "trap 'echo asked; exit 7' TERM; trap 'echo heard' USR1; echo ready; while true; do sleep 0.05; done";
    under_each(script, |name, container| {
        container.wait_log("ready");
        container.signal("USR1");
        container.wait_log("heard");
        let took = container.stop(60);
        assert!(took.as_secs() < 20, "{name}: {took:?}");
        assert_eq!(container.exit_status(), 7, "{name}: {}", container.log());
        assert!(container.log().contains("asked"), "{name}: {}", container.log());
    });
}

// Law 5: no zombie, as PID 1 or not.
#[test]
fn under_every_init_orphans_are_collected() {
    let script = "for i in $(seq 100); do (sleep 0.05 &); done; echo made; exec sleep 1000";
    under_each(script, |name, container| {
        container.wait_log("made");
        let zombies = || container.exec(&["sh", "-c", "grep -l '^State:.*zombie' /proc/[0-9]*/status"]);
        container.wait(&format!("what ends to be gone: {name}"), || {
            let lines = container.ask(&["ps"]).lines().filter(|line| line.trim_end().ends_with(" sleep 0.05")).count();
            (lines == 0 && zombies().stdout.is_empty()).then_some(())
        });
        container.signal("KILL");
    });
}

// Law 4: nothing is left behind.
#[test]
fn ours_ends_what_the_program_leaves_and_says_what_it_cannot_run() {
    let Some(setup) = Setup::restricted() else { return };
    let left = "setsid sh -c \"trap 'echo told; exit' TERM; echo here; while true; do sleep 0.05; done\" & \
         sleep 0.5; exit 5";
    let container = setup.words(&["reaper", "--", "sh", "-c", left]).start();
    assert_eq!(container.exit_status(), 5);
    assert!(container.log().contains("told"), "{}", container.log());
    let rows: [(&[&str], i32, &str); 3] = [
        (&["reaper", "--", "/nowhere"], 127, "ncolony reaper: cannot execute \"/nowhere\": No such file"),
        (&["reaper", "--", "/etc"], 126, "ncolony reaper: cannot execute \"/etc\""),
        (&["reaper", "-x"], 125, "unknown option -x"),
    ];
    for (words, code, said) in rows {
        let container = Setup::restricted().expect("as before").words(words).start();
        assert_eq!(container.exit_status(), code, "{words:?}: {}", container.log());
        assert!(container.log().contains(said), "{words:?}: {}", container.log());
    }
}
