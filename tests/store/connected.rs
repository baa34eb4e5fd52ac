//! Accounts people connect themselves: one person's, good while the person, the server and the client are.

use causeway::access::vault::master::MasterKey;
use causeway::access::vault::ring::{KeySource, Keyring};
use causeway::access::vault::{RowIdentity, Sealed, Vault, rotate};
use causeway::store::Store;
use causeway::store::connected::{NewAccount, Place};
use causeway::store::connections::Lease;
use causeway::store::credentials::NewCredential;
use causeway::store::identities::NewIdentity;
use causeway::store::personal::pseudonym;
use causeway::store::servers::NewServer;
use causeway::store::users::{NewUser, UserEdit};
use causeway::types::{CredentialId, ServerId, UserId};
use uuid::Uuid;

use super::{ORGANIZATION, act, at, server};

async fn person(store: &Store, name: &str) -> UserId {
    let id = UserId::generate();
    let new = NewUser {
        id,
        name,
        role: "member",
        password_hash: None,
    };
    store.create_user(new, &act(), at(0)).await.unwrap();
    id
}

fn place(server: ServerId, user: UserId) -> Place<'static> {
    Place {
        organization: ORGANIZATION,
        server,
        scheme: "key",
        user,
    }
}

/// Keeps an account that is sealed for its person: its id, where it was kept.
async fn keep(
    store: &Store,
    vault: &Vault,
    (place, credential): (Place<'_>, Option<CredentialId>),
) -> Option<Uuid> {
    let id = Uuid::now_v7();
    let row = RowIdentity {
        organization: ORGANIZATION,
        row: id,
        subject: Some(place.user),
    };
    let sealed = vault.seal(place.user.to_string().as_bytes(), &row).unwrap();
    let new = NewAccount {
        id,
        place,
        credential,
        key_id: sealed.key_id,
        sealed: sealed.bytes,
        origins: "[\"https://api.example\"]".to_owned(),
    };
    let kept = store.keep_account(&new, &act(), at(1)).await.unwrap();
    kept.then_some(id)
}

fn client(server: ServerId) -> NewCredential {
    NewCredential {
        id: CredentialId::generate(),
        organization: ORGANIZATION,
        server,
        scheme: "key".to_owned(),
        subject: None,
        key_id: "k".to_owned(),
        sealed: b"client".to_vec(),
        origins: "[]".to_owned(),
        token_origins: None,
    }
}

fn vault(seed: u8) -> Vault {
    Vault::new(&MasterKey::from_bytes([seed; 32]))
}

async fn opened(store: &Store, vault: &Vault, place: Place<'_>, as_of: UserId) -> Option<String> {
    let asked = (place.server, place.scheme, place.user);
    let row = store.account(asked).await.unwrap()?;
    let sealed = Sealed {
        key_id: row.key_id,
        bytes: row.sealed,
    };
    let identity = RowIdentity {
        organization: ORGANIZATION,
        row: row.id,
        subject: Some(as_of),
    };
    let plain = vault.open(&sealed, &identity).ok()?;
    Some(String::from_utf8(plain.to_vec()).unwrap())
}

async fn two(store: &Store, name: &str) -> (NewServer, UserId, UserId) {
    let new = server(name);
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let ann = person(store, "ann").await;
    let ben = person(store, "ben").await;
    (new, ann, ben)
}

pub(crate) async fn an_account_is_one_persons(store: &Store) {
    let (new, ann, ben) = two(store, "pets").await;
    let vault = vault(1);
    let (anns, bens) = (place(new.id, ann), place(new.id, ben));
    let first = keep(store, &vault, (anns, None)).await.unwrap();
    assert!(store.account((new.id, "key", ben)).await.unwrap().is_none());
    let second = keep(store, &vault, (bens, None)).await.unwrap();
    assert_eq!(
        opened(store, &vault, anns, ann).await,
        Some(ann.to_string())
    );
    assert_eq!(
        opened(store, &vault, bens, ben).await,
        Some(ben.to_string())
    );
    assert_eq!(opened(store, &vault, anns, ben).await, None, "it is Ann's");
    assert!(store.account_by_id(first, ben).await.unwrap().is_none());
    let row = store.account_by_id(second, ben).await.unwrap().unwrap();
    // Another one takes its place, and the first master key opens nothing after a rotation.
    let again = keep(store, &vault, (anns, None)).await.unwrap();
    assert!(store.account_by_id(first, ann).await.unwrap().is_none());
    let newer = Vault::of(
        &Keyring::from_text(&format!("{} {}", "02".repeat(32), "01".repeat(32))).unwrap(),
        KeySource::Text,
    );
    let rotated = rotate::reseal_all(store, &newer, |_| ()).await.unwrap();
    assert_eq!((rotated.resealed, rotated.unreadable), (2, 0));
    let only = self::vault(2);
    assert_eq!(opened(store, &only, anns, ann).await, Some(ann.to_string()));
    assert_eq!(opened(store, &only, anns, ben).await, None);
    let stale = store.account_by_id(again, ann).await.unwrap().unwrap();
    assert!(store.disconnect_account(&row, &act(), at(2)).await.unwrap());
    assert!(!store.disconnect_account(&row, &act(), at(2)).await.unwrap());
    assert_eq!(stale.last_used_at, None);
    store.account_used(stale.id, at(3)).await.unwrap();
    store.account_used(stale.id, at(4)).await.unwrap();
    let used = store.account_by_id(again, ann).await.unwrap().unwrap();
    assert_eq!(used.last_used_at, Some(at(3).timestamp_micros()));
    let shown = store.accounts_at(new.id, (Uuid::nil(), 10)).await.unwrap();
    assert_eq!((shown.len(), shown[0].user_name.as_str()), (1, "ann"));
}

pub(crate) async fn an_account_ends_with_what_it_is_for(store: &Store) {
    let (new, ann, ben) = two(store, "pets").await;
    let vault = vault(1);
    let (anns, bens) = (place(new.id, ann), place(new.id, ben));
    let left = async || {
        let shown = store.accounts_at(new.id, (Uuid::nil(), 10)).await.unwrap();
        shown
            .into_iter()
            .map(|row| row.user_name)
            .collect::<Vec<_>>()
    };
    keep(store, &vault, (anns, None)).await.unwrap();
    keep(store, &vault, (bens, None)).await.unwrap();
    let link = Uuid::now_v7();
    let offered = store.offer_account((link, anns), (at(2), at(602)));
    offered.await.unwrap();
    let disabled = UserEdit {
        role: None,
        disabled: Some(true),
    };
    assert!(store.edit_user(ann, disabled, &act(), at(3)).await.unwrap());
    assert_eq!(left().await, ["ben"]);
    assert!(store.offered_account(link, at(4)).await.unwrap().is_none());
    assert_eq!(keep(store, &vault, (anns, None)).await, None, "is disabled");
    // Erased, with what a provider says of them.
    let identity = NewIdentity {
        id: Uuid::now_v7(),
        user: ben,
        issuer: "https://login.example",
        subject: "1",
        shown: "ben@example.com",
    };
    assert!(store.link_identity(&identity, &act(), at(5)).await.unwrap());
    let told = store.identities_after(ben.0, (Uuid::nil(), 10)).await;
    assert_eq!(told.unwrap().len(), 1);
    let pseudonym = pseudonym(ben.0);
    let whom = (ben, "ben", pseudonym.as_str());
    assert!(store.erase_user(whom, &act(), at(6)).await.unwrap());
    assert!(left().await.is_empty());
    let told = store.identities_after(ben.0, (Uuid::nil(), 10)).await;
    assert!(told.unwrap().is_empty());
    // With the client its tokens were got with, and with the server.
    let cat = person(store, "cat").await;
    let client = client(new.id);
    let id = client.id;
    store.put_credential(client, &act(), at(7)).await.unwrap();
    let cats = place(new.id, cat);
    keep(store, &vault, (cats, Some(id))).await.unwrap();
    let act = act();
    let found = store.delete_credential((new.id, "key"), &act, at(8));
    assert!(found.await.unwrap());
    assert!(left().await.is_empty());
    keep(store, &vault, (cats, None)).await.unwrap();
    assert_eq!(store.forget_accounts(new.id, "other").await.unwrap(), 0);
    assert_eq!(store.forget_accounts(new.id, "key").await.unwrap(), 1);
    keep(store, &vault, (cats, None)).await.unwrap();
    assert!(store.delete_server(new.id, &act, at(9)).await.unwrap());
    assert!(left().await.is_empty());
    assert_eq!(keep(store, &vault, (cats, None)).await, None, "is deleted");
}

pub(crate) async fn a_link_is_one_persons_and_good_once(store: &Store) {
    let (new, ann, ben) = two(store, "pets").await;
    let anns = place(new.id, ann);
    let link = Uuid::now_v7();
    let offered = store.offer_account((link, anns), (at(0), at(600)));
    offered.await.unwrap();
    assert!(store.take_offer(link, ben, at(1)).await.unwrap().is_none());
    let row = store.offered_account(link, at(599)).await.unwrap().unwrap();
    assert_eq!((row.user_id, row.scheme.as_str()), (ann.0, "key"));
    assert!(
        store
            .offered_account(link, at(600))
            .await
            .unwrap()
            .is_none()
    );
    let takes = (0..8).map(|_| store.take_offer(link, ann, at(2)));
    let taken = futures::future::join_all(takes).await;
    let taken = taken
        .into_iter()
        .filter(|taken| matches!(taken, Ok(Some(_))));
    assert_eq!(taken.count(), 1);
    // Of many, the oldest make room, and nobody's but one's own.
    let bens = Uuid::now_v7();
    let offered = store.offer_account((bens, place(new.id, ben)), (at(0), at(600)));
    offered.await.unwrap();
    let mut links = Vec::new();
    for second in 0..25 {
        let link = Uuid::now_v7();
        let offered = store.offer_account((link, anns), (at(second), at(600 + second)));
        offered.await.unwrap();
        links.push(
            store
                .offered_account(link, at(30))
                .await
                .unwrap()
                .map(|_| link),
        );
    }
    let mut open = 0;
    for link in links.into_iter().flatten() {
        open += usize::from(store.offered_account(link, at(30)).await.unwrap().is_some());
    }
    assert_eq!(open, 20);
    assert!(store.offered_account(bens, at(30)).await.unwrap().is_some());
}

pub(crate) async fn of_many_one_renews_an_account(store: &Store) {
    let (new, ann, ben) = two(store, "pets").await;
    let vault = vault(1);
    let client = client(new.id);
    let client_id = client.id;
    store.put_credential(client, &act(), at(0)).await.unwrap();
    let (anns, bens) = (place(new.id, ann), place(new.id, ben));
    let id = keep(store, &vault, (anns, Some(client_id))).await.unwrap();
    let other = keep(store, &vault, (bens, Some(client_id))).await.unwrap();
    let owners: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let lease = |owner| Lease {
        connection: id,
        generation: 1,
        owner,
        personal: true,
    };
    let leases = owners
        .iter()
        .map(|owner| store.lease_connection(lease(owner), (at(2), at(62))));
    let leased = futures::future::join_all(leases).await;
    let mut winners = owners
        .iter()
        .zip(leased)
        .filter_map(|(owner, leased)| leased.unwrap().then_some(owner));
    let winner = winners.next().unwrap();
    assert_eq!(winners.next(), None);
    let loser = owners.iter().find(|owner| *owner != winner).unwrap();
    let stolen = store.renew_connection(lease(loser), ("k", b"stolen"), at(3));
    assert!(!stolen.await.unwrap());
    let renewed = store.renew_connection(lease(winner), ("k", b"second"), at(3));
    assert!(renewed.await.unwrap());
    let row = store.account_by_id(id, ann).await.unwrap().unwrap();
    assert_eq!((row.sealed.as_slice(), row.generation), (&b"second"[..], 2));
    let untouched = store.account_by_id(other, ben).await.unwrap().unwrap();
    assert_eq!(untouched.generation, 1);
}
