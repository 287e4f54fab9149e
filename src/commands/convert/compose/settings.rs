//! Settings of compose files that have no counterpart, and why not.

use super::super::conversion::Grade;

pub(super) const CONTAINER: &str = "it is the container's: say it where the one container is described";
pub(super) const LABELS: &str = "nobody asks a process for labels; a key of one's own reaches it in NCOLONY_CONFIG";
pub(super) const LIMIT: &str = "of such limits, memory and cpu alone are kept (resources.limits)";
pub(super) const RESERVED: &str = "nothing is reserved for a process; ask for the container's whole need";
pub(super) const ATTEMPTS: &str = "it is tried for ever, with a wait that grows; the alerts tell who fails";
pub(super) const MISSPELT: &str = "compose knows no such setting; is it misspelt?";
const IMAGE: &str = "all processes are in one container: bring the program into its image";
const NETWORK: &str = "all processes share the container's network, and reach each other at 127.0.0.1";
const MOUNT: &str = "nothing is mounted for a process: mount it into the one container";
pub(super) const DEVICE: &str = "devices are the container's: give them to it";
const STREAMS: &str = "stdin is empty, and there is no terminal";

/// Settings of a service: whether something is lost, and what to say.
const KNOWN: [(&str, Grade, &str); 68] = [
    ("annotations", Grade::Remark, LABELS),
    ("attach", Grade::Remark, "lines go to the monitor's output, the process's name before each"),
    ("blkio_config", Grade::Lost, LIMIT),
    ("build", Grade::Lost, IMAGE),
    ("cgroup", Grade::Lost, CONTAINER),
    ("cgroup_parent", Grade::Lost, CONTAINER),
    ("configs", Grade::Lost, MOUNT),
    ("container_name", Grade::Remark, "a process has one name, its file's"),
    ("cpu_count", Grade::Lost, LIMIT),
    ("cpu_percent", Grade::Lost, LIMIT),
    ("cpu_period", Grade::Lost, "say the share of processors in resources.limits.cpu"),
    ("cpu_quota", Grade::Lost, "say the share of processors in resources.limits.cpu"),
    ("cpu_rt_period", Grade::Lost, LIMIT),
    ("cpu_rt_runtime", Grade::Lost, LIMIT),
    ("cpu_shares", Grade::Lost, LIMIT),
    ("cpuset", Grade::Lost, "let the command be run through taskset"),
    ("credential_spec", Grade::Lost, CONTAINER),
    ("develop", Grade::Remark, "it is about how the image is built while it is worked on"),
    ("device_cgroup_rules", Grade::Lost, DEVICE),
    ("devices", Grade::Lost, DEVICE),
    ("dns", Grade::Lost, CONTAINER),
    ("dns_opt", Grade::Lost, CONTAINER),
    ("dns_search", Grade::Lost, CONTAINER),
    ("domainname", Grade::Lost, CONTAINER),
    ("driver_opts", Grade::Lost, NETWORK),
    ("expose", Grade::Remark, NETWORK),
    ("extends", Grade::Lost, "the other file is not read; convert what docker compose config prints"),
    ("external_links", Grade::Lost, NETWORK),
    ("extra_hosts", Grade::Lost, CONTAINER),
    ("gpus", Grade::Lost, DEVICE),
    ("hostname", Grade::Lost, CONTAINER),
    ("image", Grade::Lost, IMAGE),
    ("init", Grade::Remark, "the monitor collects what is orphaned, whatever this says"),
    ("ipc", Grade::Lost, CONTAINER),
    ("isolation", Grade::Lost, CONTAINER),
    ("label_file", Grade::Remark, LABELS),
    ("labels", Grade::Remark, LABELS),
    ("links", Grade::Lost, NETWORK),
    ("logging", Grade::Remark, "lines go to the monitor's output, the process's name before each"),
    ("mac_address", Grade::Lost, NETWORK),
    ("mem_reservation", Grade::Remark, RESERVED),
    ("mem_swappiness", Grade::Lost, LIMIT),
    ("memswap_limit", Grade::Lost, LIMIT),
    ("models", Grade::Lost, "no models are run for a process"),
    ("network_mode", Grade::Lost, NETWORK),
    ("networks", Grade::Lost, NETWORK),
    ("oom_kill_disable", Grade::Lost, "it cannot be kept from this; oomScoreAdj makes it less likely"),
    ("pid", Grade::Lost, CONTAINER),
    ("pids_limit", Grade::Lost, LIMIT),
    ("platform", Grade::Lost, IMAGE),
    ("ports", Grade::Lost, "publish them where the one container is described; no two processes have the same"),
    ("privileged", Grade::Lost, "say it of the container; a process has the capabilities that it adds"),
    ("provider", Grade::Lost, "nobody else provides for a process"),
    ("pull_policy", Grade::Remark, "there is no image of its own"),
    ("read_only", Grade::Lost, CONTAINER),
    ("runtime", Grade::Lost, CONTAINER),
    ("secrets", Grade::Lost, MOUNT),
    ("shm_size", Grade::Lost, CONTAINER),
    ("stdin_open", Grade::Lost, STREAMS),
    ("storage_opt", Grade::Lost, CONTAINER),
    ("sysctls", Grade::Lost, CONTAINER),
    ("tmpfs", Grade::Lost, MOUNT),
    ("tty", Grade::Lost, STREAMS),
    ("use_api_socket", Grade::Lost, MOUNT),
    ("userns_mode", Grade::Lost, CONTAINER),
    ("uts", Grade::Lost, CONTAINER),
    ("volumes", Grade::Lost, MOUNT),
    ("volumes_from", Grade::Lost, MOUNT),
];

/// What there is to say of a service's setting that nothing is made of.
pub(super) fn of_a_service(key: &str) -> (Grade, &'static str) {
    if key.starts_with("x-") {
        return (Grade::Remark, "compose passes over it");
    }
    let known = KNOWN.iter().find(|(name, _, _)| *name == key);
    known.map_or((Grade::Lost, MISSPELT), |(_, grade, text)| (*grade, *text))
}

/// The same for what stands beside `services`.
pub(super) fn of_the_file(key: &str) -> (Grade, &'static str) {
    match key {
        "name" => (Grade::Remark, "a colony has no name of its own"),
        "version" => (Grade::Remark, "compose passes over it"),
        "networks" => (Grade::Lost, NETWORK),
        "volumes" | "secrets" | "configs" => (Grade::Lost, MOUNT),
        "models" => (Grade::Lost, "no models are run for a process"),
        _ if key.starts_with("x-") => (Grade::Remark, "compose passes over it"),
        _ => (Grade::Lost, MISSPELT),
    }
}
