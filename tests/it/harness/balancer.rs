//! nginx before several gateways, as a load balancer that knows nothing of sessions.

use super::eventually;
use super::gateway::scratch;
use super::process::{Process, free_port};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub struct Balancer {
    pub port: u16,
    patience: usize,
    process: Process,
    directory: PathBuf,
}

impl Balancer {
    pub async fn start(gateways: &[u16]) -> Balancer {
        Balancer::start_with(gateways, 60).await
    }

    /// `patience`: seconds that it waits for something to come.
    pub async fn start_with(gateways: &[u16], patience: usize) -> Balancer {
        let (port, directory) = (free_port(), scratch());
        write(&directory, port, gateways, patience);
        let mut command = Command::new("nginx");
        command.arg("-c").arg(directory.join("nginx.conf")).stderr(Stdio::null());
        let balancer = Balancer { port, patience, process: Process::spawn(&mut command), directory };
        let listens = || async { std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop) };
        eventually("nginx listens", 10, listens).await;
        balancer
    }

    /// From now on it leads to these; what is under way goes on.
    pub fn lead_to(&self, gateways: &[u16]) {
        write(&self.directory, self.port, gateways, self.patience);
        self.process.signal("HUP");
    }
}

/// Connections to gateways are not kept: one that is just being closed would cost a request.
fn write(directory: &std::path::Path, port: u16, gateways: &[u16], patience: usize) {
    let servers: String = gateways.iter().map(|gateway| format!("server 127.0.0.1:{gateway};")).collect();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}/{kind};", directory.display()))
        .collect();
    let conf = format!(
        "daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log; events {{ worker_connections 4096; }}
         http {{ access_log off; {paths} upstream gateways {{ {servers} }}
           server {{ listen 127.0.0.1:{port};
             location / {{ proxy_pass http://gateways; proxy_http_version 1.1; proxy_buffering off;
               proxy_request_buffering off; proxy_read_timeout {patience}s;
               proxy_set_header Host $http_host; proxy_set_header Connection \"\"; }} }} }}",
        directory.display()
    );
    std::fs::write(directory.join("nginx.conf"), conf).expect("nginx.conf");
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Its workers end with the master only if that is asked to.
        self.process.terminate();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
