//! From a message's text to a request.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use crate::model::{Name, Request, Signal, nearest};

/// What a message's text is.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    /// A request.
    Request(Request),
    /// The beginning of one, as it is while somebody writes it.
    Incomplete,
    /// Neither; this is why. It repeats nothing of the text but what is known to be harmless: the file may be a hard
    /// link to one that nobody should see.
    Refused(String),
}

/// The request that a text is, or why it is none.
///
/// # Errors
/// As a message of this text would be refused.
pub fn request(text: &str) -> Result<Request, String> {
    match parse(text.as_bytes()) {
        Parsed::Request(request) => Ok(request),
        Parsed::Incomplete => Err("it is not complete".to_string()),
        Parsed::Refused(why) => Err(why),
    }
}

/// Parses a message. Keys that no request has are passed over, as NColony does.
pub(super) fn parse(text: &[u8]) -> Parsed {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Parsed::Incomplete,
        Some(b'{') => {}
        Some(_) => return refused("expected a JSON object"),
    }
    let error = match serde_json::from_slice::<Fields>(text) {
        Ok(fields) => return fields.request(),
        Err(error) => error,
    };
    match error.classify() {
        Category::Eof => Parsed::Incomplete,
        // What serde_json says of syntax names places, never text.
        Category::Syntax | Category::Io => Parsed::Refused(format!("not JSON: {error}")),
        // Fields' own words.
        Category::Data => Parsed::Refused(error.to_string()),
    }
}

fn refused(reason: &str) -> Parsed {
    Parsed::Refused(reason.to_string())
}

/// The keys that matter, as they are in the text.
#[derive(Default)]
struct Fields {
    kind: Option<Value>,
    name: Option<Value>,
    group: Option<Value>,
    signal: Option<Value>,
}

impl Fields {
    fn request(mut self) -> Parsed {
        let Some(Value::String(kind)) = self.kind.take() else {
            return Parsed::Refused(format!("expected \"type\" to be one of {}", Request::KINDS.join(", ")));
        };
        match self.asked(&kind) {
            Ok(request) => Parsed::Request(request),
            Err(reason) => Parsed::Refused(reason),
        }
    }

    fn asked(self, kind: &str) -> Result<Request, String> {
        let name = || process(kind, self.name.as_ref());
        Ok(match kind {
            "RESTART" => Request::Restart(name()?),
            "RESTART-ALL" => Request::RestartAll,
            "RESTART-GROUP" => Request::RestartGroup(group(self.group)?),
            "STOP" => Request::Stop(name()?),
            "START" => Request::Start(name()?),
            "TRIGGER" => Request::Trigger(name()?),
            "SIGNAL" => Request::Signal(name()?, signal(self.signal)?),
            unknown => return Err(unknown_type(unknown)),
        })
    }
}

fn process(kind: &str, name: Option<&Value>) -> Result<Name, String> {
    let Some(Value::String(name)) = name else {
        return Err(format!("{kind} needs \"name\", the name of a process"));
    };
    Name::parse(name).map_err(|error| format!("\"name\" is no name of a process: {error}"))
}

fn group(group: Option<Value>) -> Result<String, String> {
    match group {
        Some(Value::String(group)) if !group.is_empty() => Ok(group),
        Some(_) | None => Err("RESTART-GROUP needs \"group\", the name of a group".to_string()),
    }
}

fn signal(signal: Option<Value>) -> Result<Signal, String> {
    let (found, meant) = match &signal {
        Some(Value::String(text)) => (Signal::parse(text), Signal::misspelt(text)),
        Some(Value::Number(number)) => {
            (number.as_i64().and_then(|number| i32::try_from(number).ok()).and_then(Signal::from_raw), None)
        }
        Some(_) | None => (None, None),
    };
    found.ok_or_else(|| {
        let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        format!("SIGNAL needs \"signal\", such as HUP, SIGUSR1, RTMIN+3 or 15{meant}")
    })
}

fn unknown_type(kind: &str) -> String {
    let known = Request::KINDS.join(", ");
    match nearest(kind, Request::KINDS) {
        // So near to one of ours that it is safe to repeat.
        Some(meant) => format!("unknown \"type\" {kind:?}; did you mean {meant}? There are {known}"),
        None => format!("unknown \"type\"; there are {known}"),
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        let mut others = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            let place = match key.as_str() {
                "type" => &mut fields.kind,
                "name" => &mut fields.name,
                "group" => &mut fields.group,
                "signal" => &mut fields.signal,
                _ => {
                    others.push(key);
                    continue;
                }
            };
            // serde_json would keep the last: a message that says two things says nothing.
            if place.replace(value).is_some() {
                return Err(A::Error::custom(format!("key \"{key}\" occurs twice")));
            }
        }
        others.sort_unstable();
        match others.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(A::Error::custom("a key occurs twice")),
            false => Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse};
    use crate::model::{Name, Request, Signal};

    fn signal(number: i32) -> Signal {
        Signal::from_raw(number).expect("a signal")
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn every_request_is_understood() {
        let rows: &[(&str, Request)] = &[
            (r#"{"type": "RESTART", "name": "web"}"#, Request::Restart(name("web"))),
            (r#"{"name":"gr\u00f6\u00dfe","type":"RESTART"}"#, Request::Restart(name("größe"))),
            ("\u{feff}{\"type\":\r\n\"RESTART-ALL\"}\r\n", Request::RestartAll),
            (r#"{"type": "RESTART-ALL", "because": ["I", {"say": "so"}]}"#, Request::RestartAll),
            (r#"{"type": "RESTART-GROUP", "group": "fronts"}"#, Request::RestartGroup("fronts".into())),
            (r#"{"type": "STOP", "name": "web"}"#, Request::Stop(name("web"))),
            (r#"{"type": "START", "name": "web"}"#, Request::Start(name("web"))),
            (r#"{"type": "TRIGGER", "name": "nightly"}"#, Request::Trigger(name("nightly"))),
            (r#"{"type": "SIGNAL", "name": "web", "signal": "HUP"}"#, Request::Signal(name("web"), signal(1))),
            (r#"{"type": "SIGNAL", "name": "web", "signal": "sigusr1"}"#, Request::Signal(name("web"), signal(10))),
            (r#"{"type": "SIGNAL", "name": "web", "signal": "RTMIN+3"}"#, Request::Signal(name("web"), signal(37))),
            (r#"{"type": "SIGNAL", "name": "web", "signal": 9}"#, Request::Signal(name("web"), signal(9))),
        ];
        assert!(Request::KINDS.iter().all(|kind| rows.iter().any(|(_, request)| request.kind() == *kind)));
        for (text, expected) in rows {
            assert_eq!(parse(text.as_bytes()), Parsed::Request(expected.clone()), "{text}");
        }
    }

    #[test]
    fn every_beginning_of_a_message_is_incomplete() {
        let whole = r#" {"type": "RESTART", "name": "gr\u00f6ße", "n": [1.5e3, true, null, {"a": []}]}"#.as_bytes();
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Parsed::Incomplete, "{:?}", String::from_utf8_lossy(&whole[..end]));
        }
        assert!(matches!(parse(whole), Parsed::Request(_)));
    }

    #[test]
    fn what_is_refused_says_why() {
        let rows: &[(&[u8], &str)] = &[
            (b"RESTART web", "expected a JSON object"),
            (b"[1, 2]", "expected a JSON object"),
            (b"\"RESTART\"", "expected a JSON object"),
            (b"{type: RESTART}", "not JSON: key must be a string at line 1 column 2"),
            (b"{} {}", "not JSON: trailing characters at line 1 column 4"),
            (b"{\"type\": \"\xff\"}", "not JSON: invalid unicode code point at line 1 column 11"),
            (b"{}", "expected \"type\" to be one of RESTART, RESTART-ALL, RESTART-GROUP, STOP, START, TRIGGER, SIGNAL"),
            (
                b"{\"type\": 1}",
                "expected \"type\" to be one of RESTART, RESTART-ALL, RESTART-GROUP, STOP, START, TRIGGER, SIGNAL",
            ),
            (
                b"{\"type\": \"RESTRAT\", \"name\": \"web\"}",
                "unknown \"type\" \"RESTRAT\"; did you mean RESTART? There are RESTART, RESTART-ALL, RESTART-GROUP, \
                 STOP, START, TRIGGER, SIGNAL",
            ),
            (
                b"{\"type\": \"service_account\"}",
                "unknown \"type\"; there are RESTART, RESTART-ALL, RESTART-GROUP, STOP, START, TRIGGER, SIGNAL",
            ),
            (b"{\"type\": \"STOP\"}", "STOP needs \"name\", the name of a process"),
            (b"{\"type\": \"START\", \"name\": null}", "START needs \"name\", the name of a process"),
            (b"{\"type\": \"SIGNAL\", \"signal\": \"HUP\"}", "SIGNAL needs \"name\", the name of a process"),
            (
                b"{\"type\": \"SIGNAL\", \"name\": \"web\"}",
                "SIGNAL needs \"signal\", such as HUP, SIGUSR1, RTMIN+3 or 15",
            ),
            (
                b"{\"type\": \"SIGNAL\", \"name\": \"web\", \"signal\": 65}",
                "SIGNAL needs \"signal\", such as HUP, SIGUSR1, RTMIN+3 or 15",
            ),
            (
                b"{\"type\": \"SIGNAL\", \"name\": \"web\", \"signal\": \"SIGHPU\"}",
                "SIGNAL needs \"signal\", such as HUP, SIGUSR1, RTMIN+3 or 15; did you mean SIGHUP?",
            ),
            (b"{\"type\": \"RESTART\"}", "RESTART needs \"name\", the name of a process"),
            (b"{\"type\": \"RESTART\", \"name\": [\"web\"]}", "RESTART needs \"name\", the name of a process"),
            (
                b"{\"type\": \"RESTART\", \"name\": \"../web\"}",
                "\"name\" is no name of a process: a name does not start with \".\"",
            ),
            (b"{\"type\": \"RESTART-GROUP\"}", "RESTART-GROUP needs \"group\", the name of a group"),
            (
                b"{\"type\": \"RESTART\", \"name\": \"a\", \"name\": \"b\"}",
                "key \"name\" occurs twice at line 1 column 45",
            ),
            (b"{\"type\": \"RESTART-ALL\", \"x\": 1, \"x\": 2}", "a key occurs twice at line 1 column 39"),
        ];
        for (text, expected) in rows {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(parse(text), Parsed::Refused(expected.to_string()), "{shown}");
        }
    }

    #[test]
    fn no_depth_of_nesting_ends_the_program() {
        let deep = format!("{{\"x\": {}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(matches!(parse(deep.as_bytes()), Parsed::Refused(_)));
    }
}
