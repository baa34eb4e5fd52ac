//! A process that is killed in the middle of work on Postgres.

use crate::empty;
use crate::serving::acknowledged_work_survives_kills;

#[tokio::test]
async fn acknowledged_work_survives_a_crash() {
    let place = empty().await;
    let folder = tempfile::tempdir().unwrap();
    acknowledged_work_survives_kills(folder.path(), Some(place.url.as_str())).await;
}
