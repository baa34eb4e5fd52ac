//! An operator's own prices, from a file that is read again when it changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use crate::llm::live::Models;
use crate::llm::price::{PriceBook, Prices};

/// How often the file is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads a table, which wins over the built-in one wherever it has a model. Errors name the file and the row.
pub(super) fn read(path: &Path) -> anyhow::Result<Prices> {
    let unreadable = || format!("the prices in {} cannot be read", path.display());
    let length = std::fs::metadata(path).with_context(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        bail!("{}: it has more than {FILE_BYTES_MAX} bytes", unreadable());
    }
    let text = std::fs::read_to_string(path).with_context(unreadable)?;
    Prices::read_own(&text).with_context(unreadable)
}

/// Reports prices that no provider goes by: they are in nobody's way, but they are not used either.
pub(super) fn report_idle(book: &PriceBook, models: &Models) {
    for idle in models.idle_prices(book) {
        let list = &idle.list;
        match &idle.meant {
            Some(meant) => tracing::warn!(
                "the prices of `{list}` are not used: what is called so goes by those of `{meant}`"
            ),
            None => tracing::warn!(
                "the prices of `{list}` are not used: prices go by the kind of a provider, and there is none of this kind"
            ),
        }
    }
}

/// Takes what is in the file when it changes, until `stop`, and has it looked at. What is no table is reported, and the
/// prices stay that are there. A change from now on is one, however late it is first waited for.
pub(super) fn follow(
    (book, path): (PriceBook, PathBuf),
    every: Duration,
    stop: CancellationToken,
    look: impl Fn(&PriceBook) + Send + Sync,
) -> impl Future<Output = ()> + Send {
    let seen = changed_at(&path);
    follow_from((book, path, seen), every, stop, look)
}

async fn follow_from(
    (book, path, mut seen): (PriceBook, PathBuf, Option<SystemTime>),
    every: Duration,
    stop: CancellationToken,
    look: impl Fn(&PriceBook) + Send + Sync,
) {
    while stop
        .run_until_cancelled(tokio::time::sleep(every))
        .await
        .is_some()
    {
        let now = changed_at(&path);
        if now == seen {
            continue;
        }
        seen = now;
        let file = path.clone();
        match tokio::task::spawn_blocking(move || read(&file)).await {
            Ok(Ok(prices)) => {
                tracing::info!(file = %path.display(), date = prices.date, "the prices were read again");
                book.replace(Some(prices));
                look(&book);
            }
            Ok(Err(error)) => tracing::error!(
                error = format!("{error:#}"),
                "the prices changed and cannot be used; those before stay in use"
            ),
            Err(error) => tracing::error!(%error, "the prices could not be read"),
        }
    }
}

/// When the file was written last; links are followed.
fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|it| it.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::price::ServiceTier;

    fn table(input: u64) -> String {
        format!(
            r#"{{"date": "2026-11-26", "unit": "pico-dollars", "providers": {{"own": {{"m": {{"standard": [{{"input": {input}}}]}}}}}}}}"#
        )
    }

    #[tokio::test]
    async fn a_file_that_changes_is_read_again_and_a_wrong_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.json");
        std::fs::write(&path, table(1)).unwrap();
        let book = PriceBook::with(read(&path).unwrap());
        let stop = CancellationToken::new();
        let often = Duration::from_millis(5);
        let looks = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let looked = looks.clone();
        let look = move |_: &PriceBook| {
            looked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        let following = follow((book.clone(), path.clone()), often, stop.clone(), look);
        let following = tokio::spawn(following);
        let input = || {
            let price = book.price("own", "m", ServiceTier::Standard).unwrap();
            price.standard[0].input.unwrap().0
        };
        assert_eq!(input(), 1);
        for (text, expected, seconds) in [
            (table(2), 2, 10),
            ("{".to_owned(), 2, 20),
            (table(3), 3, 30),
        ] {
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + seconds);
            file.set_modified(later).unwrap();
            // What is wrong stays unused, however long one waits.
            let is_wrong = seconds == 20;
            let mut tries = if is_wrong { 20 } else { 1_000 };
            while tries > 0 && (is_wrong || input() != expected) {
                tries -= 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(input(), expected);
        }
        stop.cancel();
        following.await.unwrap();
        assert!(looks.load(std::sync::atomic::Ordering::SeqCst) >= 2);
        let error = format!("{:#}", read(&folder.path().join("none")).unwrap_err());
        assert!(error.contains("none"), "{error}");
    }
}
