//! JSON (RFC 8259), strictly, into a tree of places. serde_json tells neither where a value stands nor of a second key.

use super::node::{Budget, Entry, MAX_DEPTH, Malformed, Node, Span, Value};

/// Reads a whole text as one JSON value.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, budget: Budget::new(), top: Vec::new() };
    match reader.document() {
        Ok(node) => Ok(node),
        Err(malformed) => Err(Malformed { top: reader.top, ..malformed }),
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    budget: Budget,
    /// The keys of the top level and where their values lie; the last one may still be open.
    top: Vec<(String, Span)>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Malformed> {
        self.skip_space();
        let node = self.value(0)?;
        self.skip_space();
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.wrong("expected the end of the file")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Malformed> {
        let start = self.at;
        self.budget.charge(0, Span::at(start))?;
        if depth >= MAX_DEPTH && matches!(self.peek(), Some(b'{' | b'[')) {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let value = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b']' | b'}') => {
                let help = "JSON has no comma before a closing bracket";
                return Err(Malformed { help: Some(help), ..self.wrong("expected a value") });
            }
            Some(_) | None => return Err(self.wrong("expected a value")),
        };
        Ok(Node { span: Span { start, end: self.at }, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Map(entries));
        }
        loop {
            entries.push(self.entry(depth)?);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Map(entries));
            }
            if !self.take(b',') {
                return Err(self.wrong("expected \",\" or \"}\""));
            }
            self.skip_space();
        }
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, Malformed> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            let help = "JSON wants keys in double quotes and no comma after the last entry; a file that starts with \"{\" is JSON";
            return Err(Malformed { help: Some(help), ..self.wrong("expected a key in double quotes") });
        }
        self.budget.charge(0, Span::at(start))?;
        let key = self.string()?;
        let key_span = Span { start, end: self.at };
        self.skip_space();
        if !self.take(b':') {
            return Err(self.wrong("expected \":\""));
        }
        self.skip_space();
        if depth == 0 {
            self.top.push((key.clone(), Span { start: self.at, end: self.text.len() }));
        }
        let node = self.value(depth + 1)?;
        if let (0, Some((_, span))) = (depth, self.top.last_mut()) {
            span.end = self.at;
        }
        Ok(Entry { key, key_span, node })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.wrong("expected \",\" or \"]\""));
            }
            self.skip_space();
        }
    }

    fn string(&mut self) -> Result<String, Malformed> {
        let opening = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let run = self.at;
            while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
                self.at += 1;
            }
            // Both ends are at ASCII bytes or at the end: never inside a character.
            out.push_str(self.text.get(run..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(b'\n' | b'\r') | None => {
                    return Err(Malformed::new(Span::at(opening), "this text has no closing quote on its line"));
                }
                Some(_) => return Err(self.wrong("control character in a text; write it as an escape such as \\n")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let start = self.at;
        self.at += 2;
        let c = match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            Some(_) | None => return Err(Malformed::new(Span::at(start), "unknown escape")),
        };
        Ok(c)
    }

    /// `\uXXXX`, and a surrogate pair as two of them.
    fn unicode(&mut self, start: usize) -> Result<char, Malformed> {
        let wrong = || Malformed::new(Span { start, end: start + 6 }, "this escape is no character");
        let first = self.hex4().ok_or_else(wrong)?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(wrong());
                }
                let second = self.hex4().filter(|low| (0xdc00..=0xdfff).contains(low)).ok_or_else(wrong)?;
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(wrong)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        if self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'.') {
            return Err(Malformed::new(Span { start, end: self.at + 1 }, "this is no number"));
        }
        Ok(Value::Number(self.text.get(start..self.at).unwrap_or_default().into()))
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Malformed> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, message: impl Into<String>) -> Malformed {
        match self.peek() {
            Some(_) => Malformed::new(Span::at(self.at), message),
            None => Malformed::new(Span::at(self.at), format!("the file ends too early: {}", message.into())),
        }
    }
}
