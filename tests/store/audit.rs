//! The chain of the audit: it holds among many writers, and shows what was done behind the store's back.

use causeway::store::Store;
use causeway::store::audit::NewAudit;
use causeway::store::audit::chain::{Fault, Known, Walk};

use super::{Database, ORGANIZATION, act, at, key, server};

/// Adds a row to the audit.
async fn note(store: &Store, second: i64) {
    let new = key(u8::try_from(second).unwrap());
    store.create_key(new, &act(), at(second)).await.unwrap();
}

async fn walk(store: &Store) -> Walk {
    let known = Known::default();
    store.walk_audit(ORGANIZATION, &known).await.unwrap()
}

pub(crate) async fn many_writers_make_one_chain(store: &Store) {
    assert_eq!(walk(store).await.head.seq, 0);
    let writers = (0..12).map(|second| {
        let store = store.clone();
        async move { note(&store, second).await }
    });
    futures::future::join_all(writers).await;
    let walked = walk(store).await;
    assert_eq!((walked.fault, walked.loose), (None, 0));
    assert_eq!(walked.head.seq, 12);

    // What was noted stays in the chain while it grows; what never was in it is not found.
    let noted = walked.head;
    note(store, 12).await;
    let mut known = Known {
        noted: Some(noted),
        loose_until: None,
    };
    let walked = store.walk_audit(ORGANIZATION, &known).await.unwrap();
    assert_eq!((walked.head.seq, walked.noted), (13, true));
    known.noted.as_mut().unwrap().hash[0] ^= 1;
    assert!(!store.walk_audit(ORGANIZATION, &known).await.unwrap().noted);
}

pub(crate) async fn the_audit_is_read_in_pages(store: &Store) {
    for second in 0..5 {
        note(store, second).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let rows = store.audit(ORGANIZATION, after, 2).await.unwrap().unwrap();
        let Some(last) = rows.last() else { break };
        assert!(rows.len() <= 2);
        after = Some(last.id);
        seen.extend(rows.iter().map(|row| row.seq.unwrap()));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    // What comes later follows the last one.
    note(store, 5).await;
    let rows = store.audit(ORGANIZATION, after, 2).await.unwrap().unwrap();
    assert_eq!((rows.len(), rows[0].seq), (1, Some(6)));
    assert!(rows[0].hash.is_some());
    let unknown = Some(uuid::Uuid::from_u128(7));
    assert!(
        store
            .audit(ORGANIZATION, unknown, 2)
            .await
            .unwrap()
            .is_none()
    );
}

/// Takes away what keeps people from changing the audit.
async fn unguard(database: &Database) {
    let statements = match database {
        Database::Lite(_) => {
            "DROP TRIGGER audit_is_never_updated; DROP TRIGGER audit_is_never_deleted; \
             DROP TRIGGER audit_heads_are_never_deleted; DROP INDEX audit_seq_unique"
        }
        Database::Postgres(_) => {
            "DROP TRIGGER audit_is_never_updated ON audit; DROP TRIGGER audit_is_never_deleted ON audit; \
             DROP TRIGGER audit_heads_are_never_deleted ON audit_heads; DROP INDEX audit_seq_unique"
        }
    };
    database.run(statements).await.unwrap();
}

/// What is the fault, and at which row.
fn found(fault: Option<Fault>) -> (&'static str, i64) {
    match fault {
        None => ("none", 0),
        Some(Fault::Missing { seq }) => ("missing", seq),
        Some(Fault::Altered { seq, .. }) => ("altered", seq),
        Some(Fault::Inserted { seq, .. }) => ("inserted", seq),
        Some(Fault::Head { seq }) => ("head", seq),
        Some(Fault::Loose { .. }) => ("loose", 0),
    }
}

/// A copy of row 3 under another id, of which it needs the columns that are told.
fn copied(database: &Database, changed: &str) -> String {
    let id = match database {
        Database::Lite(_) => "x'00000000000000000000000000000009'",
        Database::Postgres(_) => "'00000000-0000-0000-0000-000000000009'",
    };
    format!(
        "INSERT INTO audit (id, organization_id, at, actor, action, entity, entity_id, before, after, seq, hash) \
         SELECT {id}, organization_id, at, actor, action, entity, entity_id, before, after, {changed} \
         FROM audit WHERE seq = 3"
    )
}

pub(crate) async fn a_row_that_was_tampered_with_is_found(store: &Store, database: &Database) {
    for second in 0..6 {
        note(store, second).await;
    }
    for guarded in [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit WHERE seq = 6",
        "DELETE FROM audit_heads",
    ] {
        assert!(database.run(guarded).await.is_err(), "{guarded}");
    }
    unguard(database).await;
    assert_eq!(found(walk(store).await.fault), ("none", 0));
    let keep = "CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_heads AS SELECT * FROM audit_heads";
    database.run(keep).await.unwrap();
    let (twice, more, none) = (
        copied(database, "seq, hash"),
        copied(database, "7, hash"),
        copied(database, "0, hash"),
    );
    let loose = copied(database, "NULL, NULL");
    for (sql, expected) in [
        ("UPDATE audit SET actor = 'x' WHERE seq = 3", ("altered", 3)),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", ("altered", 1)),
        // Nothing and an empty text are two things.
        ("UPDATE audit SET before = '' WHERE seq = 2", ("altered", 2)),
        (
            "UPDATE audit SET after = NULL WHERE seq = 6",
            ("altered", 6),
        ),
        ("UPDATE audit SET hash = NULL WHERE seq = 4", ("altered", 4)),
        // Its text moved over to the next column.
        (
            "UPDATE audit SET action = 'testserver', entity = '' WHERE seq = 5",
            ("altered", 5),
        ),
        ("DELETE FROM audit WHERE seq = 1", ("missing", 1)),
        ("DELETE FROM audit WHERE seq = 4", ("missing", 4)),
        ("DELETE FROM audit WHERE seq > 4", ("missing", 5)),
        ("DELETE FROM audit", ("missing", 1)),
        // A gap that was closed.
        (
            "DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4",
            ("altered", 4),
        ),
        // Two that changed places.
        (
            "UPDATE audit SET seq = 9 - seq WHERE seq IN (4, 5)",
            ("altered", 4),
        ),
        (
            "UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 6",
            ("missing", 6),
        ),
        ("UPDATE audit_heads SET seq = 7", ("missing", 7)),
        ("UPDATE audit_heads SET seq = 5", ("head", 6)),
        ("DELETE FROM audit_heads", ("head", 6)),
        (&more, ("altered", 7)),
        (&none, ("inserted", 0)),
        (&loose, ("loose", 0)),
    ] {
        database.run(sql).await.unwrap();
        let fault = walk(store).await.fault;
        assert_eq!(found(fault.clone()), expected, "{sql}: {fault:?}");
        let mend = "DELETE FROM audit; DELETE FROM audit_heads; \
             INSERT INTO audit SELECT * FROM kept; INSERT INTO audit_heads SELECT * FROM kept_heads";
        database.run(mend).await.unwrap();
        assert_eq!(found(walk(store).await.fault), ("none", 0), "{sql}");
    }
    // Of two of one number, either is the one that does not fit.
    database.run(&twice).await.unwrap();
    assert_eq!(found(walk(store).await.fault).1, 3);
}

pub(crate) async fn rows_from_before_the_chain_are_told_apart(store: &Store, database: &Database) {
    note(store, 0).await;
    note(store, 1).await;
    unguard(database).await;
    // As an older version left them.
    let older = "UPDATE audit SET seq = NULL, hash = NULL; DELETE FROM audit_heads";
    database.run(older).await.unwrap();
    let walked = walk(store).await;
    assert_eq!((walked.loose, walked.head.seq, walked.fault), (2, 0, None));
    note(store, 2).await;
    note(store, 3).await;
    let walked = walk(store).await;
    assert_eq!((walked.loose, walked.head.seq, walked.fault), (2, 2, None));
    let rows = store.audit(ORGANIZATION, None, 10).await.unwrap().unwrap();
    let numbers: Vec<_> = rows.iter().map(|row| row.seq).collect();
    assert_eq!(numbers, [None, None, Some(1), Some(2)]);
    let after = Some(rows[1].id);
    let rest = store.audit(ORGANIZATION, after, 10).await.unwrap().unwrap();
    assert_eq!(rest.len(), 2);

    // A process of the older version that still ran.
    let late = "UPDATE audit SET at = at + 3000000 WHERE seq IS NULL";
    database.run(late).await.unwrap();
    let walked = walk(store).await;
    let Some(Fault::Loose { at: late, .. }) = walked.fault else {
        unreachable!("{:?}", walked.fault);
    };
    assert_eq!(late, at(3).timestamp_micros());
    for (until, whole) in [(3, false), (4, true)] {
        let known = Known {
            noted: None,
            loose_until: Some(at(until).timestamp_micros()),
        };
        let walked = store.walk_audit(ORGANIZATION, &known).await.unwrap();
        assert_eq!(walked.fault.is_none(), whole, "{until}");
    }
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
