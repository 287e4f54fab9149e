use super::{Name, Signal};

/// What a message file asks for: NColony's three, and ours. The name of a process may be that of a set of replicas.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `RESTART`: stop and start one process.
    Restart(Name),
    /// `RESTART-ALL`: the same for every process.
    RestartAll,
    /// `RESTART-GROUP`: the same for every process whose `group` names this.
    RestartGroup(String),
    /// `STOP`: end one process and do not start it again, until further notice.
    Stop(Name),
    /// `START`: take a `STOP` back, and start it at once if it is not up.
    Start(Name),
    /// `TRIGGER`: run one process that has a schedule now, besides it.
    Trigger(Name),
    /// `SIGNAL`: send this to its main process, once.
    Signal(Name, Signal),
}

impl Request {
    /// All types that there are.
    pub const KINDS: [&'static str; 7] =
        ["RESTART", "RESTART-ALL", "RESTART-GROUP", "STOP", "START", "TRIGGER", "SIGNAL"];

    /// The message's type, as it is written in the file and as the metric's label.
    pub fn kind(&self) -> &'static str {
        match self {
            Request::Restart(_) => "RESTART",
            Request::RestartAll => "RESTART-ALL",
            Request::RestartGroup(_) => "RESTART-GROUP",
            Request::Stop(_) => "STOP",
            Request::Start(_) => "START",
            Request::Trigger(_) => "TRIGGER",
            Request::Signal(..) => "SIGNAL",
        }
    }
}
