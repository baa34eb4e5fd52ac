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

pub(crate) async fn an_identity_is_one_accounts(store: &Store) {
    let (ann, bob) = (UserId::generate(), UserId::generate());
    let made = store.create_user_of((user(ann, "ann"), &identity(ann, "1")), &act(), at(1));
    made.await.unwrap();
    store
        .create_user(user(bob, "bob"), &act(), at(1))
        .await
        .unwrap();
    let whose = async |subject: &str| {
        let found = store
            .identity(ORGANIZATION, (ISSUER, subject))
            .await
            .unwrap();
        found.map(|row| (row.user_id, row.made_account))
    };
    assert_eq!(whose("1").await, Some((ann.0, 1)));
    assert_eq!(whose("2").await, None);
    let elsewhere = store.identity(ORGANIZATION, ("https://login.example/", "1"));
    assert!(elsewhere.await.unwrap().is_none(), "another issuer's");
    let link = async |new: NewIdentity<'_>, now| store.link_identity(&new, &act(), at(now)).await;
    is_conflict(&link(identity(bob, "1"), 2).await, "subject");
    assert!(link(identity(bob, "2"), 2).await.unwrap());
    let second = link(identity(bob, "3"), 2).await;
    assert!(matches!(second, Err(StoreError::Conflict(_))), "{second:?}");
    assert!(
        !link(identity(UserId::generate(), "4"), 2).await.unwrap(),
        "of nobody"
    );
    // A name that is taken leaves no identity behind, and an identity that is taken no person.
    let (eve, mallory) = (UserId::generate(), UserId::generate());
    let taken = store.create_user_of((user(eve, "ann"), &identity(eve, "5")), &act(), at(3));
    is_conflict(&taken.await, "users");
    assert_eq!(whose("5").await, None);
    let taken = store.create_user_of(
        (user(mallory, "mal"), &identity(mallory, "1")),
        &act(),
        at(3),
    );
    is_conflict(&taken.await, "identities");
    assert!(store.user(mallory).await.unwrap().is_none());
    // Of many who come at once, one is made.
    let many = (0..8).map(|number| async move {
        let (id, name) = (UserId::generate(), format!("n{number}"));
        let made = store.create_user_of((user(id, &name), &identity(id, "6")), &act(), at(4));
        made.await.is_ok()
    });
    let made = futures::future::join_all(many).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    // Sessions that an issuer vouches for begin and end with the identity.
    let session = |digit: u8, user, issuer| NewSession {
        id: Uuid::now_v7(),
        hash: [digit; 32],
        user,
        password_hash: "",
        user_agent: "a browser",
        issuer,
        expires_at: at(1_000),
    };
    let begin = async |digit, user, issuer| {
        let begun = store
            .begin_session(&session(digit, user, issuer), at(5))
            .await;
        begun.unwrap()
    };
    let good = async |digit: u8| store.signed_in(&[digit; 32], at(6)).await.unwrap();
    assert!(begin(1, ann, Some(ISSUER)).await && begin(2, ann, None).await);
    assert!(!begin(3, ann, Some("https://other.example")).await);
    assert_eq!(good(1).await.unwrap().issuer.as_deref(), Some(ISSUER));
    assert_eq!(good(2).await.unwrap().issuer, None);
    let id = store.identities_of(ann).await.unwrap()[0].id;
    let unlink = async |user, id| {
        store
            .unlink_identity((user, id), &act(), at(6))
            .await
            .unwrap()
    };
    assert!(!unlink(bob, id).await, "somebody else's");
    assert!(unlink(ann, id).await && !unlink(ann, id).await);
    assert!(good(1).await.is_none() && good(2).await.is_some());
    assert!(!begin(4, ann, Some(ISSUER)).await, "it is linked no more");
    assert_eq!(whose("1").await, None);
    let out = UserEdit {
        disabled: Some(true),
        ..UserEdit::default()
    };
    store.edit_user(ann, out, &act(), at(7)).await.unwrap();
    assert!(
        !link(identity(ann, "1"), 8).await.unwrap(),
        "linked with who is out"
    );
    assert_eq!(store.identities(ORGANIZATION).await.unwrap().len(), 2);
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
        let taken = store.take_sign_in((&[id; 32], &[browser; 32])).await;
        taken.unwrap()
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
        begin(id, "attacker", i64::from(number) / 10 + 2).await;
    }
    let take = async |id: [u8; 32]| store.take_sign_in((&id, &[1; 32])).await.unwrap();
    assert!(take([1; 32]).await.is_some(), "others filled it up");
    let mut first = [2; 32];
    first[..2].copy_from_slice(&0_u16.to_be_bytes());
    assert!(take(first).await.is_none(), "one address has no bound");
}
