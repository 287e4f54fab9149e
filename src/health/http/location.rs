use hyper::Uri;

use crate::model::{HttpGet, Scheme};

/// What is asked for: of whom, and by which path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::health) struct Target {
    pub(in crate::health) scheme: Scheme,
    /// A name or an address, without brackets.
    pub(in crate::health) host: String,
    pub(in crate::health) port: u16,
    /// The path with its query; starts with `/`.
    pub(in crate::health) path: String,
}

/// Where a redirection leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::health) enum Location {
    /// To the same host: the name alone counts, as in the kubelet.
    Here {
        target: Target,
        /// Whether it names no host, so that a `Host` of the file's own still holds.
        is_relative: bool,
    },
    /// To another host, or to something that is not asked for here.
    Away,
}

impl Target {
    /// What a file asks for.
    pub(in crate::health) fn of(what: &HttpGet) -> Target {
        Target { scheme: what.scheme, host: what.host.clone(), port: what.port, path: what.path.clone() }
    }

    /// Where a `Location` leads from here; `None` for what is no URL.
    pub(in crate::health) fn follow(&self, location: &str) -> Option<Location> {
        let location = location.split('#').next().unwrap_or_default();
        if let Some(rest) = location.strip_prefix("//") {
            return self.absolute(&format!("{}://{rest}", self.scheme.as_str()));
        }
        if has_scheme(location) {
            return self.absolute(location);
        }
        let path = match location.as_bytes() {
            [] => self.path.clone(),
            [b'/', ..] => location.to_string(),
            [b'?', ..] => format!("{}{location}", self.without_query()),
            _ => {
                let base = self.without_query();
                format!("{}/{location}", base.rsplit_once('/').map_or("", |(folder, _)| folder))
            }
        };
        let path = flat(&path);
        // The way it is asked for must be a path, too.
        path.parse::<Uri>().ok()?;
        Some(Location::Here { target: Target { path, ..self.clone() }, is_relative: true })
    }

    fn absolute(&self, url: &str) -> Option<Location> {
        let url: Uri = url.parse().ok()?;
        let host = url.host()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let scheme = url.scheme_str().and_then(Scheme::parse);
        let Some(scheme) = scheme.filter(|_| host.eq_ignore_ascii_case(&self.host)) else {
            return Some(Location::Away);
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { flat(path) } else { format!("/{path}") };
        let port = url.port_u16().unwrap_or(scheme.port());
        let target = Target { scheme, host: host.to_string(), port, path };
        Some(Location::Here { target, is_relative: false })
    }

    fn without_query(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// `http:`, but not `/a:b` and not `a/b:c`.
fn has_scheme(location: &str) -> bool {
    let scheme = location.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn flat(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if parts.peek().is_none() {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{Location, Target};
    use crate::model::Scheme;

    fn followed(location: &str) -> Option<(String, bool)> {
        let from = Target { scheme: Scheme::Http, host: "web.local".into(), port: 8080, path: "/a/b/c?d=e".into() };
        match from.follow(location)? {
            Location::Here { target: Target { scheme: Scheme::Http, host, port, path }, is_relative } => {
                Some((format!("{host}:{port}{path}"), is_relative))
            }
            Location::Here { target: Target { scheme: Scheme::Https, host, port, path }, is_relative } => {
                Some((format!("https {host}:{port}{path}"), is_relative))
            }
            Location::Away => Some(("away".into(), false)),
        }
    }

    #[test]
    fn a_location_leads_where_rfc_3986_says() {
        let rows = [
            ("/x", "web.local:8080/x", true),
            ("x?y", "web.local:8080/a/b/x?y", true),
            ("?z", "web.local:8080/a/b/c?z", true),
            ("../../x", "web.local:8080/x", true),
            ("../..", "web.local:8080/", true),
            ("./", "web.local:8080/a/b/", true),
            ("/../../x/./y/..", "web.local:8080/x/", true),
            ("", "web.local:8080/a/b/c?d=e", true),
            ("#part", "web.local:8080/a/b/c?d=e", true),
            ("x/y:z", "web.local:8080/a/b/x/y:z", true),
            ("http://web.local/x", "web.local:80/x", false),
            ("HTTP://WEB.local:81", "WEB.local:81/", false),
            ("http://me:secret@web.local:82?q", "web.local:82/?q", false),
            ("//web.local:83/x#y", "web.local:83/x", false),
            ("//other.local/x", "away", false),
            ("http://web.local.evil/x", "away", false),
            ("https://web.local:8443/x", "https web.local:8443/x", false),
            ("HTTPS://web.local", "https web.local:443/", false),
            ("https://other.local/x", "away", false),
            ("ftp://web.local/x", "away", false),
            ("mailto:x", "away", false),
        ];
        for (location, expected, is_relative) in rows {
            assert_eq!(followed(location), Some((expected.to_string(), is_relative)), "{location:?}");
        }
        for none in ["http://", "http://[::1", "/a b", "/\u{7f}"] {
            assert_eq!(followed(none), None, "{none:?}");
        }
        let six = Target { scheme: Scheme::Http, host: "::1".into(), port: 80, path: "/".into() };
        let expected = Target { port: 81, path: "/x".into(), ..six.clone() };
        let expected = Location::Here { target: expected, is_relative: false };
        assert_eq!(six.follow("http://[::1]:81/x"), Some(expected));
        let tls = Target { scheme: Scheme::Https, host: "web".into(), port: 8443, path: "/".into() };
        for (location, scheme, port) in
            [("/", Scheme::Https, 8443), ("//web/", Scheme::Https, 443), ("http://web/", Scheme::Http, 80)]
        {
            let Some(Location::Here { target, .. }) = tls.follow(location) else { panic!("{location}") };
            assert_eq!(target, Target { scheme, port, ..tls.clone() }, "{location}");
        }
    }
}
