//! Kept answers in a database that replicas share.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use causeway::access::caller::Caller;
use causeway::access::vault::Vault;
use causeway::access::vault::master::MasterKey;
use causeway::answers::{Answers, Kept, uri};
use causeway::store::audit::NewAudit;
use causeway::store::servers::{NewServer, NewVersion};
use causeway::store::{Location, Store};
use causeway::types::{Clock, KeyId, OrganizationId, ServerId, VersionId};

async fn replica(folder: &Path, master: &MasterKey) -> (Store, Answers) {
    let location = Location::File(folder.join("causeway.db"));
    let store = Store::open(&location, 2).await.unwrap();
    store.migrate().await.unwrap();
    let vault = Arc::new(Vault::new(master));
    let answers = Answers::stored(store.clone(), vault, Clock::system());
    (store, answers)
}

/// A server with nothing in it.
fn shop(id: ServerId) -> NewServer {
    NewServer {
        id,
        slug: "shop".parse().unwrap(),
        owner: None,
        closed: None,
        settings: "{}".into(),
        version: NewVersion {
            id: VersionId::generate(),
            document: b"{}".to_vec(),
            document_hash: [0; 32],
            document_url: None,
            overlays: None,
            converter: "test".into(),
            title: "Shop".into(),
            description: None,
            tools: "[]".into(),
            schemes: "{}".into(),
            findings: "[]".into(),
            listed: causeway::store::listed::NewListed::default(),
        },
        credentials: Vec::new(),
    }
}

#[tokio::test]
async fn any_replica_gives_an_answer_back_and_the_database_does_not_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::generate().unwrap();
    let (store, here) = replica(folder.path(), &master).await;
    let server = ServerId::generate();
    let new = shop(server);
    let act = NewAudit {
        organization: OrganizationId::DEFAULT,
        actor: "test".into(),
        action: "create",
        entity: "server",
        entity_id: "shop".into(),
        before: None,
        after: None,
    };
    let now = Clock::system().now();
    store.create_server(&new, &act, now).await.unwrap();
    let (_other_store, there) = replica(folder.path(), &master).await;
    let mine = Caller {
        key: Some(KeyId::generate()),
        ..Caller::anonymous()
    };
    let kept = Kept {
        operation: None,
        tool: "report".into(),
        server,
        media_type: "application/pdf".into(),
        bytes: Bytes::from(b"a secret of the API ".repeat(50_000)),
    };
    let organization = OrganizationId::DEFAULT;
    let id = here
        .keep((&mine, &mine.principal()), organization, kept.clone())
        .await
        .unwrap();
    let uri = uri(&"shop".parse().unwrap(), id);
    assert_eq!(there.at(&mine, &uri).await, Some(kept.clone()));
    assert_eq!(there.at(&Caller::anonymous(), &uri).await, None);
    let elsewhere = Caller {
        organization: OrganizationId::generate(),
        ..mine.clone()
    };
    assert_eq!(there.at(&elsewhere, &uri).await, None);
    let (_, stranger) = replica(folder.path(), &MasterKey::generate().unwrap()).await;
    assert_eq!(
        stranger.at(&mine, &uri).await,
        None,
        "sealed by another key"
    );
    store.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let shown = bytes.windows(20).any(|w| w == b"a secret of the API ");
        assert!(!shown, "the answer stands in the database as it is");
    }
    let unknown = Kept {
        server: ServerId::generate(),
        ..kept
    };
    assert_eq!(
        there
            .keep((&mine, &mine.principal()), organization, unknown)
            .await,
        None
    );
}
