//! Requests for models that two processes spread over the same servers, hearing of each other in a real Redis.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::{StreamExt, future, stream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::RwLockWriteGuard;

use crate::serving::{ADMIN_KEY, Client, PATIENCE, Process};
use crate::{ALONE, fresh};

const BACKENDS: usize = 4;
/// A process hears of the other one, which is what it says until a second after.
const HEARS: &str = "causeway_balancing_processes 1";

/// A Redis of its own, which a test may end.
struct Redis {
    port: u16,
    folder: TempDir,
    server: Child,
}

impl Redis {
    fn start() -> Self {
        // Somebody else may take the port before it does.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let folder = tempfile::tempdir().unwrap();
            let server = Self::run(port, &folder);
            let mut redis = Self {
                port,
                folder,
                server,
            };
            if redis.answers() {
                return redis;
            }
        }
        unreachable!("redis-server does not start")
    }

    /// Waits until it answers; not where it ends before.
    fn answers(&mut self) -> bool {
        let began = Instant::now();
        while self.server.try_wait().unwrap().is_none() {
            if self.pong().unwrap_or_default() {
                return true;
            }
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn pong(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut said = [0; 5];
        stream.read_exact(&mut said)?;
        Ok(said == *b"+PONG")
    }

    fn run(port: u16, folder: &TempDir) -> Child {
        let mut command = Command::new("redis-server");
        let port = port.to_string();
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--dir",
        ]);
        let quiet = command
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        quiet.spawn().expect("redis-server is there")
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn end(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn begin_again(&mut self) {
        self.server = Self::run(self.port, &self.folder);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A server that answers when it is told to: a stream never, anything else after the time that its prompt says.
#[derive(Clone)]
struct Backend {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
}

struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn chat(State(open): State<Arc<AtomicUsize>>, body: Bytes) -> Response {
    let (open, asked) = (
        Open::new(&open),
        serde_json::from_slice::<Value>(&body).unwrap(),
    );
    if asked["stream"] == true {
        let piece = json!({ "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "a" }, "finish_reason": null }] });
        let first = stream::once(future::ready(Ok::<_, std::io::Error>(format!(
            "data: {piece}\n\n"
        ))));
        let never = stream::pending().map(move |piece| {
            let _ = &open;
            piece
        });
        let headers = [("content-type", "text/event-stream")];
        return (headers, Body::from_stream(first.chain(never))).into_response();
    }
    let wait = asked["messages"][0]["content"].as_str().unwrap();
    tokio::time::sleep(Duration::from_millis(wait.parse().unwrap())).await;
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 });
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "a" }, "finish_reason": "stop" });
    Json(json!({ "id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage }))
        .into_response()
}

impl Backend {
    async fn start() -> Self {
        let open = Arc::<AtomicUsize>::default();
        let router = Router::new().route("/v1/chat/completions", post(chat));
        let router = router.with_state(open.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, open }
    }
}

/// Two processes on one database and one Redis, and servers: `all` leads to each of them, `first` to the first.
struct Pair {
    backends: Vec<Backend>,
    redis: Redis,
    processes: Vec<(Process, TempDir)>,
    key: String,
    _alone: RwLockWriteGuard<'static, ()>,
}

impl Pair {
    async fn start() -> Self {
        let alone = ALONE.write().await;
        let (place, redis) = (fresh().await, Redis::start());
        let mut processes = Vec::new();
        for _ in 0..2 {
            let data = tempfile::tempdir().unwrap();
            let flags = ["--redis-url", &redis.url()];
            let process = Process::start_with(data.path(), Some(place.url.as_str()), &flags).await;
            processes.push((process, data));
        }
        let one = &processes[0].0.client;
        let mut backends = Vec::new();
        for n in 0..BACKENDS {
            let backend = Backend::start().await;
            let provider = json!({
                "kind": "openai-compatible",
                "parameters": { "base_url": format!("http://{}/v1", backend.address) },
                "allowUpstream": [backend.address.to_string()],
            });
            done(one, &format!("providers/b{n}"), provider).await;
            backends.push(backend);
        }
        let target = |n: usize| json!({ "provider": format!("b{n}"), "model": "m" });
        let all: Vec<Value> = (0..BACKENDS).map(target).collect();
        let all = json!({ "targets": all, "strategy": "least-busy" });
        done(one, "models/all", all).await;
        done(one, "models/first", json!({ "targets": [target(0)] })).await;
        let (status, made) = one
            .api("POST", "keys", &json!({ "name": "app" }))
            .await
            .unwrap();
        assert_eq!(status, 201, "{made}");
        let pair = Self {
            backends,
            redis,
            key: made["key"].as_str().unwrap().to_owned(),
            processes,
            _alone: alone,
        };
        // Both know of it, and hear of each other.
        for one in 0..2 {
            pair.once(one, "causeway_balancing_shared 1").await;
            let known = async || pair.ask(one, "all", "1").await.is_ok();
            until(known).await;
        }
        pair
    }

    fn client(&self, process: usize) -> &Client {
        &self.processes[process].0.client
    }

    fn request(&self, process: usize, body: &Value) -> reqwest::RequestBuilder {
        let client = self.client(process);
        let request = client
            .http
            .post(format!("{}/v1/chat/completions", client.origin));
        request.bearer_auth(&self.key).body(body.to_string())
    }

    /// A request that takes so many milliseconds.
    async fn ask(&self, process: usize, model: &str, ms: &str) -> Result<(), u16> {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": ms }] });
        let answer = self.request(process, &body).send().await.unwrap();
        match answer.status().as_u16() {
            200 => answer.bytes().await.map(drop).map_err(|_| 0),
            status => Err(status),
        }
    }

    /// So many streams, one after the other, which are open until they are dropped.
    async fn hold(&self, process: usize, model: &str, count: usize) -> Vec<reqwest::Response> {
        let body = json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "1" }] });
        let mut held = Vec::new();
        for _ in 0..count {
            let mut answer = self.request(process, &body).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.chunk().await.unwrap().unwrap();
            held.push(answer);
        }
        held
    }

    fn loads(&self) -> Vec<usize> {
        let loads = self
            .backends
            .iter()
            .map(|backend| backend.open.load(Ordering::SeqCst));
        loads.collect()
    }

    /// Streams to all servers as [`Pair::hold`], by a process that has heard what there was before: begun again where
    /// it does not hear any more at the end.
    async fn spread(&self, process: usize, count: usize) -> Vec<reqwest::Response> {
        for _ in 0..2 {
            // What was heard before this is too old after it.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            self.once(process, HEARS).await;
            let before = self.loads();
            let held = self.hold(process, "all", count).await;
            if self.tells(process, HEARS).await {
                return held;
            }
            drop(held);
            until(async || self.loads() == before).await;
        }
        unreachable!("process {process} does not hear of the other one")
    }

    /// Whether a process's measures have a line.
    async fn tells(&self, process: usize, line: &str) -> bool {
        let client = self.client(process);
        let request = client.http.get(format!("{}/metrics", client.origin));
        let answer = request.bearer_auth(ADMIN_KEY).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().any(|told| told == line)
    }

    /// Waits until a process's measures have a line.
    async fn once(&self, process: usize, line: &str) {
        until(async || self.tells(process, line).await).await;
    }
}

async fn done(client: &Client, path: &str, body: Value) {
    let (status, answer) = client.api("PUT", path, &body).await.unwrap();
    assert!(status < 300, "{path}: {answer}");
}

async fn until(is: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is().await {
        assert!(began.elapsed() < PATIENCE, "it never was so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_sends_counts_for_the_other() {
    let mut pair = Pair::start().await;
    let _held = pair.hold(0, "first", 12).await;
    // What the other one said before this is too old after it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.extend(pair.spread(1, 6).await);
    }
    let loads = pair.loads();
    // 48 of four, of which one had 12 before: alone, the other would have sent it nine more.
    assert_eq!(loads.iter().sum::<usize>(), 48);
    assert!(loads.iter().all(|load| *load <= 15), "{loads:?}");
    drop(held);
    until(async || pair.loads() == [12, 0, 0, 0]).await;

    // What a killed process had is forgotten.
    let (killed, _data) = pair.processes.remove(0);
    killed.kill().await;
    pair.once(0, "causeway_balancing_processes 0").await;
    pair.once(0, "causeway_balancing_shared 1").await;
    until(async || pair.loads() == [0; 4]).await;
    let _held = pair.hold(0, "all", 12).await;
    assert_eq!(pair.loads(), [3; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_process_spreads_by_what_it_has_itself() {
    let mut pair = Pair::start().await;
    let _held = pair.hold(0, "first", 12).await;
    pair.once(1, HEARS).await;
    pair.redis.end();
    pair.once(1, "causeway_balancing_shared 0").await;
    let began = Instant::now();
    let own = pair.hold(1, "all", 8).await;
    assert_eq!(pair.loads(), [14, 2, 2, 2]);
    // No request waited for a Redis that is not there.
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    drop(own);
    until(async || pair.loads() == [12, 0, 0, 0]).await;
    pair.redis.begin_again();
    pair.once(1, "causeway_balancing_shared 1").await;
    pair.once(1, HEARS).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _own = pair.spread(1, 6).await;
    assert_eq!(pair.loads(), [12, 2, 2, 2]);
}

/// Asks, one after the other, requests of uneven length, until it is time.
async fn work(pair: &Pair, (process, worker): (usize, usize), till: Instant) {
    let mut chance = (process * 1_000 + worker) as u64;
    while Instant::now() < till {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let ms = 800 + (chance >> 33) % 2_000;
        pair.ask(process, "all", &ms.to_string()).await.unwrap();
    }
}

/// What the server with the most has of the mean while two processes ask; `None` where one of them does not hear of the
/// other all along.
async fn most_of_the_mean(pair: &Pair) -> Option<f64> {
    let till = Instant::now() + Duration::from_secs(7);
    let workers = (0..40).map(|n| work(pair, (n % 2, n / 2), till));
    let watched = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut samples = Vec::new();
        while Instant::now() < till {
            samples.push(pair.loads());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        samples
    };
    let hearing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut hears = true;
        while hears && Instant::now() < till {
            hears = pair.tells(0, HEARS).await && pair.tells(1, HEARS).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        hears
    };
    let (_, samples, hears) = tokio::join!(future::join_all(workers), watched, hearing);
    let sum = |of: usize| samples.iter().map(|loads| loads[of]).sum::<usize>() as f64;
    let all: f64 = (0..BACKENDS).map(sum).sum();
    let most = (0..BACKENDS).map(sum).fold(0.0, f64::max) * BACKENDS as f64 / all;
    hears.then_some(most)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_has_above_five_quarters_of_the_mean_where_two_processes_ask() {
    let pair = Pair::start().await;
    // What leads to one server only is evened out by all other requests.
    let _held = [
        pair.hold(0, "first", 8).await,
        pair.hold(1, "first", 4).await,
    ];
    let mut most = most_of_the_mean(&pair).await;
    if most.is_none() {
        most = most_of_the_mean(&pair).await;
    }
    let most = most.expect("both hear of each other");
    assert!(most < 1.25, "{most} of the mean");
}
