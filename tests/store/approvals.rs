//! Calls that wait for a person: one stands for each call, and what may be used once is.

use causeway::store::Store;
use causeway::store::approvals::{Asked, Decision, NewApproval, PendingMax};
use causeway::types::{ApprovalId, OrganizationId, ServerId};
use uuid::Uuid;

use super::{ORGANIZATION, act, act_of, at, server};

const MAX: PendingMax = PendingMax {
    of_principal: 2,
    of_server: 3,
};

async fn place(store: &Store) -> ServerId {
    let new = server("shop");
    store.create_server(&new, &act(), at(0)).await.unwrap();
    new.id
}

fn call(server: ServerId, principal: &str, hash: u8) -> NewApproval {
    NewApproval {
        organization: ORGANIZATION,
        server,
        tool: "refund".into(),
        operation: "POST /refunds".into(),
        principal: principal.into(),
        argument_hash: [hash; 32],
        arguments: "{}".into(),
        expires_at: at(3_600),
    }
}

fn waits(asked: &Asked) -> (ApprovalId, bool) {
    match asked {
        Asked::Waits { id, new, .. } => (*id, *new),
        other => unreachable!("{other:?}"),
    }
}

fn approved(scope: &'static str, until: i64) -> Decision {
    Decision {
        scope: Some(scope),
        reason: None,
        expires_at: at(until),
    }
}

pub(crate) async fn a_token_is_used_once_among_processes(store: &Store) {
    let id = Uuid::from_u128(7);
    let tries = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.use_confirmation(id, at(300)).await.unwrap() })
    });
    let tries = futures::future::join_all(tries).await;
    assert_eq!(
        tries
            .into_iter()
            .filter(|first| *first.as_ref().unwrap())
            .count(),
        1
    );
    assert_eq!(store.forget_approvals(at(0), at(300)).await.unwrap(), 0);
    assert_eq!(store.forget_approvals(at(0), at(301)).await.unwrap(), 1);
}

pub(crate) async fn an_approval_lets_one_call_through_among_processes(store: &Store) {
    let server = place(store).await;
    let new = call(server, "key:a", 1);
    let asked = store.ask_approval(&new, MAX, at(0)).await.unwrap();
    let (id, _) = waits(&asked);
    let foreign = act_of(OrganizationId::generate());
    let decided = store
        .decide_approval(id, &approved("once", 3_600), &foreign, at(1))
        .await;
    assert!(decided.unwrap().is_none(), "of another organization");
    let decide = async || {
        let decision = approved("once", 3_600);
        let decided = store.decide_approval(id, &decision, &act(), at(1)).await;
        decided.unwrap().unwrap()
    };
    let (row, now) = decide().await;
    assert_eq!((row.state.as_str(), now), ("approved", true));
    let (row, again) = decide().await;
    assert_eq!((row.state.as_str(), again), ("approved", false));
    // Whoever is not the one waits anew, together.
    let tries = (0..8).map(|_| {
        let (store, new) = (store.clone(), new.clone());
        tokio::spawn(async move { store.ask_approval(&new, MAX, at(2)).await.unwrap() })
    });
    let tries = futures::future::join_all(tries).await;
    let tries: Vec<Asked> = tries.into_iter().map(Result::unwrap).collect();
    let gone = tries.iter().filter(|asked| **asked == Asked::Go).count();
    assert_eq!(gone, 1, "{tries:?}");
    let new = tries
        .iter()
        .filter(|asked| matches!(asked, Asked::Waits { new: true, .. }));
    assert_eq!(new.count(), 1, "{tries:?}");
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(crate) async fn what_waits_is_bounded_and_stands_once(store: &Store) {
    let server = place(store).await;
    let ask = async |principal: &str, hash: u8, second: i64| {
        let new = call(server, principal, hash);
        store.ask_approval(&new, MAX, at(second)).await.unwrap()
    };
    let (first, fresh) = waits(&ask("key:a", 1, 0).await);
    assert!(fresh);
    assert_eq!(waits(&ask("key:a", 1, 1).await), (first, false));
    assert!(waits(&ask("key:a", 2, 2).await).1);
    assert_eq!(ask("key:a", 3, 2).await, Asked::Full);
    assert!(
        waits(&ask("key:b", 1, 3).await).1,
        "another caller's is another call"
    );
    assert_eq!(ask("key:c", 1, 3).await, Asked::Full);
    assert_eq!(
        store.pending_approvals(ORGANIZATION, at(4)).await.unwrap(),
        3
    );
    // Denied stays denied, for as long as it would have waited.
    let denied = Decision {
        scope: None,
        reason: Some("sent already".into()),
        expires_at: at(3_600),
    };
    store
        .decide_approval(first, &denied, &act(), at(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ask("key:a", 1, 6).await,
        Asked::Denied {
            id: first,
            reason: Some("sent already".into())
        }
    );
    // For an hour, and then no more.
    let (hour, _) = waits(&ask("key:c", 1, 7).await);
    store
        .decide_approval(hour, &approved("hour", 100), &act(), at(8))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ask("key:c", 1, 9).await, Asked::Go);
    assert_eq!(ask("key:c", 1, 99).await, Asked::Go);
    assert!(waits(&ask("key:c", 2, 99).await).1, "other arguments");
    // What nobody decided ends, and is seen to have ended before anybody asks.
    let states = async |second: i64| {
        let rows = store
            .approvals(ORGANIZATION, None, 10, at(second))
            .await
            .unwrap();
        let states = rows.into_iter().map(|row| row.state);
        states.collect::<Vec<_>>()
    };
    let waiting = ["pending"; 3];
    assert_eq!(
        states(99).await,
        [&waiting[..], &["approved", "denied"]].concat()
    );
    assert_eq!(
        states(100).await,
        [&waiting[..], &["expired", "denied"]].concat()
    );
    assert_eq!(
        states(3_600).await,
        [&["expired"; 4][..], &["denied"]].concat()
    );
    let pending = store
        .approvals(ORGANIZATION, Some("pending"), 10, at(3_600))
        .await;
    assert!(pending.unwrap().is_empty());
    let late = store
        .decide_approval(hour, &denied, &act(), at(3_601))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((late.0.state.as_str(), late.1), ("expired", false));
    assert!(
        waits(&ask("key:a", 1, 3_600).await).1,
        "it may be asked again"
    );
}
