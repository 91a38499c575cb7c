//! RouteIQ's Gate-6 matrix and its validation script, through a real load balancer: what they ask for,
//! and that the bodies are right too.

use crate::guides::{UNCHECKED, variables};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, scratch};
use crate::harness::guide::follow;
use crate::harness::http::Client;
use crate::harness::process::{Process, free_port};
use crate::harness::rest_stub::RestStub;
use std::process::{Command, Stdio};

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
    let gateway = Gateway::start(UNCHECKED).await;
    let balancer = Balancer::start(gateway.port).await;

    let mut variables = variables(&gateway, &stub.url());
    for replica in ["REPLICA1", "REPLICA2"] {
        variables.insert(replica.to_owned(), gateway.url(""));
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

/// nginx as RouteIQ puts it before its replicas.
struct Balancer {
    process: Process,
    port: u16,
    directory: std::path::PathBuf,
}

impl Balancer {
    async fn start(gateway: u16) -> Balancer {
        let (port, directory) = (free_port(), scratch());
        let place = directory.display();
        let conf = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log; events {{}}
             http {{ access_log off; client_body_temp_path {place}; proxy_temp_path {place};
               fastcgi_temp_path {place}; uwsgi_temp_path {place}; scgi_temp_path {place};
               upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 16; }}
               server {{ listen 127.0.0.1:{port};
                 location / {{ proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_set_header Host $http_host; proxy_buffering off; }} }} }}"
        );
        std::fs::write(directory.join("nginx.conf"), conf).expect("nginx.conf");
        let mut command = Command::new("nginx");
        command.arg("-c").arg(directory.join("nginx.conf")).stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        eventually("nginx accepts", 10, || async { Client::connect(port).await.ok() }).await;
        Balancer { process, port, directory }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.process.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
