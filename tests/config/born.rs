//! What a process is born with: `securityContext`, `rlimits`, `nice`, `oomScoreAdj`, `umask`.

use ncolony::model::{
    Account, Birth, Capabilities, CapabilitySet, EnvFile, EnvFrom, EnvValue, Inherited, Resource, Rlimit, Security,
    Variable,
};

use crate::parse::{bad, good};

fn birth(keys: &str) -> Birth {
    good(&format!("args: [a]\n{keys}\n")).birth
}

fn name(name: &str) -> Option<Account> {
    Some(Account::Name(name.into()))
}

#[test]
fn a_security_context_is_read_in_a_pods_words() {
    let all = "securityContext:
  runAsUser: www
  runAsGroup: 1001
  supplementalGroups: [audio, 7]
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL], add: [NET_BIND_SERVICE, cap_chown]}";
    let expected = Security {
        user: name("www"),
        group: Some(Account::Id(1001)),
        supplemental_groups: vec![Account::Name("audio".into()), Account::Id(7)],
        non_root: true,
        no_new_privs: true,
        capabilities: Some(Capabilities { add: CapabilitySet::from_bits(1 << 10 | 1), drop: CapabilitySet::ALL }),
    };
    assert_eq!(birth(all).security, expected);
    let rows = [
        ("securityContext: {}", Security::default()),
        ("securityContext: {allowPrivilegeEscalation: true, runAsNonRoot: false}", Security::default()),
        ("securityContext: {capabilities: {add: [], drop: []}}", Security::default()),
        ("uid: 5\nsecurityContext: {runAsUser: 5}", Security { user: Some(Account::Id(5)), ..Security::default() }),
        (
            "uid: 5\nsecurityContext: {runAsGroup: g}",
            Security { user: Some(Account::Id(5)), group: name("g"), ..Security::default() },
        ),
        (
            "gid: 5\nsecurityContext: {runAsUser: w}",
            Security { user: name("w"), group: Some(Account::Id(5)), ..Security::default() },
        ),
    ];
    for (keys, expected) in rows {
        assert_eq!(birth(keys).security, expected, "{keys}");
    }
}

#[test]
fn limits_are_read_in_prlimits_words() {
    let born = birth("rlimits: {nofile: 4096, core: 0, as: unlimited, nproc: {soft: 1, hard: unlimited}}");
    let both = |limit| Rlimit { soft: limit, hard: limit };
    let expected = [
        (Resource::As, both(Rlimit::UNLIMITED)),
        (Resource::Core, both(0)),
        (Resource::Nofile, both(4096)),
        (Resource::Nproc, Rlimit { soft: 1, hard: Rlimit::UNLIMITED }),
    ];
    assert_eq!(born.rlimits.into_iter().collect::<Vec<_>>(), expected);
    for (word, resource) in Resource::WORDS {
        assert_eq!(birth(&format!("rlimits: {{{word}: 1}}")).rlimits[&resource], both(1), "{word}");
    }
}

#[test]
fn numbers_of_either_sign_are_read() {
    for number in [-20, 0, 19] {
        assert_eq!(birth(&format!("nice: {number}")).nice, Some(number), "{number}");
    }
    for number in [-1000, 0, 1000] {
        assert_eq!(birth(&format!("oomScoreAdj: {number}")).oom_score_adj, Some(number), "{number}");
    }
}

#[test]
fn a_umask_is_text_of_octal_digits() {
    let rows =
        [("\"0027\"", 0o027), ("\"27\"", 0o027), ("\"0\"", 0), ("0027", 0o027), ("'0777'", 0o777), ("!!str 22", 0o022)];
    for (text, expected) in rows {
        assert_eq!(birth(&format!("umask: {text}")).umask, Some(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    const UMASK: &str = "web:2:8: umask: expected the octal digits of a umask from \"0\" to \"0777\"";
    let rows = [
        ("umask: 27", "web:2:8: umask: a bare number may be meant as octal or as decimal"),
        ("umask: \"0028\"", UMASK),
        ("umask: \"01000\"", UMASK),
        ("umask: \"+7\"", UMASK),
        ("umask: \"\"", UMASK),
        ("umask: 0o27", "web:2:8: umask: a bare number may be meant as octal or as decimal"),
        ("nice: 20", "web:2:7: nice: expected a whole number from -20 to 19"),
        ("nice: 1.5", "web:2:7: nice: expected a whole number from -20 to 19"),
        ("nice: \"5\"", "web:2:7: nice: expected a whole number from -20 to 19, found text"),
        ("oomScoreAdj: -1001", "web:2:14: oomScoreAdj: expected a whole number from -1000 to 1000"),
        ("rlimits: {nofile: -1}", "web:2:19: rlimits.nofile: expected a whole number or unlimited"),
        ("rlimits: {nofile: 18446744073709551615}", "web:2:19: rlimits.nofile: expected a whole number or unlimited"),
        ("rlimits: {nofile: {soft: 2, hard: 1}}", "web:2:19: rlimits.nofile: the soft limit is above the hard one"),
        (
            "rlimits: {nofile: {soft: unlimited, hard: 1}}",
            "web:2:19: rlimits.nofile: the soft limit is above the hard one",
        ),
        ("rlimits: {nofile: {soft: 2}}", "web:2:19: rlimits.nofile: expected both soft and hard"),
        (
            "rlimits: {locks: 1}",
            "web:2:11: rlimits.locks: ncolony tells a run's processes by this limit, which Linux does not enforce",
        ),
        ("rlimits: 5", "web:2:10: rlimits: expected a map such as {nofile: 4096}, found a number"),
        (
            "securityContext: {runAsUser: \"5\"}",
            "web:2:30: securityContext.runAsUser: expected a number or a name, found a number in quotes",
        ),
        (
            "securityContext: {runAsUser: \"a:b\"}",
            "web:2:30: securityContext.runAsUser: a name is not empty and holds no \":\" and no blank",
        ),
        (
            "securityContext: {runAsUser: -1}",
            "web:2:30: securityContext.runAsUser: expected a whole number from 0 to 4294967294",
        ),
        (
            "securityContext: {runAsUser: 0, runAsNonRoot: true}",
            "web:2:47: securityContext.runAsNonRoot: the user is 0, which is root",
        ),
        (
            "uid: 0\nsecurityContext: {runAsNonRoot: true}",
            "web:3:33: securityContext.runAsNonRoot: the user is 0, which is root",
        ),
        (
            "uid: 5\nsecurityContext: {runAsUser: 6}",
            "web:3:30: securityContext.runAsUser: is not the same as uid, at 2:6",
        ),
        (
            "gid: 5\nsecurityContext: {runAsGroup: www}",
            "web:3:31: securityContext.runAsGroup: is not the same as gid, at 2:6",
        ),
        (
            "securityContext: {capabilities: {add: [NET_RAW], drop: [CAP_NET_RAW]}}",
            "web:2:33: securityContext.capabilities: both added and dropped: NET_RAW",
        ),
        (
            "securityContext: {capabilities: {add: [ALL], drop: [ALL]}}",
            "web:2:33: securityContext.capabilities: both added and dropped: ALL",
        ),
        (
            "securityContext: {privileged: true}",
            "web:2:19: securityContext.privileged: is the container's affair, and cannot be set for one process of it",
        ),
        ("securityContext:", "web:2:16: securityContext: expected a map, found nothing"),
    ];
    for (keys, expected) in rows {
        assert_eq!(bad(format!("args: [a]\n{keys}\n")), [expected], "{keys}");
    }
}

fn file(path: &str, optional: bool) -> EnvFile {
    EnvFile { path: path.into(), optional }
}

fn variable(name: &str, value: EnvValue) -> Variable {
    Variable { name: name.into(), value }
}

fn text(text: &str) -> EnvValue {
    EnvValue::Text(text.into())
}

#[test]
fn an_environment_is_a_map_or_a_pods_list() {
    let list = "env:
- {name: A, value: \"1\"}
- name: TOKEN
  valueFrom: {file: /run/secrets/token}
- name: MORE
  valueFrom: {file: /m, optional: true}
- {name: EMPTY}
- {name: A, value: \"2\"}";
    // Without a reference the order means nothing, and of two the later counts.
    let expected = [
        variable("A", text("2")),
        variable("EMPTY", text("")),
        variable("MORE", EnvValue::File(file("/m", true))),
        variable("TOKEN", EnvValue::File(file("/run/secrets/token", false))),
    ];
    assert_eq!(birth(list).env, expected);
    assert_eq!(
        birth("env: {B: x, A: z}"),
        Birth { config: birth("env: {B: x, A: z}").config, ..birth("env: [{name: A, value: z}, {name: B, value: x}]") }
    );
    let from = "envFrom: [{file: /a}, {file: /b, prefix: B_, optional: true}]";
    let expected = [
        EnvFrom { file: file("/a", false), prefix: String::new() },
        EnvFrom { file: file("/b", true), prefix: "B_".into() },
    ];
    assert_eq!(birth(from).env_from, expected);
    let inherited = [Inherited::Name("HOME".into()), Inherited::Glob("AWS_*".into()), Inherited::Glob("*".into())];
    assert_eq!(birth("env_inherit: [HOME, AWS_*]\nenvInherit: [\"*\"]").env_inherit, inherited);
}
