//! Many streams at once: in short what `bench/streams.py` does at length.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;

use crate::managing::ADMIN;
use crate::models::upstream::PIECES;
use crate::models::{Set, to};

const WHOLE: usize = 160;
const LEFT: usize = 64;
/// Longer than any stream takes to be gone: how soon it is, `bench/streams.py` measures.
const GONE: Duration = Duration::from_secs(10);

impl Set {
    /// The sum of a measure's samples.
    async fn measured(&self, name: &str) -> f64 {
        let request = self
            .site
            .client
            .get(format!("{}/metrics", self.site.served.origin));
        let text = request.bearer_auth(ADMIN).send().await.unwrap();
        let text = text.text().await.unwrap();
        let lines = text.lines();
        let samples = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let of = series.split('{').next()?;
            (of == name).then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }

    /// Begins a stream that never ends, reads some of it, and leaves.
    async fn leave(&self) {
        let mut stream = self.chat("endless", true).await.bytes_stream();
        for _ in 0..3 {
            stream.next().await.unwrap().unwrap();
        }
    }

    /// A stream that never ends, in the place of one whose caller left: it is free a moment after that one is counted
    /// as gone.
    async fn take_place(&self) -> reqwest::Response {
        let began = Instant::now();
        loop {
            let response = self.chat("endless", true).await;
            if response.status() != 429 || began.elapsed() > GONE {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_come_whole_and_those_that_are_left_free_everything() {
    let set = Set::start().await;
    set.model("paced", to(&["paced"])).await;
    let mut endless = to(&["endless"]);
    endless["limits"] = json!([{ "unit": "concurrency", "amount": LEFT, "scope": "server" }]);
    set.model("endless", endless).await;

    let whole = (0..WHOLE).map(|_| async { set.chat("paced", true).await.text().await.unwrap() });
    let left = (0..LEFT).map(|_| set.leave());
    let (whole, _) = tokio::join!(join_all(whole), join_all(left));
    let ended = Instant::now();
    let pieces: Vec<String> = (0..PIECES).map(|piece| format!("piece {piece} ")).collect();
    let expected = pieces.concat();
    for text in &whole {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let chunks = data.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
        let said: String = chunks
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect();
        assert_eq!(said, expected);
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    }
    // Soon, nothing is left of those whose callers are gone: at the provider, here, and in limits.
    while set.upstream.open() > 0 || set.measured("causeway_model_streams").await > 0.0 {
        assert!(ended.elapsed() < GONE, "a stream goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rows = set.rows(WHOLE + LEFT).await;
    let of = |status: &str| rows.iter().filter(|row| row.status == status).count();
    assert_eq!((of("ok"), of("cancelled")), (WHOLE, LEFT), "{rows:?}");
    let again = join_all((0..LEFT).map(|_| set.take_place())).await;
    assert!(again.iter().all(|response| response.status() == 200));
    assert_eq!(set.chat("endless", true).await.status(), 429);
}

// BerriAI/litellm#12685: memory grew with every call until the process was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_leave_nothing_behind() {
    const AT_ONCE: usize = 20;
    /// What allocators and caches may still take; two kilobytes a call would be half as much again.
    const MORE_MAX: f64 = 8e6;
    let set = Set::start().await;
    set.model("m", to(&["ok"])).await;
    let some = async |rounds: usize, stream: bool| {
        for _ in 0..rounds {
            let asked = (0..AT_ONCE).map(|_| set.answer("m", stream));
            for (status, _, said) in join_all(asked).await {
                assert_eq!(status, 200, "{said}");
            }
        }
    };
    let taken = async || set.measured("causeway_process_resident_memory_bytes").await;
    // The most of several readings: an allocator gives back when it likes, and takes it again.
    let mut before: f64 = 0.0;
    for stream in [false, true] {
        some(50, stream).await;
        before = before.max(taken().await);
    }
    for stream in [false, true] {
        some(150, stream).await;
    }
    // What is kept for good is given back at no time.
    let mut more = taken().await - before;
    for _ in 0..20 {
        if more < MORE_MAX {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        more = more.min(taken().await - before);
    }
    println!("6,000 calls after 2,000 take {more} bytes more");
    assert!(
        before > 0.0 && more < MORE_MAX,
        "{more} bytes more than {before}"
    );
}
