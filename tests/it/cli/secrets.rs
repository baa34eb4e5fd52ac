//! The keys in the data directory: never half-written, never guessed, never silently replaced; and
//! one process at a time behind them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cli::ADMIN_KEY;
use crate::program::{Serving, run};

async fn refused(data: &Path, words: &[&str]) {
    let data = data.display().to_string();
    let serve = ["serve", "--no-demo", "--listen", "127.0.0.1:0", "--data"];
    run(&[&serve[..], &[&data]].concat()).await.refused(words);
}

pub(super) fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_cut_off_admin_key_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin.key");
    for text in ["", "\n", "0123456789abcde"] {
        private(&file, text);
        refused(
            folder.path(),
            &["admin.key", "at least 16 characters", "remove it"],
        )
        .await;
    }
    private(&file, "0123456789abcdef\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    refused(folder.path(), &["admin.key", "chmod 600"]).await;
}

#[tokio::test]
async fn a_key_that_is_made_is_whole_private_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(folder.path(), &["--no-demo"]).await;
    let file = folder.path().join("admin.key");
    let key = std::fs::read_to_string(&file).unwrap();
    assert_eq!(key.trim().len(), 48, "{key}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (status, answer) = served
        .api(key.trim(), ("GET", "keys"), &serde_json::Value::Null)
        .await;
    assert_eq!(status, 200, "{answer}");
    let names = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let drafts = names
        .iter()
        .filter(|name| name.to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0, "{names:?}");
}

#[tokio::test]
async fn a_database_is_not_served_with_a_key_that_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY];
    let served = Serving::on(folder.path(), &flags).await;
    let (status, _) = served
        .api(ADMIN_KEY, ("GET", "keys"), &serde_json::Value::Null)
        .await;
    assert_eq!(status, 200);
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));
    let master = folder.path().join("master.key");
    let aside = folder.path().join("aside");
    std::fs::rename(&master, &aside).unwrap();
    refused(
        folder.path(),
        &["master.key", "causeway.db", "openssl rand -base64 32"],
    )
    .await;
    assert!(!master.exists(), "another key was made");
    std::fs::rename(&aside, &master).unwrap();
    Serving::on(folder.path(), &flags).await;
}

#[tokio::test]
async fn a_data_directory_is_served_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY];
    let first = Serving::on(folder.path(), &flags).await;
    refused(folder.path(), &["another", "--data", "Postgres"]).await;
    // What reads it beside the process goes on working.
    let data = folder.path().display().to_string();
    let copy = folder.path().join("copy.db").display().to_string();
    let backup = run(&["backup", &copy, "--data", &data]).await;
    assert_eq!(backup.code, Some(0), "{backup:?}");
    let (status, _) = first
        .api(ADMIN_KEY, ("GET", "keys"), &serde_json::Value::Null)
        .await;
    assert_eq!(status, 200);
    // It is free again when the process is gone, however it went.
    first.killed().await;
    Serving::on(folder.path(), &flags).await;
}
