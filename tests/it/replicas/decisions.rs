//! The registry in Redis went backwards: that is not adopted until an operator says so.

use super::fleet::{create, ids, lists, lists_no_more, operate, operate_at, replicas, sharing};
use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::redis::Redis;

/// Waits until a replica raises the alarm; it serves, and changes nothing.
async fn is_alarmed(gateway: &Gateway) {
    eventually("the alarm is raised", 5, || async {
        (gateway.sample("tollbridge_registry_went_back").await == 1.0).then_some(())
    })
    .await;
    assert!(gateway.log().contains("THE REGISTRY WENT BACKWARDS"), "{}", gateway.log());
    let said = gateway.admin("/readyz").await.unwrap();
    assert!(said.status == 200 && said.text().contains("is not adopted"), "{}", said.text());
    assert_eq!(create(gateway, "meanwhile").await, 503);
}

async fn is_calm(gateway: &Gateway) {
    eventually("the alarm is over", 5, || async {
        (gateway.sample("tollbridge_registry_went_back").await == 0.0).then_some(())
    })
    .await;
}

async fn pair(redis: &Redis) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..2 {
        gateways.push(Gateway::start(&sharing(&redis.url(), ", resync: 1s")).await);
    }
    for id in ["one", "two"] {
        assert_eq!(create(&gateways[0], id).await, 201);
        lists(&gateways[1], id, 1).await;
    }
    gateways
}

fn decide(gateway: &Gateway, verb: &str) {
    let decided = operate(gateway, &[verb]);
    assert!(decided.status.success(), "{decided:?}");
}

#[tokio::test]
async fn a_flushed_redis_is_filled_again_at_a_word() {
    let redis = Redis::start().await;
    let gateways = pair(&redis).await;
    eventually("the snapshot is on the disk", 5, || async {
        std::fs::read_to_string(gateways[1].file("gateway.snapshot")).ok()?.contains("server two").then_some(())
    })
    .await;
    redis.cli(&["FLUSHALL"]);
    for gateway in &gateways {
        is_alarmed(gateway).await;
        assert_eq!(ids(gateway).await.len(), 2, "what is known is served");
    }
    decide(&gateways[1], "restore");
    for gateway in &gateways {
        is_calm(gateway).await;
        assert_eq!(ids(gateway).await.len(), 2);
    }
    assert_eq!(create(&gateways[0], "three").await, 201);
    lists(&gateways[1], "three", 1).await;
    let shown = operate(&gateways[0], &["show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("in Redis: generation"), "{shown:?}");
}

#[tokio::test]
async fn an_old_copy_is_adopted_at_a_word() {
    let redis = Redis::start_with(&["--appendonly", "no"]).await;
    let gateways = pair(&redis).await;
    let copy = redis.cli(&["--no-auth-warning", "DUMP", "tb:{reg}:meta"]);
    assert!(!copy.is_empty());
    // As a backup has it: what was before the last change.
    let keys = ["meta", "rows", "log", "dead", "heads"].map(|name| format!("tb:{{reg}}:{name}"));
    for key in &keys {
        redis.cli(&["COPY", key, &format!("backup:{key}")]);
    }
    assert_eq!(create(&gateways[0], "late").await, 201);
    lists(&gateways[1], "late", 1).await;
    for key in &keys {
        redis.cli(&["DEL", key]);
        redis.cli(&["RENAME", &format!("backup:{key}"), key]);
    }
    for gateway in &gateways {
        is_alarmed(gateway).await;
        assert!(ids(gateway).await.contains("late"), "what was acknowledged is served");
    }
    decide(&gateways[0], "adopt");
    for gateway in &gateways {
        is_calm(gateway).await;
        lists_no_more(gateway, "late", 1).await;
        assert_eq!(ids(gateway).await.len(), 2);
    }
    assert_eq!(create(&gateways[1], "next").await, 201);
}

/// What would lose something that nobody has decided to lose is refused.
#[tokio::test]
async fn decisions_that_are_none() {
    let redis = Redis::start().await;
    let gateways = pair(&redis).await;
    let snapshot = gateways[0].file("gateway.snapshot");
    eventually("the snapshot is on the disk", 5, || async {
        std::fs::read_to_string(&snapshot).ok()?.contains("server two").then_some(())
    })
    .await;
    let old = std::fs::read(&snapshot).unwrap();
    assert_eq!(create(&gateways[1], "three").await, 201);
    lists(&gateways[0], "three", 1).await;
    eventually("it is saved", 5, || async { (std::fs::read(&snapshot).ok()? != old).then_some(()) }).await;
    // A host that was away for long.
    let directory = crate::harness::gateway::scratch();
    std::fs::write(directory.join("gateway.yaml"), gateways[0].configuration()).unwrap();
    std::fs::write(directory.join("gateway.snapshot"), &old).unwrap();
    let restored = operate_at(&directory.join("gateway.yaml"), &["restore"]);
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(!restored.status.success() && said.contains("would be lost"), "{said}");
    assert!(ids(&gateways[1]).await.contains("three"));
    redis.cli(&["FLUSHALL"]);
    for gateway in &gateways {
        is_alarmed(gateway).await;
    }
    // An operator may want just that; what was known is not gone for good.
    decide(&gateways[0], "adopt");
    is_calm(&gateways[1]).await;
    assert!(ids(&gateways[1]).await.is_empty());
    let before = gateways[0].file("gateway.snapshot-before");
    let read = || async { std::fs::read(&before).ok() };
    let before = eventually("what was known is set aside", 5, read).await;
    std::fs::write(directory.join("gateway.snapshot"), before).unwrap();
    let restored = operate_at(&directory.join("gateway.yaml"), &["restore"]);
    assert!(restored.status.success(), "{restored:?}");
    eventually("all is there again", 5, || async { (ids(&gateways[1]).await.len() == 3).then_some(()) }).await;
    let _ = std::fs::remove_dir_all(directory);
}

/// A row that somebody has written by hand, or a newer version has, is said, and keeps nobody from anything else.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_one_row() {
    let redis = Redis::start().await;
    let gateways = pair(&redis).await;
    redis.cli(&["HSET", "tb:{reg}:rows", "server odd", "garbage"]);
    redis.cli(&["EVAL", "return redis.call('HSET', KEYS[1], 'server bin', '\\255\\254')", "1", "tb:{reg}:rows"]);
    eventually("it is noticed", 5, || async {
        (gateways[0].sample("tollbridge_registry_unreadable_rows").await == 2.0).then_some(())
    })
    .await;
    assert_eq!(create(&gateways[0], "three").await, 201);
    assert_eq!(create(&gateways[0], "odd").await, 503, "nobody knows what is there");
    let fresh = &replicas(&redis, 1).await[0];
    assert_eq!(ids(fresh).await.len(), 3);
}

/// Keys are changed one by one, as conf/ha.yaml says, and the rows follow.
#[tokio::test]
async fn rows_are_sealed_with_the_first_key() {
    let redis = Redis::start().await;
    let keys = [
        "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
        "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f1",
    ];
    let rest = |seals: &[&str]| {
        let seals: Vec<String> = seals.iter().map(|key| format!("{key:?}")).collect();
        sharing(&redis.url(), ", resync: 1s").replace(&format!("[{:?}]", keys[0]), &format!("[{}]", seals.join(", ")))
    };
    let old = Gateway::start(&rest(&keys[..1])).await;
    assert_eq!(create(&old, "one").await, 201);
    drop(old);
    let both = Gateway::start(&rest(&[keys[1], keys[0]])).await;
    eventually("the row is sealed anew", 5, || async {
        both.log().contains("rows of the registry were sealed with the first key").then_some(())
    })
    .await;
    let new = Gateway::start(&rest(&keys[1..])).await;
    assert!(ids(&new).await.contains("one"));
    // Whoever has none of the keys serves nobody.
    let setup = crate::harness::gateway::Setup::new(&rest(&keys[..1]));
    let stranger = setup.launch();
    eventually("it says why", 10, || async {
        let said = stranger.admin("/readyz").await?;
        (said.status == 503 && said.text().contains("seal.keys")).then_some(())
    })
    .await;
    assert_eq!(create(&stranger, "two").await, 503);
}

/// Whoever has seen nothing goes on with an old copy. The others notice that it has gone another way.
#[tokio::test]
async fn a_history_that_has_split_is_noticed() {
    let redis = Redis::start().await;
    let gateways = pair(&redis).await;
    let keys = ["meta", "rows", "log", "dead", "heads"].map(|name| format!("tb:{{reg}}:{name}"));
    for key in &keys {
        redis.cli(&["COPY", key, &format!("backup:{key}")]);
    }
    assert_eq!(create(&gateways[0], "lost").await, 201);
    lists(&gateways[1], "lost", 1).await;
    for gateway in &gateways {
        gateway.process.signal("STOP");
    }
    for key in &keys {
        redis.cli(&["DEL", key]);
        redis.cli(&["RENAME", &format!("backup:{key}"), key]);
    }
    let stranger = &replicas(&redis, 1).await[0];
    for id in ["a", "b", "c"] {
        assert_eq!(create(stranger, id).await, 201);
    }
    for gateway in &gateways {
        gateway.process.signal("CONT");
    }
    for gateway in &gateways {
        is_alarmed(gateway).await;
    }
}

/// A primary that has become a replica takes no changes, and what it takes over is not adopted either.
#[tokio::test]
async fn a_primary_that_is_replaced() {
    let (redis, other) = (Redis::start().await, Redis::start().await);
    let gateways = pair(&redis).await;
    redis.cli(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]);
    eventually("changes are refused", 5, || async { (create(&gateways[0], "no").await == 503).then_some(()) }).await;
    assert_eq!(ids(&gateways[0]).await.len(), 2, "what is known is served");
    eventually("it has nothing", 10, || async { (!redis.dump().contains("server one")).then_some(()) }).await;
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    for gateway in &gateways {
        is_alarmed(gateway).await;
    }
    decide(&gateways[0], "restore");
    for gateway in &gateways {
        is_calm(gateway).await;
        assert_eq!(ids(gateway).await.len(), 2);
    }
}
