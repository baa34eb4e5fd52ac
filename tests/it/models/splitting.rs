//! Who is sent to a canary, of many callers: as many as its share says, and the same ones in the next process.

use futures::future::join_all;
use serde_json::json;

use crate::managing::Site;
use crate::models::{Set, to};

const KEYS: usize = 60;
const MODELS: usize = 3;
/// In hundredths of a percent.
const SHARE: u32 = 2_500;

impl Set {
    /// For each model whose canary keeps to something, and each key, whether the canary answers.
    async fn sent_there(&self, sticky: &str, keys: &[String]) -> Vec<bool> {
        let url = format!("{}/v1/chat/completions", self.site.served.origin);
        let mut there = Vec::new();
        for n in 0..MODELS {
            let said = json!([{ "role": "user", "content": "hi" }]);
            let body = json!({ "model": format!("{sticky}-{n}"), "messages": said }).to_string();
            let asked = keys.iter().map(async |key| {
                let request = self.site.client.post(&url).bearer_auth(key);
                let response = request.body(body.clone()).send().await.unwrap();
                let target = response.headers()["x-causeway-target"].clone();
                assert!(target == "fake/new" || target == "fake/usual", "{target:?}");
                target == "fake/new"
            });
            there.extend(join_all(asked).await);
        }
        there
    }
}

/// Whether they are as many as the share says, within five standard deviations: all but one in a million tries are.
fn is_about_the_share(there: &[bool]) -> bool {
    let (n, p) = (there.len() as f64, f64::from(SHARE) / 10_000.0);
    let taken = there.iter().filter(|is_there| **is_there).count();
    (taken as f64 - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt()
}

#[tokio::test]
async fn a_canary_has_its_share_of_callers_and_the_same_ones_after_a_restart() {
    let set = Set::start().await;
    let mut keys = Vec::new();
    for n in 0..KEYS {
        // Each consumer has two.
        let new = json!({ "name": format!("caller-{}", n / 2) });
        let made = set.site.done("POST", "keys", new).await;
        keys.push(made["key"].as_str().unwrap().to_owned());
    }
    for sticky in ["consumer", "key", "none"] {
        let mut settings = to(&["usual"]);
        let targets = json!([{ "provider": "fake", "model": "new" }]);
        settings["canary"] = json!({ "targets": targets, "share": SHARE, "sticky": sticky });
        for n in 0..MODELS {
            set.model(&format!("{sticky}-{n}"), settings.clone()).await;
        }
    }
    let by_consumer = set.sent_there("consumer", &keys).await;
    let by_key = set.sent_there("key", &keys).await;
    let by_chance = set.sent_there("none", &keys).await;
    let (first, second): (Vec<bool>, Vec<bool>) =
        by_consumer.chunks(2).map(|of| (of[0], of[1])).unzip();
    assert_eq!(
        first, second,
        "a consumer's keys are sent to the same place"
    );
    assert!(by_key.chunks(2).any(|of| of[0] != of[1]), "{by_key:?}");
    for there in [&first, &by_key, &by_chance] {
        assert!(is_about_the_share(there), "{there:?}");
    }
    // Each model's canary has other callers.
    assert_ne!(by_key[..KEYS], by_key[KEYS..2 * KEYS]);
    assert_ne!(set.sent_there("none", &keys).await, by_chance);
    for _ in 0..2 {
        assert_eq!(set.sent_there("consumer", &keys).await, by_consumer);
        assert_eq!(set.sent_there("key", &keys).await, by_key);
    }
    let Site { served, folder, .. } = set.site;
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));
    let site = Site::on(folder, &[]).await;
    let set = Set { site, ..set };
    assert_eq!(set.sent_there("consumer", &keys).await, by_consumer);
    assert_eq!(set.sent_there("key", &keys).await, by_key);
}
