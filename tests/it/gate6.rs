//! RouteIQ's Gate-6 matrix and its validation script, through a real load balancer before two replicas: what
//! they ask for, and that the bodies are right too.

use crate::guides::{UNCHECKED, variables};
use crate::harness::balancer::Balancer;
use crate::harness::gateway::Gateway;
use crate::harness::guide::follow;
use crate::harness::redis::Redis;
use crate::harness::rest_stub::RestStub;
use crate::replicas::SEAL;

/// The rows of the report.
const MATRIX: [&str; 12] = [
    "1.1 MCP Registry",
    "1.2 List Servers (LB)",
    "2.1 Stub Tools List",
    "3.1 Register Server",
    "3.2 List Servers (R1)",
    "3.3 List Servers (R2)",
    "4.1 List All Tools",
    "4.2 List All Resources",
    "5.1 Call Tool (success)",
    "5.2 Call Tool (error)",
    "6.1 Streaming Support",
    "7.1 Performance Sanity",
];

#[tokio::test]
async fn each_row_of_the_matrix_passes_behind_nginx() {
    let stub = RestStub::start(&[]);
    let redis = Redis::start().await;
    let rest = format!("{UNCHECKED}\n{SEAL}registry: {{store: redis, url: \"{}\"}}", redis.url());
    let replicas = [Gateway::start(&rest).await, Gateway::start(&rest).await];
    let balancer = Balancer::start(&replicas.each_ref().map(|gateway| gateway.port)).await;

    let mut variables = variables(&replicas[0], &stub.url());
    for (name, replica) in ["REPLICA1", "REPLICA2"].into_iter().zip(&replicas) {
        variables.insert(name.to_owned(), replica.url(""));
    }
    variables.insert("GATEWAY".to_owned(), format!("http://127.0.0.1:{}", balancer.port));
    // An example that demands nothing of its answer fails, so a title is a proof.
    let titles = follow(include_str!("../fixtures/guides/gate6.txt"), &[], variables).await;

    for row in MATRIX {
        assert!(titles.iter().any(|title| title.starts_with(row)), "no example is of row {row}: {titles:?}");
    }
    for step in [1, 3, 4, 5, 6, 7, 8] {
        let step = format!("Script, step {step}");
        assert!(titles.iter().any(|title| title.starts_with(&step)), "nothing is of {step}: {titles:?}");
    }
    let calls = stub.count("POST /mcp/tools/call").await;
    assert_eq!(calls, 3 + 20 + 1 + 20, "each call reached the stub once, and those of unknown tools never");
}
