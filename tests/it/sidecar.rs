//! The example of a sidecar, as it stands: an application and a gateway beside it, two processes.

use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::http::Client;
use crate::harness::messages::call;
use crate::harness::process::{Process, free_port};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use std::process::{Command, Stdio};

/// An application in a few lines: it says what it was asked.
const APPLICATION: &str = r#"
import http.server, sys

class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = f"{self.command} {self.path} {self.headers.get('Authorization')} {self.headers.get('Cookie')} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application).serve_forever()
"#;

#[tokio::test]
async fn the_example_runs_beside_an_application() {
    let files = Recorder::start(Speaks::Modern, &[TOOL]).await;
    files.answers(|call| Reply::Json(call.result(r#"{"content":[],"resultType":"complete"}"#)));
    let (application, ports) = (free_port(), (free_port(), free_port()));
    let mut command = Command::new("python3");
    command.args(["-c", APPLICATION, &application.to_string()]).stderr(Stdio::null());
    let _application = Process::spawn(&mut command);
    let own = std::env::temp_dir().join(format!("tollbridge-sidecar-{}.db", std::process::id()));
    // What is a pod's own: its addresses, its disk.
    let changes = [
        ("0.0.0.0:8080", format!("127.0.0.1:{}", ports.0)),
        ("0.0.0.0:9090", format!("127.0.0.1:{}", ports.1)),
        ("http://127.0.0.1:8000", format!("http://127.0.0.1:{application}")),
        ("http://127.0.0.1:3200/mcp", files.url()),
        ("/var/lib/tollbridge/registry.db", own.display().to_string()),
    ];
    let mut text = include_str!("../../conf/sidecar.yaml").to_owned();
    for (from, to) in &changes {
        assert!(text.contains(from), "conf/sidecar.yaml has no {from}");
        text = text.replace(from, to);
    }
    let seal = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";
    let environment = [("TOLLBRIDGE_MASTER_KEY", ADMIN_KEY), ("TOLLBRIDGE_APP_KEY", KEY), ("TOLLBRIDGE_SEAL", seal)];
    let gateway = Gateway::launch(&text, ports, &environment);
    gateway.ready().await;
    eventually("the application answers through the gateway", 10, || async {
        let mut client = Client::connect(gateway.port).await.ok()?;
        (client.get("/healthz").await.ok()?.status == 200).then_some(())
    })
    .await;
    // The application's traffic needs no key, and comes as it was sent.
    let headers = ["Authorization: Bearer the-applications-own".to_owned(), "Cookie: a=b".to_owned()];
    let said = gateway.client().await.post("/v1/chat?x=%2F", &headers, b"hello").await.unwrap();
    assert_eq!(said.text(), "POST /v1/chat?x=%2F Bearer the-applications-own a=b hello");
    // MCP is served beside it, with a key.
    let called = || async {
        let answer = call(&mut gateway.client().await, "/mcp", "files__say", "{}").await.ok()?;
        (answer.status == 200 && answer.error_code().is_none()).then_some(())
    };
    eventually("a tool is called", 10, called).await;
    let refused = gateway.client().await.post("/mcp", &["Content-Type: application/json".to_owned()], b"{}").await;
    assert_eq!(refused.unwrap().status, 401);
    let _ = std::fs::remove_file(own);
}
