//! TLS and HTTP/2 on both sides: curl before the gateway, nginx with a certificate behind it.

use crate::harness::gateway::{Gateway, KEY, scratch};
use crate::harness::messages::{call, modern, request};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::process::{Process, free_port};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate authority and a certificate for `localhost` that it signed.
pub struct Certificates(PathBuf);

impl Certificates {
    pub fn make() -> Certificates {
        let directory = scratch();
        let script = r#"
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout tls.key -out tls.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > ext
            openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out tls.crt
        "#;
        let made = Command::new("bash").args(["-ec", script]).current_dir(&directory).stderr(Stdio::null()).status();
        assert!(made.is_ok_and(|status| status.success()), "openssl makes certificates");
        Certificates(directory)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

/// nginx before a server: TLS with HTTP/2 and HTTP/1.1 on one port, HTTP/2 without TLS on another.
struct Front {
    _process: Process,
    tls_port: u16,
    h2c_port: u16,
}

impl Front {
    fn start(certificates: &Certificates, upstream: u16) -> Front {
        let (tls_port, h2c_port) = (free_port(), free_port());
        let directory = certificates.path("nginx");
        std::fs::create_dir_all(&directory).expect("a directory for nginx");
        let conf = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log; events {{}}
             http {{ access_log {directory}/access.log; client_body_temp_path {directory}; proxy_temp_path {directory};
               fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};
               log_format p '$server_protocol'; access_log {directory}/protocols p;
               server {{ listen 127.0.0.1:{tls_port} ssl http2; listen 127.0.0.2:{tls_port} ssl http2; listen 127.0.0.1:{h2c_port} http2;
                 ssl_certificate {}; ssl_certificate_key {};
                 location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_buffering off;
                   proxy_set_header Host 127.0.0.1; }} }} }}",
            certificates.path("tls.crt"),
            certificates.path("tls.key"),
        );
        let file = Path::new(&directory).join("nginx.conf");
        std::fs::write(&file, conf).expect("nginx.conf");
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).stderr(Stdio::null());
        Front { _process: Process::spawn(&mut command), tls_port, h2c_port }
    }
}

#[tokio::test]
async fn servers_are_reached_over_tls_and_http_2() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let certificates = Certificates::make();
    let front = Front::start(&certificates, peer.port);
    let gateway = Gateway::start(&format!(
        "upstream_ca: {}\nservers:
  tls: {{url: \"https://localhost:{tls}/mcp\"}}
  tls-one: {{url: \"https://localhost:{tls}/mcp\", http: \"1.1\"}}
  h2c: {{url: \"http://127.0.0.1:{}/mcp\", http: \"2\"}}
  wrong-name: {{url: \"https://127.0.0.2:{tls}/mcp\"}}",
        certificates.path("ca.crt"),
        front.h2c_port,
        tls = front.tls_port,
    ))
    .await;
    let mut client = gateway.client().await;
    for server in ["tls", "tls-one", "h2c"] {
        for text in ["first", "second"] {
            let arguments = format!(r#"{{"text":"{text}"}}"#);
            let response = call(&mut client, &format!("/mcp/{server}"), "echo", &arguments).await.unwrap();
            assert_eq!(response.json()["result"]["structuredContent"]["text"], text, "{server}: {}", response.text());
        }
    }
    let refused = call(&mut client, "/mcp/wrong-name", "echo", r#"{"text":"x"}"#).await.unwrap();
    assert_eq!(refused.error_code(), Some(-31001), "no certificate is good for another name: {}", refused.text());
    let protocols = std::fs::read_to_string(certificates.path("nginx/protocols")).unwrap();
    for protocol in ["HTTP/2.0", "HTTP/1.1"] {
        assert!(protocols.contains(protocol), "nginx never saw {protocol}: {protocols}");
    }
}

#[tokio::test]
async fn clients_come_over_tls_and_http_2() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let certificates = Certificates::make();
    let port = free_port();
    let rest = format!(
        "servers:\n  ts: {{url: \"{}\"}}\nkeys:\n  - {{id: app, key: {KEY}}}\nlisten: {{addr: \"127.0.0.1:{port}\", tls: {{cert: \"{}\", key: \"{}\"}}}}",
        peer.url(),
        certificates.path("tls.crt"),
        certificates.path("tls.key"),
    );
    let _gateway = Gateway::start(&rest).await;
    for (version, expected) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let body = request("1", "tools/call", r#""name":"ts__count","arguments":{"n":3},"#);
        let body = body.replace(r#""_meta":{"#, r#""_meta":{"progressToken":1,"#);
        let mut curl = Command::new("curl");
        curl.args(["-sS", version, "--cacert", &certificates.path("ca.crt"), "-w", "\n%{http_version} %{http_code}"]);
        for line in modern(KEY, "tools/call", Some("ts__count")) {
            curl.args(["-H", &line]);
        }
        curl.args(["-d", &body, &format!("https://localhost:{port}/mcp")]);
        let output = tokio::task::spawn_blocking(move || curl.output()).await.unwrap().expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.ends_with(&format!("{expected} 200")),
            "{version}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(text.matches("notifications/progress").count(), 3, "{version}: {text}");
        assert!(text.contains("counted 3"), "{version}: {text}");
    }
}
