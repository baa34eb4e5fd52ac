//! Requests that are done once, and lists that are read from row to row.

use causeway::store::Store;
use causeway::store::approvals::{Asked, NewApproval, PendingMax, Wanted};
use causeway::store::idempotency::{Claim, NewRequest};
use uuid::Uuid;

use super::{ORGANIZATION, act, at, server};

fn request(number: u128, given: u8) -> NewRequest<'static> {
    NewRequest {
        id: Uuid::from_u128(number),
        organization: ORGANIZATION,
        principal: "admin",
        given: [given; 32],
        fingerprint: [7; 32],
        lease_until: at(10),
        expires_at: at(100),
    }
}

pub(crate) async fn of_many_who_send_a_request_one_does_it(store: &Store) {
    let tries = (1..=8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.claim_request(&request(number, 1), 9, at(0)).await })
    });
    let tries = futures::future::join_all(tries).await;
    let tries: Vec<Claim> = tries.into_iter().map(|it| it.unwrap().unwrap()).collect();
    let ours = |claim: &&Claim| matches!(claim, Claim::Ours);
    assert_eq!(tries.iter().filter(ours).count(), 1);
    let before = tries.iter().find_map(|claim| match claim {
        Claim::Before(row) => Some(row.clone()),
        _ => None,
    });
    let row = before.unwrap();
    assert_eq!((row.status, row.fingerprint.as_slice()), (0, &[7; 32][..]));
    assert!(store.keep_outcome(row.id, 201, ("k", b"s")).await.unwrap());
    assert!(!store.keep_outcome(row.id, 500, ("k", b"t")).await.unwrap());
    // What is answered is not let go of.
    store.release_request(row.id).await.unwrap();
    let again = store
        .claim_request(&request(20, 1), 9, at(99))
        .await
        .unwrap();
    let Claim::Before(row) = again else {
        unreachable!("{again:?}");
    };
    assert_eq!((row.status, row.sealed.as_slice()), (201, &b"s"[..]));
    let over = store
        .claim_request(&request(21, 1), 9, at(100))
        .await
        .unwrap();
    assert!(matches!(over, Claim::Ours), "{over:?}");
}

pub(crate) async fn requests_are_let_go_of_bounded_and_forgotten(store: &Store) {
    for number in 1..=3 {
        let given = u8::try_from(number).unwrap();
        let claimed = store.claim_request(&request(number, given), 3, at(0)).await;
        assert!(matches!(claimed.unwrap(), Claim::Ours));
    }
    let full = store.claim_request(&request(4, 4), 3, at(0)).await.unwrap();
    assert!(matches!(full, Claim::Full), "{full:?}");
    store.release_request(Uuid::from_u128(2)).await.unwrap();
    let freed = store.claim_request(&request(5, 2), 3, at(0)).await.unwrap();
    assert!(matches!(freed, Claim::Ours), "{freed:?}");
    assert_eq!(store.expire_requests(at(99), 10).await.unwrap(), 0);
    assert_eq!(store.expire_requests(at(100), 2).await.unwrap(), 2);
    assert_eq!(store.expire_requests(at(100), 2).await.unwrap(), 1);
}

pub(crate) async fn approvals_are_read_from_row_to_row(store: &Store) {
    let new = server("shop");
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for number in 0..5_u8 {
        let call = NewApproval {
            organization: ORGANIZATION,
            server: new.id,
            tool: "refund".into(),
            operation: "POST /refunds".into(),
            principal: "somebody".into(),
            argument_hash: [number; 32],
            arguments: "{}".into(),
            // Two are over when they are read.
            expires_at: at(if number < 2 { 10 } else { 3_600 }),
        };
        let max = PendingMax {
            of_principal: 9,
            of_server: 9,
        };
        let asked = store.ask_approval(&call, max, at(i64::from(number))).await;
        assert!(matches!(asked.unwrap(), Asked::Waits { .. }));
    }
    let whole = store
        .approvals(ORGANIZATION, None, 10, at(60))
        .await
        .unwrap();
    let whole: Vec<Uuid> = whole.iter().map(|row| row.id).collect();
    assert_eq!(whole.len(), 5);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.approvals_after(ORGANIZATION, Wanted::default(), (after, 2), at(60));
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.state == "pending", last.asked_at, last.id));
        seen.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(seen, whole);
    let expired = Wanted {
        state: Some("expired"),
        owner: None,
    };
    let expired = store.approvals_after(ORGANIZATION, expired, (None, 1), at(60));
    assert_eq!(expired.await.unwrap().len(), 1);
}
