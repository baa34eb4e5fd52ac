//! The store's contract on SQLite, and what only a file can do: be copied and restored.

use causeway::store::{Location, Store, backup};

#[path = "../store/contract.rs"]
mod contract;

struct Place {
    store: Store,
    folder: tempfile::TempDir,
}

impl Place {
    async fn database(&self) -> contract::Database {
        let file = self.folder.path().join("causeway.db");
        contract::Database::at(&Location::File(file)).await
    }
}

async fn empty() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Location::File(folder.path().join("causeway.db")), 4)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Place { store, folder }
}

crate::run_contract!(empty);

/// Where a database is made, in a directory of its own.
fn nowhere_yet() -> (Location, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Location::File(folder.path().join("causeway.db")), folder)
}

#[tokio::test]
async fn everything_of_an_earlier_release_goes_on() {
    let (file, folder) = nowhere_yet();
    contract::upgrade::everything_of_an_earlier_release_goes_on(&file, folder.path()).await;
}

#[tokio::test]
async fn what_cannot_be_migrated_is_as_it_was() {
    let (file, folder) = nowhere_yet();
    contract::upgrade::what_cannot_be_migrated_is_as_it_was(&file, folder.path()).await;
}

#[tokio::test]
async fn two_processes_on_one_file_add_up() {
    let place = empty().await;
    let file = Location::File(place.folder.path().join("causeway.db"));
    let other = Store::open(&file, 4).await.unwrap();
    let database = place.database().await;
    Box::pin(contract::two_writers_add_up(
        &place.store,
        &other,
        &database,
    ))
    .await;
}

#[tokio::test]
async fn a_backup_taken_while_serving_is_restored() {
    let place = empty().await;
    contract::the_audit_is_kept(&place.store).await;
    let folder = tempfile::tempdir().unwrap();
    let (copy, restored) = (
        folder.path().join("copy.db"),
        folder.path().join("restored.db"),
    );
    place.store.backup(&copy).await.unwrap();
    assert!(
        place.store.backup(&copy).await.is_err(),
        "an existing file was overwritten"
    );
    backup::restore(&copy, &restored).await.unwrap();
    assert!(
        backup::restore(&copy, &restored).await.is_err(),
        "an existing database was overwritten"
    );
    let store = Store::open(&Location::File(restored), 1).await.unwrap();
    assert_eq!(
        store
            .audit(causeway::types::OrganizationId::DEFAULT, None, 10)
            .await
            .unwrap()
            .map(|rows| rows.len()),
        Some(1)
    );
    let stale = folder.path().join("stale.db");
    std::fs::write(folder.path().join("stale.db-wal"), b"of another").unwrap();
    let refused = backup::restore(&copy, &stale).await.unwrap_err();
    assert!(refused.to_string().contains("stale.db-wal"), "{refused}");
    assert!(!stale.exists());
    std::fs::write(&copy, b"not a database").unwrap();
    let other = folder.path().join("other.db");
    assert!(backup::restore(&copy, &other).await.is_err());
    assert!(!other.exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_says_so() {
    let gone = std::path::PathBuf::from("/nonexistent/causeway.db");
    let error = Store::open(&Location::File(gone), 1)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("--data"), "{error}");
}
