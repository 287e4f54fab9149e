use super::Name;

/// What a message file asks for (NColony's three).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `RESTART`: stop and start one process.
    Restart(Name),
    /// `RESTART-ALL`: the same for every process.
    RestartAll,
    /// `RESTART-GROUP`: the same for every process whose `group` names this.
    RestartGroup(String),
}

impl Request {
    /// The message's type, as it is written in the file and as the metric's label.
    pub fn kind(&self) -> &'static str {
        match self {
            Request::Restart(_) => "RESTART",
            Request::RestartAll => "RESTART-ALL",
            Request::RestartGroup(_) => "RESTART-GROUP",
        }
    }
}
