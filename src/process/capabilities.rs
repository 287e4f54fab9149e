//! Which capabilities a child is to have, from what its file asks for and what the monitor has.

use super::sys::{Held, Rights};
use crate::model::{Capabilities, CapabilitySet, StartError, Step};

/// Who starts, and who is started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Users {
    /// Root, by root: it has what its bounding set allows.
    RootStays,
    /// Another, by root: the kernel would clear all that it has.
    RootLeaves,
    /// Another becomes root.
    RootComes,
    /// No root on either side.
    NoRoot,
}

impl Users {
    pub(super) fn of(from: u32, to: u32) -> Users {
        match (from == 0, to == 0) {
            (true, true) => Users::RootStays,
            (true, false) => Users::RootLeaves,
            (false, true) => Users::RootComes,
            (false, false) => Users::NoRoot,
        }
    }
}

/// The sets that the child is to have. What is executed as root gets whatever the bounding set allows; as another user,
/// what is ambient, so that is where `add` puts it.
///
/// # Errors
/// A capability that the monitor does not have.
pub(super) fn plan(asked: &Capabilities, held: &Held, users: Users) -> Result<Rights, StartError> {
    // What is not in both can be given to nobody.
    let has = held.permitted & held.bounding;
    let add = if asked.add.is_all() { has } else { asked.add.bits() };
    if add & !has != 0 {
        let missing = CapabilitySet::from_bits(add & !has);
        let what = format!("cannot give it capabilities that the monitor itself does not have: {missing}");
        return Err(StartError { step: Step::Capabilities, errno: 0, what });
    }
    let kept = |before: u64| match asked.drop.is_all() {
        true => add,
        false => (before | add) & !asked.drop.bits(),
    };
    let bounding = kept(held.bounding);
    let (permitted, inheritable, ambient) = match users {
        Users::RootStays | Users::RootComes => {
            let inheritable = held.inheritable & bounding;
            (held.permitted & bounding, inheritable, held.ambient & inheritable)
        }
        Users::RootLeaves => (kept(0), kept(0), kept(0)),
        Users::NoRoot => (kept(held.ambient), kept(held.ambient), kept(held.ambient)),
    };
    Ok(Rights {
        taken: held.bounding & !bounding,
        bounding,
        permitted,
        inheritable,
        ambient,
        outlives_root: users == Users::RootLeaves && ambient != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::{Held, Users, plan};
    use crate::model::{Capabilities, CapabilitySet};

    const ROOT: Held = Held { permitted: 0b1111, inheritable: 0b0011, bounding: 0b1111, ambient: 0 };
    const USER: Held = Held { permitted: 0b0110, inheritable: 0b0010, bounding: 0b0111, ambient: 0b0010 };
    const ALL: u64 = u64::MAX;

    fn asked(add: u64, drop: u64) -> Capabilities {
        Capabilities { add: CapabilitySet::from_bits(add), drop: CapabilitySet::from_bits(drop) }
    }

    #[test]
    fn the_sets_are_what_the_file_asks_for() {
        use Users::{NoRoot, RootComes, RootLeaves, RootStays};
        // Monitor, users, add, drop; then bounding, permitted, inheritable, ambient, outlives_root.
        let rows = [
            (ROOT, RootStays, 0, 0b0001, (0b1110, 0b1110, 0b0010, 0, false)),
            (ROOT, RootStays, 0, ALL, (0, 0, 0, 0, false)),
            (ROOT, RootStays, 0b0100, ALL, (0b0100, 0b0100, 0, 0, false)),
            (ROOT, RootStays, ALL, 0b0001, (0b1110, 0b1110, 0b0010, 0, false)),
            (ROOT, RootStays, 0b0001, 0, (0b1111, 0b1111, 0b0011, 0, false)),
            (ROOT, RootLeaves, 0, 0b0001, (0b1110, 0, 0, 0, false)),
            (ROOT, RootLeaves, 0, ALL, (0, 0, 0, 0, false)),
            (ROOT, RootLeaves, 0b0100, ALL, (0b0100, 0b0100, 0b0100, 0b0100, true)),
            (ROOT, RootLeaves, 0b0100, 0, (0b1111, 0b0100, 0b0100, 0b0100, true)),
            (ROOT, RootLeaves, ALL, 0, (0b1111, 0b1111, 0b1111, 0b1111, true)),
            // An unknown future capability that is dropped by name is not there to be dropped.
            (ROOT, RootStays, 0, 1 << 40, (0b1111, 0b1111, 0b0011, 0, false)),
            (USER, NoRoot, 0b0100, 0, (0b0111, 0b0110, 0b0110, 0b0110, false)),
            (USER, NoRoot, 0, 0b0010, (0b0101, 0, 0, 0, false)),
            (USER, NoRoot, 0, ALL, (0, 0, 0, 0, false)),
            (USER, RootComes, 0, 0b0010, (0b0101, 0b0100, 0, 0, false)),
        ];
        for (held, users, add, drop, expected) in rows {
            let rights = plan(&asked(add, drop), &held, users).expect("it has them");
            let found = (rights.bounding, rights.permitted, rights.inheritable, rights.ambient, rights.outlives_root);
            assert_eq!(found, expected, "{users:?} add {add:b} drop {drop:b}");
            assert_eq!(rights.taken, held.bounding & !rights.bounding);
            assert_eq!(rights.ambient & !(rights.permitted & rights.inheritable), 0, "the kernel's rule");
        }
    }

    #[test]
    fn what_the_monitor_does_not_have_cannot_be_added() {
        for (held, add) in [(ROOT, 1 << 13), (USER, 0b0001), (USER, 0b1000)] {
            let error = plan(&asked(add, 0), &held, Users::NoRoot).expect_err("it has not");
            assert!(error.what.starts_with("cannot give it capabilities that the monitor"), "{}", error.what);
        }
    }
}
