//! The other side of a heartbeat: the heart of the very process that this is, for a program that a monitor runs.

use std::error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde_json::Value;

/// The heart of the process that this is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnHeart {
    /// `status`: the file, or a directory of files.
    status: PathBuf,
    /// `NCOLONY_NAME`
    name: Option<OsString>,
    /// `period`
    period: Duration,
}

/// Why there is no beat.
#[derive(Debug)]
pub enum Heartless {
    /// Nobody has asked for one, for this reason.
    Unasked(&'static str),
    /// `NCOLONY_CONFIG` is no JSON.
    Malformed(serde_json::Error),
    /// `ncolony.beatcheck` is not what it must be.
    Shape(&'static str),
    /// `status` is a directory, and `NCOLONY_NAME` no name of a file in it.
    Nameless(PathBuf),
    /// The file cannot be touched.
    Untouched(PathBuf, io::Error),
}

/// No heart beats more often: file systems do not tell the times apart.
const OFTENEST: Duration = Duration::from_millis(10);
/// The longest period: a hundred years, in seconds.
const LONGEST: f64 = 3_153_600_000.0;

impl OwnHeart {
    /// The heart that the monitor above has asked for, as it says in the environment.
    ///
    /// # Errors
    /// [`Heartless::Unasked`] where it has not; all else is a mistake in what it says.
    pub fn from_environment() -> Result<OwnHeart, Heartless> {
        OwnHeart::asked(std::env::var_os("NCOLONY_CONFIG").as_deref(), std::env::var_os("NCOLONY_NAME"))
    }

    /// Unlike the monitor's own reader it looks at this one key only, and at no more of it than it needs: whatever else may
    /// be wrong with the file, the monitor that runs it has taken it.
    fn asked(config: Option<&OsStr>, name: Option<OsString>) -> Result<OwnHeart, Heartless> {
        let config = config.ok_or(Heartless::Unasked("NCOLONY_CONFIG is not set"))?;
        let config: Value = serde_json::from_slice(config.as_encoded_bytes()).map_err(Heartless::Malformed)?;
        let asked = match config.get("ncolony.beatcheck") {
            Some(Value::Object(asked)) => asked,
            None | Some(Value::Null) => {
                return Err(Heartless::Unasked("NCOLONY_CONFIG has no \"ncolony.beatcheck\""));
            }
            Some(_) => return Err(Heartless::Shape("it is no object")),
        };
        let seconds = asked.get("period").and_then(Value::as_f64).filter(|period| (0.0..=LONGEST).contains(period));
        let period = seconds.map(Duration::from_secs_f64).filter(|period| !period.is_zero());
        let status = asked.get("status").and_then(Value::as_str).filter(|status| !status.is_empty());
        Ok(OwnHeart {
            status: status.ok_or(Heartless::Shape("\"status\" is no path"))?.into(),
            name,
            period: period.ok_or(Heartless::Shape("\"period\" is no number of seconds above 0"))?,
        })
    }

    /// From one beat to the next, so that one may be lost: a third of the period.
    pub fn pause(&self) -> Duration {
        (self.period / 3).max(OFTENEST)
    }

    /// Touches the file, or, where `status` is a directory, the file of the process's name in it. A missing file is made.
    ///
    /// # Errors
    /// Why it was not touched.
    pub fn beat(&self) -> Result<(), Heartless> {
        let file = if self.status.is_dir() { self.own_file()? } else { self.status.clone() };
        touch(&file).map_err(|error| Heartless::Untouched(file, error))
    }

    fn own_file(&self) -> Result<PathBuf, Heartless> {
        let is_plain = |name: &&OsString| Path::new(name).file_name() == Some(name);
        let name = self.name.as_ref().filter(is_plain).ok_or_else(|| Heartless::Nameless(self.status.clone()))?;
        Ok(self.status.join(name))
    }
}

impl Heartless {
    /// Whether it is simply that nobody has asked for a heartbeat.
    pub fn is_unasked(&self) -> bool {
        matches!(self, Heartless::Unasked(_))
    }
}

/// Nothing is opened but what is made: a FIFO that lies there would hold us up.
fn touch(file: &Path) -> io::Result<()> {
    let now = TimeSpec::UTIME_NOW;
    match utimensat(AT_FDCWD, file, &now, &now, UtimensatFlags::FollowSymlink) {
        Err(Errno::ENOENT) => {
            let mut making = OpenOptions::new();
            making.write(true).create(true).truncate(false).mode(0o666).custom_flags(nix::libc::O_NONBLOCK);
            making.open(file).map(drop)
        }
        touched => touched.map_err(io::Error::from),
    }
}

impl fmt::Display for Heartless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heartless::Unasked(why) => write!(f, "nobody asks for a heartbeat: {why}"),
            Heartless::Malformed(_) => f.write_str("NCOLONY_CONFIG is not JSON"),
            Heartless::Shape(what) => write!(f, "\"ncolony.beatcheck\" in NCOLONY_CONFIG: {what}"),
            Heartless::Nameless(status) => {
                write!(f, "{} is a directory, and NCOLONY_NAME no name of a file in it", status.display())
            }
            Heartless::Untouched(file, _) => write!(f, "cannot touch {}", file.display()),
        }
    }
}

impl error::Error for Heartless {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Heartless::Malformed(source) => Some(source),
            Heartless::Untouched(_, source) => Some(source),
            Heartless::Unasked(_) | Heartless::Shape(_) | Heartless::Nameless(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::time::Duration;

    use super::OwnHeart;

    fn asked(config: Option<&str>) -> Result<Duration, String> {
        let heart = OwnHeart::asked(config.map(OsStr::new), Some("web".into()));
        heart.map(|heart| heart.pause()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_heart_that_is_asked_for_is_read_as_the_originals_client_reads_it() {
        let rows = [
            (r#"{"args": ["x"], "ncolony.beatcheck": {"period": 3, "grace": 2, "status": "s"}}"#, 1000),
            // Neither the grace nor what else there may be is the heart's business.
            (r#"{"ncolony.beatcheck": {"status": "s", "period": 0.3, "more": [1]}, "schedule": 7}"#, 100),
            (r#"{"ncolony.beatcheck": {"period": 1e-9, "status": "s"}}"#, 10),
        ];
        for (config, millis) in rows {
            assert_eq!(asked(Some(config)), Ok(Duration::from_millis(millis)), "{config}");
        }
    }

    #[test]
    fn what_is_no_request_for_a_heartbeat_is_told_from_one_that_is_bad() {
        let rows = [
            (None, "nobody asks for a heartbeat: NCOLONY_CONFIG is not set"),
            (Some("{}"), "nobody asks for a heartbeat: NCOLONY_CONFIG has no \"ncolony.beatcheck\""),
            (
                Some(r#"{"ncolony.beatcheck": null}"#),
                "nobody asks for a heartbeat: NCOLONY_CONFIG has no \"ncolony.beatcheck\"",
            ),
            (Some("[1]"), "nobody asks for a heartbeat: NCOLONY_CONFIG has no \"ncolony.beatcheck\""),
            (Some("args: [x]"), "NCOLONY_CONFIG is not JSON"),
            (Some(""), "NCOLONY_CONFIG is not JSON"),
            (Some(r#"{"ncolony.beatcheck": 5}"#), "\"ncolony.beatcheck\" in NCOLONY_CONFIG: it is no object"),
            (
                Some(r#"{"ncolony.beatcheck": {"period": 5}}"#),
                "\"ncolony.beatcheck\" in NCOLONY_CONFIG: \"status\" is no path",
            ),
        ];
        for (config, expected) in rows {
            assert_eq!(asked(config), Err(expected.to_string()), "{config:?}");
        }
        for period in ["0", "-1", "\"5\"", "null", "1e10", "true"] {
            let config = format!(r#"{{"ncolony.beatcheck": {{"period": {period}, "status": "s"}}}}"#);
            let expected = "\"ncolony.beatcheck\" in NCOLONY_CONFIG: \"period\" is no number of seconds above 0";
            assert_eq!(asked(Some(&config)), Err(expected.to_string()), "{period}");
        }
    }
}
