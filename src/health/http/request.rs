use crate::model::HttpGet;

/// Who asks when it is a probe. Servers tell probes by the beginning, `kube-probe/`, and keep them out of their logs; behind
/// it stands who it is here, where the kubelet has its version.
pub(in crate::health) const PROBER: &str = concat!("kube-probe/ncolony-", env!("CARGO_PKG_VERSION"));
/// Who asks before a stop.
pub(in crate::health) const STOPPER: &str = concat!("ncolony/", env!("CARGO_PKG_VERSION"));

/// The bytes of a GET request for `target` at `host`. The file's headers win over ours, as in the kubelet: an empty
/// `User-Agent` or `Accept` takes ours away. What frames a message, and `Connection`, is ours alone.
pub(in crate::health) fn request(what: &HttpGet, target: &str, host: &str, agent: &str) -> Vec<u8> {
    let told = |name: &str| what.headers.iter().find(|(told, _)| told.eq_ignore_ascii_case(name));
    let or = |name: &str, ours: &str| told(name).map_or(ours.to_string(), |(_, value)| value.clone());
    let mut text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in [("User-Agent", or("User-Agent", agent)), ("Accept", or("Accept", "*/*"))] {
        if !value.is_empty() {
            push(&mut text, name, &value);
        }
    }
    for (name, value) in &what.headers {
        if !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            push(&mut text, name, value);
        }
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Headers that are written above, or would make another message of it.
const OURS: [&str; 7] =
    ["Host", "User-Agent", "Accept", "Connection", "Content-Length", "Transfer-Encoding", "Trailer"];

fn push(text: &mut String, name: &str, value: &str) {
    text.extend([name, ": ", value, "\r\n"]);
}

/// The `Host` that a file asks for.
pub(in crate::health) fn host_header(what: &HttpGet) -> Option<&str> {
    let told = what.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    told.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{PROBER, host_header, request};
    use crate::model::{HttpGet, Scheme};

    fn asked(headers: &[(&str, &str)]) -> (HttpGet, String) {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let what = HttpGet { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 80, path: "/".into(), headers };
        let text = request(&what, "/well?now", host_header(&what).unwrap_or("127.0.0.1:80"), PROBER);
        (what, String::from_utf8(text).expect("text"))
    }

    // pkg/probe/http/request_test.go
    #[test]
    fn the_files_headers_win_and_empty_ones_take_ours_away() {
        let agent = format!("User-Agent: {PROBER}\r\n");
        let (_, plain) = asked(&[]);
        let expected =
            format!("GET /well?now HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\n{agent}Accept: */*\r\n\r\n");
        assert_eq!(plain, expected);
        /// The file's headers, what is in the request then, and what is not.
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
        let rows: [Row<'_>; 6] = [
            (&[("user-agent", "me")], &["User-Agent: me\r\n"], &["kube-probe"]),
            (&[("User-Agent", "")], &[], &["User-Agent"]),
            (&[("Accept", "text/html")], &["Accept: text/html\r\n"], &["*/*"]),
            (&[("accept", "")], &[&agent], &["Accept", "accept"]),
            (&[("Host", "web.local")], &["Host: web.local\r\n"], &["Host: 127"]),
            (&[("X-A", "1"), ("X-A", "2"), ("X-E", "")], &["X-A: 1\r\nX-A: 2\r\nX-E: \r\n", &agent], &[]),
        ];
        for (headers, present, absent) in rows {
            let (_, text) = asked(headers);
            assert!(present.iter().all(|part| text.contains(part)), "{headers:?}: {text}");
            assert!(!absent.iter().any(|part| text.contains(part)), "{headers:?}: {text}");
        }
    }

    #[test]
    fn no_header_of_a_file_makes_another_message_of_it() {
        let (_, text) =
            asked(&[("Content-Length", "5"), ("transfer-encoding", "chunked"), ("Connection", "keep-alive")]);
        assert!(!text.to_lowercase().contains("length") && !text.contains("chunked"), "{text}");
        assert!(text.contains("Connection: close\r\n") && !text.contains("keep-alive"), "{text}");
    }
}
