//! nginx as a plain reverse proxy: one worker, kept connections, nothing held back, a buffered log.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::super::child::{Child, Side};
use super::super::place::{ACCESS_LOG, Place};
use super::Door;

pub struct Nginx {
    pub door: Door,
    pub child: Child,
}

impl Nginx {
    /// `connections` is what its worker can have, on both sides together. Of `files` is served what
    /// is asked for at `/files/`.
    pub async fn start(place: &Place, name: &str, upstream: &str, connections: usize) -> Result<Self> {
        let room = place.room(name)?;
        let files = place.room(&format!("{name}/files"))?;
        let listen = place.address()?;
        let (at, access) = (room.display(), room.join(ACCESS_LOG));
        let conf = format!(
            "daemon off;
pid {at}/pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections {connections}; }}
http {{
    access_log {access} combined buffer=64k flush=1s;
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    sendfile on;
    open_file_cache max=10;
    keepalive_requests 1000000000;
    upstream stub {{
        server {upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
        location /files/ {{
            alias {files}/;
            default_type application/json;
        }}
    }}
}}
",
            access = access.display(),
            files = files.display()
        );
        fs::write(room.join("conf"), conf)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&room).arg("-c").arg(room.join("conf"));
        let url = format!("http://{listen}/mcp");
        let child = super::start(command, Side::Proxy, &place.path(&format!("{name}.log")), &url).await?;
        let door = Door { target: url.parse()?, key: None, processes: child.processes()? };
        Ok(Self { door, child })
    }

    pub fn add_file(&self, place: &Place, room: &str, name: &str, text: &[u8]) -> Result<()> {
        Ok(fs::write(place.path(room).join("files").join(name), text)?)
    }
}
