//! What both databases have to do. Each function takes an empty, migrated store; the two test
//! binaries run all of them, one on SQLite, one on Postgres.

use causeway::store::answers::{AnswerQuota, NewAnswer};
use causeway::store::audit::NewAudit;
use causeway::store::connections::{ConnectionRow, Lease, NewSealed};
use causeway::store::credentials::{Approved, NewCredential};
use causeway::store::imports::ImportItem;
use causeway::store::imports::{FailedItem, FailedSource};
use causeway::store::keys::NewKey;
use causeway::store::ledger::LedgerRow;
use causeway::store::servers::{Import, NewServer, NewVersion, ServerChange};
use causeway::store::sources::Checked;
use causeway::store::usage::Used;
use causeway::store::versions::Rollout;
use causeway::store::{Change, Store, StoreError};
use causeway::types::{AnswerId, CredentialId, KeyId, OrganizationId, ServerId, Slug, VersionId};
use chrono::{DateTime, Utc};

mod accounts;
mod approvals;
mod audit;
mod callers;
mod connected;
mod database;
mod idempotency;
mod identities;
mod ledger;
mod lifecycle;
mod limits;
mod listed;
mod personal;
mod probes;
pub(crate) mod upgrade;
mod usage;

pub(crate) use accounts::{
    a_link_lets_one_choose_a_password_once, a_session_ends_at_once, a_step_is_taken_once,
    keys_go_with_their_owner, of_many_who_start_one_sets_up, things_have_an_owner,
};
pub(crate) use approvals::{
    a_token_is_used_once_among_processes, an_approval_lets_one_call_through_among_processes,
    what_waits_is_bounded_and_stands_once,
};
pub(crate) use audit::{
    a_row_that_was_tampered_with_is_found, many_writers_make_one_chain,
    rows_from_before_the_chain_are_told_apart, the_audit_is_read_in_pages,
};
pub(crate) use callers::{
    a_key_is_replaced_once_and_goes_on_for_a_while, a_subject_is_one_consumer,
    an_issuer_has_one_name_and_one_iss, of_many_one_replaces_a_key,
    somebody_has_so_many_keys_that_are_good,
};
pub(crate) use connected::{
    a_link_is_one_persons_and_good_once, an_account_ends_with_what_it_is_for,
    an_account_is_one_persons, of_many_one_renews_an_account,
};
pub(crate) use database::Database;
pub(crate) use database::{
    a_change_its_line_and_its_audit_are_one, a_credential_is_its_subjects, an_import_is_whole,
    every_column_of_the_ledger_is_kept, organizations_do_not_meet, the_log_of_changes_is_pruned,
    versions_and_documents_are_never_changed, what_cannot_be_noted_is_not_done,
};

pub(crate) use idempotency::{
    approvals_are_read_from_row_to_row, of_many_who_send_a_request_one_does_it,
    requests_are_let_go_of_bounded_and_forgotten,
};
pub(crate) use identities::{
    a_session_ends_with_the_identity_it_began_with, a_sign_in_is_taken_once_by_its_browser,
    an_identity_is_one_accounts, nobody_crowds_out_the_sign_ins_of_others,
};
pub(crate) use ledger::calls_are_read_in_pages_and_swept;
pub(crate) use lifecycle::{
    a_closed_server_says_since_when, a_deleted_server_is_held_and_restored,
    a_server_is_given_to_those_who_publish, no_credential_outlives_its_server,
    of_restore_and_removal_one_happens, servers_are_removed_in_batches,
};
pub(crate) use limits::{
    a_budget_is_never_exceeded_by_many, a_clock_set_back_begins_no_window_anew,
    a_crash_loses_no_unit_of_a_quota, a_plan_is_given_until_it_is_taken,
    a_quota_is_exact_among_many_and_survives_them, a_slice_is_at_most_what_is_left,
    what_an_answer_comes_to_is_counted_when_it_is_there,
};
pub(crate) use listed::{a_version_without_a_list_gets_one, the_catalog_is_searched_the_same};
pub(crate) use personal::{
    a_chain_fits_after_an_erasure, a_consumer_is_erased_with_its_keys,
    what_somebody_was_answered_goes_with_them, what_was_redacted_is_watched_over,
};

pub(crate) use probes::{of_many_one_asks_an_api, the_last_results_of_a_probe_are_kept};
pub(crate) use usage::{
    a_roll_up_is_the_sum_of_its_calls, the_calls_of_servers_are_added_up, two_writers_add_up,
    usage_is_the_same_by_days_until_it_is_swept,
};

const ORGANIZATION: OrganizationId = OrganizationId::DEFAULT;

fn approved(origins: &str) -> Approved<'_> {
    Approved {
        origins,
        token_origins: None,
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn version(title: &str) -> NewVersion {
    NewVersion {
        id: VersionId::generate(),
        document: title.as_bytes().to_vec(),
        document_hash: [u8::try_from(title.len()).unwrap(); 32],
        document_url: None,
        overlays: None,
        converter: "test".into(),
        title: title.into(),
        description: None,
        tools: "[]".into(),
        schemes: "{}".into(),
        findings: "[]".into(),
        listed: causeway::store::listed::NewListed::default(),
    }
}

fn act() -> NewAudit {
    act_of(ORGANIZATION)
}

fn act_of(organization: OrganizationId) -> NewAudit {
    NewAudit {
        organization,
        actor: "admin".into(),
        action: "test",
        entity: "server",
        entity_id: "pets".into(),
        before: None,
        after: Some("{}".into()),
    }
}

fn replaced(version: &NewVersion) -> Import<'_> {
    Import {
        version: Some(version),
        ..Import::default()
    }
}

fn server(name: &str) -> NewServer {
    NewServer {
        id: ServerId::generate(),
        slug: slug(name),
        owner: None,
        closed: None,
        settings: "{}".into(),
        version: version(name),
        credentials: Vec::new(),
    }
}

pub(crate) async fn an_item_of_an_import_remembers_its_server(store: &Store) {
    let item = ImportItem {
        organization: ORGANIZATION,
        collection: "c",
        name: "a/b.yaml",
    };
    assert_eq!(store.slug_of_item(item).await.unwrap(), None);
    let mut first = server("first-item");
    first.version.overlays = Some("[\"overlay: 1.0.0\"]".to_owned());
    let first_id = first.id;
    store.create_server(&first, &act(), at(0)).await.unwrap();
    let row = store.server(first_id).await.unwrap().unwrap();
    assert_eq!(row.overlays.as_deref(), Some("[\"overlay: 1.0.0\"]"));
    let second = server("second-item");
    let second_id = second.id;
    store.create_server(&second, &act(), at(0)).await.unwrap();
    store.remember_item(item, first_id, at(1)).await.unwrap();
    let other = ImportItem {
        collection: "d",
        ..item
    };
    assert_eq!(store.slug_of_item(other).await.unwrap(), None);
    let slug = async || store.slug_of_item(item).await.unwrap();
    assert_eq!(slug().await.as_deref(), Some("first-item"));
    store.remember_item(item, second_id, at(2)).await.unwrap();
    assert_eq!(slug().await.as_deref(), Some("second-item"));
    store.delete_server(second_id, &act(), at(3)).await.unwrap();
    assert_eq!(slug().await, None, "it goes with its server");
}

pub(crate) async fn a_server_is_made_versioned_renamed_and_removed(store: &Store) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let made = store.server(id).await.unwrap().unwrap();
    assert_eq!(
        (made.slug.as_str(), made.revision, made.number),
        ("pets", 1, 1)
    );
    let taken = store.create_server(&server("pets"), &act(), at(1)).await;
    assert!(
        matches!(&taken, Err(StoreError::Conflict(name)) if name.contains("slug")),
        "{taken:?}"
    );

    store
        .import(id, replaced(&version("pets, again")), &act(), at(2))
        .await
        .unwrap();
    let now = store.server(id).await.unwrap().unwrap();
    assert_eq!(
        (now.title.as_str(), now.revision, now.number),
        ("pets, again", 2, 2)
    );
    assert_eq!(
        store
            .document(ORGANIZATION, &now.document_hash)
            .await
            .unwrap()
            .unwrap(),
        b"pets, again"
    );

    store
        .edit_server(id, renamed(&slug("animals")), &act(), at(3))
        .await
        .unwrap();
    assert_eq!(store.aliases_of(id).await.unwrap()[0].slug, "pets");
    let alias = store.create_server(&server("pets"), &act(), at(4)).await;
    assert!(matches!(alias, Err(StoreError::Conflict(_))), "{alias:?}");
    store
        .edit_server(id, renamed(&slug("pets")), &act(), at(5))
        .await
        .unwrap();
    assert_eq!(store.aliases_of(id).await.unwrap()[0].slug, "animals");

    let stale = store
        .edit_server(id, settings("{\"a\":1}", Some(1)), &act(), at(6))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    store
        .edit_server(id, settings("{\"a\":1}", Some(4)), &act(), at(6))
        .await
        .unwrap();
    assert_eq!(
        store.index_row(id).await.unwrap().unwrap().settings,
        "{\"a\":1}"
    );

    assert!(store.delete_server(id, &act(), at(7)).await.unwrap());
    assert!(!store.delete_server(id, &act(), at(8)).await.unwrap());
    assert!(store.server(id).await.unwrap().is_none());
}

fn renamed(slug: &Slug) -> ServerChange<'_> {
    ServerChange {
        slug: Some(slug),
        ..ServerChange::default()
    }
}

fn settings(text: &str, expected: Option<i64>) -> ServerChange<'_> {
    ServerChange {
        settings: Some(text),
        expected,
        ..ServerChange::default()
    }
}

/// An edit is made as a whole or not at all, and no other organization reaches a server by its id.
pub(crate) async fn an_edit_is_whole_and_of_its_organization(store: &Store) {
    let new = server("mine");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    store
        .create_server(&server("taken"), &act(), at(0))
        .await
        .unwrap();
    let taken = slug("taken");
    let both = ServerChange {
        slug: Some(&taken),
        ..settings("{\"a\":1}", None)
    };
    let refused = store.edit_server(id, both, &act(), at(1)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.settings.as_str(), row.revision), ("{}", 1));

    let stranger = OrganizationId::generate();
    let change = settings("{\"a\":1}", None);
    let edited = store
        .edit_server(id, change, &act_of(stranger), at(1))
        .await;
    assert!(matches!(edited, Err(StoreError::Stale)), "{edited:?}");
    let other = slug("theirs");
    let named = store
        .edit_server(id, renamed(&other), &act_of(stranger), at(1))
        .await;
    assert!(matches!(named, Err(StoreError::Stale)), "{named:?}");
    let published = store
        .import(id, replaced(&version("theirs")), &act_of(stranger), at(1))
        .await;
    assert!(matches!(published, Err(StoreError::Stale)), "{published:?}");
    assert!(
        !store
            .delete_server(id, &act_of(stranger), at(1))
            .await
            .unwrap()
    );
    let row = store.index_row(id).await.unwrap().unwrap();
    assert_eq!((row.slug.as_str(), row.revision), ("mine", 1));
}

/// However creations and renames meet, a name leads to one server.
pub(crate) async fn a_name_is_given_once(store: &Store) {
    for round in 0..20 {
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        let first = server(&old);
        let id = first.id;
        store.create_server(&first, &act(), at(0)).await.unwrap();
        let (to, change, acting) = (slug(&new), at(1), act());
        let (renamed, created) = tokio::join!(
            store.edit_server(id, renamed(&to), &acting, change),
            async {
                let mut made = store.create_server(&server(&old), &act(), at(1)).await;
                for _ in 0..3 {
                    if made.is_err() {
                        made = store.create_server(&server(&old), &act(), at(1)).await;
                    }
                }
                made
            },
        );
        renamed.unwrap();
        assert!(created.is_err(), "round {round}: the name is an alias now");
    }
}

pub(crate) async fn every_catalog_write_is_told(store: &Store) {
    let mut changes = store.changes();
    let new = server("told");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    store
        .edit_server(id, settings("{}", None), &act(), at(1))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(changes.recv().await.unwrap(), Change::Server(id));
    }
    let before = store.key_changes().await.unwrap();
    let key = key(7);
    let key_id = key.id;
    store.create_key(key, &act(), at(2)).await.unwrap();
    assert_eq!(changes.recv().await.unwrap(), Change::Key(key_id));
    assert_eq!(store.key_changes().await.unwrap(), before + 1);
}

fn key(digit: u8) -> NewKey {
    NewKey {
        id: KeyId::generate(),
        organization: ORGANIZATION,
        owner: None,
        owned_max: None,
        own_only: false,
        consumer: "agent".into(),
        name: format!("key {digit}"),
        prefix: "cw_0000".into(),
        hash: [digit; 32],
        grants: None,
        expires_at: None,
    }
}

pub(crate) async fn keys_are_found_by_hash_until_they_are_revoked(store: &Store) {
    let (first, second) = (key(1), key(2));
    let id = first.id;
    let consumer = store.create_key(first, &act(), at(0)).await.unwrap();
    assert_eq!(
        store.create_key(second, &act(), at(1)).await.unwrap(),
        consumer
    );
    assert_eq!(store.key_by_hash(&[1; 32]).await.unwrap().unwrap().id, id.0);
    assert!(store.key_by_hash(&[9; 32]).await.unwrap().is_none());
    assert!(store.revoke_key(id, &act(), at(2)).await.unwrap());
    assert!(!store.revoke_key(id, &act(), at(3)).await.unwrap());
    assert!(
        store
            .key_by_hash(&[1; 32])
            .await
            .unwrap()
            .unwrap()
            .revoked_at
            .is_some()
    );
    store
        .note_key_use(&[(id, at(4).timestamp_micros())])
        .await
        .unwrap();
    let rows = store.keys(ORGANIZATION, None).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .any(|row| row.last_used_at == Some(at(4).timestamp_micros()))
    );
}

/// A server with one credential.
async fn with_credential(store: &Store, slug: &str) -> (ServerId, CredentialId) {
    let new = server(slug);
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let credential = NewCredential {
        id: CredentialId::generate(),
        organization: ORGANIZATION,
        server: new.id,
        scheme: "oauth".into(),
        subject: None,
        key_id: "k".into(),
        sealed: b"client".to_vec(),
        origins: "[]".into(),
        token_origins: Some("[\"https://a\"]".into()),
    };
    let id = credential.id;
    store
        .put_credential(credential, &act(), at(0))
        .await
        .unwrap();
    (new.id, id)
}

fn sealed(credential: CredentialId) -> NewSealed {
    NewSealed {
        id: uuid::Uuid::now_v7(),
        organization: ORGANIZATION,
        credential,
        key_id: "k".into(),
        sealed: b"first".to_vec(),
    }
}

pub(crate) async fn of_many_one_renews_a_connection(store: &Store) {
    let (server, credential) = with_credential(store, "connected").await;
    let new = sealed(credential);
    store.connect(server, &new, &act(), at(1)).await.unwrap();
    let seen = store.connection(credential).await.unwrap().unwrap();
    assert_eq!((seen.generation, seen.state.as_str()), (1, "connected"));
    let owners: Vec<String> = (0..8).map(|number| format!("process {number}")).collect();
    let lease = |owner| Lease {
        connection: seen.id,
        generation: 1,
        owner,
        personal: false,
    };
    let tries = owners
        .iter()
        .map(|owner| store.lease_connection(lease(owner), (at(2), at(62))));
    let taken = futures::future::join_all(tries).await;
    let winners: Vec<usize> = (0..8).filter(|i| *taken[*i].as_ref().unwrap()).collect();
    assert_eq!(winners.len(), 1, "{taken:?}");
    let (winner, loser) = (&owners[winners[0]], &owners[(winners[0] + 1) % 8]);
    let renewing = store.renew_connection(lease(loser), ("k", b"stolen"), at(3));
    assert!(!renewing.await.unwrap(), "it has no lease");
    let renewing = store.renew_connection(lease(winner), ("k", b"second"), at(3));
    assert!(renewing.await.unwrap());
    let renewed = store.connection(credential).await.unwrap().unwrap();
    assert_eq!(
        (renewed.generation, renewed.sealed.as_slice()),
        (2, &b"second"[..])
    );
    // Who saw the first tokens has seen the wrong ones.
    assert!(
        !store
            .lease_connection(lease(loser), (at(4), at(64)))
            .await
            .unwrap()
    );
    a_lease_ends_with_time(store, (credential, &seen), (winner, loser)).await;
    let ended = store.connection(credential).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.sealed.len()), ("ended", 0));
    let rows = store.shared_credentials(server).await.unwrap();
    assert_eq!(rows[0].connection_id, Some(ended.id));
    assert_eq!(rows[0].connection_state.as_deref(), Some("ended"));
    // With its credential goes a connection.
    let target = (server, "oauth");
    assert!(
        store
            .delete_credential(target, &act(), at(68))
            .await
            .unwrap()
    );
    assert!(store.connection(credential).await.unwrap().is_none());
}

/// A process that died with a lease loses it, and what it says afterwards counts for nothing.
async fn a_lease_ends_with_time(
    store: &Store,
    (credential, seen): (CredentialId, &ConnectionRow),
    (winner, loser): (&String, &String),
) {
    let lease = |owner| Lease {
        connection: seen.id,
        generation: 2,
        owner,
        personal: false,
    };
    assert!(
        store
            .lease_connection(lease(winner), (at(5), at(65)))
            .await
            .unwrap()
    );
    assert!(
        !store
            .lease_connection(lease(loser), (at(6), at(66)))
            .await
            .unwrap()
    );
    assert!(
        store
            .lease_connection(lease(loser), (at(66), at(126)))
            .await
            .unwrap()
    );
    store.end_connection(lease(winner), at(67)).await.unwrap();
    assert_eq!(
        store.connection(credential).await.unwrap().unwrap().state,
        "connected"
    );
    store.end_connection(lease(loser), at(67)).await.unwrap();
}

pub(crate) async fn what_was_begun_is_taken_once(store: &Store) {
    let (server, credential) = with_credential(store, "begun").await;
    let new = sealed(credential);
    let begin = store.begin_authorization((&new, None), (at(1), at(601)));
    begin.await.unwrap();
    let takes = (0..8).map(|_| store.take_authorization(new.id));
    let taken = futures::future::join_all(takes).await;
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(
        (taken[0].server_id, taken[0].scheme.as_str()),
        (server.0, "oauth")
    );
    assert_eq!(taken[0].credential_id, credential.0);
    // The oldest make room.
    let ids: Vec<_> = (0..101).map(|_| sealed(credential)).collect();
    for (number, new) in ids.iter().enumerate() {
        let until = at(602 + i64::try_from(number).unwrap());
        store
            .begin_authorization((new, None), (at(2), until))
            .await
            .unwrap();
    }
    assert!(store.take_authorization(ids[0].id).await.unwrap().is_none());
    assert!(store.take_authorization(ids[1].id).await.unwrap().is_some());
}

pub(crate) async fn a_credential_takes_the_place_of_the_one_before(store: &Store) {
    let new = server("sealed");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for sealed in [b"one".to_vec(), b"two".to_vec()] {
        let credential = NewCredential {
            id: CredentialId::generate(),
            organization: ORGANIZATION,
            server: id,
            scheme: "key".into(),
            subject: None,
            key_id: "k".into(),
            sealed,
            origins: "[]".into(),
            token_origins: None,
        };
        store
            .put_credential(credential, &act(), at(1))
            .await
            .unwrap();
    }
    let rows = store.shared_credentials(id).await.unwrap();
    assert_eq!(
        (rows.len(), rows[0].sealed.as_slice()),
        (1, b"two".as_slice())
    );
    assert!(
        store
            .approve_origins((id, "key"), approved("[\"https://a\"]"), &act(), at(2))
            .await
            .unwrap()
    );
    assert_eq!(
        store.shared_credentials(id).await.unwrap()[0].origins,
        "[\"https://a\"]"
    );
    assert!(
        store
            .delete_credential((id, "key"), &act(), at(3))
            .await
            .unwrap()
    );
    assert!(store.shared_credentials(id).await.unwrap().is_empty());
    // Four changes and the making of it.
    assert_eq!(store.index_row(id).await.unwrap().unwrap().revision, 5);
}

pub(crate) async fn a_ledger_row_counts_once(store: &Store) {
    let row = LedgerRow {
        id: VersionId::generate().0,
        organization: ORGANIZATION,
        consumer: None,
        key: None,
        kind: "tool",
        server: None,
        version: None,
        tool: Some("listPets".into()),
        model: None,
        target: None,
        parent: None,
        trace_id: "0".repeat(32),
        status: "ok",
        upstream_status: Some(200),
        request_bytes: 1,
        response_bytes: 2,
        at: at(0).timestamp_micros(),
        upstream_us: 3,
        total_us: 4,
        tokens_input: None,
        tokens_cached: None,
        tokens_output: None,
        tokens_reasoning: None,
        cost_nanos: None,
        attempts: 1,
    };
    store
        .append_ledger(&[row.clone(), row.clone()])
        .await
        .unwrap();
    store
        .append_ledger(std::slice::from_ref(&row))
        .await
        .unwrap();
    assert_eq!(store.ledger_count(ORGANIZATION).await.unwrap(), 1);
    // More than go in one statement, and once more with one that is new.
    let many = |count: u128| {
        let numbered = (1..=count).map(|number| LedgerRow {
            id: uuid::Uuid::from_u128(number),
            ..row.clone()
        });
        numbered.collect::<Vec<_>>()
    };
    for count in [90, 91] {
        store.append_ledger(&many(count)).await.unwrap();
    }
    assert_eq!(store.ledger_count(ORGANIZATION).await.unwrap(), 92);
    let (used, all) = (Used::default(), (i64::MIN, i64::MAX));
    let added = store.usage(ORGANIZATION, &used, all, 9).await.unwrap();
    assert_eq!(added.iter().map(|row| row.calls).sum::<i64>(), 92);
}

pub(crate) async fn a_job_is_leased_to_one(store: &Store) {
    store
        .enqueue(ORGANIZATION, ("sync", "{}"), at(0))
        .await
        .unwrap();
    let window = (at(1), at(60));
    let (a, b) = tokio::join!(
        store.lease("sync", "a", window),
        store.lease("sync", "b", window)
    );
    let taken: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "both or none took the job");
    assert!(store.lease("sync", "c", window).await.unwrap().is_none());
    let again = store
        .lease("sync", "c", (at(61), at(120)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.attempts, 1);
    let job = causeway::types::JobId(again.id);
    assert!(!store.renew(job, "a", at(200), None).await.unwrap());
    assert!(store.renew(job, "c", at(200), Some("{}")).await.unwrap());
    assert!(store.finish_job(job, "c", at(70)).await.unwrap());
    assert!(
        store
            .lease("sync", "d", (at(300), at(400)))
            .await
            .unwrap()
            .is_none()
    );
}

/// Many who look at once each find a job, as long as there are some.
pub(crate) async fn jobs_are_shared_out(store: &Store) {
    for _ in 0..8 {
        let job = store.enqueue(ORGANIZATION, ("sync", "{}"), at(0));
        job.await.unwrap();
    }
    let tries = (0..8).map(|n| {
        let store = store.clone();
        async move {
            let owner = format!("owner-{n}");
            store.lease("sync", &owner, (at(1), at(60))).await.unwrap()
        }
    });
    let taken = futures::future::join_all(tries).await;
    let mut ids: Vec<_> = taken.into_iter().flatten().map(|job| job.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "somebody found nothing, or two found one");
}

pub(crate) async fn what_failed_is_kept_with_the_last_jobs(store: &Store) {
    let start = async |began| {
        let (times, what) = ((at(began), at(began + 60)), ("import", "a", "{\"a\":1}"));
        let job = store.start_job((ORGANIZATION, None), what, times).await;
        job.unwrap()
    };
    let (first, second) = (start(0).await, start(1).await);
    let state = store.job(ORGANIZATION, "import", first).await.unwrap();
    assert_eq!(state.unwrap().payload, "{\"a\":1}");
    let bytes = [0, 255, b'x'];
    let files = vec![("b/root", &b"root"[..]), ("a", &bytes[..])];
    for (position, source) in [
        (7, FailedSource::Url("https://api.example.com")),
        (3, FailedSource::Files(files)),
    ] {
        let item = FailedItem {
            position,
            name: "item",
            source,
        };
        for job in [first, second] {
            let job = (ORGANIZATION, job);
            store.keep_failed(job, &item).await.unwrap();
        }
    }
    let kept = async |job| {
        let rows = store.failed_items(ORGANIZATION, job).await.unwrap();
        let rows = rows.into_iter();
        rows.map(|row| (row.position, row.url, row.file, row.bytes))
            .collect::<Vec<_>>()
    };
    let all = vec![
        (3, None, Some("b/root".to_owned()), Some(b"root".to_vec())),
        (3, None, Some("a".to_owned()), Some(bytes.to_vec())),
        (7, Some("https://api.example.com".to_owned()), None, None),
    ];
    assert_eq!(kept(first).await, all);
    let elsewhere = OrganizationId(first.0);
    assert!(
        store
            .failed_items(elsewhere, first)
            .await
            .unwrap()
            .is_empty()
    );
    store
        .forget_failed(ORGANIZATION, "import", 2)
        .await
        .unwrap();
    assert_eq!(kept(first).await, all);
    store
        .forget_failed(ORGANIZATION, "import", 1)
        .await
        .unwrap();
    assert_eq!(kept(first).await, []);
    assert_eq!(kept(second).await, all);
    // With its job, it is forgotten too.
    assert!(store.complete_job(second, "a", at(5), "").await.unwrap());
    assert_eq!(store.forget_jobs("import", at(50), 1).await.unwrap(), 1);
    assert_eq!(kept(second).await, []);
}

pub(crate) async fn a_job_that_runs_is_told_of_until_it_is_forgotten(store: &Store) {
    let start = async |began| {
        let times = (at(began), at(began + 60));
        store
            .start_job((ORGANIZATION, None), ("import", "a", "{}"), times)
            .await
            .unwrap()
    };
    let state = async |job| store.job(ORGANIZATION, "import", job).await.unwrap();
    let (first, second, third) = (start(0).await, start(1).await, start(2).await);
    let running = state(first).await.unwrap();
    assert_eq!(
        (running.run_at, running.finished_at),
        (at(0).timestamp_micros(), None)
    );
    assert_eq!(running.lease_until, Some(at(60).timestamp_micros()));
    let elsewhere = OrganizationId(first.0);
    assert!(
        store
            .job(elsewhere, "import", first)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .job(ORGANIZATION, "sync", first)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.complete_job(first, "b", at(5), "{}").await.unwrap());
    for (job, ended) in [(first, 5), (second, 6)] {
        assert!(
            store
                .complete_job(job, "a", at(ended), "well")
                .await
                .unwrap()
        );
    }
    assert!(
        !store
            .complete_job(first, "a", at(7), "again")
            .await
            .unwrap()
    );
    let ended = state(first).await.unwrap();
    assert_eq!(ended.progress.as_deref(), Some("well"));
    assert_eq!(
        (ended.lease_until, ended.finished_at),
        (None, Some(at(5).timestamp_micros()))
    );
    // Of what ended, the last one is kept; what runs always is.
    assert_eq!(store.forget_jobs("import", at(0), 1).await.unwrap(), 1);
    assert!(state(first).await.is_none() && state(second).await.is_some());
    assert_eq!(store.forget_jobs("import", at(50), 1).await.unwrap(), 1);
    assert!(state(second).await.is_none() && state(third).await.is_some());
    // It is an hour old and nobody has it any more.
    assert_eq!(store.forget_jobs("import", at(100), 1).await.unwrap(), 1);
    assert!(state(third).await.is_none());
}

fn answer(server: ServerId, principal: &str, size: usize, second: i64) -> NewAnswer {
    NewAnswer {
        id: AnswerId::generate(),
        organization: ORGANIZATION,
        server,
        principal: principal.into(),
        operation: None,
        tool: "list".into(),
        media_type: "text/plain".into(),
        size,
        key_id: "k".into(),
        sealed: b"sealed".to_vec(),
        expires_at: at(second),
    }
}

pub(crate) async fn an_answer_is_one_principals_for_a_while(store: &Store) {
    let new = server("answering");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let quota = AnswerQuota {
        organization_bytes_max: 100,
        principal_bytes_max: 60,
    };
    let keep = |principal: &'static str, size, second| {
        let new = answer(id, principal, size, second);
        let kept = new.id;
        async move { (kept, store.keep_answer(new, quota, at(0)).await.unwrap()) }
    };
    let (first, kept) = keep("a", 40, 10).await;
    assert!(kept);
    let row = store.answer(first, at(9)).await.unwrap().unwrap();
    assert_eq!(
        (row.server_id, row.sealed.as_slice()),
        (id.0, b"sealed".as_slice())
    );
    assert_eq!(row.principal, "a");
    assert!(store.answer(first, at(10)).await.unwrap().is_none());
    let (second, kept) = keep("a", 30, 20).await;
    assert!(kept, "the one before made room");
    assert!(store.answer(first, at(1)).await.unwrap().is_none());
    assert!(keep("b", 60, 20).await.1);
    assert!(!keep("c", 20, 20).await.1, "the organization has no room");
    assert!(store.answer(second, at(1)).await.unwrap().is_some());
    assert_eq!(store.expire_answers(at(20)).await.unwrap(), 2);
    let (third, _) = keep("c", 20, 30).await;
    assert!(store.delete_server(id, &act(), at(1)).await.unwrap());
    assert!(store.answer(third, at(1)).await.unwrap().is_none());
}

pub(crate) async fn the_audit_is_kept(store: &Store) {
    let made = NewAudit {
        action: "create",
        ..act()
    };
    let new = server("pets");
    store.create_server(&new, &made, at(0)).await.unwrap();
    let rows = store.audit(ORGANIZATION, None, 10).await.unwrap().unwrap();
    assert_eq!((rows.len(), rows[0].action.as_str()), (1, "create"));
    assert_eq!(rows[0].at, at(0).timestamp_micros());
}

pub(crate) async fn what_stands_beside_an_older_version_ends(store: &Store) {
    let new = server("rollouts");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let beside = async || {
        let rows = store.rollouts(id).await.unwrap();
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };
    let second = version("second");
    let number = store.stage_version(id, &second, &act(), at(1)).await;
    assert_eq!(number.unwrap(), 2);
    store.start_canary((id, 2), 5, &act(), at(2)).await.unwrap();
    assert_eq!(beside().await, [2, 2]);
    // What is promoted ends the canary, and what waits and is newer goes on waiting.
    store
        .promote_version((id, 1), None, &act(), at(3))
        .await
        .unwrap();
    assert_eq!(beside().await, [2]);
    let third = version("third-one");
    let number = store.import(id, replaced(&third), &act(), at(4)).await;
    assert_eq!(number.unwrap(), Some(3));
    assert_eq!(beside().await, [0; 0]);
}

pub(crate) async fn a_version_that_was_let_go_of_is_known(store: &Store) {
    let new = server("discarded");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let second = version("second-one");
    store
        .stage_version(id, &second, &act(), at(1))
        .await
        .unwrap();
    let known = async || {
        let known = store.versions_of(id, &second.document_hash).await;
        let mut known = known.unwrap();
        assert_eq!(known.len(), 1);
        known.remove(0)
    };
    let row = known().await;
    assert!((row.number, row.discarded) == (2, 0) && row.is(&second));
    let other = NewVersion {
        overlays: Some("[]".into()),
        ..version("second-one")
    };
    assert!(!row.is(&other));
    let ended = store.end_rollout(id, Rollout::Staged, &act(), at(2)).await;
    assert!(ended.unwrap());
    assert_eq!(known().await.discarded, 1);
    store.stage_again(id, &row, &act(), at(3)).await.unwrap();
    assert_eq!(known().await.discarded, 0);
    assert_eq!(store.rollouts(id).await.unwrap()[0].number, 2);
}

pub(crate) async fn a_look_is_noted_for_where_it_looked(store: &Store) {
    let new = server("looked-at");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for url in ["https://old.example", "https://new.example"] {
        store
            .put_source(id, (url, 60), &act(), at(1))
            .await
            .unwrap();
    }
    let checked = Checked {
        validators: Some((Some("\"1\""), None)),
        outcome: "published",
        detail: None,
    };
    for (url, etag) in [
        ("https://old.example", None),
        ("https://new.example", Some("\"1\"")),
    ] {
        store
            .source_checked((id, url), checked, at(2))
            .await
            .unwrap();
        let source = store.source(id).await.unwrap().unwrap();
        assert_eq!(source.etag.as_deref(), etag);
        assert_eq!(source.outcome.is_some(), etag.is_some());
    }
}

pub(crate) async fn many_writers_lose_nothing(store: &Store) {
    let new = server("busy");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let writers = (0..10).map(|n| {
        let store = store.clone();
        async move {
            let version = version(&format!("v{}", "x".repeat(n)));
            store.import(id, replaced(&version), &act(), at(1)).await
        }
    });
    for result in futures::future::join_all(writers).await {
        result.unwrap();
    }
    let row = store.server(id).await.unwrap().unwrap();
    assert_eq!((row.revision, row.number), (11, 11));
}

pub(crate) async fn migrating_twice_changes_nothing(store: &Store) {
    let (a, b) = tokio::join!(store.migrate(), store.migrate());
    a.unwrap();
    b.unwrap();
    store.ping().await.unwrap();
}

/// Runs every function above, each on a store of its own.
#[macro_export]
macro_rules! run_contract {
    ($store:path) => {
        $crate::run_contract!($store;
            a_server_is_made_versioned_renamed_and_removed,
            the_catalog_is_searched_the_same,
            a_version_without_a_list_gets_one,
            an_item_of_an_import_remembers_its_server,
            an_edit_is_whole_and_of_its_organization,
            a_name_is_given_once,
            every_catalog_write_is_told,
            keys_are_found_by_hash_until_they_are_revoked,
            a_credential_takes_the_place_of_the_one_before,
            of_many_one_renews_a_connection,
            what_was_begun_is_taken_once,
            an_account_is_one_persons,
            an_account_ends_with_what_it_is_for,
            a_link_is_one_persons_and_good_once,
            of_many_one_renews_an_account,
            a_ledger_row_counts_once,
            a_job_is_leased_to_one,
            jobs_are_shared_out,
            a_job_that_runs_is_told_of_until_it_is_forgotten,
            what_failed_is_kept_with_the_last_jobs,
            an_answer_is_one_principals_for_a_while,
            the_audit_is_kept,
            of_many_who_send_a_request_one_does_it,
            requests_are_let_go_of_bounded_and_forgotten,
            approvals_are_read_from_row_to_row,
            what_stands_beside_an_older_version_ends,
            a_version_that_was_let_go_of_is_known,
            a_look_is_noted_for_where_it_looked,
            many_writers_lose_nothing,
            many_writers_make_one_chain,
            the_audit_is_read_in_pages,
            calls_are_read_in_pages_and_swept,
            usage_is_the_same_by_days_until_it_is_swept,
            the_calls_of_servers_are_added_up,
            of_many_one_asks_an_api,
            the_last_results_of_a_probe_are_kept,
            migrating_twice_changes_nothing,
            a_quota_is_exact_among_many_and_survives_them,
            a_crash_loses_no_unit_of_a_quota,
            a_clock_set_back_begins_no_window_anew,
            a_slice_is_at_most_what_is_left,
            a_budget_is_never_exceeded_by_many,
            what_an_answer_comes_to_is_counted_when_it_is_there,
            a_plan_is_given_until_it_is_taken,
            a_key_is_replaced_once_and_goes_on_for_a_while,
            of_many_one_replaces_a_key,
            somebody_has_so_many_keys_that_are_good,
            an_issuer_has_one_name_and_one_iss,
            a_subject_is_one_consumer,
            of_many_who_start_one_sets_up,
            a_session_ends_at_once,
            a_link_lets_one_choose_a_password_once,
            a_step_is_taken_once,
            keys_go_with_their_owner,
            things_have_an_owner,
            a_closed_server_says_since_when,
            a_server_is_given_to_those_who_publish,
            servers_are_removed_in_batches,
            of_restore_and_removal_one_happens,
            a_consumer_is_erased_with_its_keys,
            an_identity_is_one_accounts,
            a_session_ends_with_the_identity_it_began_with,
            a_sign_in_is_taken_once_by_its_browser,
            nobody_crowds_out_the_sign_ins_of_others,
            a_token_is_used_once_among_processes,
            an_approval_lets_one_call_through_among_processes,
            what_waits_is_bounded_and_stands_once
        );
        $crate::run_contract!($store, with_database;
            a_change_its_line_and_its_audit_are_one,
            what_cannot_be_noted_is_not_done,
            an_import_is_whole,
            versions_and_documents_are_never_changed,
            every_column_of_the_ledger_is_kept,
            a_roll_up_is_the_sum_of_its_calls,
            a_credential_is_its_subjects,
            organizations_do_not_meet,
            the_log_of_changes_is_pruned,
            a_deleted_server_is_held_and_restored,
            no_credential_outlives_its_server,
            a_chain_fits_after_an_erasure,
            what_was_redacted_is_watched_over,
            what_somebody_was_answered_goes_with_them,
            a_row_that_was_tampered_with_is_found,
            rows_from_before_the_chain_are_told_apart
        );
    };
    ($store:path, with_database; $($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            let place = $store().await;
            let database = place.database().await;
            contract::$name(&place.store, &database).await;
            place.store.close().await;
        }
    )*};
    ($store:path; $($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            let place = $store().await;
            contract::$name(&place.store).await;
            place.store.close().await;
        }
    )*};
}
