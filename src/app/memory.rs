//! What was freed goes back to the system, also while nothing happens.

use std::hint::black_box;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The allocator gives back what was freed ten seconds before, whenever it takes a page: a process at rest takes none,
/// and would keep what its start took.
const EVERY: Duration = Duration::from_secs(12);
/// More than is at hand in any page.
const PAGE_BYTES: usize = 4 << 20;

/// Takes a page from time to time and frees it, until it is told to stop. Nothing is written there, so that it takes no
/// memory itself.
pub(super) async fn give_back(stop: CancellationToken) {
    let wait = || stop.run_until_cancelled(tokio::time::sleep(EVERY));
    while wait().await.is_some() {
        drop(black_box(Vec::<u8>::with_capacity(PAGE_BYTES)));
    }
}
