//! By which name a monitor knows the process of a file: ours drops an extension, NColony's does not, and ends the reading of
//! its messages for good at a name that it does not know.

use std::path::Path;

use super::Subject;
use crate::config::Asked;
use crate::messages;
use crate::model::Name;

/// Whose monitor runs the files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whose {
    Ours,
    NColonys,
}

/// The processes of these files.
pub(super) fn subjects(asked: Vec<Asked>, messages: &Path) -> Vec<Subject> {
    // Only where it matters.
    let is_ours = || std::env::var_os("NCOLONY_RUN").is_some() || messages::is_claimed(messages);
    let whose = match asked.iter().any(|asked| asked.file.ends_with(".json")) && !is_ours() {
        true => Whose::NColonys,
        false => Whose::Ours,
    };
    let subject = |Asked { file, version, check }| Some(Subject { name: name(&file, whose)?, version, check });
    asked.into_iter().filter_map(subject).collect()
}

fn name(file: &str, whose: Whose) -> Option<Name> {
    let stem = match whose {
        Whose::Ours => file.strip_suffix(".json"),
        // It takes none for a process that is not JSON, and this one's name is the file's.
        Whose::NColonys => None,
    };
    let stem = stem.or_else(|| file.strip_suffix(".yaml")).or_else(|| file.strip_suffix(".yml"));
    Name::parse(stem.unwrap_or(file)).ok()
}

#[cfg(test)]
mod tests {
    use super::Whose::{NColonys, Ours};
    use super::name;

    #[test]
    fn a_process_has_the_name_that_its_monitor_gives_it() {
        let rows = [
            ("web", Ours, "web"),
            ("web", NColonys, "web"),
            ("web.json", Ours, "web"),
            ("web.json", NColonys, "web.json"),
            ("web.yaml", Ours, "web"),
            ("web.yml", Ours, "web"),
        ];
        for (file, whose, expected) in rows {
            assert_eq!(name(file, whose).expect("a name").as_str(), expected, "{file}, {whose:?}");
        }
    }
}
