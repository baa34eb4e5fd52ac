//! People, their sessions and links, and what is theirs.

use causeway::store::sessions::NewSession;
use causeway::store::users::{LinkKind, NewLink, NewUser, UserEdit};
use causeway::store::{Change, Store, StoreError};
use causeway::types::UserId;
use uuid::Uuid;

use super::{ORGANIZATION, act, at, key, server};

async fn person(store: &Store, name: &str) -> UserId {
    let id = UserId::generate();
    let new = NewUser {
        id,
        name,
        role: "member",
        password_hash: Some("hash"),
    };
    store.create_user(new, &act(), at(0)).await.unwrap();
    id
}

fn session(user: UserId, digit: u8) -> NewSession<'static> {
    NewSession {
        id: Uuid::now_v7(),
        hash: [digit; 32],
        user,
        password_hash: "hash",
        user_agent: "a browser",
        issuer: None,
        expires_at: at(1_000),
    }
}

pub(crate) async fn of_many_who_start_one_sets_up(store: &Store) {
    let claim = async |digit: u8, now: i64| {
        let times = (at(now), at(now + 1_800));
        let hash = [digit; 32];
        let claimed = store.claim_setup(ORGANIZATION, &hash, times);
        claimed.await.unwrap()
    };
    let all = futures::future::join_all((0..12).map(|digit| claim(digit, 0))).await;
    assert_eq!(all.iter().filter(|claimed| **claimed).count(), 1, "{all:?}");
    let first = u8::try_from(all.iter().position(|claimed| *claimed).unwrap()).unwrap();
    let is = async |digit: u8, now: i64| {
        let hash = [digit; 32];
        let found = store.is_setup(ORGANIZATION, &hash, at(now));
        found.await.unwrap()
    };
    assert!(is(first, 1_799).await && !is(first, 1_800).await && !is(77, 1).await);
    assert!(!claim(20, 1_799).await, "another is good still");
    assert!(claim(21, 1_800).await, "its time is over");
    let new = |name| NewUser {
        id: UserId::generate(),
        name,
        role: "admin",
        password_hash: Some("hash"),
    };
    let with = async |digit: u8, name| {
        let (hash, act) = ([digit; 32], act());
        let made = store.set_up(&hash, new(name), &act, at(1_900));
        made.await.unwrap()
    };
    assert!(!with(first, "late").await, "an older link made somebody");
    let tries = futures::future::join_all([with(21, "ann"), with(21, "bob"), with(21, "eve")]);
    let made = tries.await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    assert_eq!(store.users(ORGANIZATION).await.unwrap().len(), 1);
    assert!(!claim(22, 9_000).await, "somebody is there");
}

pub(crate) async fn a_session_ends_at_once(store: &Store) {
    let (ann, bob) = (person(store, "ann").await, person(store, "bob").await);
    for (user, digit) in [(ann, 1), (ann, 2), (bob, 3)] {
        let begun = store.begin_session(&session(user, digit), at(1)).await;
        assert!(begun.unwrap());
    }
    let good = async |digit: u8, now: i64| {
        let found = store.signed_in(&[digit; 32], at(now)).await.unwrap();
        found.map(|row| row.name)
    };
    assert_eq!(good(1, 999).await.as_deref(), Some("ann"));
    assert_eq!(good(1, 1_000).await, None, "its time is over");
    let id = store.signed_in(&[1; 32], at(2)).await.unwrap().unwrap().id;
    assert!(!store.end_session(bob, id, at(2)).await.unwrap());
    assert!(store.end_session(ann, id, at(2)).await.unwrap());
    assert_eq!((good(1, 3).await, good(2, 3).await.is_some()), (None, true));
    assert_eq!(store.sessions(ann, at(3)).await.unwrap().len(), 1);
    let by = act();
    let changed = store.change_password(ann, "another", &by, at(4));
    changed.await.unwrap();
    assert_eq!((good(2, 5).await, good(3, 5).await.is_some()), (None, true));
    let begun = store.begin_session(&session(ann, 4), at(5)).await;
    assert!(!begun.unwrap(), "the password was another by then");
    let out = UserEdit {
        disabled: Some(true),
        ..UserEdit::default()
    };
    assert!(store.edit_user(bob, out, &act(), at(6)).await.unwrap());
    assert_eq!(good(3, 7).await, None);
    assert!(!store.begin_session(&session(bob, 5), at(7)).await.unwrap());
    let again = UserEdit {
        disabled: Some(false),
        ..UserEdit::default()
    };
    store.edit_user(bob, again, &act(), at(8)).await.unwrap();
    assert_eq!(good(3, 9).await, None, "it came back with its owner");
    for digit in 10..70 {
        store
            .begin_session(&session(bob, digit), at(9))
            .await
            .unwrap();
    }
    assert_eq!(store.sessions(bob, at(9)).await.unwrap().len(), 50);
    let twice = NewUser {
        id: UserId::generate(),
        name: "ann",
        role: "member",
        password_hash: None,
    };
    let taken = store.create_user(twice, &act(), at(9)).await;
    assert!(
        matches!(&taken, Err(StoreError::Conflict(name)) if name.contains("users")),
        "{taken:?}"
    );
}

pub(crate) async fn a_link_lets_one_choose_a_password_once(store: &Store) {
    let ann = person(store, "ann").await;
    store.begin_session(&session(ann, 1), at(1)).await.unwrap();
    let link = |digit: u8| NewLink {
        user: ann,
        kind: LinkKind::Reset,
        hash: [digit; 32],
        expires_at: at(100),
    };
    let choose = async |digit: u8, now: i64| {
        let (hash, act) = ([digit; 32], act());
        let chosen = store.choose_password(ann, (&hash, "chosen"), &act, at(now));
        chosen.await.unwrap()
    };
    store.make_link(&link(7), &act(), at(2)).await.unwrap();
    store.make_link(&link(8), &act(), at(3)).await.unwrap();
    assert!(!choose(7, 4).await, "it was replaced");
    let whose = async |kind, now| store.user_of_link(&[8; 32], kind, at(now)).await.unwrap();
    assert!(whose(LinkKind::Reset, 99).await.is_some());
    assert!(whose(LinkKind::Reset, 100).await.is_none());
    assert!(whose(LinkKind::Invite, 4).await.is_none());
    assert!(!choose(8, 100).await, "its time is over");
    assert!(store.signed_in(&[1; 32], at(5)).await.unwrap().is_some());
    let both = futures::future::join(choose(8, 5), choose(8, 5)).await;
    assert_ne!(both.0, both.1, "it was good twice, or never");
    assert!(store.signed_in(&[1; 32], at(6)).await.unwrap().is_none());
    let row = store.user(ann).await.unwrap().unwrap();
    assert_eq!(row.password_hash.as_deref(), Some("chosen"));
}

pub(crate) async fn a_step_is_taken_once(store: &Store) {
    let ann = person(store, "ann").await;
    assert!(
        !store.take_totp_step(ann, 5).await.unwrap(),
        "there is none"
    );
    assert!(store.offer_totp(ann, ("key", b"sealed")).await.unwrap());
    assert!(!store.take_totp_step(ann, 5).await.unwrap(), "unconfirmed");
    let codes = [[1; 32], [2; 32]];
    let confirm = async || {
        let confirmed = store.confirm_totp(ann, (5, &codes), &act(), at(1)).await;
        confirmed.unwrap()
    };
    assert!(confirm().await && !confirm().await);
    assert!(!store.offer_totp(ann, ("key", b"other")).await.unwrap());
    let take = async |step| store.take_totp_step(ann, step).await.unwrap();
    assert!(!take(5).await && !take(4).await);
    let both = futures::future::join(take(6), take(6)).await;
    assert_ne!(both.0, both.1, "a code was good twice, or never");
    let recover = async |digit: u8| {
        let taken = store.take_recovery_code(ann, &[digit; 32]).await;
        taken.unwrap()
    };
    assert!(recover(1).await && !recover(1).await && !recover(9).await);
    assert_eq!(store.recovery_codes_left(ann).await.unwrap(), 1);
    store.end_totp(ann, &act(), at(2)).await.unwrap();
    assert!(!recover(2).await && !take(7).await);
}

pub(crate) async fn keys_go_with_their_owner(store: &Store) {
    let (ann, bob) = (person(store, "ann").await, person(store, "bob").await);
    let mut own = key(1);
    (own.owner, own.own_only) = (Some(ann), true);
    let id = own.id;
    store.create_key(own, &act(), at(1)).await.unwrap();
    let mut others = key(2);
    (others.owner, others.own_only) = (Some(bob), true);
    let taken = store.create_key(others, &act(), at(2)).await;
    assert!(
        matches!(&taken, Err(StoreError::Conflict(name)) if name == "consumers_name_unique"),
        "a consumer of somebody else's was joined"
    );
    assert!(store.key_by_hash(&[2; 32]).await.unwrap().is_none());
    let whose = async |user| store.keys(ORGANIZATION, Some(user)).await.unwrap().len();
    assert_eq!((whose(ann).await, whose(bob).await), (1, 0));
    let owner = store.key(ORGANIZATION, id).await.unwrap().unwrap().owner_id;
    assert_eq!(owner, Some(ann.0));
    let mut changes = store.changes();
    let count = store.key_changes().await.unwrap();
    let out = UserEdit {
        disabled: Some(true),
        ..UserEdit::default()
    };
    store.edit_user(ann, out, &act(), at(3)).await.unwrap();
    assert_eq!(changes.recv().await.unwrap(), Change::User(ann));
    assert_eq!(store.key_changes().await.unwrap(), count + 1);
    let found = store.key_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert!(
        found.revoked_at.is_some(),
        "it opens what its owner may not"
    );
}

pub(crate) async fn things_have_an_owner(store: &Store) {
    let ann = person(store, "ann").await;
    let mut new = server("anns");
    new.owner = Some(ann);
    store.create_server(&new, &act(), at(1)).await.unwrap();
    let row = store.index_row(new.id).await.unwrap().unwrap();
    assert_eq!(row.owner_id, Some(ann.0));
    let what = ("import", "a", "{}");
    let times = (at(1), at(2));
    let job = store
        .start_job((ORGANIZATION, Some(ann)), what, times)
        .await;
    let state = store.job(ORGANIZATION, "import", job.unwrap()).await;
    assert_eq!(state.unwrap().unwrap().owner_id, Some(ann.0));
}
