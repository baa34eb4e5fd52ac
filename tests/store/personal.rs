//! What is stored about somebody: erased, and the audit's chain fits as before.

use causeway::access::afterlife;
use causeway::store::Store;
use causeway::store::answers::AnswerQuota;
use causeway::store::audit::NewAudit;
use causeway::store::audit::chain::{Fault, Known, Walk};
use causeway::store::idempotency::{Claim, NewRequest};
use causeway::store::personal::pseudonym;
use causeway::store::users::{NewUser, UserEdit};
use causeway::types::{ConsumerId, ServerId, UserId};
use uuid::Uuid;

use super::database::Database;
use super::{ORGANIZATION, act, answer, at, key, server};

/// Where calls of her server are told of.
const HOOK: &str = "https://hooks.example.com/anns";

async fn walk(store: &Store) -> Walk {
    let known = Known::default();
    store.walk_audit(ORGANIZATION, &known).await.unwrap()
}

fn by(name: &str, (entity, id): (&'static str, &str)) -> NewAudit {
    let who = (ORGANIZATION, format!("user:{name}"));
    NewAudit::of(who, "test", (entity, id.to_owned()))
}

/// Ann, who did things, has a server and a key, and was made by somebody.
async fn ann(store: &Store) -> UserId {
    let id = UserId::generate();
    let new = NewUser {
        id,
        name: "ann",
        role: "publisher",
        password_hash: Some("hash"),
    };
    let made = NewAudit {
        entity: "user",
        entity_id: "ann".into(),
        ..act()
    };
    store.create_user(new, &made, at(0)).await.unwrap();
    let mut own = server("anns");
    own.owner = Some(id);
    own.settings = format!(r#"{{"access":"key","approvalWebhook":"{HOOK}"}}"#);
    let published = by("ann", ("server", "anns"));
    store.create_server(&own, &published, at(1)).await.unwrap();
    let mut own = key(1);
    (own.owner, own.consumer) = (Some(id), "ann-laptop".into());
    let made = by("ann", ("key", "1"));
    store.create_key(own, &made, at(2)).await.unwrap();
    for second in 3..8 {
        let done = by("ann", ("server", "anns"));
        store.note_act(&done, at(second)).await.unwrap();
        store.note_act(&act(), at(second)).await.unwrap();
    }
    id
}

async fn erase(store: &Store, id: UserId) -> String {
    let pseudonym = pseudonym(id.0);
    let act = NewAudit {
        action: "erase",
        entity: "user",
        entity_id: pseudonym.clone(),
        ..act()
    };
    let whom = (id, "ann", pseudonym.as_str());
    assert!(store.erase_user(whom, &act, at(10)).await.unwrap());
    assert!(!store.erase_user(whom, &act, at(11)).await.unwrap(), "once");
    pseudonym
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(crate) async fn a_chain_fits_after_an_erasure(store: &Store, database: &Database) {
    let id = ann(store).await;
    let noted = walk(store).await.head;
    let pseudonym = erase(store, id).await;
    // Another one takes the name before the audit is through: what she does is hers.
    let new = NewUser {
        id: UserId::generate(),
        name: "ann",
        role: "member",
        password_hash: None,
    };
    store.create_user(new, &act(), at(12)).await.unwrap();
    let later = by("ann", ("server", "x"));
    store.note_act(&later, at(13)).await.unwrap();

    let pending = store.pending_erasures().await.unwrap();
    assert_eq!(pending.len(), 1);
    assert!(store.redact_audit(&pending[0], (at(14), 3)).await.unwrap());
    // The process ended here; another goes on with it.
    let part = walk(store).await;
    assert_eq!((part.fault, part.redacted), (None, 3));
    afterlife::finish_erasures(store, at(15)).await.unwrap();
    assert!(store.pending_erasures().await.unwrap().is_empty());
    let known = Known {
        noted: Some(noted),
        loose_until: None,
    };
    let walked = store.walk_audit(ORGANIZATION, &known).await.unwrap();
    assert_eq!(
        (walked.fault, walked.redacted, walked.noted),
        (None, 8, true)
    );

    // Of the name nothing is left that is older than the erasure.
    let rows = store.audit(ORGANIZATION, None, 100).await.unwrap().unwrap();
    let named: Vec<_> = rows.iter().filter(|row| row.actor == "user:ann").collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(rows.iter().all(|row| row.entity_id != "ann"), "{rows:?}");
    let is = format!("user:{pseudonym}");
    assert_eq!(rows.iter().filter(|row| row.actor == is).count(), 7);
    for (table, columns) in [
        ("users", "name"),
        ("consumers", "name"),
        ("api_keys", "name || prefix"),
        ("erasures", "name"),
    ] {
        let told = database
            .texts(&format!("SELECT {columns} FROM {table}"))
            .await;
        let left = told
            .iter()
            .flatten()
            .flatten()
            .filter(|text| text.contains("laptop") || text.contains("cw_"))
            .count();
        assert_eq!(left, 0, "{table}: {told:?}");
    }
    let user = store.user(id).await.unwrap().unwrap();
    assert_eq!((user.name, user.password_hash), (pseudonym, None));
    assert!(user.disabled_at.is_some());
    let entry = store.index().await.unwrap().remove(0);
    assert_eq!(entry.owner_id, None, "her server is the admins'");
    assert_eq!(entry.settings, r#"{"access":"key"}"#, "she is told no more");
    let number = store.webhook_secret(ServerId(entry.id)).await.unwrap();
    assert_eq!(number, 1, "she may have noted the secret");
    assert!(
        store
            .key_by_hash(&[1; 32])
            .await
            .unwrap()
            .unwrap()
            .revoked_at
            .is_some()
    );
    let back = UserEdit {
        disabled: Some(false),
        role: Some("admin"),
    };
    assert!(
        !store.edit_user(id, back, &act(), at(16)).await.unwrap(),
        "nobody comes back"
    );
}

pub(crate) async fn what_was_redacted_is_watched_over(store: &Store, database: &Database) {
    let id = ann(store).await;
    erase(store, id).await;
    afterlife::finish_erasures(store, at(15)).await.unwrap();
    let whole = walk(store).await;
    assert_eq!((whole.fault, whole.redacted), (None, 8));
    // Not even the column that tells of a redaction lets a row be changed some other way.
    for change in [
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit SET action = 'x', redacted_by = id",
        "UPDATE audit SET hash = NULL, redacted_by = id",
        "DELETE FROM audit",
    ] {
        let refused = database.run(change).await;
        assert!(
            refused.is_err_and(|text| text.contains("never")),
            "{change}"
        );
    }
    // Whoever gets past that is found: no witness says what they wrote.
    let forged = "UPDATE audit SET actor = 'mallory', redacted_by = id WHERE seq = 3";
    database.run(forged).await.unwrap();
    assert!(matches!(
        walk(store).await.fault,
        Some(Fault::Altered { seq: 3, .. })
    ));
}

pub(crate) async fn a_consumer_is_erased_with_its_keys(store: &Store) {
    let consumer = store.create_key(key(1), &act(), at(0)).await.unwrap();
    assert!(store.erase_consumer(consumer, &act(), at(1)).await.unwrap());
    assert!(!store.erase_consumer(consumer, &act(), at(2)).await.unwrap());
    let unknown = ConsumerId::generate();
    assert!(!store.erase_consumer(unknown, &act(), at(2)).await.unwrap());
    let row = store.key_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((row.name.as_str(), row.prefix.as_str()), ("erased", ""));
    assert!(row.revoked_at.is_some());
    assert!(
        store
            .consumer(ORGANIZATION, "agent")
            .await
            .unwrap()
            .is_none()
    );
    let name = pseudonym(consumer.0);
    assert!(store.consumer(ORGANIZATION, &name).await.unwrap().is_some());
    // The name is free for another.
    let other = store.create_key(key(2), &act(), at(3)).await.unwrap();
    assert_ne!(other, consumer);
}

pub(crate) async fn what_somebody_was_answered_goes_with_them(store: &Store, database: &Database) {
    let id = ann(store).await;
    let laptop = store.consumer(ORGANIZATION, "ann-laptop").await.unwrap();
    let laptop = laptop.unwrap().id;
    let shared = ConsumerId::generate();
    let other = UserId::generate();
    let quota = AnswerQuota {
        organization_bytes_max: 1_000,
        principal_bytes_max: 1_000,
    };
    let server = store.index().await.unwrap().remove(0).id;
    // Answers are kept for sessions, for keys of people, and for keys of nobody; requests of people and of the admin key.
    let answered = [
        (format!("user:{id}"), false),
        (format!("consumer:{laptop}"), false),
        (format!("consumer:{laptop} for {id}"), false),
        (format!("consumer:{shared} for {id}"), false),
        (format!("consumer:{shared} for {other}"), true),
        (format!("user:{other}"), true),
    ];
    for (principal, _) in &answered {
        let of = format!("{ORGANIZATION} {principal}");
        let new = answer(ServerId(server), &of, 1, 100);
        assert!(store.keep_answer(new, quota, at(1)).await.unwrap());
    }
    let sent = [
        (format!("user:{id}"), false),
        (format!("user:{other}"), true),
        ("admin".to_owned(), true),
    ];
    for (principal, _) in &sent {
        let request = NewRequest {
            id: Uuid::now_v7(),
            organization: ORGANIZATION,
            principal,
            given: [1; 32],
            fingerprint: [2; 32],
            lease_until: at(60),
            expires_at: at(100_000),
        };
        let claimed = store.claim_request(&request, 10, at(1)).await.unwrap();
        assert!(matches!(claimed, Claim::Ours), "{claimed:?}");
        store
            .keep_outcome(request.id, 201, ("k", b"sealed"))
            .await
            .unwrap();
    }
    erase(store, id).await;
    let left = |table: &'static str| async move {
        let statement = format!("SELECT principal FROM {table}");
        let told = database.texts(&statement).await;
        told.into_iter().flatten().flatten().collect::<Vec<_>>()
    };
    for (table, principals) in [("answers", &answered[..]), ("idempotency_keys", &sent)] {
        let left = left(table).await;
        for (principal, stays) in principals {
            let kept = left.iter().any(|of| of.ends_with(principal.as_str()));
            assert_eq!(kept, *stays, "{table}: {principal}: {left:?}");
        }
    }
}
