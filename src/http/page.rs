//! `/`: one embedded file. The server fills it for the first load, so that it is whole without its script.

use super::colony::{Colony, EventRow, Refused, Row};

const TEMPLATE: &str = include_str!("page.html");

/// What a browser may do with our answers: run the page's script, which is told by its hash, and poll us.
pub(super) const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-e18W6TCMjb29khdqYCnM78pTFR21f3JEegzSQL/j6Ws='; \
    style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, showing `colony`.
pub(super) fn render(colony: &Colony<'_>) -> String {
    let mut page = String::with_capacity(TEMPLATE.len() + 512 * colony.processes.len());
    let mut rest = TEMPLATE;
    while let Some((text, tail)) = rest.split_once("{{") {
        page.push_str(text);
        let (slot, tail) = tail.split_once("}}").unwrap_or((tail, ""));
        fill(&mut page, slot, colony);
        rest = tail;
    }
    page.push_str(rest);
    page
}

fn fill(page: &mut String, slot: &str, colony: &Colony<'_>) {
    match slot {
        "verdict" => escape(page, colony.verdict),
        "ready" => page.push_str(if colony.ready { "true" } else { "false" }),
        "why" => colony.why.iter().for_each(|why| tag(page, "li", "", why)),
        "summary" => escape(page, &colony.summary),
        "monitor" => escape(page, &colony.monitor),
        "processes" => colony.processes.iter().for_each(|process| row(page, process)),
        "refused-hidden" => page.push_str(if colony.refused.is_empty() { " hidden" } else { "" }),
        "refused" => colony.refused.iter().for_each(|file| refused(page, file)),
        "events-hidden" => page.push_str(if colony.events.is_empty() { " hidden" } else { "" }),
        "events" => colony.events.iter().for_each(|happened| event(page, happened)),
        "version" => page.push_str(env!("CARGO_PKG_VERSION")),
        // A test sees to it that the file has no others.
        _ => {}
    }
}

/// The same elements as the script's `blankRow`.
fn row(page: &mut String, row: &Row<'_>) {
    page.push_str("<tr role=\"row\" data-state=\"");
    page.push_str(row.state);
    page.push_str("\">");
    tag(page, "th", " role=\"rowheader\" scope=\"row\"", row.name);
    page.push_str("<td role=\"cell\" class=\"state\">");
    tag(page, "b", "", row.state);
    tag(page, "span", "", &row.why);
    page.push_str("</td>");
    tag(page, "td", " role=\"cell\" data-label=\"Restarts\"", &row.restarts);
    tag(page, "td", " role=\"cell\" data-label=\"Age\"", &row.age);
    tag(page, "td", " role=\"cell\" data-label=\"Last exit\"", &row.last_exit);
    tag(page, "td", " role=\"cell\" data-label=\"Next start\"", &row.next_start);
    tag(page, "td", " role=\"cell\" data-label=\"Heartbeat\"", &row.heartbeat);
    page.push_str("</tr>");
}

/// The same elements as the script's `blankEvent`.
fn event(page: &mut String, event: &EventRow<'_>) {
    page.push_str("<tr role=\"row\" data-type=\"");
    page.push_str(event.kind);
    page.push_str("\">");
    tag(page, "th", " role=\"rowheader\" scope=\"row\"", event.process);
    page.push_str("<td role=\"cell\" class=\"state\">");
    tag(page, "b", "", event.reason);
    tag(page, "span", "", event.message);
    page.push_str("</td>");
    tag(page, "td", " role=\"cell\" data-label=\"Type\"", event.kind);
    tag(page, "td", " role=\"cell\" data-label=\"Seen\"", &event.seen);
    page.push_str("</tr>");
}

fn refused(page: &mut String, file: &Refused<'_>) {
    page.push_str("<div>");
    tag(page, "dt", "", file.file);
    tag(page, "dd", "", file.why);
    page.push_str("</div>");
}

fn tag(page: &mut String, name: &str, attributes: &str, text: &str) {
    page.push('<');
    page.push_str(name);
    page.push_str(attributes);
    page.push('>');
    escape(page, text);
    page.push_str("</");
    page.push_str(name);
    page.push('>');
}

fn escape(page: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Colony, render};
    use crate::model::{FileError, ProcessEvent, Reason, Snapshot};
    use crate::sample::{colony, event, process};

    fn page(snapshot: &Snapshot, events: &[ProcessEvent]) -> String {
        render(&Colony::of(snapshot, events, Duration::from_secs(30)))
    }

    #[test]
    fn the_first_load_shows_the_colony_without_the_script() {
        let page = page(&colony(vec![process("web")]), &[]);
        for part in [
            "<p id=\"word\">Ready</p>",
            "data-ready=\"true\"",
            "<tr role=\"row\" data-state=\"running\"><th role=\"rowheader\" scope=\"row\">web</th>",
            "<section id=\"refused\" hidden>",
            "<section id=\"events\" hidden>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"), "a slot is left");
    }

    #[test]
    fn strangers_texts_are_escaped() {
        let evil = "<script>alert(1)</script>\"'&{{version}}";
        let mut view = process("web");
        (view.ready, view.message) = (false, evil.to_string());
        let mut snapshot = colony(vec![view, process("<b onmouseover='x'>")]);
        snapshot.config.errors.push(FileError { file: evil.to_string(), summary: evil.to_string() });
        let page = page(&snapshot, &[event("web", Reason::Unhealthy, evil, 1)]);
        assert!(!page.contains("<script>alert") && !page.contains("<b onmouseover"));
        // In the verdict, in the row, in the event, and twice for the file.
        let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;{{version}}";
        assert!(page.matches(escaped).count() >= 5, "{}", page.matches(escaped).count());
    }
}
