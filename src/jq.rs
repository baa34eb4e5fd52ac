//! jq filters, run in processes of their own: a filter may loop, recurse or swell as it likes, and
//! harms nothing but its worker.
//!
//! A worker is this program again (`causeway jq-worker`). It has no environment and no files, limits
//! its own memory and processor time, and answers one request at a time over its pipes. The pool is
//! small; a worker that is late is killed and reaped, and the next request starts another. A server
//! has one worker at a time, and waits behind every other server that has been waiting longer: a slow
//! filter delays its own server's calls, and others' by one request at most.

mod filter;
pub mod worker;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::types::ServerId;

/// The hidden subcommand that is a worker.
pub const SUBCOMMAND: &str = "jq-worker";
/// How long a filter may be.
pub const FILTER_BYTES_MAX: usize = 4 << 10;
/// How long a filter may take.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// How long a request waits for a worker before that.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// What a filter may make of an answer.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Workers at once.
const WORKERS_MAX: usize = 2;
/// Requests after which a worker is replaced.
const USES_MAX: usize = 500;

/// Why a filter gave nothing. The texts are for the owner and the model.
#[derive(Debug, thiserror::Error)]
pub enum JqError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Failed(String),
    #[error("it took longer than {:.1} s", DEADLINE.as_secs_f64())]
    Late,
    #[error("no worker was free for it within {} s", WAIT_MAX.as_secs())]
    Busy,
    #[error("it needed more memory or time than a filter is given")]
    Died,
    #[error("it made more than {} MiB", OUTPUT_BYTES_MAX >> 20)]
    TooLarge,
    #[error("filters cannot be run here: {0}")]
    Unavailable(io::Error),
}

/// The workers of a process. Cheap to clone.
#[derive(Clone)]
pub struct Jq(Arc<Pool>);

struct Pool {
    program: PathBuf,
    /// Taken in the order in which they are asked for.
    permits: Arc<Semaphore>,
    turns: Mutex<HashMap<ServerId, Weak<Semaphore>>>,
    idle: Mutex<Vec<Worker>>,
    tasks: TaskTracker,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    uses: usize,
}

/// What a worker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Ask {
    Check = 0,
    Run = 1,
}

/// What a worker says of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Verdict {
    Done = 0,
    Invalid = 1,
    Failed = 2,
    TooLarge = 3,
}

impl Jq {
    /// Workers that run `program`. None is started before it is needed.
    pub fn new(program: PathBuf) -> Self {
        Self(Arc::new(Pool {
            program,
            permits: Arc::new(Semaphore::new(WORKERS_MAX)),
            turns: Mutex::default(),
            idle: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Workers of this very program, also after its file was replaced.
    pub fn of_this_program() -> Self {
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() {
            own
        } else {
            std::env::current_exe().unwrap_or(own)
        };
        Self::new(program)
    }

    /// Whether `filter` can be compiled, which takes the turn of `server`.
    ///
    /// # Errors
    /// [`JqError::Invalid`] says what is wrong with it.
    pub async fn check(&self, server: ServerId, filter: &str) -> Result<(), JqError> {
        if filter.len() > FILTER_BYTES_MAX {
            let text = format!("a filter has at most {FILTER_BYTES_MAX} bytes");
            return Err(JqError::Invalid(text));
        }
        self.ask(server, (Ask::Check, filter.to_owned()), Bytes::new())
            .await
            .map(|_| ())
    }

    /// What `filter` of a server makes of `input`, which is JSON: its only output, or the list of its
    /// outputs.
    ///
    /// # Errors
    /// Whatever the filter does, within [`DEADLINE`] of its turn.
    pub async fn run(
        &self,
        server: ServerId,
        filter: &str,
        input: Bytes,
    ) -> Result<String, JqError> {
        let question = (Ask::Run, filter.to_owned());
        let output = self.ask(server, question, input).await?;
        String::from_utf8(output)
            .map_err(|_| JqError::Failed("its output is not text in UTF-8".to_owned()))
    }

    /// Ends all workers, and reaps them.
    pub async fn close(&self) {
        self.0.permits.close();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let idle = std::mem::take(&mut *self.0.idle.lock());
        for worker in idle {
            worker.end().await;
        }
    }

    /// In a task of its own, once it is its turn: whoever leaves early leaves no worker behind half-way.
    async fn ask(
        &self,
        server: ServerId,
        question: (Ask, String),
        input: Bytes,
    ) -> Result<Vec<u8>, JqError> {
        let turn = timeout(WAIT_MAX, self.0.turn(server)).await;
        let turn = turn.map_err(|_| JqError::Busy)??;
        let pool = self.0.clone();
        let task = self.0.tasks.spawn(async move {
            let answer = pool.ask(question, &input).await;
            drop(turn);
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(JqError::Unavailable(io::Error::other(error))))
    }
}

/// A server's turn, and a worker's place with it.
type Turn = [OwnedSemaphorePermit; 2];

impl Pool {
    /// Waits for the requests of the same server before this one, then for those of all servers.
    async fn turn(&self, server: ServerId) -> Result<Turn, JqError> {
        let closed = |error| JqError::Unavailable(io::Error::other(error));
        let own = self.own_turn(server).acquire_owned().await;
        let own = own.map_err(closed)?;
        let place = Arc::clone(&self.permits).acquire_owned().await;
        Ok([own, place.map_err(closed)?])
    }

    fn own_turn(&self, server: ServerId) -> Arc<Semaphore> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(&server).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(1));
        turns.insert(server, Arc::downgrade(&turn));
        turn
    }

    async fn ask(&self, (ask, filter): (Ask, String), input: &[u8]) -> Result<Vec<u8>, JqError> {
        let deadline = Instant::now() + DEADLINE;
        let idle = self.idle.lock().pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.program).map_err(JqError::Unavailable)?,
        };
        worker.uses += 1;
        let answer = timeout_at(deadline, worker.ask((ask, &filter), input)).await;
        match answer {
            Ok(Ok(answer)) => {
                if worker.uses < USES_MAX {
                    self.idle.lock().push(worker);
                } else {
                    worker.end().await;
                }
                answer
            }
            late_or_dead => {
                worker.end().await;
                Err(late_or_dead.map_or(JqError::Late, |_| JqError::Died))
            }
        }
    }
}

impl Worker {
    fn start(program: &PathBuf) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .env_clear()
            // The allocator takes what it needs, not a gigabyte ahead: a limit counts all of it.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input
            .zip(output)
            .ok_or_else(|| io::Error::other("a worker without pipes"))?;
        Ok(Self {
            child,
            input,
            output,
            uses: 0,
        })
    }

    /// One question. The outer error: the worker is gone.
    async fn ask(
        &mut self,
        (ask, filter): (Ask, &str),
        input: &[u8],
    ) -> io::Result<Result<Vec<u8>, JqError>> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut head = vec![ask as u8];
        head.extend(size(filter.as_bytes())?.to_be_bytes());
        head.extend(size(input)?.to_be_bytes());
        head.extend(filter.as_bytes());
        self.input.write_all(&head).await?;
        self.input.write_all(input).await?;
        self.input.flush().await?;
        let verdict = self.output.read_u8().await?;
        let size = self.output.read_u32().await? as usize;
        if size > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("a worker says more than it may"));
        }
        let mut answer = vec![0; size];
        self.output.read_exact(&mut answer).await?;
        let text = || String::from_utf8_lossy(&answer).into_owned();
        Ok(match verdict {
            v if v == Verdict::Done as u8 => Ok(answer),
            v if v == Verdict::Invalid as u8 => Err(JqError::Invalid(text())),
            v if v == Verdict::TooLarge as u8 => Err(JqError::TooLarge),
            _ => Err(JqError::Failed(text())),
        })
    }

    /// Ends the process and waits for it, so that none is left as a zombie.
    async fn end(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(error = %error, "a jq worker could not be ended");
        }
    }
}
