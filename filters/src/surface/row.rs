//! Rows: one line of a surface's table each.

use super::Surface;
use http::Method;

/// Who may use a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    AnyKey,
    /// A key with `role: admin`; the permission is what a refusal names.
    Admin(&'static str),
}

/// One line of a surface's table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub surface: Surface,
    pub verb: Method,
    /// Segments in braces stand for one segment each.
    pub path: &'static str,
    pub operation: Operation,
    pub needs: Needs,
    shape: Shape,
}

/// What of a row's path is known before any request, and keeps nearly every row out at once.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    slashes: usize,
    /// How many bytes stand before the first brace.
    literal: usize,
    parameters: usize,
}

impl Shape {
    const fn of(path: &str) -> Shape {
        let (mut shape, mut rest, mut is_literal) =
            (Shape { slashes: 0, literal: 0, parameters: 0 }, path.as_bytes(), true);
        while let [byte, after @ ..] = rest {
            shape.slashes += (*byte == b'/') as usize;
            shape.parameters += (*byte == b'{') as usize;
            is_literal = is_literal && *byte != b'{';
            shape.literal += is_literal as usize;
            rest = after;
        }
        shape
    }
}

impl Row {
    /// Whether a path with so many slashes is one of the row's.
    pub(super) fn fits(&self, path: &str, slashes: usize) -> bool {
        if self.shape.slashes != slashes {
            return false;
        }
        if self.shape.parameters == 0 {
            return self.path == path;
        }
        let is_right = |(wanted, segment): (&str, &str)| {
            if wanted.starts_with('{') { !segment.is_empty() } else { wanted == segment }
        };
        let start = self.path.get(..self.shape.literal);
        start.is_some_and(|start| path.starts_with(start)) && self.pairs(path).all(is_right)
    }

    pub(super) fn parameter_count(&self) -> usize {
        self.shape.parameters
    }

    /// What stands in the places of the braces.
    pub(super) fn parameters<'p>(&self, path: &'p str) -> Vec<&'p str> {
        self.pairs(path).filter(|(wanted, _)| wanted.starts_with('{')).map(|(_, segment)| segment).collect()
    }

    /// The segments from the first brace on, beside those of a path that begins as the row's does.
    fn pairs<'p>(&self, path: &'p str) -> impl Iterator<Item = (&'static str, &'p str)> {
        let wanted = self.path.get(self.shape.literal..).unwrap_or_default();
        wanted.split('/').zip(path.get(self.shape.literal..).unwrap_or_default().split('/'))
    }

    pub(super) const fn any(surface: Surface, verb: Method, path: &'static str, operation: Operation) -> Row {
        Row { surface, verb, path, operation, needs: Needs::AnyKey, shape: Shape::of(path) }
    }

    /// Whether the answer can be had as events: lists that change, and calls.
    pub fn streams(&self) -> bool {
        let lists = ["/mcp/servers", "/mcp/tools", "/mcp/resources"];
        self.operation == Operation::Call || self.verb == Method::GET && lists.contains(&self.path)
    }

    pub(super) const fn admin(
        surface: Surface,
        verb: Method,
        path: &'static str,
        operation: Operation,
        permission: &'static str,
    ) -> Row {
        Row { surface, verb, path, operation, needs: Needs::Admin(permission), shape: Shape::of(path) }
    }
}

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    // Told from the snapshot.
    Servers,
    Server,
    Tools,
    ToolList,
    Tool,
    Resources,
    ServersHealth,
    ServerHealth,
    AccessGroups,
    RegistryJson,
    RegistryList,
    RegistryVersions,
    RegistryVersion,
    Card,
    Transport,
    Health,
    OpenApi,
    Definitions,
    Search,
    Scopes,
    Scope,
    // Changes.
    Register,
    Replace,
    Unregister,
    DeclareTool,
    MakePublic,
    AddServers,
    RemoveServer,
    CreateScope,
    DropScope,
    // Carried to a server.
    Call,
    /// Known, and not there: 501.
    NotImplemented,
}

impl Operation {
    /// For metrics and the access log.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Servers => "servers/list",
            Operation::Server => "servers/get",
            Operation::Tools | Operation::ToolList => "tools/list",
            Operation::Tool => "tools/get",
            Operation::Resources => "resources/list",
            Operation::ServersHealth | Operation::ServerHealth => "servers/health",
            Operation::AccessGroups => "access_groups/list",
            Operation::RegistryJson
            | Operation::RegistryList
            | Operation::RegistryVersions
            | Operation::RegistryVersion => "registry/list",
            Operation::Card => "card",
            Operation::Transport => "transport",
            Operation::Health => "health",
            Operation::OpenApi => "openapi",
            Operation::Definitions => "tools/definitions",
            Operation::Search => "tools/search",
            Operation::Scopes => "scopes/list",
            Operation::Scope => "scopes/get",
            Operation::Register => "servers/register",
            Operation::Replace => "servers/replace",
            Operation::Unregister => "servers/unregister",
            Operation::DeclareTool => "tools/declare",
            Operation::MakePublic => "servers/publish",
            Operation::AddServers => "servers/add",
            Operation::RemoveServer => "servers/remove",
            Operation::CreateScope => "scopes/create",
            Operation::DropScope => "scopes/delete",
            Operation::Call => "tools/call",
            Operation::NotImplemented => "not_implemented",
        }
    }
}

impl Operation {
    /// The event that says that an answer is another one now.
    pub fn changed(self) -> &'static str {
        match self {
            Operation::Tools | Operation::ToolList | Operation::Definitions => "tools.changed",
            Operation::Resources => "resources.changed",
            _ => "changed",
        }
    }
}
