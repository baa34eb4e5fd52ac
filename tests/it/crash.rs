//! A process that is killed with SQLite under it.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

#[path = "../process/serving.rs"]
mod serving;

#[tokio::test]
async fn acknowledged_work_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    serving::acknowledged_work_survives_kills(folder.path(), None).await;
}
