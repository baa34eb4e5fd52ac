//! Identities of people, and sign-ins that were begun with a provider.

use causeway::store::identities::{NewBegun, NewIdentity};
use causeway::store::sessions::NewSession;
use causeway::store::users::{NewUser, UserEdit};
use causeway::store::{Store, StoreError};
use causeway::types::UserId;
use uuid::Uuid;

use super::{ORGANIZATION, act, at};

const ISSUER: &str = "https://login.example";

fn user(id: UserId, name: &str) -> NewUser<'_> {
    NewUser {
        id,
        name,
        role: "member",
        password_hash: None,
    }
}

fn identity(user: UserId, subject: &str) -> NewIdentity<'_> {
    NewIdentity {
        id: Uuid::now_v7(),
        user,
        issuer: ISSUER,
        subject,
        shown: "somebody",
    }
}

fn is_conflict(done: &Result<impl std::fmt::Debug, StoreError>, of: &str) {
    assert!(
        matches!(done, Err(StoreError::Conflict(name)) if name.contains(of)),
        "{done:?}"
    );
}

/// Makes somebody for an identity.
async fn make(store: &Store, (id, name): (UserId, &str), subject: &str) -> Result<(), StoreError> {
    let (new, act) = (identity(id, subject), act());
    let made = store.create_user_of((user(id, name), &new), &act, at(1));
    made.await
}

async fn link(store: &Store, user: UserId, subject: &str) -> Result<bool, StoreError> {
    let (new, act) = (identity(user, subject), act());
    store.link_identity(&new, &act, at(2)).await
}

/// Whose an identity is, and whether their account was made for it.
async fn whose(store: &Store, subject: &str) -> Option<(Uuid, i64)> {
    let found = store.identity(ORGANIZATION, (ISSUER, subject)).await;
    found.unwrap().map(|row| (row.user_id, row.made_account))
}

pub(crate) async fn an_identity_is_one_accounts(store: &Store) {
    let (ann, bob) = (UserId::generate(), UserId::generate());
    make(store, (ann, "ann"), "1").await.unwrap();
    let act = act();
    let made = store.create_user(user(bob, "bob"), &act, at(1));
    made.await.unwrap();
    assert_eq!(whose(store, "1").await, Some((ann.0, 1)));
    assert_eq!(whose(store, "2").await, None);
    let elsewhere = store.identity(ORGANIZATION, ("https://login.example/", "1"));
    assert!(elsewhere.await.unwrap().is_none(), "another issuer's");
    is_conflict(&link(store, bob, "1").await, "subject");
    assert!(link(store, bob, "2").await.unwrap());
    assert_eq!(whose(store, "2").await, Some((bob.0, 0)));
    is_conflict(&link(store, bob, "3").await, "identities");
    let nobody = link(store, UserId::generate(), "4").await;
    assert!(!nobody.unwrap(), "linked with nobody");
    // A name that is taken leaves no identity behind, and an identity that is taken no person.
    let (eve, mallory) = (UserId::generate(), UserId::generate());
    is_conflict(&make(store, (eve, "ann"), "5").await, "users");
    assert_eq!(whose(store, "5").await, None);
    is_conflict(&make(store, (mallory, "mallory"), "1").await, "identities");
    assert!(store.user(mallory).await.unwrap().is_none());
    // Of many who come at once, one is made.
    let many = (0..8).map(async |number| {
        let name = format!("n{number}");
        make(store, (UserId::generate(), &name), "6").await.is_ok()
    });
    let made = futures::future::join_all(many).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    let out = UserEdit {
        disabled: Some(true),
        ..UserEdit::default()
    };
    store.edit_user(bob, out, &act, at(7)).await.unwrap();
    let id = store.identities_of(bob).await.unwrap()[0].id;
    let ended = store.unlink_identity((bob, id), &act, at(7)).await;
    assert!(ended.unwrap());
    assert!(
        !link(store, bob, "2").await.unwrap(),
        "linked with who is out"
    );
    assert_eq!(store.identities(ORGANIZATION).await.unwrap().len(), 2);
}

pub(crate) async fn a_session_ends_with_the_identity_it_began_with(store: &Store) {
    let (ann, bob) = (UserId::generate(), UserId::generate());
    make(store, (ann, "ann"), "1").await.unwrap();
    make(store, (bob, "bob"), "2").await.unwrap();
    let begin = async |digit: u8, user, issuer| {
        let session = NewSession {
            id: Uuid::now_v7(),
            hash: [digit; 32],
            user,
            password_hash: "",
            user_agent: "a browser",
            issuer,
            expires_at: at(1_000),
        };
        store.begin_session(&session, at(5)).await.unwrap()
    };
    let good = async |digit: u8| store.signed_in(&[digit; 32], at(6)).await.unwrap();
    assert!(begin(1, ann, Some(ISSUER)).await && begin(2, ann, None).await);
    assert!(begin(3, bob, Some(ISSUER)).await);
    assert!(!begin(4, ann, Some("https://other.example")).await);
    assert_eq!(good(1).await.unwrap().issuer.as_deref(), Some(ISSUER));
    assert_eq!(good(2).await.unwrap().issuer, None);
    let id = store.identities_of(ann).await.unwrap()[0].id;
    let unlink = async |user, id| {
        let act = act();
        let ended = store.unlink_identity((user, id), &act, at(6)).await;
        ended.unwrap()
    };
    assert!(!unlink(bob, id).await, "somebody else's");
    assert!(unlink(ann, id).await && !unlink(ann, id).await);
    assert!(good(1).await.is_none() && good(2).await.is_some());
    assert!(good(3).await.is_some(), "somebody else's session ended");
    assert!(!begin(5, ann, Some(ISSUER)).await, "it is linked no more");
    assert_eq!(whose(store, "1").await, None);
}

fn begun(id: u8, browser: u8, address: &str) -> NewBegun<'_> {
    NewBegun {
        id: [id; 32],
        browser: [browser; 32],
        address,
        redirect_uri: "https://here.example/callback",
        next: "/keys",
        user: None,
    }
}

pub(crate) async fn a_sign_in_is_taken_once_by_its_browser(store: &Store) {
    let begin = async |new: NewBegun<'_>, now: i64| {
        let begun = store.begin_sign_in(&new, (at(now), at(now + 600)));
        begun.await.unwrap();
    };
    let take = async |id: u8, browser: u8| {
        let (id, browser) = ([id; 32], [browser; 32]);
        store.take_sign_in((&id, &browser)).await.unwrap()
    };
    begin(begun(1, 1, "a"), 1).await;
    begin(begun(2, 1, "a"), 1).await;
    assert!(take(1, 2).await.is_none(), "another browser");
    assert!(take(3, 1).await.is_none(), "another state");
    let all = futures::future::join_all((0..8).map(|_| take(1, 1))).await;
    assert_eq!(all.iter().flatten().count(), 1, "taken twice");
    let row = take(2, 1).await.unwrap();
    assert_eq!(
        (row.next.as_str(), row.expires_at),
        ("/keys", at(601).timestamp_micros())
    );
    begin(begun(4, 1, "a"), 1).await;
    begin(begun(5, 1, "a"), 700).await;
    assert!(take(4, 1).await.is_none(), "it is over, and forgotten");
    assert!(take(5, 1).await.is_some());
}

pub(crate) async fn nobody_crowds_out_the_sign_ins_of_others(store: &Store) {
    let begin = async |id: [u8; 32], address: &str, now: i64| {
        let new = NewBegun {
            id,
            ..begun(0, 1, address)
        };
        let begun = store.begin_sign_in(&new, (at(now), at(now + 600)));
        begun.await.unwrap();
    };
    begin([1; 32], "victim", 1).await;
    for number in 0..=500_u16 {
        let mut id = [2; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        begin(id, "attacker", i64::from(number) + 2).await;
    }
    let take = async |id: [u8; 32]| store.take_sign_in((&id, &[1; 32])).await.unwrap();
    assert!(take([1; 32]).await.is_some(), "others filled it up");
    let mut first = [2; 32];
    first[..2].copy_from_slice(&0_u16.to_be_bytes());
    assert!(take(first).await.is_none(), "one address has no bound");
}
