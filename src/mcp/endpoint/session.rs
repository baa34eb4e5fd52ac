//! Sessions of the handshake era: bounded, forgotten when idle, and good only for the server and the
//! principal they were made for.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::caller::Caller;
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::notification;
use crate::mcp::provider::Client;
use crate::types::ServerId;

/// How many messages may wait for a client that does not read.
pub(super) const OUTBOX_MESSAGES_MAX: usize = 256;
/// How many questions to a client may be open at once.
const PENDING_MAX: usize = 64;
const QUESTION_TIMEOUT: Duration = Duration::from_mins(5);
/// How many requests of one session run at once.
const RUNNING_MAX: usize = 64;
const CLIENT_NAME_CHARACTERS_MAX: usize = 128;
/// How many resources one session may watch.
pub(super) const WATCHED_MAX: usize = 256;

/// Severities of log messages, least first (RFC 5424 as MCP names them).
pub(super) const LOG_LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Whether a notification is a log message that is less severe than what the client wants to see.
pub(super) fn is_too_quiet(method: &str, params: &Value, wanted: &str) -> bool {
    let severity = |level: &str| LOG_LEVELS.iter().position(|known| *known == level);
    let level = params.get("level").and_then(Value::as_str);
    method == "notifications/message" && level.and_then(severity) < severity(wanted)
}

/// One client's session.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) server: ServerId,
    pub(super) principal: String,
    /// Whose share of the limits it takes.
    holder: String,
    /// What was spoken when the session was made.
    pub(super) version: Version,
    /// What `initialize` settled, where it comes after the session was made.
    settled: OnceLock<(Version, Value)>,
    capabilities: Value,
    /// What the client calls itself.
    client_name: OnceLock<String>,
    pub(super) ended: CancellationToken,
    /// Where messages go that belong to no request: the GET stream, or the SSE stream.
    pub(super) outbox: Mutex<Option<mpsc::Sender<String>>>,
    pending: Mutex<HashMap<String, oneshot::Sender<Result<Value, String>>>>,
    running: Mutex<Vec<RunningRequest>>,
    /// Told when a request has ended and none runs any more.
    quiet: Notify,
    /// The least severe log messages the client wants.
    log_level: Mutex<&'static str>,
    /// Resources of which the client wants to hear.
    watched: Mutex<BTreeSet<String>>,
    used: Mutex<Instant>,
}

impl Session {
    pub(super) fn new(
        server: ServerId,
        caller: &Caller,
        holder: String,
        version: Version,
        capabilities: Value,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: random_id(),
            server,
            principal: caller.principal(),
            holder,
            version,
            settled: OnceLock::new(),
            capabilities,
            client_name: OnceLock::new(),
            ended: CancellationToken::new(),
            outbox: Mutex::new(None),
            pending: Mutex::default(),
            running: Mutex::default(),
            quiet: Notify::new(),
            log_level: Mutex::new("info"),
            watched: Mutex::default(),
            used: Mutex::new(Instant::now()),
        })
    }

    /// `initialize` came over the stream: version and capabilities hold from now on.
    pub(super) fn settle(&self, version: Version, capabilities: Value) {
        // A second `initialize` changes nothing.
        let _ = self.settled.set((version, capabilities));
    }

    pub(super) fn settled_version(&self) -> Option<Version> {
        self.settled.get().map(|(version, _)| *version)
    }

    /// Notes what the client calls itself, as far as anything is decided by it.
    pub(super) fn call_client(&self, name: &str) {
        // A second `initialize` changes nothing.
        let _ = self
            .client_name
            .set(name.chars().take(CLIENT_NAME_CHARACTERS_MAX).collect());
    }

    pub(super) fn client_name(&self) -> Option<&str> {
        self.client_name.get().map(String::as_str)
    }

    pub(super) fn client_capabilities(&self) -> &Value {
        self.settled
            .get()
            .map_or(&self.capabilities, |(_, capabilities)| capabilities)
    }

    pub(super) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used.lock().elapsed()
    }

    pub(super) fn is_running(&self) -> bool {
        !self.running.lock().is_empty()
    }

    /// Whether nobody came for so long, nobody listens, and nothing runs.
    fn is_expired(&self, idle: Duration) -> bool {
        self.idle() >= idle && self.outbox.lock().is_none() && !self.is_running()
    }

    /// Waits for the next moment at which requests have ended and none runs any more.
    pub(super) async fn quiet(&self) {
        self.quiet.notified().await;
    }

    /// A request runs from now until the guard is dropped; `notifications/cancelled` with its id
    /// ends it. `None` when too many run already.
    pub(super) fn run(self: &Arc<Self>, id: &str, cancel: CancellationToken) -> Option<Run> {
        let mut running = self.running.lock();
        if running.len() >= RUNNING_MAX {
            return None;
        }
        let number = NEXT_RUN.fetch_add(1, Ordering::Relaxed);
        running.push(RunningRequest {
            number,
            id: id.to_owned(),
            cancel,
        });
        Some(Run {
            session: self.clone(),
            number,
        })
    }

    /// Log messages below this severity are not sent from now on. `false`: there is no such level.
    pub(super) fn set_log_level(&self, level: &str) -> bool {
        let known = LOG_LEVELS.iter().find(|known| **known == level);
        if let Some(level) = known {
            *self.log_level.lock() = level;
        }
        known.is_some()
    }

    /// Tells of changes of a resource from now on, or no more. `false`: too many are watched.
    pub(super) fn watch(&self, uri: &str, on: bool) -> bool {
        let mut watched = self.watched.lock();
        if !on {
            watched.remove(uri);
            return true;
        }
        let fits = watched.len() < WATCHED_MAX || watched.contains(uri);
        if fits {
            watched.insert(uri.to_owned());
        }
        fits
    }

    /// What tells the client that the resources it watches may have changed.
    pub(super) fn updates(&self) -> Vec<String> {
        let watched = self.watched.lock();
        let method = "notifications/resources/updated";
        let updates = watched
            .iter()
            .map(|uri| notification(method, &json!({ "uri": uri })));
        updates.collect()
    }

    pub(super) fn cancel(&self, id: &str) {
        let running = self.running.lock();
        let meant = running.iter().filter(|request| request.id == id);
        meant.for_each(|request| request.cancel.cancel());
    }

    /// The client answered one of our questions.
    pub(super) fn answer(&self, id: &str, result: Result<&RawValue, &RawValue>) {
        let Some(waiting) = self.pending.lock().remove(id.trim_matches('"')) else {
            return;
        };
        let answer = match result {
            Ok(result) => serde_json::from_str(result.get()).map_err(|error| error.to_string()),
            Err(error) => Err(error.get().chars().take(500).collect()),
        };
        // Nobody waits any more when the call is over.
        let _ = waiting.send(answer);
    }
}

/// What a session knows of a request that runs. Clients may use an id twice, so each has a number.
struct RunningRequest {
    number: u64,
    id: String,
    cancel: CancellationToken,
}

static NEXT_RUN: AtomicU64 = AtomicU64::new(1);

/// A request of a session while it runs.
pub(super) struct Run {
    session: Arc<Session>,
    number: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut running = self.session.running.lock();
        running.retain(|request| request.number != self.number);
        if running.is_empty() {
            self.session.quiet.notify_one();
        }
        drop(running);
        self.session.touch();
    }
}

/// A question to the client while nobody has answered it.
struct Question<'a> {
    session: &'a Session,
    id: String,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.session.pending.lock().remove(&self.id);
    }
}

fn random_id() -> String {
    let mut bytes = [0_u8; 24];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    hex::encode(bytes)
}

/// The way back to the client of a session during one call: questions go onto the call's own stream.
pub(super) struct SessionClient {
    pub(super) session: Arc<Session>,
    pub(super) stream: mpsc::Sender<String>,
}

static NEXT_QUESTION: AtomicU64 = AtomicU64::new(1);

impl Client for SessionClient {
    fn request(&self, method: &'static str, params: Value) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(async move {
            let id = format!("causeway-{}", NEXT_QUESTION.fetch_add(1, Ordering::Relaxed));
            let (sender, receiver) = oneshot::channel();
            {
                let mut pending = self.session.pending.lock();
                if pending.len() >= PENDING_MAX {
                    return Err("too many questions are open".to_owned());
                }
                pending.insert(id.clone(), sender);
            }
            let question = Question {
                session: &self.session,
                id,
            };
            let id = &question.id;
            let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let sent = self.stream.send(message.to_string()).await;
            let answer = match sent {
                Ok(()) => tokio::time::timeout(QUESTION_TIMEOUT, receiver).await,
                Err(_) => return Err("the client is gone".to_owned()),
            };
            match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err("the session ended".to_owned()),
                Err(_) => Err("the client did not answer in time".to_owned()),
            }
        })
    }

    fn notify(&self, method: &'static str, params: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if is_too_quiet(method, &params, *self.session.log_level.lock()) {
                return;
            }
            // A client that left needs no notice.
            let _ = self.stream.send(notification(method, &params)).await;
        })
    }

    fn capabilities(&self) -> &Value {
        self.session.client_capabilities()
    }
}

/// All sessions of one kind in this process, those of each server apart: no server's limits or load
/// concern the sessions of another.
#[derive(Default)]
pub(super) struct Sessions {
    servers: Mutex<HashMap<ServerId, Arc<Mutex<OfServer>>>>,
    swept: Mutex<Option<Instant>>,
}

/// The sessions of one server.
#[derive(Default)]
struct OfServer {
    idle: Duration,
    by_id: HashMap<String, Arc<Session>>,
}

/// How often the sessions of all servers are looked through for those nobody comes back to.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How many sessions there may be.
#[derive(Clone, Copy)]
pub(super) struct SessionLimits {
    pub(super) per_server: usize,
    pub(super) per_holder: usize,
    pub(super) idle: Duration,
    /// Whether a new session displaces the one that was idle longest among those of the holder that
    /// has most, or is refused.
    pub(super) displace: bool,
}

/// No more sessions are accepted now.
#[derive(Debug, thiserror::Error)]
#[error("too many sessions; close one and try again")]
pub(super) struct TooManySessions;

impl Sessions {
    pub(super) fn add(
        &self,
        session: &Arc<Session>,
        limits: SessionLimits,
    ) -> Result<(), TooManySessions> {
        self.sweep();
        let server = self
            .servers
            .lock()
            .entry(session.server)
            .or_default()
            .clone();
        server.lock().add(session, limits)
    }

    /// The session of that id, if it is of this server and principal and has not expired.
    pub(super) fn find(
        &self,
        id: &str,
        server: ServerId,
        caller: &Caller,
        idle: Duration,
    ) -> Option<Arc<Session>> {
        let server = self.servers.lock().get(&server)?.clone();
        let mut server = server.lock();
        let session = server.by_id.get(id)?.clone();
        if session.principal != caller.principal() || session.ended.is_cancelled() {
            return None;
        }
        if session.is_expired(idle) {
            server.remove(id);
            return None;
        }
        session.touch();
        Some(session)
    }

    pub(super) fn remove(&self, session: &Session) {
        let server = self.servers.lock().get(&session.server).cloned();
        if let Some(server) = server {
            server.lock().remove(&session.id);
        }
    }

    /// How many there are; some may have expired and not been missed yet.
    pub(super) fn count(&self) -> usize {
        let servers: Vec<_> = self.servers.lock().values().cloned().collect();
        servers.iter().map(|it| it.lock().by_id.len()).sum()
    }

    /// Forgets what expired on any server, now and then.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock();
            if swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
                return;
            }
            *swept = Some(Instant::now());
        }
        let all: Vec<_> = self.servers.lock().values().cloned().collect();
        for server in all {
            server.lock().expire();
        }
        // Whoever is about to add one holds the server as well.
        let unused = |server: &Arc<Mutex<OfServer>>| {
            Arc::strong_count(server) == 1 && server.lock().by_id.is_empty()
        };
        self.servers.lock().retain(|_, server| !unused(server));
    }
}

impl OfServer {
    fn add(
        &mut self,
        session: &Arc<Session>,
        limits: SessionLimits,
    ) -> Result<(), TooManySessions> {
        self.idle = limits.idle;
        self.expire();
        let mut held: HashMap<&str, usize> = HashMap::new();
        for other in self.by_id.values() {
            *held.entry(&other.holder).or_default() += 1;
        }
        let own = held.get(&*session.holder).copied().unwrap_or_default();
        if self.by_id.len() >= limits.per_server || own >= limits.per_holder {
            // Whoever holds most gives one up, so that a busy holder displaces itself; what runs is
            // not disturbed.
            let may_go = |other: &&Arc<Session>| {
                let theirs = own < limits.per_holder && held[&*other.holder] > own;
                (theirs || other.holder == session.holder) && !other.is_running()
            };
            let oldest = self
                .by_id
                .values()
                .filter(may_go)
                .max_by_key(|other| (held[&*other.holder], other.idle()))
                .map(|other| other.id.clone());
            let oldest = oldest.filter(|_| limits.displace).ok_or(TooManySessions)?;
            self.remove(&oldest);
        }
        self.by_id.insert(session.id.clone(), session.clone());
        Ok(())
    }

    fn remove(&mut self, id: &str) {
        if let Some(session) = self.by_id.remove(id) {
            session.ended.cancel();
        }
    }

    fn expire(&mut self) {
        let idle = self.idle;
        self.by_id.retain(|_, session| {
            if session.is_expired(idle) {
                session.ended.cancel();
            }
            !session.ended.is_cancelled()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    fn session(server: ServerId) -> Arc<Session> {
        of(server, "anonymous")
    }

    fn of(server: ServerId, holder: &str) -> Arc<Session> {
        let (caller, holder) = (Caller::anonymous(), holder.to_owned());
        Session::new(server, &caller, holder, Version::V2025_11_25, json!({}))
    }

    #[test]
    fn a_session_is_found_only_for_its_server() {
        let (sessions, here) = (Sessions::default(), ServerId::generate());
        let session = session(here);
        let limits = SessionLimits {
            per_server: 1,
            per_holder: 1,
            idle: IDLE,
            displace: false,
        };
        assert!(sessions.add(&session, limits).is_ok());
        let caller = Caller::anonymous();
        let find = |server| sessions.find(&session.id, server, &caller, IDLE);
        assert!(find(here).is_some());
        assert!(find(ServerId::generate()).is_none());
        assert!(find(here).is_some(), "a stranger's question ends nothing");
    }

    #[test]
    fn a_full_server_refuses_or_displaces() {
        let (sessions, full) = (Sessions::default(), ServerId::generate());
        let limits = |displace| SessionLimits {
            per_server: 2,
            per_holder: 2,
            idle: IDLE,
            displace,
        };
        let first = session(full);
        assert!(sessions.add(&first, limits(false)).is_ok());
        assert!(sessions.add(&session(full), limits(false)).is_ok());
        assert!(sessions.add(&session(full), limits(false)).is_err());
        let other = session(ServerId::generate());
        assert!(sessions.add(&other, limits(false)).is_ok());
        assert!(!first.ended.is_cancelled());
        assert!(sessions.add(&session(full), limits(true)).is_ok());
        assert!(first.ended.is_cancelled(), "its streams end with it");
        assert!(!other.ended.is_cancelled());
        sessions.remove(&other);
        assert!(other.ended.is_cancelled());
    }

    #[test]
    fn whoever_holds_most_sessions_gives_one_up() {
        let (sessions, full) = (Sessions::default(), ServerId::generate());
        let limits = SessionLimits {
            per_server: 3,
            per_holder: 3,
            idle: IDLE,
            displace: true,
        };
        let modest = of(full, "modest");
        assert!(sessions.add(&modest, limits).is_ok());
        let made: Vec<_> = (0..5).map(|_| of(full, "greedy")).collect();
        for session in &made {
            assert!(sessions.add(session, limits).is_ok());
        }
        assert!(!modest.ended.is_cancelled(), "though it was idle longest");
        let kept = made.iter().filter(|s| !s.ended.is_cancelled());
        assert_eq!(kept.count(), 2);
    }

    #[test]
    fn a_session_in_which_something_runs_is_neither_idle_nor_in_the_way() {
        let (sessions, full) = (Sessions::default(), ServerId::generate());
        let limits = SessionLimits {
            per_server: 2,
            per_holder: 2,
            idle: Duration::ZERO,
            displace: true,
        };
        let (first, second) = (session(full), session(full));
        let running = [&first, &second].map(|s| s.run("1", CancellationToken::new()));
        assert!(sessions.add(&first, limits).is_ok());
        assert!(sessions.add(&second, limits).is_ok());
        let caller = Caller::anonymous();
        let find = |s: &Session| sessions.find(&s.id, full, &caller, Duration::ZERO);
        assert!(find(&first).is_some() && find(&second).is_some());
        assert!(sessions.add(&session(full), limits).is_err());
        let before = Instant::now();
        drop(running);
        assert!(*first.used.lock() >= before, "its time begins anew");
        assert!(find(&first).is_none());
        assert!(sessions.add(&session(full), limits).is_ok());
    }

    #[test]
    fn what_nobody_comes_back_to_is_forgotten_on_every_server() {
        let sessions = Sessions::default();
        let limits = SessionLimits {
            per_server: 1,
            per_holder: 1,
            idle: Duration::ZERO,
            displace: false,
        };
        for _ in 0..3 {
            assert!(sessions.add(&session(ServerId::generate()), limits).is_ok());
        }
        assert_eq!(sessions.servers.lock().len(), 3);
        *sessions.swept.lock() = None;
        assert!(sessions.add(&session(ServerId::generate()), limits).is_ok());
        assert_eq!(sessions.servers.lock().len(), 1);
    }

    #[test]
    fn a_server_has_its_share_of_sessions_and_so_has_everyone_on_it() {
        let (sessions, server) = (Sessions::default(), ServerId::generate());
        let limits = crate::mcp::endpoint::legacy::LIMITS;
        for n in 0..50 {
            for _ in 0..20 {
                let session = of(server, &format!("anonymous@127.0.0.{n}"));
                assert!(sessions.add(&session, limits).is_ok(), "{n}");
            }
            if n == 0 {
                let one_more = of(server, "anonymous@127.0.0.0");
                assert!(sessions.add(&one_more, limits).is_err());
            }
        }
        assert!(sessions.add(&of(server, "key:1"), limits).is_err(), "1,000");
        let elsewhere = of(ServerId::generate(), "key:1");
        assert!(sessions.add(&elsewhere, limits).is_ok());
    }

    #[test]
    fn what_one_session_holds_is_bounded() {
        let session = session(ServerId::generate());
        let mut running: Vec<_> = (0..RUNNING_MAX)
            .map(|id| session.run(&id.to_string(), CancellationToken::new()))
            .collect();
        assert!(running.iter().all(Option::is_some));
        assert!(session.run("more", CancellationToken::new()).is_none());
        running.pop();
        assert!(session.run("more", CancellationToken::new()).is_some());
        for n in 0..WATCHED_MAX {
            assert!(session.watch(&format!("test:{n}"), true));
        }
        assert!(!session.watch("test:more", true));
        assert!(session.watch("test:0", true), "it is watched already");
        assert!(session.watch("test:0", false));
        assert!(session.watch("test:more", true));
        assert_eq!(session.updates().len(), WATCHED_MAX);
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_leaves_nothing() {
        let session = session(ServerId::generate());
        let (stream, mut messages) = mpsc::channel(4);
        let client = SessionClient {
            session: session.clone(),
            stream,
        };
        let question = tokio::spawn(async move { client.request("roots/list", json!({})).await });
        assert!(messages.recv().await.is_some());
        assert_eq!(session.pending.lock().len(), 1);
        question.abort();
        assert!(question.await.is_err());
        assert!(session.pending.lock().is_empty());
    }

    #[test]
    fn log_messages_have_a_severity() {
        let message = |level: &str| json!({ "level": level, "data": 1 });
        let quiet = |level, wanted| is_too_quiet("notifications/message", &message(level), wanted);
        assert!(quiet("debug", "info"));
        assert!(!quiet("info", "info"));
        assert!(!quiet("emergency", "error"));
        assert!(!is_too_quiet("notifications/progress", &json!({}), "error"));
        let session = session(ServerId::generate());
        assert!(session.set_log_level("error"));
        assert!(!session.set_log_level("loud"));
        assert_eq!(*session.log_level.lock(), "error");
    }
}
