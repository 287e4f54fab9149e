//! Files that a run's environment is read from. They are read on the loop's thread: nothing here waits for anybody.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::explain::reason;

/// The largest of them.
const MAX_FILE: u64 = 1024 * 1024;
/// How much one start may read of all of them.
const MAX_START: u64 = 8 * 1024 * 1024;

/// What one start may still read.
#[derive(Debug)]
pub(super) struct Allowance(u64);

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance(MAX_START)
    }
}

/// Why a file's bytes are not to be had.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Unreadable {
    /// 0 where it is not the kernel that refuses.
    pub errno: i32,
    pub why: String,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        let errno = error.raw_os_error().unwrap_or(0);
        Unreadable { errno, why: if errno == 0 { error.to_string() } else { reason(errno) } }
    }
}

impl From<String> for Unreadable {
    fn from(why: String) -> Unreadable {
        Unreadable { errno: 0, why }
    }
}

/// A regular file's bytes; `None` where there is no file.
///
/// # Errors
/// Why they are not to be had.
pub(super) fn read(path: &Path, allowance: &mut Allowance) -> Result<Option<Vec<u8>>, Unreadable> {
    // A FIFO without a writer opens at once, a terminal does not become ours.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        let what = match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_fifo() => "a FIFO",
            () => "a device",
        };
        return Err(format!("it is {what}, not a regular file").into());
    }
    let mut bytes = Vec::new();
    // One more than may be, to tell: sizes are not to be believed, of files in /proc least of all.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes").into());
    }
    allowance.0 =
        allowance.0.checked_sub(size).ok_or(format!("its files are larger than {MAX_START} bytes together"))?;
    if bytes.contains(&0) {
        return Err("it holds a NUL byte".to_string().into());
    }
    Ok(Some(bytes))
}

/// The value that a file holds: all of it but the newlines at its end, as `$(cat FILE)` has it.
pub(super) fn value(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
}

/// A line of an environment file: its name and its value.
type Line<'b> = (&'b [u8], &'b [u8]);

/// The lines of a file, by the rules of `docker run --env-file`: blank lines and those that start with `#` are passed
/// over, and what follows the first `=` is the value, quotes, blanks and all.
///
/// # Errors
/// The number of a line that is none, and why.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Line<'_>>, (usize, &'static str)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let line = &line[start..];
        if !line.is_empty() && !line.starts_with(b"#") {
            found.push(pair(line).map_err(|why| (index + 1, why))?);
        }
    }
    Ok(found)
}

fn pair(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let equals = line.iter().position(|byte| *byte == b'=');
    let Some(at) = equals else {
        return Err("expected KEY=VALUE; a name alone takes nothing from the monitor, envInherit does");
    };
    let (name, value) = (&line[..at], &line[at + 1..]);
    match name {
        [] => Err("a variable's name is not empty"),
        name if name.contains(&b' ') || name.contains(&b'\t') => Err("a variable's name holds no blank"),
        name => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::stat::Mode;

    use super::{Allowance, MAX_FILE, MAX_START, lines, read, value};

    #[test]
    fn lines_are_read_by_dockers_rules() {
        let text =
            b"\xef\xbb\xbfA=1\r\n\n# a comment\n  # another\n\tB= x \nC=\"quoted\" # no comment\nD=\nE==e=e\nF='\n";
        let found: Vec<(String, String)> = lines(text)
            .expect("good lines")
            .into_iter()
            .map(|(name, value)| {
                (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into_owned())
            })
            .collect();
        let expected =
            [("A", "1"), ("B", " x "), ("C", "\"quoted\" # no comment"), ("D", ""), ("E", "=e=e"), ("F", "'")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_string(), value.to_string())));
        assert_eq!(lines(b"").map(|lines| lines.len()), Ok(0));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        let rows: [(&[u8], usize, &str); 4] = [
            (b"A=1\nB\n", 2, "expected KEY=VALUE"),
            (b"\n\n=x", 3, "a variable's name is not empty"),
            (b"export A=1", 1, "a variable's name holds no blank"),
            (b"A =1", 1, "a variable's name holds no blank"),
        ];
        for (text, line, why) in rows {
            let (at, told) = lines(text).expect_err("a bad line");
            assert!(at == line && told.starts_with(why), "{at}: {told}");
        }
    }

    #[test]
    fn newlines_at_the_end_are_no_part_of_a_value() {
        let rows: [(&[u8], &[u8]); 6] =
            [(b"", b""), (b"\n", b""), (b"a\n\n", b"a"), (b"a\nb\n", b"a\nb"), (b" a ", b" a "), (b"a\r\n", b"a\r")];
        for (bytes, expected) in rows {
            assert_eq!(value(bytes), expected);
        }
    }

    #[test]
    fn only_regular_files_of_a_reasonable_size_are_read_and_none_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let told = |name: &str| read(&path(name), &mut Allowance::default());
        nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        fs::create_dir(path("dir")).expect("a directory");
        fs::write(path("just"), vec![b'x'; MAX_FILE as usize]).expect("writable");
        fs::write(path("large"), vec![b'x'; MAX_FILE as usize + 1]).expect("writable");
        fs::write(path("nul"), "a\0b").expect("writable");
        std::os::unix::fs::symlink("/dev/zero", path("zero")).expect("a link");
        let rows = [
            ("fifo", "it is a FIFO, not a regular file"),
            ("dir", "it is a directory, not a regular file"),
            ("zero", "it is a device, not a regular file"),
            ("large", "it is larger than 1048576 bytes"),
            ("nul", "it holds a NUL byte"),
        ];
        for (name, expected) in rows {
            assert_eq!(told(name), Err(expected.to_string().into()), "{name}");
        }
        assert_eq!(told("missing"), Ok(None));
        assert_eq!(told("just/below"), Ok(None));
        let mut allowance = Allowance::default();
        let reads = (0..=MAX_START / MAX_FILE).map(|_| read(&path("just"), &mut allowance).is_ok());
        assert_eq!(reads.filter(|read| *read).count() as u64, MAX_START / MAX_FILE);
    }
}
