//! `securityContext`, and `uid` and `gid`, which are NColony's words for two of its keys.

use crate::config::decode::a_kind;
use crate::config::node::{Entry, Node, Span, Value};
use crate::config::report::{Path, Report, shown};
use crate::config::schema;
use crate::model::{Account, Capabilities, CapabilitySet, Security};

/// What has been read, and where.
#[derive(Default)]
pub(in crate::config) struct Draft {
    user: Option<(Account, Span)>,
    group: Option<(Account, Span)>,
    supplemental_groups: Vec<Account>,
    non_root: Option<(bool, Span)>,
    may_gain: Option<bool>,
    capabilities: Option<Capabilities>,
    /// `uid`
    pub(in crate::config) uid: Option<(u32, Span)>,
    /// `gid`
    pub(in crate::config) gid: Option<(u32, Span)>,
}

const KEYS: [&str; 6] =
    ["runAsUser", "runAsGroup", "supplementalGroups", "runAsNonRoot", "allowPrivilegeEscalation", "capabilities"];

/// A Pod's other keys: they are about the container, which is there before we are.
const CONTAINERS: [&str; 12] = [
    "privileged",
    "readOnlyRootFilesystem",
    "procMount",
    "seccompProfile",
    "seLinuxOptions",
    "seLinuxChangePolicy",
    "appArmorProfile",
    "windowsOptions",
    "fsGroup",
    "fsGroupChangePolicy",
    "supplementalGroupsPolicy",
    "sysctls",
];

impl Draft {
    /// `securityContext`
    pub(in crate::config) fn take(&mut self, report: &mut Report<'_>, path: &Path<'_>, node: &Node) {
        for entry in report.map(path, node, "a map").unwrap_or_default() {
            let path = &path.key(&entry.key);
            let node = &entry.node;
            match entry.key.as_str() {
                "runAsUser" => self.user = account(report, path, node).map(|account| (account, node.span)),
                "runAsGroup" => self.group = account(report, path, node).map(|account| (account, node.span)),
                "supplementalGroups" => self.supplemental_groups = accounts(report, path, node),
                "runAsNonRoot" => self.non_root = report.flag(path, node).map(|flag| (flag, node.span)),
                "allowPrivilegeEscalation" => self.may_gain = report.flag(path, node),
                "capabilities" => self.capabilities = capabilities(report, path, node),
                key if CONTAINERS.contains(&key) => {
                    let message = "is the container's affair, and cannot be set for one process of it";
                    let help = "set it in the Pod's or the container's own securityContext, and remove it here";
                    report.error_with_help(path, entry.key_span, message, help);
                }
                _ => report.unknown_key(path, entry, &KEYS),
            }
        }
    }

    /// All of it together.
    pub(in crate::config) fn finish(self, report: &mut Report<'_>) -> Security {
        let user = one(report, "uid", self.uid, "runAsUser", self.user);
        let group = one(report, "gid", self.gid, "runAsGroup", self.group);
        if let Some((true, span)) = self.non_root
            && user == Some(Account::Id(0))
        {
            let help = "give another user, or remove runAsNonRoot";
            report.error_with_help(&"securityContext.runAsNonRoot", span, "the user is 0, which is root", help);
        }
        Security {
            user,
            group,
            supplemental_groups: self.supplemental_groups,
            non_root: self.non_root.is_some_and(|(flag, _)| flag),
            no_new_privs: self.may_gain == Some(false),
            capabilities: self.capabilities,
        }
    }
}

/// The same thing under two names.
fn one(
    report: &mut Report<'_>,
    plain: &str,
    number: Option<(u32, Span)>,
    key: &str,
    account: Option<(Account, Span)>,
) -> Option<Account> {
    match (number, account) {
        (None, None) => None,
        (Some((number, _)), None) => Some(Account::Id(number)),
        (None, Some((account, _))) => Some(account),
        (Some((number, at)), Some((account, span))) => {
            if account != Account::Id(number) {
                let message = format!("is not the same as {plain}, at {}", report.place_of(at));
                let help = format!("keep one of {plain} and {key}");
                report.error_with_help(&format!("securityContext.{key}"), span, message, help);
            }
            Some(account)
        }
    }
}

fn accounts(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Vec<Account> {
    let items = report.list(path, node, "a list of numbers or names").unwrap_or_default();
    items.iter().enumerate().filter_map(|(index, item)| account(report, &path.index(index), item)).collect()
}

fn account(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Account> {
    match &node.value {
        Value::Number(_) => report.id(path, node).map(Account::Id),
        Value::Text(text) if text.parse::<u64>().is_ok() => {
            let message = "expected a number or a name, found a number in quotes";
            report.error_with_help(path, node.span, message, "write it without quotes");
            None
        }
        Value::Text(text) => {
            // What passwd(5) and group(5) cannot hold.
            let is_name = !text.is_empty() && !text.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control());
            if !is_name {
                report.error(path, node.span, "a name is not empty and holds no \":\" and no blank");
            }
            is_name.then(|| Account::Name(text.clone()))
        }
        other @ (Value::Null | Value::Bool(_) | Value::Odd(_) | Value::List(_) | Value::Map(_)) => {
            report.error(path, node.span, format!("expected a number or a name, found {}", a_kind(other)));
            None
        }
    }
}

fn capabilities(report: &mut Report<'_>, path: &Path<'_>, node: &Node) -> Option<Capabilities> {
    let mut asked = Capabilities::default();
    for entry in report.map(path, node, "a map with add and drop")? {
        let path = &path.key(&entry.key);
        match entry.key.as_str() {
            "add" => asked.add = capability_set(report, path, entry),
            "drop" => asked.drop = capability_set(report, path, entry),
            _ => report.unknown_key(path, entry, &["add", "drop"]),
        }
    }
    // With all of them dropped, those of `add` are what is left, and the other way round.
    let both = match (asked.add.is_all(), asked.drop.is_all()) {
        (true, true) => Some(CapabilitySet::ALL),
        (true, false) | (false, true) => None,
        (false, false) => Some(CapabilitySet::from_bits(asked.add.bits() & asked.drop.bits())),
    };
    if let Some(both) = both.filter(|both| *both != CapabilitySet::default()) {
        report.error(path, node.span, format!("both added and dropped: {both}"));
    }
    (asked != Capabilities::default()).then_some(asked)
}

fn capability_set(report: &mut Report<'_>, path: &Path<'_>, entry: &Entry) -> CapabilitySet {
    let items = report.list(path, &entry.node, "a list of capabilities, such as [NET_RAW]").unwrap_or_default();
    let mut set = CapabilitySet::default();
    for (index, item) in items.iter().enumerate() {
        let path = &path.index(index);
        let Some(text) = report.text(path, item) else { continue };
        match CapabilitySet::parse(text) {
            Some(more) => set = set.with(more),
            None => unknown_capability(report, path, item, text),
        }
    }
    set
}

fn unknown_capability(report: &mut Report<'_>, path: &Path<'_>, item: &Node, text: &str) {
    let message = format!("unknown capability \"{}\", expected a name such as NET_BIND_SERVICE, or ALL", shown(text));
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match schema::nearest(bare, CapabilitySet::names(), 2) {
        Some(name) => report.error_with_help(path, item.span, message, format!("did you mean \"{name}\"?")),
        None => report.error(path, item.span, message),
    }
}
