//! Answers that did not fit their results.

use causeway::store::Store;
use causeway::store::answers::AnswerQuota;

use super::{act, answer, at, server};

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
