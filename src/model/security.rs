//! Whom a run becomes, and with which rights.

use std::fmt;

/// A user or a group, as a file tells it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Account {
    /// By its number, which no database needs to know.
    Id(u32),
    /// By its name, looked up at each start.
    Name(String),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Id(id) => write!(f, "{id}"),
            Account::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// `securityContext`, and `uid` and `gid`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Security {
    /// The user to become; the monitor's if unset.
    pub user: Option<Account>,
    /// The group to become; the user's own if unset.
    pub group: Option<Account>,
    /// Further groups.
    pub supplemental_groups: Vec<Account>,
    /// Whether it must not be user 0.
    pub non_root: bool,
    /// Whether what it executes may not give it rights (`allowPrivilegeEscalation: false`).
    pub no_new_privs: bool,
    /// Which of the monitor's capabilities it has; `None`: as the kernel has it.
    pub capabilities: Option<Capabilities>,
}

/// `capabilities`: what is taken from, and what is kept of, the monitor's own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Capabilities {
    /// What it must have.
    pub add: CapabilitySet,
    /// What it must not have. Where this is all, it has no others than those of `add`.
    pub drop: CapabilitySet,
}

/// Some capabilities, as the kernel numbers them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct CapabilitySet(u64);

/// Linux's names; the index is the number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl CapabilitySet {
    /// Whatever the kernel knows, the names that it has not yet included.
    pub const ALL: CapabilitySet = CapabilitySet(u64::MAX);

    /// The names that [`CapabilitySet::parse`] knows, with `ALL`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().chain(["ALL"])
    }

    /// Parses `NET_RAW`, `CAP_NET_RAW` or `ALL`, in any case.
    pub fn parse(text: &str) -> Option<CapabilitySet> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" {
            return Some(CapabilitySet::ALL);
        }
        NAMES.iter().position(|name| *name == bare).map(|number| CapabilitySet(1 << number))
    }

    /// Those of the kernel's bits.
    pub const fn from_bits(bits: u64) -> CapabilitySet {
        CapabilitySet(bits)
    }

    /// As the kernel's bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether it is [`CapabilitySet::ALL`].
    pub fn is_all(self) -> bool {
        self == CapabilitySet::ALL
    }

    /// Those of either.
    #[must_use]
    pub const fn with(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 | other.0)
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("ALL");
        }
        let mut separator = "";
        for number in (0..64u32).filter(|number| self.0 >> number & 1 == 1) {
            match NAMES.get(number as usize) {
                Some(name) => write!(f, "{separator}{name}")?,
                None => write!(f, "{separator}{number}")?,
            }
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CapabilitySet;

    #[test]
    fn capabilities_are_parsed_as_docker_and_the_kubelet_write_them() {
        let rows = [
            ("NET_RAW", Some(1 << 13)),
            ("CAP_NET_RAW", Some(1 << 13)),
            ("cap_chown", Some(1)),
            ("CHECKPOINT_RESTORE", Some(1 << 40)),
            ("ALL", Some(u64::MAX)),
            ("all", Some(u64::MAX)),
            ("NETRAW", None),
            ("13", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(CapabilitySet::parse(text).map(CapabilitySet::bits), expected, "{text:?}");
        }
    }

    #[test]
    fn a_set_prints_the_names_of_its_members() {
        let rows = [(0, ""), (1 << 13, "NET_RAW"), (0b11, "CHOWN, DAC_OVERRIDE"), (1 << 63, "63"), (u64::MAX, "ALL")];
        for (bits, expected) in rows {
            assert_eq!(CapabilitySet::from_bits(bits).to_string(), expected);
        }
    }
}
