//! What runs say of themselves by sd_notify(3): who is heard, and what becomes of it.

mod voice;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use super::events::Told;
use super::host::Host;
use crate::health::Outcome;
use crate::health::notify::{Drained, Heard, Message, Owner, Said, Sender, Sockets, Stage};
use crate::model::{Incarnation, Moment, Name, ProbeHandler, ProbeKind, ProbeResult, ProcessSpec, Reason, StartError};
use crate::process;
use crate::reconcile::{Fact, Observed};
use voice::{Verdict, Voice};

/// The runs that may say something.
pub(super) struct Voices {
    sockets: Sockets,
    runs: HashMap<Incarnation, Speaker>,
    /// When those may have been silent for too long that have said how long that is. A ping moves none: whose time has
    /// come is looked at.
    deadlines: BTreeSet<(Moment, Incarnation)>,
    /// When they were last listened to.
    now: Moment,
    /// Whether there was more to hear then.
    more: bool,
    counts: Counts,
    /// Who has spoken last, for whom, and whether that was one of its own; of this turn.
    last: Option<(Incarnation, Sender, bool)>,
    /// Whose main process has just ended, which is not told yet.
    ending: Option<Incarnation>,
}

#[derive(Default)]
struct Speaker {
    voice: Voice,
    /// Where it stands among the deadlines.
    deadline: Option<Moment>,
    /// Since when lines were written of what it says, and how many.
    lines: (Moment, u32),
}

/// The most lines of the log in so long that are owed to what one run says: it could go on for ever.
const MOST_LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Taken, whether or not they told something.
    pub(super) taken: u64,
    /// Not taken.
    pub(super) rejected: u64,
}

impl Voices {
    /// Nobody's yet; the sockets will have their names in this directory.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn new(dir: &Path) -> io::Result<Voices> {
        Ok(Voices {
            sockets: Sockets::new(dir)?,
            runs: HashMap::new(),
            deadlines: BTreeSet::new(),
            now: Moment::ZERO,
            more: false,
            counts: Counts::default(),
            last: None,
            ending: None,
        })
    }

    /// Makes the socket of a run that is to be started, and says what it is called.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn open(&mut self, run: Incarnation, owner: Owner) -> io::Result<String> {
        let name = self.sockets.open(run, owner)?;
        self.runs.insert(run, Speaker::default());
        Ok(name)
    }

    /// Nothing is left of the run, or it could not be started.
    pub(super) fn forget(&mut self, run: Incarnation) {
        if let Some(speaker) = self.runs.remove(&run) {
            self.sockets.close(run);
            speaker.deadline.map(|at| self.deadlines.remove(&(at, run)));
        }
    }

    /// The monitor itself did not run, and heard nobody.
    pub(super) fn stalled(&mut self, now: Moment) {
        self.runs.values_mut().for_each(|speaker| speaker.voice.excuse(now));
    }

    /// What a run says for people to read; may be empty.
    pub(super) fn status(&self, run: Incarnation) -> &str {
        self.runs.get(&run).map_or("", |speaker| speaker.voice.status())
    }

    /// What a run's probe of this kind finds, where it is for the run to say.
    pub(super) fn answer(&mut self, run: Incarnation, kind: ProbeKind) -> ProbeResult {
        let now = self.now;
        self.runs.get_mut(&run).map_or(ProbeResult::Unknown, |speaker| speaker.voice.answer(kind, now))
    }

    /// When to listen again, whatever is heard.
    pub(super) fn wake_at(&self) -> Option<Moment> {
        let late = self.deadlines.first().map(|(at, _)| *at);
        let more = self.more.then_some(self.now);
        [late, more, self.sockets.wake_at()].into_iter().flatten().min()
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Those that have been silent for longer than they said.
    fn notice_silence(&mut self) -> Vec<(Incarnation, Verdict)> {
        let mut late = Vec::new();
        while let Some((at, run)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now) {
            self.deadlines.remove(&(at, run));
            let Some(speaker) = self.runs.get_mut(&run) else { continue };
            speaker.deadline = None;
            late.extend(speaker.voice.notice_silence(self.now).map(|verdict| (run, verdict)));
            speaker.file(run, &mut self.deadlines);
        }
        late
    }
}

impl Speaker {
    /// Whether one more line may be written of what it says.
    fn may_be_told(&mut self, now: Moment) -> bool {
        if now.since(self.lines.0) >= WINDOW {
            self.lines = (now, 0);
        }
        self.lines.1 = self.lines.1.saturating_add(1);
        self.lines.1 <= MOST_LINES
    }

    /// Sees to it that its silence is looked at in time.
    fn file(&mut self, run: Incarnation, deadlines: &mut BTreeSet<(Moment, Incarnation)>) {
        let is_sooner = |late: &Moment| self.deadline.is_none_or(|filed| *late < filed);
        let Some(late) = self.voice.late_at().filter(is_sooner) else { return };
        self.deadline.map(|filed| deadlines.remove(&(filed, run)));
        deadlines.insert((late, run));
        self.deadline = Some(late);
    }
}

impl Host {
    /// Makes the socket of a run that is to be started, where a probe listens to it.
    pub(super) fn open_voice(&mut self, run: Incarnation, spec: &ProcessSpec) -> Result<Option<String>, StartError> {
        if spec.birth.sd_notify.is_none() {
            return Ok(None);
        }
        let owner = match spec.birth.security.user {
            None => Owner::Ours,
            Some(_) => Owner::Another,
        };
        self.voices.open(run, owner).map(Some).map_err(|error| process::no_socket(&error))
    }

    /// What runs have said since the last time, as facts; and what follows from the silence of others.
    pub(super) fn hear(&mut self, now: Moment) -> Vec<Fact> {
        (self.voices.now, self.voices.last) = (now, None);
        let Drained { heard, more } = self.voices.sockets.drain(now);
        self.voices.more = more;
        let mut facts: Vec<Fact> = heard.into_iter().flat_map(|heard| self.heard(heard)).collect();
        let late = self.voices.notice_silence();
        facts.extend(late.into_iter().filter_map(|(run, verdict)| Some(told(self.name_of(run)?, run, verdict))));
        facts
    }

    /// What a run has said whose main process has just ended. Says whether it was that another is the main process.
    pub(super) fn hear_last(&mut self, run: Incarnation, facts: &mut Vec<Fact>) -> bool {
        self.voices.ending = Some(run);
        for heard in self.voices.sockets.drain_run(run) {
            facts.append(&mut self.heard(heard));
        }
        self.voices.ending = None;
        self.children.pid(run).is_some()
    }

    /// Tells of a verdict that is none to be glad of, if a probe of the run listens.
    pub(super) fn tell_verdict(&mut self, fact: &Fact, observed: &Observed) {
        let Fact::Told(name, run, kind, ProbeResult::Failure(why)) = fact else { return };
        let present = observed.records().get(name).and_then(|record| record.life.run());
        let probes = present.filter(|present| present.id == *run).map_or(&[][..], |present| &present.spec.probes);
        if probes.iter().any(|probe| probe.kind == *kind && probe.handler == ProbeHandler::Notify) {
            self.tell_probe(name, *run, *kind, Outcome::Failure(why.to_string()));
        }
    }

    fn heard(&mut self, heard: Heard) -> Vec<Fact> {
        // Until this has been handled, its descriptors are kept: whoever waits at a barrier waits for that.
        let Heard { run, sender, said, descriptors: _descriptors } = heard;
        let Some(name) = self.name_of(run).filter(|_| self.children.has(run)).cloned() else { return Vec::new() };
        let said = match (said, sender) {
            (Err(why), _) => return self.reject(&name, run, format!("a message is not taken: {why}")),
            (Ok(_), sender) if !self.is_its_own(run, sender) => {
                return self.reject(&name, run, format!("a message is not taken: {STRANGER}"));
            }
            (Ok(said), _) => said,
        };
        self.voices.counts.taken += 1;
        match said {
            Said::Barrier => Vec::new(),
            Said::Message(message) => self.obey(&name, run, &message),
        }
    }

    fn obey(&mut self, name: &Name, run: Incarnation, message: &Message) -> Vec<Fact> {
        if let Some(key) = message.unclear {
            let what = format!("it has said {key} with a value that cannot be; that is passed over");
            self.events.tell_now_and_then(Told::of(name, Reason::ProbeWarning, what).run(run));
        }
        if let Some(pid) = message.main_pid {
            self.hand_over(name, run, pid);
        }
        let Some(speaker) = self.voices.runs.get_mut(&run) else { return Vec::new() };
        let before = speaker.voice.stage();
        let verdicts = speaker.voice.hear(message, self.voices.now);
        speaker.file(run, &mut self.voices.deadlines);
        let news = message.stage.filter(|stage| before != Some(*stage));
        if let Some(stage) = news.filter(|_| speaker.may_be_told(self.voices.now)) {
            tracing::info!(process = %name, run = run.get(), "{name} {}", words(stage));
        }
        verdicts.into_iter().map(|verdict| told(name, run, verdict)).collect()
    }

    /// It says which of its processes is the main one.
    fn hand_over(&mut self, name: &Name, run: Incarnation, pid: i32) {
        let handed = match self.voices.ending == Some(run) {
            true => self.children.hand_over_late(run, pid),
            false => self.children.hand_over(run, pid),
        };
        match handed {
            Ok(false) => {}
            Ok(true) => {
                let now = self.voices.now;
                if self.voices.runs.get_mut(&run).is_some_and(|speaker| speaker.may_be_told(now)) {
                    tracing::info!(process = %name, run = run.get(), pid, "{name} has another main process, it says (MAINPID)");
                }
                self.pid_files.started(name, pid);
            }
            Err(why) => {
                let what = format!("its MAINPID is refused: {why}");
                self.events.tell_now_and_then(Told::of(name, Reason::ProbeWarning, what).run(run).pid(pid));
            }
        }
    }

    /// Whether a message is from one of the run's own processes. Who says a lot is looked at once.
    fn is_its_own(&mut self, run: Incarnation, sender: Option<Sender>) -> bool {
        let Some(sender) = sender else { return false };
        match self.voices.last {
            Some((of, last, is_own)) if (of, last) == (run, sender) => is_own,
            Some(_) | None => {
                let is_own = self.children.is_of(run, sender.pid, sender.uid);
                self.voices.last = Some((run, sender, is_own));
                is_own
            }
        }
    }

    fn reject(&mut self, name: &Name, run: Incarnation, why: String) -> Vec<Fact> {
        self.voices.counts.rejected += 1;
        self.events.tell_now_and_then(Told::of(name, Reason::ProbeWarning, why).run(run));
        Vec::new()
    }
}

const STRANGER: &str = "it is from none of its processes";

fn told(name: &Name, run: Incarnation, (kind, result): Verdict) -> Fact {
    Fact::Told(name.clone(), run, kind, result)
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Ready => "is ready, it says (READY=1)",
        Stage::Reloading => "reloads, it says (RELOADING=1)",
        Stage::Stopping => "is stopping, it says (STOPPING=1)",
    }
}

impl AsFd for Voices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sockets.as_fd()
    }
}
