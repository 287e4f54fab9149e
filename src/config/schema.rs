//! The words of a process file: which keys are ours, and what a misspelling was meant to be.

use crate::model;

/// The keys that we act on.
pub(super) const OURS: &[&str] = &[
    "args",
    "command",
    "env",
    "env_inherit",
    "envInherit",
    "envFrom",
    "uid",
    "gid",
    "group",
    "workingDir",
    "restartPolicy",
    "restartPolicyRules",
    "backoff",
    "terminationGracePeriodSeconds",
    "lifecycle",
    "killMode",
    "essential",
    "replicas",
    "dependsOn",
    "schedule",
    "timeZone",
    "concurrencyPolicy",
    "activeDeadlineSeconds",
    "startingDeadlineSeconds",
    "suspend",
    "readinessGate",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "ncolony.beatcheck",
    "ncolony.httpcheck",
    "output",
    "securityContext",
    "rlimits",
    "nice",
    "oomScoreAdj",
    "umask",
    "resources",
];

/// Parts of our objects that are easily taken for keys of their own, and how they are written.
const PARTS: &[(&str, &str)] = &[
    ("lifecycle.stopSignal", "lifecycle: {stopSignal: …}"),
    ("lifecycle.preStop", "lifecycle: {preStop: …}"),
    ("lifecycle.postStart", "lifecycle: {postStart: …}"),
    ("resources.limits", "resources: {limits: …}"),
    ("securityContext.runAsUser", "securityContext: {runAsUser: …}"),
    ("securityContext.runAsGroup", "securityContext: {runAsGroup: …}"),
    ("securityContext.supplementalGroups", "securityContext: {supplementalGroups: …}"),
    ("securityContext.runAsNonRoot", "securityContext: {runAsNonRoot: …}"),
    ("securityContext.allowPrivilegeEscalation", "securityContext: {allowPrivilegeEscalation: …}"),
    ("securityContext.capabilities", "securityContext: {capabilities: …}"),
    ("backoff.thresholdSeconds", "backoff: {thresholdSeconds: …}"),
    ("backoff.initialSeconds", "backoff: {initialSeconds: …}"),
    ("backoff.maxSeconds", "backoff: {maxSeconds: …}"),
];

/// What a top-level key is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyKind {
    /// Acted on.
    Ours,
    /// The application's own.
    Extra,
}

/// What a top-level key is.
pub(super) fn kind_of(key: &str) -> KeyKind {
    if OURS.contains(&key) { KeyKind::Ours } else { KeyKind::Extra }
}

/// The key of ours that an extra key looks like, or the object that it is a part of, if there is one.
pub(super) fn misspelling_of(key: &str) -> Option<&'static str> {
    let is_it = |path: &str| path == key || path.split_once('.').is_some_and(|(_, part)| part == key);
    let part = PARTS.iter().find(|(path, _)| is_it(path)).map(|(_, written)| *written);
    // Short words are near to everything: they must be nearer.
    part.or_else(|| nearest(key, OURS.iter().copied(), if key.chars().count() <= 4 { 1 } else { 2 }))
}

/// The word that `text` comes nearest to, at most `limit` edits away; case and separators do not count.
pub(super) fn nearest<'w>(text: &str, words: impl IntoIterator<Item = &'w str>, limit: usize) -> Option<&'w str> {
    // Longer than any word of ours: not worth the time.
    if text.len() > 64 {
        return None;
    }
    let fold = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
    };
    let wanted = fold(text);
    words
        .into_iter()
        // A sieve: words of quite another length are not near, however their separators are counted.
        .filter(|word| word.len().abs_diff(text.len()) <= limit + 3)
        .map(|word| (model::edits(&wanted, &fold(word)), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::{KeyKind, kind_of, misspelling_of};

    #[test]
    fn misspellings_find_their_key() {
        let rows = [
            ("arsg", Some("args")),
            ("arg", Some("args")),
            ("working_dir", Some("workingDir")),
            ("restartpolicy", Some("restartPolicy")),
            ("restart-policy", Some("restartPolicy")),
            ("enviroment", None),
            ("ncolony.beatchek", Some("ncolony.beatcheck")),
            ("livenesProbe", Some("livenessProbe")),
            ("schedul", Some("schedule")),
            ("tags", None),
            ("user", None),
            ("app.example.org/port", None),
            ("stopSignal", Some("lifecycle: {stopSignal: …}")),
            ("lifecycle.preStop", Some("lifecycle: {preStop: …}")),
            ("securityContext.runAsUser", Some("securityContext: {runAsUser: …}")),
            ("limits", Some("resources: {limits: …}")),
            ("mine.runAsUser", None),
            ("", None),
        ];
        for (key, expected) in rows {
            assert_eq!(misspelling_of(key), expected, "{key:?}");
        }
    }

    #[test]
    fn every_key_has_one_kind() {
        assert_eq!(kind_of("args"), KeyKind::Ours);
        assert_eq!(kind_of("output"), KeyKind::Ours);
        assert_eq!(kind_of("ncolony.httpcheck"), KeyKind::Ours);
        assert_eq!(kind_of("ncolony.mine"), KeyKind::Extra);
        assert_eq!(kind_of("Args"), KeyKind::Extra);
    }
}
