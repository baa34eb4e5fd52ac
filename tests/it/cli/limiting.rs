//! `causeway plans`, `causeway consumers` and `causeway servers limit`: what is written is what is kept.

use crate::cli::ADMIN_KEY;
use crate::program::Serving;

#[tokio::test]
async fn limits_are_set_on_servers_plans_and_consumers() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &["--admin-key", ADMIN_KEY]).await;
    let done = async |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let ended = served.command(ADMIN_KEY, &words).await;
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        ended.stdout
    };
    done("keys create ann").await;
    done("keys create bert").await;
    let limited =
        "servers limit petstore --limit 60/minute/consumer,burst=10 --limit $5.25/month/key,day=15";
    let said = done(limited).await;
    assert!(said.contains("60/minute/consumer,burst=10"), "{said}");
    assert!(said.contains("$5.25/month/key,day=15"), "{said}");
    assert!(
        done("servers limit petstore --no-limit")
            .await
            .contains("has no limits")
    );

    done("plans set small --description tries --limit 1000/day/consumer").await;
    let plans = done("plans list").await;
    assert_eq!(plans.trim(), "small  tries\n  1000/day/consumer");
    let given = done("consumers plan ann petstore small").await;
    assert!(given.contains("petstore: small"), "{given}");
    let limited = done("consumers limit ann --limit 4:concurrency/key").await;
    assert!(
        limited.contains("limits:\n  4:concurrency/key"),
        "{limited}"
    );
    assert_eq!(done("consumers list --search AN").await.trim(), "ann");
    let kept = served
        .command(ADMIN_KEY, &["plans", "remove", "small"])
        .await;
    kept.refused(&["some consumer has this plan"]);
    done("consumers plan ann petstore --none").await;
    done("plans remove small").await;
    assert!(done("plans list").await.contains("no plans"));

    let exported = done("consumers export bert").await;
    assert!(exported.contains("\"bert\""), "{exported}");
    let unsure = served
        .command(ADMIN_KEY, &["consumers", "erase", "bert"])
        .await;
    unsure.refused(&["add --yes"]);
    assert!(
        done("consumers erase bert --yes")
            .await
            .contains("is erased")
    );
    assert!(!done("consumers list").await.contains("bert"));
}
