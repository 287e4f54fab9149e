//! Settings of units that have no counterpart, and why not.

use super::super::conversion::Grade;

pub(super) const INSTALL: &str = "what has a file in the directory is run, and nothing else";

pub(super) const PASSED_OVER: &str = "systemd passes over it";

const SANDBOX: &str = "a sandbox is the container's: say it in its securityContext and mounts";
const DIRECTORY: &str = "directories are not made; make it in the image, or before the colony starts";
const LIMIT: &str = "of the limits that a cgroup has, memory and cpu alone are kept (resources.limits)";
const SCHEDULER: &str = "let the command be run through chrt, ionice or taskset";
const MANAGER: &str = "systemd's own units have no counterpart; dependsOn names processes";

/// Beginnings of keys: whether something is lost, and what to say.
const KNOWN: [(&str, Grade, &str); 58] = [
    ("X-", Grade::Remark, PASSED_OVER),
    ("Description", Grade::Remark, "it tells people what this is"),
    ("Documentation", Grade::Remark, "it tells people where to read"),
    ("SourcePath", Grade::Remark, "it tells people where this comes from"),
    ("WantedBy", Grade::Remark, INSTALL),
    ("RequiredBy", Grade::Remark, INSTALL),
    ("UpheldBy", Grade::Remark, INSTALL),
    ("Alias", Grade::Remark, "a process has one name, its file's"),
    ("Also", Grade::Remark, INSTALL),
    ("DefaultInstance", Grade::Remark, INSTALL),
    ("DefaultDependencies", Grade::Remark, "a container has no units of the system's start"),
    ("RequiresMountsFor", Grade::Remark, "a container's mounts are there before it"),
    ("WantsMountsFor", Grade::Remark, "a container's mounts are there before it"),
    ("PIDFile", Grade::Remark, "the main process is the one that is started; nobody reads this file"),
    ("GuessMainPID", Grade::Remark, "the main process is the one that is started"),
    ("NotifyAccess", Grade::Remark, "whatever belongs to the run may notify"),
    ("RemainAfterExit", Grade::Remark, "a run that has ended well stays Completed"),
    ("TimeoutStartFailureMode", Grade::Remark, "a run whose start fails is ended as any other"),
    ("SyslogIdentifier", Grade::Remark, "a line is told by the process's name"),
    ("IgnoreSIGPIPE", Grade::Remark, "signals have their default actions"),
    ("Condition", Grade::Lost, "there are no conditions; let the command look, or leave the file out"),
    ("Assert", Grade::Lost, "there are no conditions; let the command look, or leave the file out"),
    ("StartLimit", Grade::Lost, "it is tried for ever, with a wait that grows; the alerts tell who fails"),
    ("OnFailure", Grade::Lost, "no other process is started for it; an alert tells that it failed"),
    ("OnSuccess", Grade::Lost, "no other process is started for it; see dependsOn with condition Completed"),
    ("Protect", Grade::Lost, SANDBOX),
    ("Private", Grade::Lost, SANDBOX),
    ("Restrict", Grade::Lost, SANDBOX),
    ("Read", Grade::Lost, SANDBOX),
    ("Inaccessible", Grade::Lost, SANDBOX),
    ("Exec", Grade::Lost, SANDBOX),
    ("NoExecPaths", Grade::Lost, SANDBOX),
    ("SystemCall", Grade::Lost, SANDBOX),
    ("MemoryDenyWriteExecute", Grade::Lost, SANDBOX),
    ("LockPersonality", Grade::Lost, SANDBOX),
    ("Root", Grade::Lost, SANDBOX),
    ("Bind", Grade::Lost, SANDBOX),
    ("Device", Grade::Lost, SANDBOX),
    ("IPAddress", Grade::Lost, SANDBOX),
    ("RemoveIPC", Grade::Lost, SANDBOX),
    ("ProcSubset", Grade::Lost, SANDBOX),
    ("TemporaryFileSystem", Grade::Lost, SANDBOX),
    ("SecureBits", Grade::Lost, SANDBOX),
    ("RuntimeDirectory", Grade::Lost, DIRECTORY),
    ("StateDirectory", Grade::Lost, DIRECTORY),
    ("CacheDirectory", Grade::Lost, DIRECTORY),
    ("LogsDirectory", Grade::Lost, DIRECTORY),
    ("ConfigurationDirectory", Grade::Lost, DIRECTORY),
    ("DynamicUser", Grade::Lost, "no users are made; name one in securityContext.runAsUser"),
    ("Memory", Grade::Lost, LIMIT),
    ("CPUScheduling", Grade::Lost, SCHEDULER),
    ("CPUAffinity", Grade::Lost, SCHEDULER),
    ("CPU", Grade::Lost, LIMIT),
    ("IOScheduling", Grade::Lost, SCHEDULER),
    ("IO", Grade::Lost, LIMIT),
    ("Tasks", Grade::Lost, LIMIT),
    ("Sockets", Grade::Lost, "sockets are not opened for a process; let the program open them"),
    ("PartOf", Grade::Lost, "a restart of one restarts no other; a group (RESTART-GROUP) restarts its members"),
];

/// What there is to say of a setting that nothing is made of.
pub(super) fn why(key: &str) -> (Grade, &'static str) {
    if UNITS.contains(&key) {
        return (Grade::Lost, MANAGER);
    }
    let known = KNOWN.iter().find(|(beginning, _, _)| key.starts_with(beginning));
    known.map_or((Grade::Lost, "nothing here does this"), |(_, grade, text)| (*grade, *text))
}

const UNITS: [&str; 6] =
    ["Slice", "Conflicts", "PropagatesReloadTo", "ReloadPropagatedFrom", "Upholds", "StopWhenUnneeded"];
