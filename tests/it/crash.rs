//! A process that is killed with SQLite under it.

use crate::serving::acknowledged_work_survives_kills;

#[tokio::test]
async fn acknowledged_work_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    acknowledged_work_survives_kills(folder.path(), None).await;
}
