//! What a change that was made is called: each surface has its own status and words.

use super::Changed;
use serde_json::{Value, json};
use tollbridge_filters::catalog::Server;
use tollbridge_filters::path::Scope;
use tollbridge_filters::surface::view::View;
use tollbridge_filters::surface::{Surface, litellm, oliverye, routeiq};

/// Status and body of a change that was made.
pub fn told(changed: &Changed, surface: Surface, view: &View<'_>) -> (u16, Value) {
    let server = |id: &str| view.server(id);
    match (changed, surface) {
        (Changed::Registered { external_id, .. }, Surface::Litellm) => {
            (201, server(external_id).map_or(Value::Null, |server| litellm::brief(view, server)))
        }
        (Changed::Registered { external_id, .. }, _) => {
            (200, json!({"status": "registered", "server_id": external_id}))
        }
        (Changed::Replaced { external_id, .. }, Surface::Litellm) => {
            (202, server(external_id).map_or(Value::Null, |server| litellm::brief(view, server)))
        }
        (Changed::Replaced { external_id, .. }, _) => {
            let shown = server(external_id).map(|server| routeiq::brief(view, server));
            (200, json!({"status": "updated", "server_id": external_id, "server": shown}))
        }
        (Changed::Unregistered { .. }, Surface::Litellm) => (202, Value::Null),
        (Changed::Unregistered { external_id }, _) => {
            (200, json!({"status": "unregistered", "server_id": external_id}))
        }
        (Changed::Declared { server, tool }, _) => {
            (200, json!({"status": "registered", "tool_name": tool, "server_id": server}))
        }
        (Changed::MadePublic(ids), _) => {
            let message = "Successfully updated public mcp servers";
            (202, json!({"message": message, "public_mcp_servers": ids}))
        }
        (Changed::Added { set, added, failed }, _) => (200, told_added(set.as_deref(), added, failed, view)),
        (Changed::Removed { set, name, uuid, tools }, _) => {
            (200, told_removed(set.as_deref(), name, uuid, *tools, view))
        }
        (Changed::SetCreated { id }, _) => (200, told_set(id, view)),
        (Changed::SetDropped { id }, _) => (200, json!({"success": true, "deleted_session_id": id})),
        (Changed::Kept, _) => (200, Value::Null),
    }
}

/// What is seen of a set.
fn within<'v>(set: &str, view: &View<'v>, scope: &'v mut Scope) -> View<'v> {
    *scope = Scope::Set(set.to_owned());
    View { scope, ..*view }
}

fn told_added(set: Option<&str>, added: &[String], failed: &[(String, String)], view: &View<'_>) -> Value {
    let mut scope = Scope::All;
    let view = set.map_or(View { ..*view }, |set| within(set, view, &mut scope));
    let line = |server: &Server| {
        json!({
            "name": server.profile.name,
            "uuid": oliverye::uuid(server),
            "url": server.profile.url,
            "command": Value::Null,
            "transport": "http",
            "state": server.state.name(),
            "tools_count": view.tool_names(server).len(),
        })
    };
    let is_added = |server: &&Server| added.iter().any(|id| id == server.id.as_str());
    let added: Vec<Value> = view.servers().filter(is_added).map(line).collect();
    let failed: Vec<Value> = failed.iter().map(|(name, why)| json!({"name": name, "error": why})).collect();
    let total = view.servers().count();
    match set {
        None => json!({"success": true, "added_servers": added, "failed_servers": failed, "total_servers": total}),
        Some(set) => json!({
            "success": true,
            "session_id": set,
            "added_servers": added,
            "failed_servers": failed,
            "total_servers_in_session": total,
        }),
    }
}

fn told_removed(set: Option<&str>, name: &str, uuid: &str, tools: usize, view: &View<'_>) -> Value {
    let mut scope = Scope::All;
    match set {
        Some(set) => {
            let view = within(set, view, &mut scope);
            json!({
                "success": true,
                "removed_server": name,
                "removed_server_uuid": uuid,
                "session_id": set,
                "remaining_servers_in_session": oliverye::names(&view),
            })
        }
        None => json!({
            "success": true,
            "removed_server": name,
            "removed_server_uuid": uuid,
            "removed_tools_count": tools,
            "remaining_servers": oliverye::names(view),
            "total_servers": view.servers().count(),
        }),
    }
}

fn told_set(id: &str, view: &View<'_>) -> Value {
    let mut scope = Scope::All;
    let view = within(id, view, &mut scope);
    let set = view.snapshot.sets_by_id().get(id);
    let date = |seconds: Option<u64>| seconds.map(|seconds| view.date(seconds));
    json!({
        "success": true,
        "session_id": id,
        "created_at": date(set.map(|set| set.created)),
        "expires_at": date(set.map(|set| set.expires)),
        "metadata": set.map(|set| set.metadata.clone()),
        "servers_loaded": view.servers().count(),
        "servers": oliverye::names(&view),
    })
}
