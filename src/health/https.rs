//! HTTPS is asked for by a process of its own, so that handshakes neither keep the loop from its work nor grow the monitor:
//! what that process is told, and how it answers.

use std::env;
use std::time::Duration;

use super::http::{OverHttps, Tls};
use super::probe::{self, Outcome};
use super::{Resolver, stop_get};
use crate::model::{Birth, EnvValue, Exit, HttpGet, Scheme, Security, Variable, shown};

/// The word by which this binary is that process.
pub const PROGRAM: &str = "https-get";
/// The variable that tells it what to ask for. Not an argument: those are shown to all users, and headers may be secrets.
pub const VARIABLE: &str = "NCOLONY_HTTPS_GET";

/// The most that it says.
const SAID: usize = 900;

/// What it is to ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Errand {
    /// What counts as success.
    pub how: How,
    /// What is asked for.
    pub what: HttpGet,
    /// How long it may take.
    pub limit: Duration,
}

/// What counts as success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// A status from 200 to 399, also behind redirections: [`super::http_get`].
    Probe,
    /// Any answer: [`super::any_answer`].
    Check,
    /// A status from 200 to 399: [`super::stop_get()`].
    Stop,
}

/// An errand as text: how, whether by HTTPS, host, port, path, headers, limit.
type Told = (u8, bool, String, u16, String, Vec<(String, String)>, Duration);

impl Errand {
    /// How it is told: the variable's value.
    pub fn to_text(&self) -> String {
        let HttpGet { scheme, host, port, path, headers } = self.what.clone();
        let told: Told = (self.how as u8, scheme == Scheme::Https, host, port, path, headers, self.limit);
        serde_json::to_string(&told).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Errand> {
        let (how, is_https, host, port, path, headers, limit): Told = serde_json::from_str(text).ok()?;
        let how = [How::Probe, How::Check, How::Stop].into_iter().find(|one| *one as u8 == how)?;
        let scheme = if is_https { Scheme::Https } else { Scheme::Http };
        Some(Errand { how, what: HttpGet { scheme, host, port, path, headers }, limit })
    }

    /// What its process is born with: none of its run's surroundings, but for the monitor's user.
    pub fn birth(&self) -> Birth {
        Birth {
            // Whatever has become of the file since.
            argv: vec!["/proc/self/exe".to_string(), PROGRAM.to_string()],
            env: vec![Variable { name: VARIABLE.to_string(), value: EnvValue::Text(self.to_text()) }],
            security: Security { no_new_privs: true, ..Security::default() },
            ..Birth::default()
        }
    }

    /// What this process was told to ask for.
    pub fn ours() -> Option<Errand> {
        Errand::parse(&env::var(VARIABLE).ok()?)
    }

    /// Asks, in a process that is there for nothing else.
    pub async fn run(&self) -> Outcome {
        let (resolver, limit) = (Resolver::default(), self.limit);
        let asked = match self.how {
            How::Probe => probe::http_get(&resolver, &self.what, limit, Tls::Here).await,
            How::Check => probe::any_answer(&resolver, &self.what, limit, Tls::Here).await,
            How::Stop => Ok(match stop_get(&resolver, &self.what, limit, Tls::Here).await {
                Ok(_) => Outcome::Success,
                Err(error) => Outcome::Failure(error.to_string()),
            }),
        };
        asked.unwrap_or_else(|OverHttps| Outcome::Unknown("nobody speaks TLS here".to_string()))
    }
}

/// How the process says what came of it: a letter, and behind it the text.
pub fn said(outcome: &Outcome) -> String {
    let (letter, text) = match outcome {
        Outcome::Success => ('S', ""),
        Outcome::Warning(text) => ('W', text.as_str()),
        Outcome::Failure(text) => ('F', text.as_str()),
        Outcome::Unknown(text) => ('U', text.as_str()),
    };
    format!("{letter}{}", shown(text.as_bytes(), SAID))
}

/// What a process came to that ended like this and said this. One that said nothing has met its end by the server.
pub fn outcome(exit: Exit, words: &[u8]) -> Outcome {
    let text = |words: &[u8]| String::from_utf8_lossy(words).into_owned();
    match words {
        [b'S'] => Outcome::Success,
        [b'W', words @ ..] => Outcome::Warning(text(words)),
        [b'F', words @ ..] => Outcome::Failure(text(words)),
        [b'U', words @ ..] => Outcome::Unknown(text(words)),
        _ => Outcome::Failure(format!("the process that asks by HTTPS could not follow the server: it ended, {exit}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Errand, How, outcome, said};
    use crate::health::Outcome;
    use crate::model::{Exit, HttpGet, Scheme};

    #[test]
    fn an_errand_is_read_as_it_was_told() {
        for (how, scheme) in [(How::Probe, Scheme::Http), (How::Check, Scheme::Https), (How::Stop, Scheme::Https)] {
            let headers = vec![("X-Token".to_string(), "\"$(A)\"\n".to_string())];
            let what = HttpGet { scheme, host: "::1".into(), port: 443, path: "/a?b".into(), headers };
            let errand = Errand { how, what, limit: Duration::from_millis(1500) };
            assert_eq!(Errand::parse(&errand.to_text()), Some(errand.clone()), "{errand:?}");
        }
        for none in ["", "[]", "[9,true,\"h\",1,\"/\",[],{\"secs\":1,\"nanos\":0}]"] {
            assert_eq!(Errand::parse(none), None, "{none}");
        }
    }

    #[test]
    fn what_came_of_it_is_heard_as_it_was_said() {
        let text = "no answer within 1 s".to_string();
        for told in
            [Outcome::Success, Outcome::Warning(text.clone()), Outcome::Failure(text.clone()), Outcome::Unknown(text)]
        {
            assert_eq!(outcome(Exit::Code(0), said(&told).as_bytes()), told);
        }
        let Outcome::Failure(long) = outcome(Exit::Code(0), said(&Outcome::Failure("x".repeat(5000))).as_bytes())
        else {
            panic!("no failure")
        };
        assert!(long.len() < 1000 && long.ends_with('…'), "{long}");
        for nothing in ["", "Success", "x"] {
            let Outcome::Failure(why) = outcome(Exit::Unknown, nothing.as_bytes()) else { panic!("{nothing}") };
            assert!(why.starts_with("the process that asks by HTTPS could not follow the server: it ended, "), "{why}");
        }
    }
}
