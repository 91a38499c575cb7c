//! What the reader takes along: commands and client settings that work with the gateway that runs.

use super::page::Page;
use super::request::{Curl, Request};
use super::upstream::Era;
use super::{Site, tour};
use serde_json::{Value, json};
use std::io;

pub(super) fn print(site: &Site, page: &mut Page) -> io::Result<()> {
    commands(site, page)?;
    settings(site, page)?;
    page.heading("Ctrl-C ends it.")
}

fn commands(site: &Site, page: &mut Page) -> io::Result<()> {
    let echo = json!({"name": format!("{}__echo", Era::Modern.server_id()), "arguments": {"text": "hello"}});
    let commands = [
        ("List the tools", "-s", Request::modern(site, 1, "tools/list", json!({}))),
        ("Call one", "-s", Request::modern(site, 2, "tools/call", echo)),
        ("Call one that streams its progress", "-sN", tour::counting(site)),
        ("Open a session, as clients up to 2025-11-25 do", "-si", Request::initialize(site)),
    ];
    for (title, options, request) in &commands {
        page.heading(title)?;
        page.line(&Curl(options, request).to_string())?;
    }
    Ok(())
}

fn settings(site: &Site, page: &mut Page) -> io::Result<()> {
    let authorization = format!("Bearer {}", site.key);
    let headers = json!({"Authorization": authorization});
    let typed = json!({"tollbridge": {"type": "http", "url": site.url(), "headers": headers}});
    let bare = json!({"tollbridge": {"url": site.url(), "headers": headers}});

    page.heading("Claude Code: this command, or .mcp.json")?;
    let url = site.url();
    page.line(&format!(
        "claude mcp add --transport http tollbridge {url} --header \"Authorization: {authorization}\""
    ))?;
    page.line(&indented(&json!({"mcpServers": typed})))?;
    page.heading("Cursor: ~/.cursor/mcp.json")?;
    page.line(&indented(&json!({"mcpServers": bare})))?;
    page.heading("VS Code: .vscode/mcp.json")?;
    page.line(&indented(&json!({"servers": typed})))
}

fn indented(settings: &Value) -> String {
    format!("{settings:#}")
}
