//! Every kind of Redis: TLS with an ACL user, Sentinels, a cluster.

use super::fleet::{SEAL, create, lists, sharing};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, scratch};
use crate::harness::process::{Process, free_port};
use crate::harness::redis::Redis;
use crate::harness::rest::OPEN;
use crate::tls::Certificates;
use std::process::{Command, Stdio};

/// What an operator gives to the gateway's user, and no more.
const RIGHTS: [&str; 8] =
    ["~tb:*", "resetchannels", "&tb:*", "+@read", "+@write", "+@scripting", "+@pubsub", "+@connection"];

#[tokio::test]
async fn tls_and_a_user_of_its_own() {
    let certificates = Certificates::make();
    let tls = free_port().to_string();
    let (cert, key, ca) = (certificates.path("tls.crt"), certificates.path("tls.key"), certificates.path("ca.crt"));
    let redis = Redis::start_with(&[
        "--tls-port",
        &tls,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let mut user = vec!["ACL", "SETUSER", "gate", "on", ">p@ss/word"];
    user.extend(RIGHTS);
    assert_eq!(redis.cli(&user).trim(), "OK");
    let url = format!("rediss://gate:p%40ss%2Fword@localhost:{tls}");
    let registry = format!("{OPEN}{SEAL}registry: {{store: redis, url: \"{url}\", ca: \"{ca}\"}}\n");
    let (one, two) = (Gateway::start(&registry).await, Gateway::start(&registry).await);
    assert_eq!(create(&one, "one").await, 201);
    lists(&two, "one", 1).await;
    assert!(!one.log().contains("p@ss"), "{}", one.log());
    // A certificate that nobody vouches for is not taken.
    let unknown = format!("{OPEN}{SEAL}registry: {{store: redis, url: \"{url}\"}}\n");
    let setup = crate::harness::gateway::Setup::new(&unknown);
    let wary = setup.launch();
    eventually("it says why", 10, || async { wary.log().contains("Redis is not there").then_some(()) }).await;
}

#[tokio::test]
async fn the_primary_that_sentinels_know() {
    let (mut primary, replica) = (Redis::start().await, Redis::start().await);
    replica.cli(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    let (port, directory) = (free_port(), scratch());
    let file = directory.join("sentinel.conf");
    let conf = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n",
        primary.port
    );
    std::fs::write(&file, conf).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&file).arg("--sentinel").stdout(Stdio::null());
    let _sentinel = Process::spawn(&mut command);
    let url = format!("redis-sentinel://127.0.0.1:{port}/main");
    let gateway = Gateway::start(&sharing(&url, "")).await;
    assert_eq!(create(&gateway, "one").await, 201);
    eventually("it is replicated", 10, || async { replica.dump().contains("server one").then_some(()) }).await;
    // The Sentinel knows of the replica after a while.
    eventually("the sentinel knows the replica", 30, || async {
        let mut cli = Command::new("redis-cli");
        let told = cli.args(["-p", &port.to_string(), "SENTINEL", "REPLICAS", "main"]).output().unwrap();
        String::from_utf8_lossy(&told.stdout).contains(&replica.port.to_string()).then_some(())
    })
    .await;
    primary.kill();
    eventually("the next primary is found", 30, || async { (create(&gateway, "two").await == 201).then_some(()) })
        .await;
    assert!(replica.dump().contains("server two"));
    let _ = std::fs::remove_dir_all(directory);
}

#[tokio::test]
async fn a_cluster() {
    // Left out, it would be one that a client may have.
    let bus = free_port().to_string();
    let redis = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await;
    redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually("it is whole", 10, || async {
        redis.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
    })
    .await;
    let url = format!("redis-cluster://127.0.0.1:{}", redis.port);
    let (one, two) = (Gateway::start(&sharing(&url, "")).await, Gateway::start(&sharing(&url, "")).await);
    assert_eq!(create(&one, "one").await, 201);
    lists(&two, "one", 1).await;
}
