//! What a PromQL expression names: metrics, matchers, labels. Whether it is valid at all, promtool says.

use std::collections::BTreeSet;

/// What one expression names.
#[derive(Debug, Default)]
pub(crate) struct Expression {
    /// In the order in which they stand there.
    pub(crate) selectors: Vec<Selector>,
    /// The labels that it groups or matches by.
    pub(crate) labels: BTreeSet<String>,
}

/// `metric{label="value"}[range]`.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
    /// The text between `[` and `]`.
    pub(crate) range: Option<String>,
    /// The function or aggregation whose argument it stands in.
    pub(crate) function: Option<String>,
}

/// `label="value"`, or with another operator.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// Words that are followed by a list of labels.
const LISTS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are no metric though no parenthesis follows.
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "inf", "nan"];
/// Functions that may be followed by `by (…)` before their parenthesis.
const AGGREGATIONS: &[&str] =
    &["sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Range(String),
    Number,
    Sign(char),
}

/// Reads an expression, variables and all.
///
/// # Errors
/// Where no selector or list of labels could be made out.
pub(crate) fn read(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, found: Expression::default(), within: Vec::new() };
    while let Some((first, rest)) = reader.tokens.split_first() {
        reader.tokens = rest;
        reader.take(first)?;
    }
    Ok(reader.found)
}

/// What is left to be read, and what has been.
struct Reader<'a> {
    tokens: &'a [Token],
    found: Expression,
    /// The functions of the parentheses that are open.
    within: Vec<Option<String>>,
}

impl Reader<'_> {
    fn take(&mut self, token: &Token) -> Result<(), String> {
        match token {
            Token::Word(word) if LISTS.contains(&word.as_str()) => self.list(word)?,
            Token::Word(word) if WORDS.contains(&word.as_str()) || AGGREGATIONS.contains(&word.as_str()) => {
                self.open(word);
            }
            Token::Word(word) if self.tokens.first() == Some(&Token::Sign('(')) => self.open(word),
            Token::Word(word) => self.selector(word)?,
            Token::Sign('(') => self.within.push(None),
            Token::Sign(')') => _ = self.within.pop(),
            Token::Sign('{') => return Err("a selector without a metric".into()),
            Token::Sign(_) | Token::Text(_) | Token::Range(_) | Token::Number => {}
        }
        Ok(())
    }

    /// The parenthesis of a function, where it follows at once.
    fn open(&mut self, function: &str) {
        if self.skip('(') {
            self.within.push(Some(function.to_string()));
        }
    }

    fn list(&mut self, word: &str) -> Result<(), String> {
        // `group_left` alone names none.
        if !self.skip('(') {
            return Ok(());
        }
        while !self.skip(')') {
            match self.tokens.split_first() {
                Some((Token::Word(label), rest)) => {
                    self.found.labels.insert(label.clone());
                    self.tokens = rest;
                }
                Some((Token::Sign(','), rest)) => self.tokens = rest,
                other => return Err(format!("expected a label after {word}, found {other:?}")),
            }
        }
        Ok(())
    }

    fn selector(&mut self, metric: &str) -> Result<(), String> {
        let mut matchers = Vec::new();
        if self.skip('{') {
            while !self.skip('}') {
                matchers.push(self.matcher()?);
                self.skip(',');
            }
        }
        let range = match self.tokens.split_first() {
            Some((Token::Range(range), rest)) => {
                self.tokens = rest;
                Some(range.clone())
            }
            _ => None,
        };
        let function = self.within.last().cloned().flatten();
        self.found.selectors.push(Selector { metric: metric.to_string(), matchers, range, function });
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let Some((Token::Word(label), rest)) = self.tokens.split_first() else {
            return Err(format!("expected a label, found {:?}", self.tokens.first()));
        };
        let signs = rest.iter().take_while(|token| matches!(token, Token::Sign('=' | '!' | '~'))).count();
        let operator =
            rest[..signs].iter().filter_map(|token| if let Token::Sign(c) = token { Some(*c) } else { None });
        let operator: String = operator.collect();
        let Some((Token::Text(value), rest)) = rest[signs..].split_first() else {
            return Err(format!("expected a quoted value for {label}"));
        };
        self.tokens = rest;
        Ok(Matcher { label: label.clone(), operator, value: value.clone() })
    }

    /// Whether this sign was next; then it has been read.
    fn skip(&mut self, sign: char) -> bool {
        let is_next = self.tokens.first() == Some(&Token::Sign(sign));
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ' ' | '\n' | '\t' => 1,
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => {
                let end = rest[1..].find(first).ok_or("a text without an end")?;
                tokens.push(Token::Text(rest[1..=end].to_string()));
                end + 2
            }
            '[' => {
                let end = rest.find(']').ok_or("a range without an end")?;
                tokens.push(Token::Range(rest[1..end].to_string()));
                end + 1
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let is_in = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let end = rest.find(|c| !is_in(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_string()));
                end
            }
            c if c.is_ascii_digit() => {
                tokens.push(Token::Number);
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            other => {
                tokens.push(Token::Sign(other));
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

#[test]
fn an_expression_is_read_for_what_it_names() {
    let text = r#"
        sum by (job, le) (rate(a_total{job=~"$job", mode!="user"}[$__rate_interval])) # and a remark
          / on (job) group_left () max_over_time(timestamp(b == 1)[1h:5m]) > bool 1.5e3 or c offset 5m unless time() - d{}"#;
    let found = read(text).expect("an expression");
    let metrics: Vec<&str> = found.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(metrics, ["a_total", "b", "c", "d"]);
    assert_eq!(found.labels.iter().collect::<Vec<_>>(), ["job", "le"]);
    let first = &found.selectors[0];
    assert_eq!((first.function.as_deref(), first.range.as_deref()), (Some("rate"), Some("$__rate_interval")));
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.into(),
        operator: operator.into(),
        value: value.into(),
    };
    assert_eq!(first.matchers, [matcher("job", "=~", "$job"), matcher("mode", "!=", "user")]);
    assert_eq!(
        (found.selectors[1].function.as_deref(), found.selectors[1].range.as_deref()),
        (Some("timestamp"), None)
    );
    assert_eq!(found.selectors[2].function, None);
    for bad in [r#"{job="a"}"#, "a{job}", r#"a{job="b"#, "a[5m", "sum by (1) (a)"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
