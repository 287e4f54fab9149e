//! Names become addresses beside the loop, on threads of their own, since a resolver may hang. There is one look-up of a
//! name at a time, however many ask: so a resolver that does not answer holds as many threads as there are names, and no
//! more each time that somebody asks again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::{Receiver, channel};

/// Looks up names. Clones share what is under way.
#[derive(Clone)]
pub struct Resolver {
    look_up: LookUp,
    under_way: Arc<Mutex<HashMap<String, Receiver<Option<Answer>>>>>,
}

/// The addresses of a name, or why there are none.
type Answer = Result<Vec<IpAddr>, String>;

/// How a name is looked up: by the system's resolver, or by what stands for one that hangs.
type LookUp = fn(&str) -> Answer;

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::with(look_up)
    }
}

impl Resolver {
    fn with(look_up: LookUp) -> Resolver {
        Resolver { look_up, under_way: Arc::default() }
    }

    /// The addresses of a host, at least one: of an address itself, of `localhost` the two of RFC 6761, of any other
    /// name what the system's resolver says, when it does. Must be called from within the runtime.
    ///
    /// # Errors
    /// What the resolver says.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        }
        let mut answer = self.asked(host);
        let nobody = || Err("the look-up came to nothing".to_string());
        let told = answer.wait_for(Option::is_some).await;
        told.map_or_else(|_| nobody(), |told| told.clone().unwrap_or_else(nobody))
    }

    /// The look-up of this name, begun if there is none.
    fn asked(&self, host: &str) -> Receiver<Option<Answer>> {
        let mut under_way = self.lock();
        if let Some(answer) = under_way.get(host) {
            return answer.clone();
        }
        let (tell, answer) = channel(None);
        under_way.insert(host.to_string(), answer.clone());
        let (resolver, host) = (self.clone(), host.to_string());
        tokio::task::spawn_blocking(move || {
            let found = (resolver.look_up)(&host);
            resolver.lock().remove(&host);
            // Nobody may wait any more.
            let _ = tell.send(Some(found));
        });
        answer
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Receiver<Option<Answer>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_up(host: &str) -> Answer {
    let addresses = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    if addresses.is_empty() { Err("it has no address".to_string()) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::{Answer, Resolver};

    const PATIENCE: Duration = Duration::from_secs(60);

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static ANSWERS: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn hangs(_: &str) -> Answer {
        ASKED.fetch_add(1, Ordering::SeqCst);
        let answers = ANSWERS.0.lock().expect("nobody panics");
        drop(ANSWERS.1.wait_while(answers, |answers| !*answers).expect("nobody panics"));
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    #[test]
    fn a_resolver_that_hangs_is_asked_once_for_each_name_however_often_somebody_asks() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let resolver = Resolver::with(hangs);
            for _ in 0..100 {
                let waited = timeout(Duration::from_millis(1), resolver.addresses("db.local")).await;
                assert!(waited.is_err(), "{waited:?}");
            }
            // Who asks for something else does not wait for it.
            let local = resolver.addresses("::1").await;
            assert_eq!(local, Ok(vec![IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]));
            *ANSWERS.0.lock().expect("nobody panics") = true;
            ANSWERS.1.notify_all();
            let answer = timeout(PATIENCE, resolver.addresses("db.local")).await.expect("it answers");
            assert_eq!(answer, Ok(vec![IpAddr::from([127, 0, 0, 1])]));
            // One while it hung; another if that was over before the last one asked.
            assert!((1..=2).contains(&ASKED.load(Ordering::SeqCst)));
            assert!(resolver.lock().is_empty(), "nothing is left of it");
        });
    }
}
