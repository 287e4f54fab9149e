//! What `ncolony convert` writes, at work under `ncolony run`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Setup, can, get, status};

/// Converts a file into the colony's directory; the exit status, and what was said.
fn convert(setup: &Setup, file: &str, text: &str) -> (Option<i32>, String) {
    let path = setup.path(file);
    fs::write(&path, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncolony"));
    let command = command.arg("convert").arg("--output").arg(setup.path("config")).arg(path);
    let output = command.output().expect("the binary starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_converted_configuration_of_supervisord_runs_nginx_and_three_workers() {
    let nginx = "/usr/sbin/nginx";
    if !can("Debian's nginx", Path::new(nginx).exists()) {
        return;
    }
    let setup = Setup::new();
    let at = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address");
    let dir = setup.dir().display().to_string();
    fs::write(
        setup.path("nginx.conf"),
        format!(
            "pid {dir}/nginx.pid; error_log stderr notice; events {{}}
             http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
             fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
             server {{ listen {at}; location / {{ return 200 'nginx here'; }} }} }}\n"
        ),
    )
    .expect("a file");
    let text = format!(
        "[supervisord]\nenvironment=FROM=\"supervisord, too\"\numask=027\n\
         [program:web]\ncommand={nginx} -p %(here)s/ -c %(here)s/nginx.conf -e stderr -g \"daemon off;\"\n\
         autorestart=true\nstopsignal=QUIT\n\
         [program:worker]\ncommand=sh -c 'echo \"$FROM\" $MINE; exec sleep 1000%(process_num)d'\n\
         environment=MINE=\"%(program_name)s-of-%(ENV_COLONY)s\"\nprocess_name=%(program_name)s_%(process_num)02d\n\
         numprocs=3\ndirectory={dir}\nautorestart=unexpected\nstdout_logfile=/dev/stdout\n"
    );
    let setup = setup.env("COLONY", "mine");
    let (code, said) = convert(&setup, "supervisord.conf", &text);
    assert_eq!(code, Some(0), "{said}");
    let colony = setup.start();
    colony.wait("nginx to answer", || (get(at, "/")? == (200, "nginx here".into())).then_some(()));
    for number in 0..3 {
        let pid = colony.wait_pid(&format!("worker-{number}"), None);
        let line = || fs::read_to_string(format!("/proc/{pid}/cmdline")).ok();
        colony.wait("its number", || (line()? == format!("sleep\0{}\0", 10000 + number)).then_some(()));
        assert_eq!(status(pid, "Umask").as_deref(), Some("0027"));
        colony.wait_stdout(&format!("[worker-{number}] supervisord, too worker-of-mine"));
    }
    let pid = colony.wait_pid("web", None);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    colony.wait_pid("web", Some(pid));
    colony.wait("nginx to answer again", || (get(at, "/")? == (200, "nginx here".into())).then_some(()));
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_converted_unit_of_systemd_runs_redis_which_says_itself_that_it_is_ready() {
    let redis = "/usr/bin/redis-server";
    if !can("Debian's redis-server", Path::new(redis).exists()) {
        return;
    }
    let setup = Setup::new();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address").port();
    let dir = setup.dir().display().to_string();
    let text = format!(
        "[Service]\nType=notify\nEnvironment=PORT={port}\nExecStartPre=/bin/mkdir {dir}/made\n\
         ExecStart={redis} --port ${{PORT}} --bind 127.0.0.1 --save '' --dir {dir}/made --supervised systemd --daemonize no\n\
         Restart=always\nLimitNOFILE=512:1024\nUMask=007\n"
    );
    let (code, said) = convert(&setup, "cache.service", &text);
    assert_eq!(code, Some(0), "{said}");
    let colony = setup.start();
    colony.wait("readiness", || (colony.get("/healthz/cache").0 == 200).then_some(()));
    let pid = colony.wait_pid("cache", None);
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives");
    assert!(name.starts_with("redis"), "the shell has given way: {name}");
    assert_eq!(status(pid, "Umask").as_deref(), Some("0007"));
    assert!(colony.path("made").is_dir());
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn converted_services_of_a_compose_file_run_in_their_order_with_what_the_environment_says() {
    let setup = Setup::new();
    let dir = setup.dir().display().to_string();
    let text = format!(
        "x-env: &env {{SAID: 'by all, $WHO'}}
services:
  migrate:
    command: sh -c 'sleep 0.2; echo done > {dir}/migrated'
  db:
    command: [sh, -c, 'touch {dir}/up; exec sleep 1000']
    restart: always
    healthcheck: {{test: 'test -e {dir}/up', interval: 100ms, timeout: 5s}}
  web:
    entrypoint: [sh, -c]
    command: ['cat {dir}/migrated; ls {dir}/up; echo \"$$SAID $$0 $$PASSED\"; exec sleep 1000', 'for $WHO']
    environment: {{<<: *env, PASSED: null}}
    depends_on:
      migrate: {{condition: service_completed_successfully}}
      db: {{condition: service_healthy}}
    restart: unless-stopped
"
    );
    let setup = setup.env("WHO", "me & $you").env("PASSED", "passed");
    let (code, said) = convert(&setup, "compose.yaml", &text);
    assert_eq!(code, Some(0), "{said}");
    let colony = setup.start();
    for line in ["[web] done", &format!("[web] {dir}/up"), "[web] by all, me & $you for me & $you passed"] {
        colony.wait_stdout(line);
    }
    colony.wait_pid("db", None);
    let (status, log) = colony.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
