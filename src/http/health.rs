//! Findings as text, in the form of kube-apiserver's health endpoints; but we give the reason.

use std::fmt::Write as _;

use super::query::Query;
use super::verdict::{Finding, Outcome};

/// Whether the checks passed, and the body that says so. `endpoint` is the path without its slash.
pub(super) fn report(endpoint: &str, findings: &[Finding<'_>], query: &Query) -> (bool, String) {
    let mut body = String::new();
    let mut passed = true;
    for finding in findings {
        passed &= write_line(&mut body, finding, query);
    }
    write_unmatched(&mut body, findings, query);
    if passed && !query.verbose {
        return (true, "ok".to_string());
    }
    body.push_str(endpoint);
    body.push_str(if passed { " check passed\n" } else { " check failed\n" });
    (passed, body)
}

/// Writes the line of one check, and says whether it passed.
fn write_line(body: &mut String, finding: &Finding<'_>, query: &Query) -> bool {
    let name = OneLine(finding.name);
    if query.exclude.iter().any(|excluded| excluded == finding.name) {
        let _ = writeln!(body, "[+]{name} excluded: ok");
        return true;
    }
    // Writing to a String does not fail.
    let _ = match &finding.outcome {
        Outcome::Good => writeln!(body, "[+]{name} ok"),
        Outcome::Noted(note) => writeln!(body, "[+]{name} ok ({})", OneLine(note)),
        Outcome::Bad(why) => writeln!(body, "[-]{name} failed: {}", OneLine(why)),
    };
    !matches!(finding.outcome, Outcome::Bad(_))
}

/// A misspelt name must not look as if it had excluded something.
fn write_unmatched(body: &mut String, findings: &[Finding<'_>], query: &Query) {
    let known = |name: &str| findings.iter().any(|finding| finding.name == name);
    let unmatched: Vec<String> =
        query.exclude.iter().filter(|name| !known(name)).map(|name| format!("\"{}\"", OneLine(name))).collect();
    if !unmatched.is_empty() {
        let names = unmatched.join(",");
        let _ = writeln!(body, "warn: some health checks cannot be excluded: no matches for {names}");
    }
}

/// Untrusted text on one line: what could start another line, or steer a terminal, becomes a space.
pub(super) struct OneLine<'a>(pub(super) &'a str);

impl std::fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.0.split(char::is_control).enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::report;
    use crate::query::Query;
    use crate::verdict::{Finding, Outcome};

    fn findings(web: Outcome) -> Vec<Finding<'static>> {
        vec![Finding { name: "ping", outcome: Outcome::Good }, Finding { name: "web", outcome: web }]
    }

    #[test]
    fn bodies_have_the_form_of_kube_apiserver() {
        let bad = || Outcome::Bad("CrashLoopBackOff: back-off 8 s".to_string());
        let rows: Vec<(Outcome, &str, bool, &str)> = vec![
            (Outcome::Good, "", true, "ok"),
            (Outcome::Good, "verbose", true, "[+]ping ok\n[+]web ok\nhealthz check passed\n"),
            (
                Outcome::Noted("a note".to_string()),
                "verbose",
                true,
                "[+]ping ok\n[+]web ok (a note)\nhealthz check passed\n",
            ),
            (bad(), "", false, "[+]ping ok\n[-]web failed: CrashLoopBackOff: back-off 8 s\nhealthz check failed\n"),
            (bad(), "exclude=web", true, "ok"),
            (bad(), "exclude=web&verbose", true, "[+]ping ok\n[+]web excluded: ok\nhealthz check passed\n"),
            (
                Outcome::Good,
                "exclude=x&exclude=y%0a&verbose",
                true,
                "[+]ping ok\n[+]web ok\nwarn: some health checks cannot be excluded: no matches for \"x\",\"y \"\n\
                 healthz check passed\n",
            ),
            (Outcome::Good, "exclude=x", true, "ok"),
        ];
        for (web, query, passed, body) in rows {
            let got = report("healthz", &findings(web), &Query::parse(Some(query)));
            assert_eq!(got, (passed, body.to_string()), "?{query}");
        }
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let forged = Outcome::Bad("died\n[+]all ok\r\u{1b}[2J".to_string());
        let (_, body) = report("readyz", &findings(forged), &Query::default());
        assert_eq!(body, "[+]ping ok\n[-]web failed: died [+]all ok  [2J\nreadyz check failed\n");
    }
}
