//! The termination log: where a kubelet, or whoever else started us, looks for why a container ended.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::write;

/// Where a kubelet has it, unless the pod says otherwise.
const DEFAULT: &str = "/dev/termination-log";
/// A kubelet reads no more.
const MOST: usize = 4096;
/// How long the end of the program waits for it: it may be on a file system that does not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The way there.
#[derive(Debug)]
pub(super) struct Termination {
    /// `--termination-log`
    path: Option<PathBuf>,
    /// What a thread that writes will have to say.
    under_way: Option<mpsc::Receiver<Result<(), Errno>>>,
}

impl Termination {
    /// Nothing is written yet, and nothing is opened: it may come later.
    pub(super) fn new(path: Option<PathBuf>) -> Termination {
        Termination { path, under_way: None }
    }

    /// Writes why the colony ends, and somebody's last lines. Never waits.
    pub(super) fn tell(&mut self, reason: &str, lines: &str) {
        let text = message(reason, lines);
        let (path, make) = (self.path().to_path_buf(), self.path.is_some());
        let (written, is_written) = mpsc::channel();
        let work = move || {
            // The end may have come.
            let _ = written.send(put(&path, make, text.as_bytes()));
        };
        // Where no thread can be had it is left: to write here could keep everybody from ending.
        match thread::Builder::new().name("termination-log".into()).stack_size(64 * 1024).spawn(work) {
            Ok(_) => self.under_way = Some(is_written),
            Err(error) => self.warn(&error),
        }
    }

    /// Waits a little until it is written, and says why it could not be.
    pub(super) fn finish(&mut self) {
        let Some(is_written) = self.under_way.take() else { return };
        match is_written.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            // Outside of Kubernetes there is none.
            Ok(Err(Errno::ENOENT)) if self.path.is_none() => {}
            Ok(Err(errno)) => self.warn(&io::Error::from(errno)),
            Err(_) => self.warn(&io::Error::from(Errno::ETIMEDOUT)),
        }
    }

    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(DEFAULT))
    }

    fn warn(&self, error: &io::Error) {
        tracing::warn!("cannot write why the colony ended to {}: {error}", self.path().display());
    }
}

/// Nothing here blocks: not a FIFO that nobody reads, nor one whose reader is slow.
fn put(path: &Path, make: bool, mut text: &[u8]) -> Result<(), Errno> {
    let made = if make { OFlag::O_CREAT } else { OFlag::empty() };
    let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | made;
    let file: OwnedFd = open(path, flags, Mode::from_bits_truncate(0o644))?;
    while !text.is_empty() {
        match write(&file, text) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => text = text.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The reason, and below it as many of the last lines as there is room for; the oldest go first.
fn message(reason: &str, lines: &str) -> String {
    let mut text = reason.to_string();
    let end = (0..MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text.push('\n');
    let least = lines.len().saturating_sub(MOST - text.len());
    let from = (least..lines.len()).find(|at| lines.is_char_boundary(*at)).unwrap_or(lines.len());
    let whole = match (from, lines[from..].split_once('\n')) {
        (0, _) => lines,
        // It may be that a line begins right here.
        (from, _) if lines[..from].ends_with('\n') => &lines[from..],
        (_, Some((_, rest))) if !rest.is_empty() => rest,
        (from, _) => &lines[from..],
    };
    text.push_str(whole);
    text
}

#[cfg(test)]
mod tests {
    use super::{MOST, message};

    #[test]
    fn the_reason_stays_and_the_oldest_lines_go() {
        assert_eq!(message("why", ""), "why\n");
        assert_eq!(message("why", "a\nb\n"), "why\na\nb\n");
        let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let text = message("why", &lines);
        assert!(text.len() <= MOST && text.len() > MOST - 10, "{}", text.len());
        let rest = text.strip_prefix("why\nline ").expect("whole lines");
        assert!(lines.ends_with(rest), "{text}");
        for room in 0..20 {
            let reason = "r".repeat(MOST - 1 - room);
            let text = message(&reason, "eins\nzwei\ndrei\n");
            let expected = ["", "drei\n", "zwei\ndrei\n", "eins\nzwei\ndrei\n"][room.min(15) / 5];
            if room >= 5 || room == 0 {
                assert_eq!(text, format!("{reason}\n{expected}"), "{room}");
            }
        }
    }

    #[test]
    fn nothing_is_cut_within_a_character() {
        for shift in 0..4 {
            let reason = format!("{}{}", "x".repeat(shift), "ü€😀".repeat(2000));
            let text = message(&reason, "last\n");
            assert!(text.len() <= MOST && text.len() > MOST - 4, "{}", text.len());
            let line = format!("{}{}\n", "x".repeat(shift), "ü€😀".repeat(2000));
            let text = message("why", &line);
            assert!(text.len() <= MOST && text.len() > MOST - 4 && text.ends_with("😀\n"), "{}", text.len());
        }
    }
}
