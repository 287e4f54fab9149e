//! The process that asks by HTTPS for the monitor, or for `httpcheck`: it is told by its environment what to ask for, and
//! says in a line what came of it. Not a program for users: `ncolony` starts it.

use std::io::Write as _;
use std::process::ExitCode;

use crate::failpoint;
use crate::health::Outcome;
use crate::health::https::{Errand, PROGRAM, VARIABLE, said};

/// A call that nobody but a user can have made.
const MISUSE: u8 = 2;

/// Asks, and says what came of it.
pub fn run() -> ExitCode {
    let Some(errand) = Errand::ours() else {
        eprintln!("ncolony {PROGRAM} is what ncolony starts to ask by HTTPS: {VARIABLE} tells it what, and does not");
        return ExitCode::from(MISUSE);
    };
    // Should anything here ever panic at what a server sends, that is an answer, too.
    std::panic::set_hook(Box::new(|_| {
        say(&Outcome::Failure("what answers does not speak TLS as it should".to_string()));
        std::process::exit(0);
    }));
    failpoint::reach("https-get");
    say(&asked(&errand));
    ExitCode::SUCCESS
}

fn asked(errand: &Errand) -> Outcome {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(errand.run());
            // A look-up of a name may never end.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Outcome::Unknown(format!("cannot wait for an answer: {error}")),
    }
}

fn say(outcome: &Outcome) {
    // There is nobody to tell where that fails.
    let _ = std::io::stdout().write_all(said(outcome).as_bytes());
}
