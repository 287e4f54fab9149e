//! What is done for runs beside running them: the hooks of their files.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Wakes;
use super::events::{Level, Told};
use super::host::Host;
use super::telling::killing;
use crate::health::https::{Errand, How};
use crate::health::{GetError, Outcome, Resolver, Tls, https, stop_get};
use crate::model::{
    Exit, Format, HelperId, HttpGet, Incarnation, Name, PreStop, ProcessSpec, Reason, Scheme, StartError,
};
use crate::process::{self, Purpose};
use crate::reconcile::{Cut, Fact, Hook, HookEnd, Why};

/// The hooks under way.
pub(super) struct Hooks {
    /// Before the stop signals.
    under_way: HashMap<Incarnation, Doing>,
    /// After the starts.
    post_starts: HashMap<HelperId, Incarnation>,
    /// What came of requests.
    answers: (Sender<Answer>, Receiver<Answer>),
    resolver: Resolver,
    wakes: Arc<Wakes>,
}

struct Answer {
    name: Name,
    run: Incarnation,
    result: Result<u16, GetError>,
}

enum Doing {
    Exec(HelperId),
    HttpGet(AbortHandle),
    /// The process that asks by HTTPS.
    Https(HelperId),
    /// The core counts the time.
    Sleep,
}

impl Hooks {
    /// None yet; `wakes` is told of each that is over.
    pub(super) fn new(wakes: &Arc<Wakes>, resolver: &Resolver) -> Hooks {
        Hooks {
            under_way: HashMap::new(),
            post_starts: HashMap::new(),
            answers: channel(),
            resolver: resolver.clone(),
            wakes: Arc::clone(wakes),
        }
    }

    /// Begins a request, whose answer will be among [`Host::hooks_answered`]. Must be called from within the runtime.
    fn ask(&self, name: &Name, run: Incarnation, what: &HttpGet, limit: Duration) -> AbortHandle {
        let (name, what) = (name.clone(), what.clone());
        let (answers, wakes, resolver) = (self.answers.0.clone(), Arc::clone(&self.wakes), self.resolver.clone());
        let asking = async move {
            let result = stop_get(&resolver, &what, limit, Tls::Elsewhere).await;
            // Nobody listens any more when the loop has ended.
            let _ = answers.send(Answer { name, run, result });
            wakes.notify.notify_one();
        };
        tokio::spawn(asking).abort_handle()
    }

    /// The hooks of a run are of no more interest, if there are any: it is asked to end, was killed, or is over.
    pub(super) fn forget(&mut self, run: Incarnation) {
        if let Some(Doing::HttpGet(request)) = self.under_way.remove(&run) {
            request.abort();
        }
        self.post_starts.retain(|_, of| *of != run);
    }
}

impl Host {
    /// Begins what is to be done right after the start of a run.
    pub(super) fn begin_post_start(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec) -> Hook {
        let argv = spec.post_start.as_deref().unwrap_or_default();
        let program = argv.first().map_or("", String::as_str);
        match self.start_helper(name, run, spec, argv) {
            Ok(helper) => {
                tracing::info!(process = %name, run = run.get(), "postStart of {name} (exec {program})");
                self.hooks.post_starts.insert(helper, run);
                Hook::UnderWay
            }
            Err(error) => {
                self.tell_hook_failed(&POST_START, name, run, &format!("cannot start it: {error}"));
                Hook::Over
            }
        }
    }

    /// Begins what is to be done before a run is asked to end.
    pub(super) fn begin_pre_stop(&mut self, name: &Name, run: Incarnation, spec: &ProcessSpec, why: Why) -> Hook {
        let Some(hook) = &spec.stop.pre_stop else { return Hook::Over };
        self.note_unhealthy(name, run, why);
        let told = Told::of(name, killing(why), self.why_killing(name, run, why)).run(run).level(Level::Info);
        self.events.tell(told, format_args!("preStop of {name} ({}): {}", words(hook), why.as_str()));
        let doing = match hook {
            PreStop::Exec(argv) => match self.start_helper(name, run, spec, argv) {
                Ok(helper) => Doing::Exec(helper),
                Err(error) => {
                    self.tell_hook_failed(&PRE_STOP, name, run, &format!("cannot start it: {error}"));
                    return Hook::Over;
                }
            },
            PreStop::HttpGet(what) if what.scheme == Scheme::Https => {
                match self.start_https(name, run, what, spec.stop.grace) {
                    Ok(helper) => Doing::Https(helper),
                    Err(error) => {
                        self.tell_hook_failed(&PRE_STOP, name, run, &format!("cannot ask by HTTPS: {error}"));
                        return Hook::Over;
                    }
                }
            }
            PreStop::HttpGet(what) => Doing::HttpGet(self.hooks.ask(name, run, what, spec.stop.grace)),
            PreStop::Sleep(_) => Doing::Sleep,
        };
        self.hooks.under_way.insert(run, doing);
        Hook::UnderWay
    }

    /// Ends it before it is over.
    pub(super) fn cut_pre_stop(&mut self, name: &Name, run: Incarnation, cut: Cut) {
        match cut {
            Cut::TimeUp => self.tell_hook_failed(&UNFINISHED, name, run, "it took all of its time, and is ended"),
            Cut::MainGone => {
                tracing::info!(process = %name, run = run.get(), "the preStop of {name} is ended with its main process");
            }
        }
        if let Some(Doing::Exec(helper) | Doing::Https(helper)) = self.hooks.under_way.get(&run) {
            self.children.end_helper(*helper);
        }
        self.hooks.forget(run);
    }

    /// Hooks that were answered since the last look, as facts.
    pub(super) fn hooks_answered(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        while let Ok(Answer { name, run, result }) = self.hooks.answers.1.try_recv() {
            // One that was ended may have been answered at that moment.
            if self.hooks.under_way.remove(&run).is_some() {
                match result {
                    Ok(status) => PRE_STOP.tell_success(&name, run, &format!("status {status}")),
                    Err(error) => self.tell_hook_failed(&PRE_STOP, &name, run, &error.to_string()),
                }
                facts.push(Fact::PreStopOver(name, run));
            }
        }
        facts
    }

    /// A helper of a run has ended; a fact, unless it was ended by us.
    pub(super) fn helper_exited(
        &mut self,
        name: &Name,
        run: Incarnation,
        helper: HelperId,
        exit: Exit,
    ) -> Option<Fact> {
        if self.probe_exited(helper, exit) {
            return None;
        }
        self.capture.helper_ended(helper);
        if self.hooks.post_starts.remove(&helper).is_some() {
            return Some(Fact::PostStartOver(name.clone(), run, self.tell_hook_end(&POST_START, name, run, exit)));
        }
        // What asks by HTTPS is listened to until it ends.
        let words = self.capture.answer(helper);
        match self.hooks.under_way.get(&run) {
            Some(Doing::Exec(of)) if *of == helper => _ = self.tell_hook_end(&PRE_STOP, name, run, exit),
            Some(Doing::Https(of)) if *of == helper => self.tell_https(name, run, https::outcome(exit, &words)),
            Some(Doing::Exec(_) | Doing::HttpGet(_) | Doing::Https(_) | Doing::Sleep) | None => return None,
        }
        self.hooks.under_way.remove(&run);
        Some(Fact::PreStopOver(name.clone(), run))
    }

    fn tell_https(&mut self, name: &Name, run: Incarnation, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Warning(_) => PRE_STOP.tell_success(name, run, "answered well"),
            Outcome::Failure(why) | Outcome::Unknown(why) => self.tell_hook_failed(&PRE_STOP, name, run, &why),
        }
    }

    /// Starts the process that asks by HTTPS.
    fn start_https(
        &mut self,
        name: &Name,
        run: Incarnation,
        what: &HttpGet,
        limit: Duration,
    ) -> Result<HelperId, StartError> {
        let errand = Errand { how: How::Stop, what: what.clone(), limit };
        let helper = self.children.next_helper();
        let pipe = self.capture.open_answer(helper).map_err(|error| process::no_output(&error))?;
        let started = self.children.start_errand(run, name, &errand.birth(), [pipe.as_fd(); 2]);
        if started.is_err() {
            self.capture.answer(helper);
        }
        started
    }

    fn tell_hook_end(&mut self, kind: &Kind, name: &Name, run: Incarnation, exit: Exit) -> HookEnd {
        if exit.is_success() {
            kind.tell_success(name, run, &exit.to_string());
            HookEnd::Well
        } else {
            self.tell_hook_failed(kind, name, run, &exit.to_string());
            HookEnd::Failed
        }
    }

    fn tell_hook_failed(&mut self, kind: &Kind, name: &Name, run: Incarnation, how: &str) {
        let Kind { key, failed, then } = kind;
        let told = Told::of(name, *failed, format!("{how}; {then}")).run(run);
        self.events.tell(told, format_args!("{key} of {name} failed: {how}; {then}"));
    }

    /// A helper prints as its run does.
    fn start_helper(
        &mut self,
        name: &Name,
        run: Incarnation,
        spec: &ProcessSpec,
        argv: &[String],
    ) -> Result<HelperId, StartError> {
        let output = spec.birth.output.unwrap_or(self.default_output);
        let stdio = match output.format {
            Format::Inherit => None,
            Format::Prefix | Format::Json => {
                let helper = self.children.next_helper();
                Some(self.capture.open_helper(helper, name, output).map_err(|error| process::no_output(&error))?)
            }
        };
        let ends = stdio.as_ref().map(|stdio| [stdio.out.as_fd(), stdio.err.as_fd()]);
        self.children.start_helper(run, Purpose::Hook, name, spec, argv, ends)
    }
}

/// What a hook is, for the log: a program's arguments and a request's headers may be secrets.
fn words(hook: &PreStop) -> String {
    match hook {
        PreStop::Exec(argv) => format!("exec {}", argv.first().map_or("", String::as_str)),
        PreStop::HttpGet(what) => {
            format!("httpGet from {} port {} by {}", what.host, what.port, what.scheme.as_str().to_uppercase())
        }
        PreStop::Sleep(span) => format!("sleep {} s", span.as_secs_f64()),
    }
}

/// How hooks of one kind are told of.
struct Kind {
    key: &'static str,
    /// How a failure is told.
    failed: Reason,
    /// What a failure leads to.
    then: &'static str,
}

const POST_START: Kind = Kind { key: "postStart", failed: Reason::FailedPostStartHook, then: "it is ended" };
const PRE_STOP: Kind = Kind { key: "preStop", failed: Reason::FailedPreStopHook, then: "the stop goes on" };
const UNFINISHED: Kind = Kind { failed: Reason::UnfinishedPreStopHook, ..PRE_STOP };

impl Kind {
    fn tell_success(&self, name: &Name, run: Incarnation, how: &str) {
        tracing::info!(process = %name, run = run.get(), "{} of {name} is done: {how}", self.key);
    }
}
